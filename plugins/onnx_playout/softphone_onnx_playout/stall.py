"""Telling a stall that stands alone from a network that stalls again and again."""

import math

from softphone.playout import Arrival
from softphone.playout.delay import WindowMinimum

__all__ = ["StallWatch"]


class StallWatch:
    """Says when the delay may go back to what it was before a stall.

    A stall is a time in which packets come too late, or a burst of them is lost. The model
    expects more of them for as long as it remembers one. After a stall that came out of a
    long calm, a short calm is enough to go back.
    """

    ALONE = 10.0
    """Calm before a stall that stands alone, seconds."""
    OVER = 2.0
    """Calm after it, seconds."""
    APART = 1.0
    """Troubles that are less apart are one stall, seconds."""
    BURST = 5
    """Packets lost in a row that are a stall."""

    def __init__(self) -> None:
        self._calm_since: float | None = None
        self._sequence: int | None = None
        self._alone = False
        self._before = self._needed = 0.0
        self._needs = WindowMinimum(self.OVER)

    def on_arrival(self, arrival: Arrival, target: float) -> None:
        """Note a packet; ``target``: the delay that is held, seconds."""
        lost = 0 if self._sequence is None else arrival.sequence - self._sequence - 1
        self._sequence = arrival.sequence if self._sequence is None else max(self._sequence, arrival.sequence)
        if self._calm_since is None:
            self._calm_since = arrival.at
        self.on_need(arrival.at, arrival.relative_delay)
        if arrival.late or lost >= self.BURST:
            calm = arrival.at - self._calm_since
            if calm > self.APART:
                self._alone = calm >= self.ALONE
                self._before = target
            self._calm_since = arrival.at

    def on_need(self, now: float, delay: float) -> None:
        """Note the delay that a packet or a repair needed, seconds."""
        self._needed = -self._needs.add(now, -delay)

    def most(self, now: float) -> float:
        """The largest delay that is called for, seconds; infinite while that can't be told."""
        if not self._alone or self._calm_since is None:
            return math.inf
        calm = now - self._calm_since
        return max(self._before, self._needed) if self.OVER <= calm <= self.ALONE else math.inf
