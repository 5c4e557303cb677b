"""Making audio a little longer or shorter without changing its pitch.

A method of the WSOLA family (Verhelst and Roelands, "An overlap-add technique based on
waveform similarity", ICASSP 1993). Somewhere in a frame the signal jumps ahead, or back,
by about a pitch period, to where its waveform is most like the one it leaves, and the two
are cross-faded. The place and the length of the jump are searched together, in the frame
and what was heard before it.

Speech is changed at a limited rate, where it repeats itself best, and never where a
plosive or an onset would be lost or doubled. Pauses need no likeness; there as much as is
wanted is taken or given.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from softphone.playout.policy import Effort

__all__ = ["MAX_LAG", "Stretched", "TimeStretcher"]

Pcm = NDArray[np.float32]

_PART = 960
"""Longer frames are changed in parts of 20 ms."""
_MIN_LAG = 120
"""2.5 ms: a pitch of 400 Hz."""
MAX_LAG = 720
"""15 ms: a pitch of 67 Hz."""
_OVERLAP = 240
"""5 ms of cross-fade."""
_BEFORE = 240
"""Samples before the cross-fade that are compared too: a whole period counts, not its joint alone."""
_HISTORY = 960
_MAX_PAUSE_INSERT = 360
"""7.5 ms: pauses are shortened faster than lengthened, for noise that repeats itself is heard."""
_STEP = 240
"""Distance of the places tried in a frame."""
_COARSE = 4
"""The search goes over every fourth sample first."""

_RATE = {Effort.SPEECH: 0.12, Effort.URGENT: 0.20}
"""Most change of speech, share of its length."""
_LIKENESS = {Effort.SPEECH: (0.97, 0.8), Effort.URGENT: (0.8, 0.4)}
"""Likeness that the two sides of a join must have in speech: at first, and at the least."""
_PATIENCE = 3 * _PART
"""Speech that is let pass while the likeness wanted sinks from the one to the other."""
_BURST = 3.0
"""Power of 2.5 ms, against its surroundings, from which they are a plosive or an onset."""


class Stretched(NamedTuple):
    """A frame and what was done to it."""

    pcm: Pcm
    """The frame, float32."""
    added: int
    """Samples inserted; negative when removed, 0 when the frame was left alone."""


class _Join(NamedTuple):
    """A jump in a signal."""

    at: int
    """First sample of the cross-fade."""
    jump: int
    """Samples to go on ahead of there; negative: back."""
    likeness: float
    """Of the two sides, -1..1, with regard to their levels too."""


class TimeStretcher:
    """Shortens and lengthens frames; remembers what was heard before."""

    def __init__(self) -> None:
        self._history = np.zeros(_HISTORY, np.float32)
        self._pushed = 0
        self._owed = 0.0
        self._refused = 0

    def push(self, pcm: Pcm) -> None:
        """Take note of the audio that was played, changed or not."""
        self._history = np.concatenate((self._history, pcm))[-_HISTORY:]
        self._pushed += pcm.size

    def compress(
        self, pcm: Pcm, *, pause: bool, effort: Effort = Effort.SPEECH, wanted: int = MAX_LAG
    ) -> Stretched:
        """Remove 2.5-15 ms from each 20 ms of a frame of at least 10 ms, or leave it alone.

        In a ``pause`` about ``wanted`` samples, as far as they fit; in speech a pitch period
        where ``effort`` allows it, and none so long that the error would grow by it.
        """
        return self._change(pcm, True, pause, effort, wanted)

    def stretch(
        self, pcm: Pcm, *, pause: bool, effort: Effort = Effort.SPEECH, wanted: int = MAX_LAG
    ) -> Stretched:
        """Insert 2.5-15 ms into each 20 ms of a frame of at least 10 ms; see `compress`."""
        return self._change(pcm, False, pause, effort, wanted)

    def _change(self, pcm: Pcm, shorten: bool, pause: bool, effort: Effort, wanted: int) -> Stretched:
        if pcm.size <= _PART:
            return self._change_part(pcm, shorten, pause, effort, wanted)
        history = self._history
        parts, added = [], 0
        for at in range(0, pcm.size, _PART):
            part = self._change_part(pcm[at : at + _PART], shorten, pause, effort, wanted - abs(added))
            added += part.added
            parts.append(part.pcm)
            self.push(part.pcm)
        # The caller will push it all once more.
        self._history = history
        self._pushed -= pcm.size + added
        return Stretched(np.concatenate(parts) if added else pcm, added)

    def _change_part(self, pcm: Pcm, shorten: bool, pause: bool, effort: Effort, wanted: int) -> Stretched:
        pause = pause and not _has_burst(pcm)
        if not pause and (effort is Effort.PAUSES or not self._rested(pcm.size, _RATE[effort])):
            return Stretched(pcm, 0)
        overlap = min(_OVERLAP, pcm.size // 4)
        longest = min(MAX_LAG, pcm.size - overlap, wanted if pause else 2 * wanted)
        if pause and not shorten:
            longest = min(longest, _MAX_PAUSE_INSERT)
        if longest <= _MIN_LAG:
            return Stretched(pcm, 0)
        signal = np.concatenate((self._history, pcm))
        join = _find(signal, pcm.size, overlap, longest, shorten, pause)
        if not pause and (join is None or join.likeness < self._likeness(effort)):
            self._refused += pcm.size
            return Stretched(pcm, 0)
        if join is None:
            return Stretched(pcm, 0)
        if not pause:
            self._refused = 0
            # The rate is a share of the media; what is pushed is longer or shorter than that.
            self._owed += abs(join.jump) - _RATE[effort] * join.jump
        return Stretched(_joined(signal, join, overlap)[_HISTORY:], -join.jump)

    def _rested(self, size: int, rate: float) -> bool:
        """Whether speech may be changed again: at ``rate``, what was played has paid for the last changes."""
        self._owed = max(0.0, self._owed - rate * self._pushed)
        self._pushed = 0
        return self._owed <= rate * size

    def _likeness(self, effort: Effort) -> float:
        """Likeness to ask for: the longer nothing was found, the less."""
        first, least = _LIKENESS[effort]
        return max(least, first - (first - least) * self._refused / _PATIENCE)


def _find(signal: Pcm, size: int, overlap: int, longest: int, shorten: bool, pause: bool) -> _Join | None:
    """The best join in the last ``size`` samples of a signal; None when there is none.

    Likeness of x and y is 2xy / (xx + yy): 1 only when level and waveform are the same.
    """
    start = signal.size - size
    coarse = signal[: signal.size // _COARSE * _COARSE].reshape(-1, _COARSE).mean(axis=1)
    squares = np.concatenate(([0.0], np.cumsum(np.square(coarse, dtype=np.float64))))
    length = (_BEFORE + overlap) // _COARSE
    best: _Join | None = None
    # From the first place a frame can be shortened most.
    for at in range(0, 1 if pause and shorten else size - overlap + 1, _STEP):
        begin = (start + at - _BEFORE) // _COARSE
        low = _MIN_LAG // _COARSE
        high = min(longest, size - overlap - at if shorten else start + at - _BEFORE) // _COARSE
        if high < low:
            break
        # Pauses are alike everywhere; take the smoothest of the longest jumps.
        low = max(low, high - high // 5) if pause else low
        first = begin + low if shorten else begin - high
        products = np.correlate(
            coarse[first : first + high - low + length], coarse[begin : begin + length], "valid"
        )
        ends = squares[first + length : first + length + products.size]
        energy = ends - squares[first : first + products.size]
        likeness = 2.0 * products / (energy + (squares[begin + length] - squares[begin]) + 1e-9)
        k = int(np.argmax(likeness))
        join = _Join(start + at, _COARSE * (first + k - begin), float(likeness[k]))
        if best is None or join.likeness > best.likeness:
            best = join
    if best is None or pause:
        return best
    # What is passed over or repeated must hold no more than its surroundings.
    middle = best.at + overlap // 2
    begin, end = sorted((middle, middle + best.jump))
    around = signal[best.at - _BEFORE : best.at + overlap]
    if _peak_power(signal[begin:end]) > _BURST * _power(around):
        return None
    return _refined(signal, best, overlap, longest, shorten)


def _refined(signal: Pcm, join: _Join, overlap: int, longest: int, shorten: bool) -> _Join:
    """The join to the sample, where `_find` looked at every fourth."""
    low, high = (_MIN_LAG, longest) if shorten else (-longest, -_MIN_LAG)
    most = signal.size - overlap - join.at if shorten else high
    jumps = np.arange(max(low, join.jump - _COARSE + 1), min(high, most, join.jump + _COARSE - 1) + 1)
    begin, length = join.at - _BEFORE, _BEFORE + overlap
    jumps = jumps[begin + jumps >= 0]
    template = signal[begin : begin + length]
    others = np.stack([signal[begin + jump : begin + jump + length] for jump in jumps])
    energy = np.einsum("ij,ij->i", others, others) + np.dot(template, template)
    likeness = 2.0 * (others @ template) / (energy + 1e-9)
    k = int(np.argmax(likeness))
    return join._replace(jump=int(jumps[k]), likeness=float(likeness[k]))


def _joined(signal: Pcm, join: _Join, overlap: int) -> Pcm:
    """The signal with a jump: a cross-fade that keeps the power even, whatever the likeness."""
    at, on = join.at, join.at + join.jump
    up = np.linspace(0.0, 1.0, overlap, dtype=np.float32)
    down = 1.0 - up
    power = down * down + up * up + 2.0 * max(0.0, join.likeness) * up * down
    joint = (signal[at : at + overlap] * down + signal[on : on + overlap] * up) / np.sqrt(power)
    joined: Pcm = np.concatenate((signal[:at], joint.astype(np.float32), signal[on + overlap :]))
    return joined


def _power(pcm: Pcm) -> float:
    return float(np.dot(pcm, pcm)) / max(1, pcm.size)


def _peak_power(pcm: Pcm) -> float:
    """Largest mean power of 2.5 ms."""
    count = max(1, pcm.size // 120)
    blocks = pcm[: pcm.size // count * count].reshape(count, -1)
    return float(np.einsum("ij,ij->i", blocks, blocks).max()) / max(1, blocks.shape[1])


def _has_burst(pcm: Pcm) -> bool:
    """True for a frame that is not as quiet everywhere as on average: a word begins in it."""
    return _peak_power(pcm) > _BURST * _power(pcm) + 1e-7
