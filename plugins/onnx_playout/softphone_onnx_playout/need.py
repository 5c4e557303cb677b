"""The most delay for which there is any reason."""

import math

from softphone.playout import Arrival
from softphone.playout.delay import WindowMinimum

__all__ = ["NeedWatch"]


class NeedWatch:
    """Bounds the delay by what anything has needed lately.

    A model is taught with few calls that end without any jitter at all. What it makes of one, with trouble
    still in memory, must not matter.
    """

    MEMORY = 15.0
    """Seconds for which a packet or a loss counts."""
    MARGIN = 0.020
    """The next packet may need so much more, seconds."""

    def __init__(self) -> None:
        self._needs = WindowMinimum(self.MEMORY)
        self._most = 0.0
        self._sequence: int | None = None
        self._lost_at = -math.inf

    def on_arrival(self, arrival: Arrival) -> None:
        """Note a packet, and what was lost before it."""
        self._most = -self._needs.add(arrival.at, -arrival.relative_delay)
        if self._sequence is not None and arrival.sequence > self._sequence + 1:
            self._lost_at = arrival.at
        if self._sequence is None or arrival.sequence > self._sequence:
            self._sequence = arrival.sequence

    def most(self, now: float) -> float:
        """The largest delay that is called for, seconds; infinite while losses may call for any."""
        return math.inf if now - self._lost_at < self.MEMORY else self._most + self.MARGIN
