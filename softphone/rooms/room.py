"""One room: who is in it, who waits, and what they may do. No clocks, no I/O: time is an argument.

Every method returns the effects that its shell has to carry out, in order. Times are
seconds on one monotonic scale, and `unix_time` is seconds since 1970.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from softphone.errors import ConfigError
from softphone.rooms.effects import Admitted, Closed, Departed, Effect, Sent
from softphone.rooms.errors import BarredError, LobbyFullError, RoomFullError, RoomLockedError
from softphone.rooms.names import clean_name, skeleton, unique_name
from softphone.rooms.people import Entry, Happening, Person, Presence
from softphone.rooms.replies import (
    Joined,
    LobbyJoined,
    LobbyLeft,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    Said,
    Waiting,
)
from softphone.rooms.requests import RoomBye
from softphone.rooms.statistics import RoomStatistics
from softphone.rooms.values import MAX_PEOPLE, Leaving, RoomRole, WaitingInfo
from softphone.signaling.limits import TokenBucket
from softphone.signaling.wire import Capabilities

__all__ = ["Room", "RoomConfig"]

_NEWS = 64
"""Kept for other room servers, should one be out of reach for a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """Settings of a `Room`. Times in seconds."""

    max_participants: int = 8
    """1 to `MAX_PEOPLE`; in a mesh everybody sends to everybody."""
    lobby: bool = False
    """Newcomers wait for a moderator."""
    max_waiting: int = 16
    lobby_timeout: float = 600.0
    resume_window: float = 30.0
    """How long somebody who was lost may come back."""
    chat_lines: int = 50
    """Kept for those who come back."""
    request_rate: float = 3.0
    """Chat, updates and moderating, per second and participant, in the long run."""
    request_burst: float = 15.0
    opener_moderates: bool = False
    """Who opens the room moderates it, and when no moderator is left, who has been there longest."""

    def __post_init__(self) -> None:
        """Raises `ConfigError` for values out of range."""
        if not 1 <= self.max_participants <= MAX_PEOPLE:
            raise ConfigError(f"a room has 1 to {MAX_PEOPLE} participants")
        if not 0 <= self.max_waiting <= 64:
            raise ConfigError("a lobby has room for at most 64")


