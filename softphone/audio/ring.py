"""A ring of samples between exactly one writing and one reading thread.

One side is usually a sound card's callback, which may neither wait nor allocate: the
storage is allocated once, no lock is taken, and each side changes only its own position.
A position is published after the samples it covers were copied, so the other side never
sees samples that are not there yet (attribute stores are atomic in CPython).
"""

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ring"]

Sample = TypeVar("Sample", np.int16, np.float32, np.float64)


class Ring(Generic[Sample]):
    """First in, first out, at most `capacity` samples.

    `write` and the ``over...`` counters belong to the producer; `read_into`, `clear`
    and the ``under...`` counters to the consumer. Anybody may read the properties.
    """

    __slots__ = (
        "_capacity",
        "_data",
        "_read",
        "_written",
        "overrun_samples",
        "overruns",
        "underrun_samples",
        "underruns",
    )

    def __init__(self, capacity: int, dtype: type[Sample]) -> None:
        """Allocate room for `capacity` >= 1 samples of `dtype` (int16, float32 or float64)."""
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}, must be at least 1")
        self._capacity = capacity
        self._data: NDArray[Sample] = np.zeros(capacity, dtype)
        self._written = 0
        self._read = 0
        self.overruns = 0
        """Writes that did not fit."""
        self.overrun_samples = 0
        """Samples dropped by those writes."""
        self.underruns = 0
        """Reads that wanted more than was there."""
        self.underrun_samples = 0
        """Samples those reads went without."""

    @property
    def capacity(self) -> int:
        """Most samples the ring can hold."""
        return self._capacity

    @property
    def written(self) -> int:
        """Samples accepted since the ring was made."""
        return self._written

    @property
    def consumed(self) -> int:
        """Samples read or cleared since the ring was made."""
        return self._read

    @property
    def level(self) -> int:
        """Samples that wait to be read. Seen from one side, the other can only make it better."""
        return self._written - self._read

    def write(self, samples: NDArray[Sample]) -> int:
        """Append `samples`, shape (n,); what does not fit is dropped from its end and counted.

        Returns the number of samples stored.
        """
        length = len(samples)
        stored = min(length, self._capacity - (self._written - self._read))
        start = self._written % self._capacity
        first = min(stored, self._capacity - start)
        self._data[start : start + first] = samples[:first]
        if stored > first:
            self._data[: stored - first] = samples[first:stored]
        self._written += stored
        if stored < length:
            self.overruns += 1
            self.overrun_samples += length - stored
        return stored

    def read_into(self, out: NDArray[Sample]) -> int:
        """Fill `out`, shape (n,), with the oldest samples; what is missing becomes zeros and counts.

        Returns the number of samples that came from the ring.
        """
        length = len(out)
        found = min(length, self._written - self._read)
        start = self._read % self._capacity
        first = min(found, self._capacity - start)
        out[:first] = self._data[start : start + first]
        if found > first:
            out[first:found] = self._data[: found - first]
        self._read += found
        if found < length:
            out[found:] = 0
            self.underruns += 1
            self.underrun_samples += length - found
        return found

    def clear(self) -> None:
        """Throw away what waits (consumer's side); counters stay."""
        self._read = self._written
