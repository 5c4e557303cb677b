"""What a participant says to the room server. ``docs/rooms.md`` is the specification."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from softphone.errors import RemoteProtocolError
from softphone.rooms.values import MAX_CHAT, MAX_TOKEN, Leaving, SignalKind, a_peer, a_room, a_session
from softphone.signaling import wire
from softphone.signaling.messages import NONCE_BYTES, Error, Hello, Message, Vocabulary
from softphone.signaling.text import MAX_NAME, MAX_SENTENCE
from softphone.signaling.wire import carried

__all__ = [
    "FROM_PARTICIPANT",
    "Admit",
    "Deny",
    "EndRoom",
    "Join",
    "Mute",
    "Remove",
    "RoomBye",
    "RoomUpdate",
    "Say",
    "Signal",
    "Update",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join(Message):
    """Asks to be let into a room."""

    TYPE: ClassVar[str] = "join"

    room: str = field(metadata=carried(a_room))
    token: str = field(default="", metadata=carried(wire.opaque(MAX_TOKEN)))
    """Invitation, or the secret of the server."""
    resume: str = field(default="", metadata=carried(wire.opaque(MAX_TOKEN)))
    """What the server gave with `softphone.rooms.replies.Joined` before the connection was lost."""

    def __repr__(self) -> str:
        return f"Join(room={self.room!r})"  # the secrets stay out of logs


_NEEDED: Final = {
    SignalKind.OFFER: frozenset({"sdp", "round"}),
    SignalKind.ANSWER: frozenset({"sdp", "round"}),
    SignalKind.CANDIDATE: frozenset({"candidate", "round"}),
    SignalKind.RESTART: frozenset[str](),
    SignalKind.SAS_COMMIT: frozenset({"value"}),
    SignalKind.SAS_REVEAL: frozenset({"value"}),
}
_ALLOWED: Final = {**_NEEDED, SignalKind.CANDIDATE: frozenset({"candidate", "round", "mid", "ufrag"})}
_VARIABLE: Final = ("sdp", "round", "candidate", "mid", "ufrag", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Message):
    """Media negotiation between two participants, in both directions.

    Which members go with which kind is checked on arrival.
    """

    TYPE: ClassVar[str] = "signal"

    peer: str = field(metadata=carried(a_peer))
    """The other end: the addressee to the server, the sender from it."""
    kind: SignalKind = field(metadata=carried(wire.choice(tuple(SignalKind)), str))
    session: str = field(default="", metadata=carried(a_session))
    """Chosen by the offerer for each new connection; empty only in a request for a new one."""
    round: int | None = field(default=None, metadata=carried(wire.integer(1, 65_535)))
    """Number of the offer within its session."""
    sdp: str | None = field(default=None, metadata=carried(wire.sdp))
    candidate: str | None = field(
        default=None, metadata=carried(wire.word("(candidate:[ -~]{1,1014})?", "an ICE candidate"))
    )
    """As in ``RTCIceCandidate.candidate``; empty when no more will come."""
    mid: str | None = field(default=None, metadata=carried(wire.word("[!-~]{0,16}", "a mid")))
    ufrag: str | None = field(default=None, metadata=carried(wire.word("[A-Za-z0-9+/]{0,256}", "a ufrag")))
    value: bytes | None = field(default=None, metadata=carried(wire.hexadecimal(NONCE_BYTES), bytes.hex))

    def check(self) -> None:
        """Raises `RemoteProtocolError` when members are missing or do not belong to the kind."""
        present = {name for name in _VARIABLE if getattr(self, name) is not None}
        if not _NEEDED[self.kind] <= present <= _ALLOWED[self.kind]:
            raise RemoteProtocolError(f"signal: members that do not fit {self.kind}")
        if not self.session and self.kind is not SignalKind.RESTART:
            raise RemoteProtocolError("signal: session must not be empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Message):
    """A line of chat."""

    TYPE: ClassVar[str] = "say"

    text: str = field(metadata=carried(wire.sentence(MAX_CHAT)))

    def check(self) -> None:
        """Raises `RemoteProtocolError` when nothing is left of the text."""
        if not self.text:
            raise RemoteProtocolError("say: text is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Message):
    """A participant changes what the others know of it; None: no change."""

    TYPE: ClassVar[str] = "update"

    name: str | None = field(default=None, metadata=carried(wire.sentence(MAX_NAME)))
    muted: bool | None = field(default=None, metadata=carried(wire.boolean))
    hand: bool | None = field(default=None, metadata=carried(wire.boolean))
    recording: bool | None = field(default=None, metadata=carried(wire.boolean))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute(Message):
    """A moderator turns somebody's microphone off."""

    TYPE: ClassVar[str] = "mute"

    peer: str = field(metadata=carried(a_peer))


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove(Message):
    """A moderator puts somebody out of the room."""

    TYPE: ClassVar[str] = "remove"

    peer: str = field(metadata=carried(a_peer))
    message: str = field(default="", metadata=carried(wire.sentence(MAX_SENTENCE)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit(Message):
    """A moderator lets somebody in from the lobby."""

    TYPE: ClassVar[str] = "admit"

    peer: str = field(metadata=carried(a_peer))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny(Message):
    """A moderator turns somebody in the lobby away."""

    TYPE: ClassVar[str] = "deny"

    peer: str = field(metadata=carried(a_peer))
    message: str = field(default="", metadata=carried(wire.sentence(MAX_SENTENCE)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomUpdate(Message):
    """A moderator changes the room; None: no change."""

    TYPE: ClassVar[str] = "room-update"

    locked: bool | None = field(default=None, metadata=carried(wire.boolean))
    lobby: bool | None = field(default=None, metadata=carried(wire.boolean))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRoom(Message):
    """A moderator sends everybody home."""

    TYPE: ClassVar[str] = "end-room"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomBye(Message):
    """Either end leaves; nothing follows."""

    TYPE: ClassVar[str] = "bye"

    reason: Leaving = field(
        default=Leaving.HUNG_UP,
        metadata=carried(wire.choice([each for each in Leaving if each is not Leaving.GONE]), str),
    )
    message: str = field(default="", metadata=carried(wire.sentence(MAX_SENTENCE)))


FROM_PARTICIPANT: Final = Vocabulary(
    Hello, Join, Signal, Say, Update, Mute, Remove, Admit, Deny, RoomUpdate, EndRoom, RoomBye, Error
)
"""What the server understands."""
