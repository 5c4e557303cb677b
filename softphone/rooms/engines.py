"""What carries the media of a room: a mesh of its participants, or a media server.

The room server admits, moderates and passes signalling; an engine is told of that and
hands each participant what it needs to reach the media. Engines are chosen by name;
third parties add theirs under the entry-point group ``softphone.room_engines``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from softphone.registry import Registry

__all__ = ["ENGINES", "MeshEngine", "RoomEngine", "Seat", "load_engine"]


@dataclass(frozen=True, slots=True)
class Seat:
    """One participant in one room."""

    room: str
    """Room name."""
    participant: str
    """Participant id, unique in the room."""
    name: str = ""
    """Display name."""


class RoomEngine:
    """Base of all engines; every method does nothing, so an engine writes only what it needs.

    Every method is called on the event loop and raises
    :class:`softphone.rooms.errors.EngineError` when the media server does not do
    what it is asked.
    """

    max_participants: int = 8
    """Most participants of a room."""
    shares_rooms: bool = False
    """Whether people of a room may be connected to several room servers, which `publish` to each other."""
    server: str = ""
    """Name of this run of this room server among them; given by the room server."""
    on_published: Callable[[str, str], None] | None = None
    """Called with a room and another room server whose state there is new, or gone."""
    page_origins: tuple[str, ...] = ()
    """Origins that the page must be allowed to connect to, such as ``wss://media.example.org``."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """`options` come from the command line or a file; unknown or impossible ones raise ConfigError."""

    async def start(self) -> None:
        """Get ready, before the first room."""

    async def stop(self) -> None:
        """Let go of everything; rooms go on as far as they can without this server."""

    async def join(self, seat: Seat) -> Mapping[str, object]:
        """Let a participant in; return ``connection`` of the message ``joined``.

        Its values are what capabilities may hold: scalars, texts of at most 128 characters.
        Called again when the participant comes back.
        """
        return {}

    async def leave(self, seat: Seat) -> None:
        """A participant has left or was removed: its way in is closed and its media ends."""

    async def close_room(self, room: str) -> None:
        """The last participant of the room that is connected to this room server has left."""

    async def look(self, room: str) -> None:
        """Learn what other room servers have published about a room that is new here."""

    def states(self, room: str) -> Mapping[str, Mapping[str, Any]]:
        """What other room servers have published, by server; only of those that are there."""
        return {}

    def publish(self, room: str, state: Mapping[str, Any]) -> None:
        """Tell the other room servers the whole state, JSON, in place of what was told before."""


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
