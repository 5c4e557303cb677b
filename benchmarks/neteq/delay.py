"""Delay from mouth to ear by correlation, and how it returns after an outage.

Counted is what lies between the speaker's mouth and the listener's ear without sound cards:
20 ms until a packet is full, 6.5 ms look-ahead of the codec, network, jitter buffer. Nothing
is taken from the receivers' own statistics, so the same ruler is laid on all of them.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from benchmarks.neteq.recording import Recording
from benchmarks.neteq.reference import Reference
from benchmarks.neteq.schedules import Schedule
from softphone.audio.stream import SAMPLE_RATE

__all__ = ["RATE", "DelayTrack", "Return", "delay_track", "narrow", "returns"]

RATE = 16_000
"""Sampling rate of everything that is compared, Hz."""

_WINDOW, _HOP = 0.4, 0.1
_EARLIER, _LATER = 0.05, 1.0
"""Seconds around the places between no delay and the largest of the network in which a window
is looked for."""
_LARGEST = 4.0
_QUIET_SHARE = 40.0
"""The quietest windows, in percent, are not looked for."""
_MIN_CORRELATION = 0.6
_OUTAGE = 0.2
"""Seconds without a packet that count as an outage."""
_BEFORE = 2.0
_TOLERANCE = 0.020

Signal = NDArray[np.float32]


@dataclass(frozen=True)
class DelayTrack:
    """Where windows of the reference were found in what was played; arrays of equal length."""

    begins: NDArray[np.float64]
    """Begin of each window in the reference, seconds."""
    delays: NDArray[np.float64]
    """From mouth to ear, seconds."""
    shifts: NDArray[np.int64]
    """Place in the recording less place in the reference, samples at 16 kHz."""
    sought: NDArray[np.float64]
    """Begin of each window with speech, found or not, seconds."""

    def within(self, begin: float, end: float) -> "DelayTrack":
        """The windows that begin in a stretch of the reference, seconds."""
        chosen = (self.begins >= begin) & (self.begins < end)
        sought = self.sought[(self.sought >= begin) & (self.sought < end)]
        return DelayTrack(self.begins[chosen], self.delays[chosen], self.shifts[chosen], sought)


@dataclass(frozen=True, slots=True)
class Return:
    """What became of the delay after one outage."""

    outage: float
    """When the first packet came again, seconds after the speaker began."""
    seconds: float | None
    """From then until the delay was within 20 ms of that before; None: not before the next outage."""


def narrow(pcm: Signal) -> Signal:
    """48 kHz to 16 kHz."""
    return np.asarray(soxr.resample(pcm, SAMPLE_RATE, RATE, "HQ"), np.float32)


def delay_track(reference: Reference, schedule: Schedule, recording: Recording) -> DelayTrack:
    """Find 0.4 s of the reference every 0.1 s; what correlates below 0.6 is left out."""
    reach = min(_LARGEST, schedule.trace.quantile(1.0) or 0.0) + _EARLIER + _LATER
    said, heard = narrow(reference.pcm), narrow(recording.pcm)
    length, hop = round(_WINDOW * RATE), round(_HOP * RATE)
    energy = np.cumsum(np.concatenate(([0.0], said.astype(np.float64) ** 2)))
    starts = np.arange(0, said.size - length, hop)
    energies = energy[starts + length] - energy[starts]
    starts = starts[energies > np.percentile(energies, _QUIET_SHARE)]
    nominal = recording.position_at(starts / RATE) * RATE / SAMPLE_RATE
    found = []
    for start, place in zip(starts.tolist(), nominal.tolist(), strict=True):
        low = max(0, round(place - _EARLIER * RATE))
        window = heard[low : low + length + round(reach * RATE)]
        if window.size > length:
            correlation = _correlate(said[start : start + length], window)
            best = int(correlation.argmax())
            if correlation[best] > _MIN_CORRELATION:
                found.append((start, low + best))
    places = np.array(found, np.int64).reshape(-1, 2)
    begins = places[:, 0] / RATE
    delays = recording.heard_at(places[:, 1].astype(np.float64) * (SAMPLE_RATE / RATE)) - begins
    return DelayTrack(begins, delays, places[:, 1] - places[:, 0], starts / RATE)


def returns(schedule: Schedule, reference: Reference, track: DelayTrack) -> list[Return]:
    """How long the delay took to come back after each outage in the scored segments.

    An outage is 0.2 s or more in which no packet arrives. The delay before is the median
    of the 2 s before it; it is back when windows are within 20 ms of that or below.
    """
    scored = reference.segments[0][0], reference.segments[-1][1]
    arrivals = np.array(schedule.arrivals(reference.packets))
    quiet = np.flatnonzero(np.diff(arrivals) >= _OUTAGE)
    results = []
    for number, index in enumerate(quiet):
        begin, end = float(arrivals[index]), float(arrivals[index + 1])
        following = float(arrivals[quiet[number + 1]]) if number + 1 < quiet.size else reference.seconds
        before = track.within(begin - _BEFORE, begin - _WINDOW).delays
        if not (scored[0] <= begin < scored[1]) or before.size < 3:
            continue
        heard = track.begins + track.delays
        after = (heard >= end) & (heard < following) & (track.begins > begin)
        back = after & (track.delays <= float(np.median(before)) + _TOLERANCE)
        first = float(heard[back][0]) if back.any() else None
        results.append(Return(end, None if first is None else first - end))
    return results


def _correlate(template: Signal, window: Signal) -> NDArray[np.float64]:
    """Normalised correlation of the template with each place in the window."""
    size = 1 << (window.size - 1).bit_length()
    spectrum = np.fft.rfft(window, size) * np.conj(np.fft.rfft(template, size))
    products = np.fft.irfft(spectrum, size)[: window.size - template.size + 1]
    energy = np.cumsum(np.concatenate(([0.0], window.astype(np.float64) ** 2)))
    energies = (energy[template.size :] - energy[: -template.size]) * np.sum(template.astype(np.float64) ** 2)
    normalised: NDArray[np.float64] = products / np.sqrt(np.maximum(energies, 1e-9))
    return normalised
