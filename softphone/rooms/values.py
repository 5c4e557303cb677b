"""The objects inside the messages of a room, and the checks of their members."""

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from softphone.rooms.identity import ID_PATTERN
from softphone.signaling import wire
from softphone.signaling.record import listed
from softphone.signaling.text import MAX_NAME
from softphone.signaling.wire import Capabilities, Decoder, carried

__all__ = [
    "MAX_CHAT",
    "MAX_PEOPLE",
    "MAX_TOKEN",
    "ROOM_NAME",
    "IceServerInfo",
    "Leaving",
    "ParticipantInfo",
    "RoomRole",
    "SignalKind",
    "WaitingInfo",
    "a_peer",
    "a_room",
    "a_session",
    "nothing",
]

MAX_CHAT: Final = 1_000
"""Characters of a line of chat."""

MAX_TOKEN: Final = 2_048
"""Characters of an invitation."""

MAX_PEOPLE: Final = 200
"""Participants of a room on one server, whatever the engine."""

ROOM_NAME: Final = "[a-z0-9][a-z0-9-]{0,63}"

a_peer: Decoder[str] = wire.word(ID_PATTERN, "the id of a participant")
a_room: Decoder[str] = wire.word(ROOM_NAME, "a room name: 1 to 64 letters a-z, digits and hyphens")
a_session: Decoder[str] = wire.word("[A-Za-z0-9_-]{0,32}", "a session: 1 to 32 letters and digits")


def nothing() -> Capabilities:
    """An empty map."""
    return MappingProxyType({})


class RoomRole(StrEnum):
    """What a participant may do."""

    PARTICIPANT = "participant"
    MODERATOR = "moderator"


class Leaving(StrEnum):
    """Why somebody is not in the room any more, or does not get in."""

    HUNG_UP = "hung-up"
    REMOVED = "removed"
    DENIED = "denied"
    ROOM_CLOSED = "room-closed"
    TIMEOUT = "timeout"
    REPLACED = "replaced"
    STOPPING = "stopping"
    GONE = "gone"
    """Lost, and did not come back in time; only in ``peer-left``."""


class SignalKind(StrEnum):
    """What two participants tell each other about their media."""

    OFFER = "offer"
    ANSWER = "answer"
    CANDIDATE = "candidate"
    RESTART = "restart"
    SAS_COMMIT = "sas-commit"
    SAS_REVEAL = "sas-reveal"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantInfo:
    """A participant as the others see it."""

    id: str = field(metadata=carried(a_peer))
    name: str = field(metadata=carried(wire.sentence(MAX_NAME)))
    """Unique in the room."""
    role: RoomRole = field(default=RoomRole.PARTICIPANT, metadata=carried(wire.choice(tuple(RoomRole)), str))
    verified: bool = field(default=False, metadata=carried(wire.boolean))
    """The name comes from a signed invitation."""
    capabilities: Capabilities = field(default_factory=nothing, metadata=carried(wire.capabilities, dict))
    muted: bool = field(default=False, metadata=carried(wire.boolean))
    hand: int = field(default=0, metadata=carried(wire.integer(0, wire.MAX_INTEGER)))
    """0: down; else the smallest was raised first."""
    recording: bool = field(default=False, metadata=carried(wire.boolean))
    away: bool = field(default=False, metadata=carried(wire.boolean))
    """Its signalling is lost; it may come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingInfo:
    """Somebody in the lobby."""

    id: str = field(metadata=carried(a_peer))
    name: str = field(metadata=carried(wire.sentence(MAX_NAME)))


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServerInfo:
    """A STUN or TURN server; the members are those of ``RTCIceServer``."""

    urls: tuple[str, ...] = field(
        metadata=carried(listed(wire.word("(stun|turn)s?:[!-~]{1,250}", "a STUN or TURN URL"), 8), list)
    )
    username: str = field(default="", metadata=carried(wire.opaque(256)))
    credential: str = field(default="", metadata=carried(wire.opaque(256)))

    def __repr__(self) -> str:
        return f"IceServerInfo(urls={self.urls})"  # the credential stays out of logs
