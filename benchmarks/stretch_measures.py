"""What `time_stretch.py` measures on two signals of which it knows where the same media is heard."""

import numpy as np
import soxr
from numpy.typing import NDArray

__all__ = ["aligned_stoi", "clicks", "edginess", "pitch"]

Pcm = NDArray[np.float32]
Values = NDArray[np.float64]

RATE = 48_000

# Pitch ---------------------------------------------------------------------------

_PITCH_RATE = 16_000
_PITCH_WINDOW = 480
_PITCH_LAGS = (40, 267)
"""60 to 400 Hz."""
_VOICED = 0.75


def pitch(pcm: Pcm, places: Values) -> Values:
    """F0 in Hz around samples of a 48 kHz signal, NaN where it is not voiced.

    Normalised cross-correlation of 30 ms with what is one lag later, parabolic interpolation;
    the shortest lag within 5 % of the best one is taken, against errors of an octave.
    """
    narrow = soxr.resample(pcm.astype(np.float64), RATE, _PITCH_RATE, "HQ")
    low, high = _PITCH_LAGS
    span = _PITCH_WINDOW + high + 1
    begin = np.round(places * _PITCH_RATE / RATE).astype(int) - span // 2
    padded = np.pad(narrow, span)
    rows = padded[begin[:, None] + span + np.arange(span)]
    size = 2048
    spectrum = np.fft.rfft(rows, size) * np.conj(np.fft.rfft(rows[:, :_PITCH_WINDOW], size))
    products = np.fft.irfft(spectrum, size)[:, : high + 2]
    squares = np.cumsum(np.pad(rows**2, ((0, 0), (1, 0))), axis=1)
    energy = squares[:, _PITCH_WINDOW:] - squares[:, :-_PITCH_WINDOW]
    likeness = products / np.sqrt(np.maximum(energy[:, : high + 2] * energy[:, :1], 1e-9))
    inner = likeness[:, low : high + 1]
    peak = (inner >= likeness[:, low - 1 : high]) & (inner > likeness[:, low + 1 : high + 2])
    good = peak & (inner >= 0.95 * inner.max(axis=1, keepdims=True)) & (inner > _VOICED)
    lag = low + np.argmax(good, axis=1)
    row = np.arange(lag.size)
    left, middle, right = likeness[row, lag - 1], likeness[row, lag], likeness[row, lag + 1]
    curve = left - 2 * middle + right
    fine = lag + np.where(curve < 0, 0.5 * (left - right) / np.where(curve < 0, curve, 1.0), 0.0)
    return np.where(good.any(axis=1), _PITCH_RATE / fine, np.nan)


# Intelligibility -----------------------------------------------------------------


def aligned_stoi(reference: Pcm, at: Values, degraded: Pcm, where: Values) -> float:
    """STOI (Taal et al., 2011) of frames of two signals at given samples, one pair a row.

    The published measure wants signals of one time base; here each frame of the one meets
    the frame of the other that holds the same media.
    """
    from pystoi.utils import thirdoct

    bands = thirdoct(10_000, 512, 15, 150)[0]

    def envelope(pcm: Pcm, places: Values) -> Values:
        narrow = np.pad(soxr.resample(pcm.astype(np.float64), RATE, 10_000, "HQ"), 256)
        begin = np.round(places * 10_000 / RATE).astype(int) + 128
        rows = narrow[begin[:, None] + np.arange(256)] * np.hanning(258)[1:-1]
        return np.asarray(np.sqrt(np.abs(np.fft.rfft(rows, 512)) ** 2 @ bands.T))

    x, y = envelope(reference, at), envelope(degraded, where)
    span = 38  # 384 ms in steps of 10 ms
    correlations = []
    for begin in range(0, len(x) - span + 1, 4):
        clean, dirty = x[begin : begin + span], y[begin : begin + span]
        dirty = dirty * np.linalg.norm(clean, axis=0) / (np.linalg.norm(dirty, axis=0) + 1e-9)
        dirty = np.minimum(dirty, clean * (1 + 10 ** (15 / 20)))
        clean, dirty = clean - clean.mean(axis=0), dirty - dirty.mean(axis=0)
        norms = np.linalg.norm(clean, axis=0) * np.linalg.norm(dirty, axis=0) + 1e-12
        correlations.append((clean * dirty).sum(axis=0) / norms)
    return float(np.mean(correlations)) if correlations else float("nan")


# Clicks --------------------------------------------------------------------------

_CLICK_RATIO = 2.0
_CLICK_FLOOR = 1e-4
_AROUND = round(0.015 * RATE)


def edginess(pcm: Pcm) -> Values:
    """RMS of the second difference over 1 ms, each half millisecond."""
    second = np.diff(pcm.astype(np.float64), 2, prepend=0.0, append=0.0)
    halves = (second[: second.size // 24 * 24] ** 2).reshape(-1, 24).mean(axis=1)
    return np.asarray(np.sqrt((halves[:-1] + halves[1:]) / 2))


def clicks(edges: Values, begin: int, end: int) -> bool:
    """Whether a join from sample ``begin`` to ``end`` stands out, given the `edginess` of the signal."""
    first, last, around = begin // 24 - 2, end // 24 + 2, _AROUND // 24
    inside = edges[max(0, first) : last].max()
    outside = np.concatenate((edges[max(0, first - around) : first], edges[last : last + around]))
    return bool(inside > max(_CLICK_FLOOR, _CLICK_RATIO * outside.max()))