class Room:
    """The state of one room, and its doors; `softphone.rooms.requesting` adds what those inside may do."""

    def __init__(self, name: str, config: RoomConfig, statistics: RoomStatistics) -> None:
        self.name = name
        self.config = config
        self.statistics = statistics
        self.people: dict[str, Person] = {}
        """By id; those who wait included."""
        self.locked = False
        self.lobby = config.lobby
        self.chat: deque[Said] = deque(maxlen=config.chat_lines)
        self.line_number = 0
        self.hand_number = 0
        self.barred: set[str] = set()
        """Fingerprints of invitations whose holders were removed, and the ids that those had."""
        self.rules_version = 0
        """Counts changes of `locked` and `lobby`, wherever they were made."""
        self.news: deque[Mapping[str, object]] = deque(maxlen=_NEWS)
        """What other room servers have to hear."""
        self.news_number = 0
        self.heard: dict[str, int] = {}
        """Number of the last news from each of them."""

    @property
    def empty(self) -> bool:
        """Whether nobody of ours is left, not even somebody who may come back."""
        return all(person.server for person in self.people.values())

    @property
    def deadline(self) -> float | None:
        """When `advance` has something to do; None when nothing is due."""
        return min((p.deadline for p in self.people.values() if p.deadline is not None), default=None)

    def present(self, *, without: str = "", moderators: bool = False) -> tuple[str, ...]:
        """Ids of those who are connected and inside."""
        return tuple(
            person.id
            for person in self.people.values()
            if person.presence is Presence.PRESENT
            and person.id != without
            and (person.moderates or not moderators)
        )

    def enter(self, entry: Entry, now: float) -> list[Effect]:
        """Somebody new comes in, or into the lobby.

        Raises `softphone.rooms.errors.NotAdmittedError` or
        `softphone.rooms.names.BadNameError`, with nothing changed.
        """
        role, waits = self.check_door(entry)
        if entry.id in self.people:
            raise RoomFullError("you are in the room already")
        name, effects = self._name(entry)
        person = Person(
            id=entry.id,
            name=name,
            verified=entry.verified,
            role=role,
            capabilities=entry.capabilities,
            connection=entry.connection,
            invitation=entry.invitation,
            requests=TokenBucket(self.config.request_rate, self.config.request_burst),
        )
        self.people[person.id] = person
        if waits:
            person.deadline = now + self.config.lobby_timeout
            self.statistics.waited += 1
            effects.append(Sent((person.id,), Waiting(message="a moderator will let you in")))
            knock = LobbyJoined(id=person.id, name=person.name)
            effects.append(Sent(self.present(moderators=True), knock))
            return effects
        return effects + self.admit(person, restored=entry.restored)

    def check_door(self, entry: Entry) -> tuple[RoomRole, bool]:
        """The role that somebody would have, and whether it would have to wait; raises as `enter` does."""
        clean_name(entry.name)
        inside = sum(person.inside for person in self.people.values())
        opens = self.config.opener_moderates and not inside and not entry.restored
        role = RoomRole.MODERATOR if opens else entry.role
        privileged = role is RoomRole.MODERATOR or entry.restored
        if entry.invitation and entry.invitation in self.barred:
            raise BarredError("a moderator removed you from this room")
        if inside >= self.config.max_participants:
            raise RoomFullError(f"the room is full: {inside} of {self.config.max_participants} are in")
        if self.locked and not privileged:
            raise RoomLockedError("the room is locked: ask somebody inside to unlock it")
        waits = self.lobby and not privileged
        if waits and len(self.people) - inside >= self.config.max_waiting:
            raise LobbyFullError("too many wait to be let in: try again later")
        return role, waits

    def admit(self, person: Person, *, restored: bool = False) -> list[Effect]:
        """Somebody who has passed the door, or the lobby, is in."""
        person.move(Happening.ADMITTED)
        person.deadline = None
        person.first_line = self.line_number
        self.statistics.joined += 1
        return [
            Admitted(person.id, self._joined(person, resumed=restored)),
            Sent(self.present(without=person.id), PeerJoined(participant=person.info())),
        ]

    def knows(self, id: str) -> bool:
        """Whether `id` is inside, or may come back."""
        return id in self.people and self.people[id].inside

    def come_back(self, id: str, capabilities: Capabilities, connection: Capabilities) -> list[Effect]:
        """Somebody whom the room `knows` is connected again."""
        person = self.people[id]
        if person.server:
            person.server, person.claim = "", person.claim + 1
        changed = person.presence is Presence.AWAY or person.capabilities != capabilities
        person.move(Happening.RETURNED)
        person.deadline = None
        person.capabilities = capabilities
        person.connection = connection
        self.statistics.resumed += 1
        effects: list[Effect] = [Admitted(id, self._joined(person, resumed=True))]
        effects += [Sent((id,), line) for line in self.chat if line.number > person.first_line]
        if changed:
            effects.append(Sent(self.present(without=id), PeerChanged(participant=person.info())))
        return effects + self.succession()

    def lost(self, id: str, now: float) -> list[Effect]:
        """The connection of somebody broke."""
        person = self.people.get(id)
        if person is None or person.server or person.presence is Presence.AWAY:
            return []
        if person.presence is Presence.WAITING:
            return self.depart(id, Leaving.GONE)
        person.move(Happening.LOST)
        person.deadline = now + self.config.resume_window
        self.statistics.lost += 1
        return self.changed(person)

    def depart(self, id: str, reason: Leaving) -> list[Effect]:
        """Somebody leaves for good."""
        person = self.people.pop(id, None)
        if person is None:
            return []
        waited = person.presence is Presence.WAITING
        person.move(Happening.DEPARTED)
        effects: list[Effect] = [Departed(id)]
        if waited:
            return [*effects, Sent(self.present(moderators=True), LobbyLeft(id=id))]
        effects.append(Sent(self.present(), PeerLeft(peer=id, reason=reason)))
        return effects + self.succession()

    def advance(self, now: float) -> list[Effect]:
        """Do what is due at `now`."""
        effects: list[Effect] = []
        for person in list(self.people.values()):
            if person.deadline is None or person.deadline > now:
                continue
            if person.presence is Presence.WAITING:
                bye = RoomBye(reason=Leaving.TIMEOUT, message="nobody let you in")
                effects.append(Closed(person.id, bye))
            effects += self.depart(person.id, Leaving.GONE)
        return effects

    def close(self, reason: Leaving, message: str) -> list[Effect]:
        """Everybody has to leave."""
        people, self.people = self.people, {}
        effects: list[Effect] = []
        for id in (person.id for person in people.values() if not person.server):
            effects += (Closed(id, RoomBye(reason=reason, message=message)), Departed(id))
        return effects

    def take_line(self, line: Said) -> list[Effect]:
        """A line of chat is said; it gets a number greater than all before."""
        self.line_number = max(self.line_number + 1, line.number)
        line = replace(line, number=self.line_number)
        self.chat.append(line)
        return [Sent(self.present(), line)]

    def share(self, **news: object) -> None:
        """Have other room servers hear this."""
        self.news_number += 1
        self.news.append({"number": self.news_number, **news})

    def changed(self, person: Person) -> list[Effect]:
        """Tell those concerned what somebody is like now."""
        if person.inside:
            return [Sent(self.present(), PeerChanged(participant=person.info()))]
        return [Sent(self.present(moderators=True), LobbyJoined(id=person.id, name=person.name))]

    def taken_names(self, *, without: str = "") -> Collection[str]:
        """Skeletons of the names in use."""
        return {person.skeleton for person in self.people.values() if person.id != without}

    def _name(self, entry: Entry) -> tuple[str, list[Effect]]:
        """The name of a newcomer; a guest who has the name of an invited one has to change."""
        name = clean_name(entry.name)
        if not entry.verified:
            return unique_name(name, self.taken_names()), []
        name = unique_name(name, {p.skeleton for p in self.people.values() if p.verified})
        # Names are unique, so there is one at most.
        guest = next((p for p in self.people.values() if p.skeleton == skeleton(name)), None)
        if guest is None:
            return name, []
        if guest.server:  # which alone may rename it
            return unique_name(name, self.taken_names()), []
        guest.name = unique_name(guest.name, self.taken_names())
        return name, self.changed(guest)

    def _joined(self, person: Person, *, resumed: bool) -> Joined:
        others = sorted((p for p in self.people.values() if p.inside and p is not person), key=lambda p: p.id)
        waiting = [p for p in self.people.values() if p.presence is Presence.WAITING]
        return Joined(
            id=person.id,
            room=self.name,
            name=person.name,
            role=person.role,
            participants=tuple(p.info() for p in others),
            waiting=tuple(WaitingInfo(id=p.id, name=p.name) for p in waiting) if person.moderates else (),
            locked=self.locked,
            lobby=self.lobby,
            max_participants=self.config.max_participants,
            connection=person.connection,
            resume="",
            resume_seconds=int(self.config.resume_window),
            resumed=resumed,
        )

    def succession(self) -> list[Effect]:
        """Where the opener moderates, somebody else does when no moderator is left."""
        heirs = sorted(self.present())
        if not self.config.opener_moderates or not heirs:
            return []
        if any(person.moderates for person in self.people.values()):
            return []
        heir = self.people[heirs[0]]
        if heir.server:  # which does the same
            return []
        heir.role = RoomRole.MODERATOR
        waiting = [p for p in self.people.values() if p.presence is Presence.WAITING]
        return [
            *self.changed(heir),
            *(Sent((heir.id,), LobbyJoined(id=p.id, name=p.name)) for p in waiting),
        ]
