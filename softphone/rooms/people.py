"""Somebody in a room or in its lobby, and where it stands.

state      event        leads to
---------  -----------  --------------------------------------------
waiting    admitted     present
waiting    lost         gone      (who is not in yet does not come back)
present    lost         away
away       returned     present
present    returned     present   (a newer connection takes over)
any        departed     gone
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from softphone.rooms.names import skeleton
from softphone.rooms.values import ParticipantInfo, RoomRole, nothing
from softphone.signaling.limits import TokenBucket
from softphone.signaling.wire import Capabilities

__all__ = ["TRANSITIONS", "Entry", "Happening", "Person", "Presence"]


class Presence(StrEnum):
    """Where somebody stands."""

    WAITING = "waiting"
    PRESENT = "present"
    AWAY = "away"
    GONE = "gone"


class Happening(StrEnum):
    """What moves somebody from one `Presence` to another."""

    ADMITTED = "admitted"
    LOST = "lost"
    RETURNED = "returned"
    DEPARTED = "departed"


TRANSITIONS: Final[Mapping[Presence, Mapping[Happening, Presence]]] = MappingProxyType(
    {
        Presence.WAITING: {
            Happening.ADMITTED: Presence.PRESENT,
            Happening.LOST: Presence.GONE,
            Happening.DEPARTED: Presence.GONE,
        },
        Presence.PRESENT: {
            Happening.LOST: Presence.AWAY,
            Happening.RETURNED: Presence.PRESENT,
            Happening.DEPARTED: Presence.GONE,
        },
        Presence.AWAY: {Happening.RETURNED: Presence.PRESENT, Happening.DEPARTED: Presence.GONE},
        Presence.GONE: {},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Somebody at the door, whose right to come in has been checked."""

    id: str
    name: str
    """As asked for."""
    verified: bool = False
    """The name comes from a signed invitation."""
    role: RoomRole = RoomRole.PARTICIPANT
    capabilities: Capabilities = field(default_factory=nothing)
    connection: Capabilities = field(default_factory=nothing)
    """What its client must know to use the engine."""
    invitation: str = ""
    """Fingerprint of the invitation; empty when there was none."""
    restored: bool = False
    """Was in this room before the server restarted."""


@dataclass(slots=True, kw_only=True)
class Person:
    """One of the `Room`."""

    id: str
    name: str
    verified: bool
    role: RoomRole
    capabilities: Capabilities
    connection: Capabilities
    invitation: str
    requests: TokenBucket
    """Limits chat, updates and moderating."""
    server: str = ""
    """Room server that it is connected to, where that is another one; empty: ours."""
    claim: int = 1
    """How many servers it has been connected to; see `softphone.rooms.federation`."""
    presence: Presence = Presence.WAITING
    muted: bool = False
    hand: int = 0
    recording: bool = False
    first_line: int = 0
    """Number of the last line of chat before it came in."""
    deadline: float | None = None
    """When it has waited, or been away, for too long."""

    @property
    def inside(self) -> bool:
        """Whether it counts as a participant."""
        return self.presence in (Presence.PRESENT, Presence.AWAY)

    @property
    def moderates(self) -> bool:
        """Whether it may moderate."""
        return self.role is RoomRole.MODERATOR

    @property
    def skeleton(self) -> str:
        """By which its name is compared."""
        return skeleton(self.name)

    def move(self, happening: Happening) -> None:
        """Move on as the table says; `KeyError` where it has no such row."""
        self.presence = TRANSITIONS[self.presence][happening]

    def info(self) -> ParticipantInfo:
        """What the others see."""
        return ParticipantInfo(
            id=self.id,
            name=self.name,
            role=self.role,
            verified=self.verified,
            capabilities=self.capabilities,
            muted=self.muted,
            hand=self.hand,
            recording=self.recording,
            away=self.presence is Presence.AWAY,
        )
