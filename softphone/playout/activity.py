"""Telling pauses from speech by level, with a noise floor that follows the room."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["NoiseFloor", "level_dbov"]

SILENCE_DBOV = -127.0


def level_dbov(pcm: NDArray[np.float32]) -> float:
    """RMS level of samples in [-1, 1] in dB below full scale, -127..0 (RFC 6464, section 3)."""
    if not pcm.size:
        return SILENCE_DBOV
    power = float(np.dot(pcm, pcm)) / pcm.size
    return max(SILENCE_DBOV, min(0.0, 10.0 * math.log10(power))) if power > 0.0 else SILENCE_DBOV


class NoiseFloor:
    """Level of the background, from the quietest of what was heard.

    Falls at once to a quieter frame and rises by ``rise`` dB per second, as in minimum
    statistics. A frame within ``margin`` dB of the floor, or below ``silence`` dBov, is
    a pause.
    """

    def __init__(self, rise: float = 3.0, margin: float = 9.0, silence: float = -55.0) -> None:
        self._rise = rise
        self._margin = margin
        self._silence = silence
        self.level = -45.0
        """Noise floor, dBov."""

    def update(self, level: float, seconds: float) -> bool:
        """Take in the level of a frame (dBov) and its length; returns True for a pause."""
        self.level = max(SILENCE_DBOV, min(level, self.level + self._rise * seconds))
        return self.is_pause(level)

    def is_pause(self, level: float) -> bool:
        """True when a frame of this level (dBov) is background."""
        return level < max(self._silence, self.level + self._margin)
