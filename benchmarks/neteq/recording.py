"""What a receiver played, and when."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.audio.stream import SAMPLE_RATE

__all__ = ["Recording", "running_median"]

_SMOOTHING = 51
"""Blocks over which the moment of pulling is smoothed: a thread is late now and then, the
output is not."""


@dataclass(frozen=True)
class Recording:
    """Audio as an output pulled it, block by block.

    Time counts from the moment the speaker began.
    """

    pcm: NDArray[np.float32]
    """What was played, mono, 48 kHz."""
    positions: NDArray[np.int64]
    """Sample at which each block begins, shape (m,), m >= 1, ascending."""
    times: NDArray[np.float64]
    """When it was pulled, seconds, shape (m,)."""

    @classmethod
    def of_blocks(cls, blocks: list[NDArray[np.float32]], times: list[float]) -> "Recording":
        """Put together what was pulled, at least one block."""
        lengths = [block.size for block in blocks]
        positions = np.cumsum([0, *lengths[:-1]], dtype=np.int64)
        return cls(np.concatenate(blocks), positions, np.array(times))

    def heard_at(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """When samples are heard, on an output without latency; seconds, same shape."""
        clock: NDArray[np.float64] = position / SAMPLE_RATE + np.interp(
            position, self.positions, self._offset
        )
        return clock

    @cached_property
    def _offset(self) -> NDArray[np.float64]:
        return running_median(self.times - self.positions / SAMPLE_RATE, _SMOOTHING)

    def position_at(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sample that is heard at a time (seconds); same shape."""
        clock = self.heard_at(self.positions.astype(np.float64))
        found: NDArray[np.float64] = np.interp(time, clock, self.positions)
        # Before the first and after the last block the clock goes on as it is.
        found += SAMPLE_RATE * (np.minimum(time - clock[0], 0.0) + np.maximum(time - clock[-1], 0.0))
        return found

    def save(self, path: Path) -> None:
        """Write it as NumPy archive."""
        with path.open("wb") as file:
            np.savez_compressed(file, pcm=self.pcm, positions=self.positions, times=self.times)

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read what `save` wrote."""
        with np.load(path) as data:
            return cls(data["pcm"], data["positions"], data["times"])


def running_median(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The median of the ``width`` values around each, edges repeated; same shape, not empty."""
    half = min(width, values.size) // 2
    padded = np.pad(values, half, mode="edge")
    median: NDArray[np.float64] = np.median(
        np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1
    )
    return median
