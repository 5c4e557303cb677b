"""How long packets wait on this machine before they leave.

The peer can't tell that from a queue of the network: both come between speaking and arrival.
"""

import math
from typing import Final

__all__ = ["DepartureWatch"]

_BIN: Final = 0.5
_FLOOR_BINS: Final = 60
"""Bins in which the shortest way out is looked for: 30 s, as the peer looks for the shortest of all."""
_RECENT_BINS: Final = 4
"""Bins that a report of the peer may speak of: its second, and that of its way back."""


class DepartureWatch:
    """Compares how late packets leave with how late they have to. Memory is bounded."""

    def __init__(self) -> None:
        self._bins: dict[int, tuple[float, float]] = {}

    def on_departure(self, captured: float, now: float) -> None:
        """A packet leaves at `now` seconds; its last sample was captured at `captured`."""
        delay = now - captured
        index = math.floor(now / _BIN)
        shortest, longest = self._bins.get(index, (delay, delay))
        self._bins[index] = (min(shortest, delay), max(longest, delay))
        while (first := next(iter(self._bins))) <= index - _FLOOR_BINS:
            del self._bins[first]

    def wait(self, now: float) -> float:
        """Longest wait of the last two seconds beyond the shortest of the last thirty, in seconds, >= 0."""
        newest = math.floor(now / _BIN)
        recent = [longest for index, (_, longest) in self._bins.items() if index > newest - _RECENT_BINS]
        if not recent:
            return 0.0
        return max(0.0, max(recent) - min(shortest for shortest, _ in self._bins.values()))
