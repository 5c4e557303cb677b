"""What carries the media of a room: a mesh of its participants, or a media server.

The room server admits, moderates and passes signalling; an engine is told of that and
hands each participant what it needs to reach the media. Engines are chosen by name;
third parties add theirs under the entry-point group ``softphone.room_engines``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from softphone.errors import RemoteError
from softphone.registry import Registry

__all__ = ["ENGINES", "EngineError", "MeshEngine", "Presence", "RoomEngine", "Seat", "load_engine"]


class EngineError(RemoteError):
    """The media server refuses or does not answer; the room server tells its client ``engine``."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One participant in one room."""

    room: str
    """Room name."""
    participant: str
    """Participant id, unique in the room."""
    name: str = ""
    """Display name."""
    role: str = "participant"
    """``participant`` or ``moderator``."""
    capabilities: Mapping[str, object] = field(default_factory=dict)
    """What the participant said it can do, as in ``hello``."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Who sends media in a room, whichever room server let it in."""

    room: str
    seats: tuple[Seat, ...]


class RoomEngine:
    """Base of all engines; as it stands, an engine that has nothing to do.

    Every method is called on the event loop and raises :class:`EngineError` when the media
    server does not do what it is asked.
    """

    max_participants: ClassVar[int] = 8
    """Most participants of a room."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """`options` come from the command line or a file; unknown or impossible ones raise ConfigError."""
        self.on_presence: Callable[[Presence], None] | None = None
        """Called when those who send in a room have changed, if the engine knows."""

    async def start(self) -> None:
        """Get ready, before the first room."""

    async def stop(self) -> None:
        """Let go of everything; rooms go on as far as they can without this server."""

    async def join(self, seat: Seat) -> Mapping[str, object]:
        """Let a participant in; return ``connection`` of the message ``joined``: plain JSON types, no
        nesting. Called again when it comes back."""
        return {}

    async def leave(self, seat: Seat) -> None:
        """A participant has left or was removed: its way in is closed and its media ends."""

    async def mute(self, seat: Seat, muted: bool) -> None:
        """A moderator has muted a participant, or it has unmuted itself."""

    async def close_room(self, room: str) -> None:
        """The last participant known here has left."""


class MeshEngine(RoomEngine):
    """Every participant sends to every other; the room server passes their session descriptions."""


ENGINES: Registry[Callable[[Mapping[str, str]], RoomEngine]] = Registry(
    "softphone.room_engines",
    "room engine",
    {
        "mesh": "softphone.rooms.engines:MeshEngine",
        "janus": "softphone.rooms.janus.engine:JanusEngine",
    },
)
"""Engines by name."""


def load_engine(name: str, options: Mapping[str, str] | None = None) -> RoomEngine:
    """Make the engine `name`. Raises ConfigError for an unknown name or impossible options."""
    return ENGINES.load(name)(options or {})
