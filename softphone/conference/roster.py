"""The room as one participant knows it. Sans-I/O: messages of the server in, news out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from softphone.conference.events import (
    Admitted,
    ChatLine,
    Event,
    LobbyEntered,
    LobbyVacated,
    MutedByModerator,
    ParticipantCame,
    ParticipantChanged,
    ParticipantWent,
    RequestRefused,
    RoomRulesChanged,
    SelfChanged,
    SignalingRestored,
)
from softphone.rooms.replies import (
    Joined,
    LobbyJoined,
    LobbyLeft,
    Muted,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    Refused,
    RoomChanged,
    Said,
)
from softphone.rooms.values import Leaving, ParticipantInfo, RoomRole
from softphone.signaling.messages import Message

__all__ = ["Roster"]

_REMEMBERED_LINES: Final = 256


@dataclass(slots=True)
class _Self:
    id: str = ""
    name: str = ""
    role: RoomRole = RoomRole.PARTICIPANT
    muted: bool = False
    hand: int = 0
    recording: bool = False


@dataclass(slots=True)
class Roster:
    """Who is here, who waits, and what the rules are."""

    room: str = ""
    locked: bool = False
    lobby: bool = False
    max_participants: int = 0
    own: _Self = field(default_factory=_Self)
    _people: dict[str, ParticipantInfo] = field(default_factory=dict)
    _waiting: dict[str, str] = field(default_factory=dict)
    _missing: dict[str, float] = field(default_factory=dict)
    """Ids of those who may come back after a restart of the server, and until when."""
    _lines: dict[tuple[int, int, str], None] = field(default_factory=dict)

    @property
    def people(self) -> Mapping[str, ParticipantInfo]:
        """Everybody but ourselves, by id, in the order of coming in."""
        return MappingProxyType(self._people)

    @property
    def waiting(self) -> Mapping[str, str]:
        """Names of those in the lobby, by id; only moderators know."""
        return MappingProxyType(self._waiting)

    @property
    def moderates(self) -> bool:
        """Whether we may moderate."""
        return self.own.role is RoomRole.MODERATOR

    @property
    def next_expiry(self) -> float | None:
        """When `expire` wants to be called."""
        return min(self._missing.values(), default=None)

    def expire(self, now: float) -> list[Event]:
        """Give up those who have not come back in time."""
        late = [peer for peer, until in self._missing.items() if until <= now]
        return [event for peer in late for event in self._leave(peer, Leaving.GONE)]

    def apply(self, message: Message, now: float) -> list[Event]:
        """Take a message of the server; what is none of the roster's business gives nothing."""
        match message:
            case Joined():
                return self._on_joined(message, now)
            case PeerJoined(participant=person):
                return self._come(person)
            case PeerChanged(participant=person) if person.id == self.own.id:
                return self._change_self(person)
            case PeerChanged(participant=person):
                return self._come(person)
            case PeerLeft(peer=peer, reason=reason):
                return self._leave(peer, reason)
            case RoomChanged(locked=locked, lobby=lobby):
                self.locked, self.lobby = locked, lobby
                return [RoomRulesChanged(locked, lobby)]
            case LobbyJoined(id=peer, name=name):
                self._waiting[peer] = name
                return [LobbyEntered(peer, name)]
            case LobbyLeft(id=peer):
                name = self._waiting.pop(peer, "")
                return [LobbyVacated(peer, name)] if name else []
            case Said():
                return self._hear(message)
            case Muted(peer=peer):
                moderator = self._people.get(peer)
                return [MutedByModerator(moderator.name if moderator else "")]
            case Refused(code=code, message=text):
                return [RequestRefused(code, text)]
        return []

    def _on_joined(self, message: Joined, now: float) -> list[Event]:
        first = not self.own.id
        back = message.id == self.own.id
        events: list[Event] = []
        present = {person.id for person in message.participants}
        self._missing.clear()
        for peer in [peer for peer in self._people if peer not in present or not back]:
            if back and message.settle_seconds:
                # The server has restarted, and the others are on their way back as well.
                self._missing[peer] = now + message.settle_seconds
                self._people[peer] = replace(self._people[peer], away=True)
            else:
                events += self._leave(peer, Leaving.GONE)
        muted = self.own.muted
        self.own = _Self(message.id, message.name, message.role, muted, self.own.hand, self.own.recording)
        self.room, self.max_participants = message.room, message.max_participants
        self.locked, self.lobby = message.locked, message.lobby
        self._waiting = {person.id: person.name for person in message.waiting}
        events.append(Admitted(message.name, message.role) if first else SignalingRestored(same=back))
        for person in message.participants:
            events += self._come(person)
        return events

    def _come(self, person: ParticipantInfo) -> list[Event]:
        self._missing.pop(person.id, None)
        before = self._people.get(person.id)
        self._people[person.id] = person
        if before is None:
            self._people = dict(sorted(self._people.items()))
            return [ParticipantCame(person)]
        return [ParticipantChanged(person, before)] if person != before else []

    def _change_self(self, person: ParticipantInfo) -> list[Event]:
        before = replace(self.own)
        self.own.name, self.own.role = person.name, person.role
        self.own.muted, self.own.hand, self.own.recording = person.muted, person.hand, person.recording
        return [SelfChanged(person)] if self.own != before else []

    def _leave(self, peer: str, reason: Leaving) -> list[Event]:
        self._missing.pop(peer, None)
        person = self._people.pop(peer, None)
        return [ParticipantWent(person, reason)] if person is not None else []

    def _hear(self, line: Said) -> list[Event]:
        # After a restart of the server numbers begin anew, so the number alone is no name.
        key = (line.number, line.time, line.peer)
        if key in self._lines:
            return []
        self._lines[key] = None
        if len(self._lines) > _REMEMBERED_LINES:
            del self._lines[next(iter(self._lines))]
        return [ChatLine(line.peer, line.name, line.text, line.time, own=line.peer == self.own.id)]
