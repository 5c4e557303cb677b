"""What a room server has seen, counted."""

from collections import Counter
from dataclasses import asdict, dataclass, field

__all__ = ["RoomStatistics"]


@dataclass(slots=True)
class RoomStatistics:
    """Cumulative counters; those of the connections are in `softphone.signaling.SignalingStatistics`."""

    rooms_opened: int = 0
    joined: int = 0
    resumed: int = 0
    """Came back after a lost connection."""
    restored: int = 0
    """Came back after a restart of the server."""
    not_admitted: Counter[str] = field(default_factory=Counter)
    """Refused at the door, by code of the error."""
    hosts_refused: int = 0
    """Requests to a host name that is not ours, where no token is asked for."""
    waited: int = 0
    """Went into a lobby."""
    signals_relayed: int = 0
    signals_dropped: int = 0
    """Addressed to somebody who is away or has left."""
    lines_said: int = 0
    requests_refused: int = 0
    """Too many, or not for this participant to make."""
    removed: int = 0
    slow_dropped: int = 0
    """Connections dropped because they did not read what was sent."""
    lost: int = 0
    """Connections of participants that ended without a farewell."""

    def to_dict(self) -> dict[str, object]:
        """The counters by name."""
        return asdict(self)
