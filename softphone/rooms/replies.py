"""What the room server says to a participant. ``docs/rooms.md`` is the specification."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from softphone.rooms.requests import RoomBye, Signal
from softphone.rooms.values import (
    MAX_CHAT,
    MAX_PEOPLE,
    MAX_TOKEN,
    IceServerInfo,
    Leaving,
    ParticipantInfo,
    RoomRole,
    WaitingInfo,
    a_peer,
    a_room,
    nothing,
)
from softphone.signaling import wire
from softphone.signaling.messages import Error, Message, Vocabulary, Welcome
from softphone.signaling.record import listed, record, write_record, write_records
from softphone.signaling.text import MAX_NAME, MAX_SENTENCE
from softphone.signaling.wire import Capabilities, carried

__all__ = [
    "FROM_SERVER",
    "MAX_REPLY_BYTES",
    "Alive",
    "IceServers",
    "Joined",
    "LobbyJoined",
    "LobbyLeft",
    "Muted",
    "PeerChanged",
    "PeerJoined",
    "PeerLeft",
    "Refused",
    "RoomChanged",
    "Said",
    "Waiting",
]

MAX_REPLY_BYTES: Final = 512 * 1024
"""Most bytes of a message from the server: the state of a full room."""

_MAX_SECONDS: Final = 86_400 * 365
_MAX_LOBBY: Final = 64

_a_participant = record(ParticipantInfo, "participant")
_ice_servers = listed(record(IceServerInfo, "ice server"), 8)
_seconds = wire.integer(0, _MAX_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Message):
    """You are in the lobby."""

    TYPE: ClassVar[str] = "waiting"

    message: str = field(default="", metadata=carried(wire.sentence(MAX_SENTENCE)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(Message):
    """You are in the room: the whole state of it."""

    TYPE: ClassVar[str] = "joined"
    MAX_BYTES: ClassVar[int] = MAX_REPLY_BYTES

    id: str = field(metadata=carried(a_peer))
    room: str = field(metadata=carried(a_room))
    name: str = field(metadata=carried(wire.sentence(MAX_NAME)))
    """Your own display name, as the others see it."""
    role: RoomRole = field(metadata=carried(wire.choice(tuple(RoomRole)), str))
    participants: tuple[ParticipantInfo, ...] = field(
        default=(), metadata=carried(listed(_a_participant, MAX_PEOPLE), write_records)
    )
    """All but yourself, in ascending order of ids."""
    waiting: tuple[WaitingInfo, ...] = field(
        default=(), metadata=carried(listed(record(WaitingInfo, "waiting"), _MAX_LOBBY), write_records)
    )
    """Who is in the lobby; for moderators."""
    locked: bool = field(default=False, metadata=carried(wire.boolean))
    lobby: bool = field(default=False, metadata=carried(wire.boolean))
    max_participants: int = field(metadata=carried(wire.integer(1, MAX_PEOPLE)))
    engine: str = field(default="mesh", metadata=carried(wire.code))
    connection: Capabilities = field(
        default_factory=nothing, metadata=carried(wire.flat_map(MAX_TOKEN), dict)
    )
    """What a client must know to use the engine."""
    ice_servers: tuple[IceServerInfo, ...] = field(default=(), metadata=carried(_ice_servers, write_records))
    ice_ttl: int = field(default=0, metadata=carried(_seconds))
    """Seconds until the credentials expire; 0: never."""
    relay_only: bool = field(default=False, metadata=carried(wire.boolean))
    resume: str = field(metadata=carried(wire.opaque(MAX_TOKEN)))
    """For `softphone.rooms.requests.Join` after a lost connection."""
    resume_seconds: int = field(metadata=carried(_seconds))
    resumed: bool = field(default=False, metadata=carried(wire.boolean))
    """You are who you were before the connection was lost."""
    settle_seconds: int = field(default=0, metadata=carried(_seconds))
    """How long others whom you knew may be missing from the list, because the server has restarted."""

    def __repr__(self) -> str:
        return f"Joined(id={self.id!r}, room={self.room!r}, name={self.name!r})"  # no secrets in logs


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerJoined(Message):
    """Somebody came in."""

    TYPE: ClassVar[str] = "peer-joined"

    participant: ParticipantInfo = field(metadata=carried(_a_participant, write_record))


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerChanged(Message):
    """A participant, perhaps yourself, as it is now."""

    TYPE: ClassVar[str] = "peer-changed"

    participant: ParticipantInfo = field(metadata=carried(_a_participant, write_record))


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLeft(Message):
    """Somebody is not in the room any more."""

    TYPE: ClassVar[str] = "peer-left"

    peer: str = field(metadata=carried(a_peer))
    reason: Leaving = field(
        metadata=carried(wire.choice((Leaving.HUNG_UP, Leaving.REMOVED, Leaving.GONE)), str)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Message):
    """A line of chat."""

    TYPE: ClassVar[str] = "said"

    number: int = field(metadata=carried(wire.integer(1, wire.MAX_INTEGER)))
    """Ascending in this room."""
    peer: str = field(metadata=carried(a_peer))
    name: str = field(metadata=carried(wire.sentence(MAX_NAME)))
    text: str = field(metadata=carried(wire.sentence(MAX_CHAT)))
    time: int = field(metadata=carried(wire.integer(0, wire.MAX_INTEGER)))
    """Unix time in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Muted(Message):
    """A moderator turned your microphone off."""

    TYPE: ClassVar[str] = "muted"

    peer: str = field(metadata=carried(a_peer))
    """The moderator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomChanged(Message):
    """The room as it is now."""

    TYPE: ClassVar[str] = "room-changed"

    locked: bool = field(metadata=carried(wire.boolean))
    lobby: bool = field(metadata=carried(wire.boolean))


@dataclass(frozen=True, slots=True, kw_only=True)
class LobbyJoined(Message):
    """To moderators: somebody waits."""

    TYPE: ClassVar[str] = "lobby-joined"

    id: str = field(metadata=carried(a_peer))
    name: str = field(metadata=carried(wire.sentence(MAX_NAME)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LobbyLeft(Message):
    """To moderators: somebody waits no longer."""

    TYPE: ClassVar[str] = "lobby-left"

    id: str = field(metadata=carried(a_peer))


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServers(Message):
    """ICE servers to use from now on."""

    TYPE: ClassVar[str] = "ice-servers"

    ice_servers: tuple[IceServerInfo, ...] = field(metadata=carried(_ice_servers, write_records))
    ice_ttl: int = field(metadata=carried(_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Message):
    """Something you asked for was not done; everything goes on."""

    TYPE: ClassVar[str] = "refused"

    code: str = field(metadata=carried(wire.code))
    message: str = field(default="", metadata=carried(wire.sentence(MAX_SENTENCE)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive(Message):
    """Nothing happened."""

    TYPE: ClassVar[str] = "alive"


FROM_SERVER: Final = Vocabulary(
    Welcome,
    Waiting,
    Joined,
    PeerJoined,
    PeerChanged,
    PeerLeft,
    Signal,
    Said,
    Muted,
    RoomChanged,
    LobbyJoined,
    LobbyLeft,
    IceServers,
    Refused,
    Alive,
    RoomBye,
    Error,
)
"""What a participant understands."""
