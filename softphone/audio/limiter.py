"""A peak limiter for sums of voices: never above full scale, and not to be heard at work.

The gain law, for the peak p of each step of 2.5 ms:

- Up to the threshold T nothing is changed: one voice, or two of usual loudness, pass as they are.
- Above, the peak becomes T + (C - T) * (1 - exp(-(p - T) / (C - T))): of slope 1 at T, so
  nothing kinks there, and below the ceiling C for every p.

The gain falls along a straight line over the one step that is looked ahead, and comes back
exponentially, which is slow beside the periods of a voice: it does not follow its waveform,
and what is quiet does not swell up behind what was loud (no pumping).
"""

import math
from typing import Final

import numpy as np

from softphone.audio.stream import FRAME_SAMPLES, SAMPLE_RATE, Pcm

__all__ = ["CEILING", "LIMITER_DELAY", "STEP", "THRESHOLD", "Limiter", "limited_peak"]

STEP: Final = 120
"""Samples between two decisions, 2.5 ms; also how far is looked ahead."""

LIMITER_DELAY: Final = STEP / SAMPLE_RATE
"""Seconds by which audio is held back."""

THRESHOLD: Final = 0.7
"""Peaks up to here (-3 dB of full scale) are left alone."""

CEILING: Final = 0.99
"""No sample that comes out is above."""

RELEASE: Final = 0.3
"""Time constant in seconds with which the gain comes back."""

_ROOM: Final = CEILING - THRESHOLD
_RECOVERY: Final = 1.0 - math.exp(-STEP / SAMPLE_RATE / RELEASE)
_NEARLY_ONE: Final = 0.9999


def limited_peak(peak: float) -> float:
    """What a steady peak of `peak` >= 0 becomes: the static curve."""
    if peak <= THRESHOLD:
        return peak
    return THRESHOLD + _ROOM * (1.0 - math.exp((THRESHOLD - peak) / _ROOM))


class Limiter:
    """Holds audio back by `STEP` samples and keeps it below `CEILING`.

    All storage is made here; `process` allocates none.
    """

    def __init__(self, max_block: int = FRAME_SAMPLES) -> None:
        """`max_block` is the most samples that will be given at once, a multiple of `STEP`."""
        self._window: Pcm = np.zeros(STEP + max_block, np.float32)
        self._magnitude: Pcm = np.zeros(max_block, np.float32)
        self._peaks: Pcm = np.zeros(max_block // STEP, np.float32)
        self._slope: Pcm = np.linspace(1 / STEP, 1.0, STEP, dtype=np.float32)
        self._curve: Pcm = np.zeros(STEP, np.float32)
        self._gain = 1.0
        self._allowed = 1.0
        """Largest gain for the step that is held back."""

    @property
    def gain(self) -> float:
        """What the audio is multiplied with at this moment, above 0 and at most 1."""
        return self._gain

    def process(self, block: Pcm) -> None:
        """Replace `block`, shape (n,) with n a multiple of `STEP`, by what comes out: the audio
        of `STEP` samples before, limited."""
        samples = block.size
        window = self._window[: STEP + samples]
        window[STEP:] = block
        magnitude = np.abs(block, out=self._magnitude[:samples])
        steps = samples // STEP
        peaks = np.max(magnitude.reshape(steps, STEP), axis=1, out=self._peaks[:steps])
        if self._gain == 1.0 and self._allowed == 1.0 and peaks.max() <= THRESHOLD:
            block[:] = window[:samples]
        else:
            for step, peak in enumerate(peaks.tolist()):
                part = slice(step * STEP, (step + 1) * STEP)
                self._limit(window[part], peak, block[part])
        window[:STEP] = window[samples:]

    def _limit(self, held: Pcm, next_peak: float, out: Pcm) -> None:
        """Play the step held back, with a gain that fits it and ends where it fits the next one."""
        allowed = limited_peak(next_peak) / next_peak if next_peak > THRESHOLD else 1.0
        before = self._gain
        recovered = before + (1.0 - before) * _RECOVERY
        if recovered > _NEARLY_ONE:
            recovered = 1.0
        self._gain = min(self._allowed, allowed, recovered)
        self._allowed = allowed
        if self._gain == before == 1.0:
            out[:] = held
            return
        np.multiply(self._slope, self._gain - before, out=self._curve)
        np.add(self._curve, before, out=self._curve)
        np.multiply(held, self._curve, out=out)
