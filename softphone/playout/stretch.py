"""Making audio a little longer or shorter without changing its pitch.

A method of the WSOLA family (Verhelst and Roelands, "An overlap-add technique based on
waveform similarity", ICASSP 1993): one pitch period is removed from, or repeated in, a
frame, where the waveform is most like itself one period later, and the two ends are
cross-faded. Pauses need no likeness; there as much as possible is taken or given.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from softphone.playout.policy import Effort

__all__ = ["MAX_LAG", "Stretched", "TimeStretcher"]

Pcm = NDArray[np.float32]

_MIN_LAG = 120
"""2.5 ms: a pitch of 400 Hz."""
MAX_LAG = 720
"""15 ms: a pitch of 67 Hz."""
_OVERLAP = 240
"""5 ms of cross-fade."""
_MIN_LIKENESS = {Effort.PAUSES: 2.0, Effort.SPEECH: 0.8, Effort.URGENT: 0.4}
"""Likeness that speech must have with itself one lag later; below, the frame is left alone."""
_REST = 960
"""Speech left alone between two changes unless it is urgent: 20 ms."""


class Stretched(NamedTuple):
    """A frame and what was done to it."""

    pcm: Pcm
    """The frame, float32."""
    added: int
    """Samples inserted; negative when removed, 0 when the frame was left alone."""


class TimeStretcher:
    """Shortens and lengthens frames; remembers the end of the frame before."""

    def __init__(self) -> None:
        self._history = np.zeros(_OVERLAP, np.float32)
        self._untouched = _REST

    def push(self, pcm: Pcm) -> None:
        """Take note of the audio that was played, changed or not."""
        if pcm.size >= _OVERLAP:
            self._history = pcm[-_OVERLAP:]
        else:
            self._history = np.concatenate((self._history, pcm))[-_OVERLAP:]

    def compress(
        self, pcm: Pcm, *, pause: bool, effort: Effort = Effort.SPEECH, wanted: int = MAX_LAG
    ) -> Stretched:
        """Remove one period, 2.5-15 ms, from a frame of at least 10 ms.

        In a ``pause`` about ``wanted`` samples, as far as they fit; in speech only what
        ``effort`` allows, and no period so long that the error would grow by it.
        """
        lag, likeness, overlap = self._lag(pcm, pause, effort, wanted)
        if not lag:
            return Stretched(pcm, 0)
        joint = _cross_fade(pcm[:overlap], pcm[lag : lag + overlap], likeness)
        return Stretched(np.concatenate((joint, pcm[lag + overlap :])), -lag)

    def stretch(
        self, pcm: Pcm, *, pause: bool, effort: Effort = Effort.SPEECH, wanted: int = MAX_LAG
    ) -> Stretched:
        """Insert one period, 2.5-15 ms, into a frame of at least 10 ms; see `compress`."""
        lag, likeness, overlap = self._lag(pcm, pause, effort, wanted)
        if not lag:
            return Stretched(pcm, 0)
        joint = _cross_fade(pcm[lag : lag + overlap], pcm[:overlap], likeness)
        return Stretched(np.concatenate((pcm[:lag], joint, pcm[overlap:])), lag)

    def _lag(self, pcm: Pcm, pause: bool, effort: Effort, wanted: int) -> tuple[int, float, int]:
        """Best lag in samples (0: none), the likeness there (-1..1), and the overlap."""
        overlap = min(_OVERLAP, pcm.size // 4)
        longest = min(MAX_LAG, pcm.size - overlap, wanted if pause else 2 * wanted)
        rested = pause or effort is Effort.URGENT or self._untouched >= _REST
        self._untouched += pcm.size
        if longest <= _MIN_LAG or not rested:
            return 0, 0.0, overlap
        # The template straddles the start of the frame, so that a whole period is compared
        # and not only the samples that will be cross-faded.
        signal = np.concatenate((self._history[self._history.size - overlap :], pcm))
        template = signal[: 2 * overlap]
        span = signal[_MIN_LAG : longest + 2 * overlap]
        products = np.correlate(span, template, "valid")
        squares = np.concatenate(([0.0], np.cumsum(np.square(span, dtype=np.float64))))
        energy = squares[2 * overlap :] - squares[: -2 * overlap]
        reference = float(np.dot(template, template))
        likeness = products / np.sqrt(np.maximum(energy * reference, 1e-12))
        if pause:
            # The longest lags are as good as any here; take the smoothest of them.
            first = max(0, likeness.size - likeness.size // 4 - 1)
            best = first + int(np.argmax(likeness[first:]))
        else:
            best = int(np.argmax(likeness))
            if likeness[best] < _MIN_LIKENESS[effort]:
                return 0, 0.0, overlap
        self._untouched = 0
        return _MIN_LAG + best, float(likeness[best]), overlap


def _cross_fade(fading: Pcm, rising: Pcm, likeness: float) -> Pcm:
    """Cross-fade that keeps the power even, whatever the likeness of the two (-1..1)."""
    up = np.linspace(0.0, 1.0, fading.size, dtype=np.float32)
    down = 1.0 - up
    power = down * down + up * up + 2.0 * max(0.0, likeness) * up * down
    faded: Pcm = ((fading * down + rising * up) / np.sqrt(power)).astype(np.float32)
    return faded
