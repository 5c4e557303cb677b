"""Loss and loss bursts over a sliding window of sequence numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["BurstStatistics", "SequenceWindow"]


@dataclass(frozen=True, slots=True)
class BurstStatistics:
    """Runs of consecutive losses."""

    expected: int
    """Packets looked at, received or not."""
    lost: int
    """Packets missing among them."""
    bursts: int
    """Runs of consecutive missing packets."""
    longest: int
    """Length of the longest run in packets; 0 without loss."""

    @classmethod
    def of(cls, lost: Iterable[bool]) -> "BurstStatistics":
        """Count the runs of True in ``lost``, one item a packet in sending order."""
        return cls.of_bitmap("".join("0" if missing else "1" for missing in lost))

    @classmethod
    def of_bitmap(cls, received: str) -> "BurstStatistics":
        """Count the runs of "0" in ``received``, one "1" or "0" a packet."""
        runs = [len(run) for run in received.split("1") if run]
        return cls(len(received), sum(runs), len(runs), max(runs, default=0))

    @property
    def fraction_lost(self) -> float:
        """Share of lost packets, 0..1."""
        return self.lost / self.expected if self.expected else 0.0

    @property
    def mean_burst(self) -> float | None:
        """Mean length of a run in packets, >= 1; None when nothing was lost."""
        return self.lost / self.bursts if self.bursts else None


class SequenceWindow:
    """Which of the latest ``size`` extended sequence numbers arrived.

    Memory is bounded by ``size`` bits whatever the numbers fed in. Numbers before the
    first one added don't count as expected unless they arrive.
    """

    def __init__(self, size: int) -> None:
        """``size``: sequence numbers to remember, at least 1; ValueError otherwise."""
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self._size = size
        self._mask = (1 << size) - 1
        self._bitmap = 0
        self._span = 0
        self._highest = 0

    @property
    def highest(self) -> int | None:
        """Highest extended number added; None when empty."""
        return self._highest if self._span else None

    def add(self, extended: int) -> bool:
        """Note an arrival; False when it was known already or lies before the window."""
        if not self._span:
            self._highest, self._bitmap, self._span = extended, 1, 1
            return True
        ahead = extended - self._highest
        if ahead > 0:
            self._bitmap = ((self._bitmap << min(ahead, self._size)) | 1) & self._mask
            self._span = min(self._span + ahead, self._size)
            self._highest = extended
            return True
        if -ahead >= self._size or self._bitmap >> -ahead & 1:
            return False
        self._bitmap |= 1 << -ahead
        self._span = max(self._span, 1 - ahead)
        return True

    def __contains__(self, extended: int) -> bool:
        behind = self._highest - extended
        return 0 <= behind < self._span and bool(self._bitmap >> behind & 1)

    def statistics(self, last: int | None = None) -> BurstStatistics:
        """Loss and bursts in the window, or in its ``last`` newest numbers."""
        span = self._span if last is None else max(0, min(last, self._span))
        if not span:
            return BurstStatistics(0, 0, 0, 0)
        return BurstStatistics.of_bitmap(f"{self._bitmap & ((1 << span) - 1):0{span}b}")

    def clear(self) -> None:
        """Forget everything."""
        self._bitmap = self._span = self._highest = 0
