"""How good a call was: quality models, delay from mouth to ear, interruptions.

Pure functions on mono float arrays at 48 kHz. The quality models are optional: they
come with ``pip install 'softphone[bench]'``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from softphone.errors import ConfigError
from softphone.playout.frames import Source
from softphone.playout.trace import TraceRecord
from softphone.rtp.packet import OPUS_CLOCK_RATE as SAMPLE_RATE

__all__ = [
    "DelayStatistics",
    "Interruptions",
    "SegmentDelay",
    "align",
    "delay_statistics",
    "interruptions",
    "pesq_wb",
    "plcmos",
    "segment_delays",
    "signal_interruptions",
    "speech_activity",
    "stoi",
]

INTERRUPTION_SECONDS = 0.15
"""Concealment of this length or more is heard as an interruption."""

ACTIVITY_FRAME = 480
"""Samples in one frame of `speech_activity`: 10 ms."""

_MODEL_RATE = 16_000
_RATERS = 6
_RATER_SEED = 1234
_MIN_CORRELATION = 0.5

Signal = NDArray[np.floating[Any]]


# Quality models ------------------------------------------------------------------


def plcmos(pcm: Signal, *, raters: int = _RATERS) -> float:
    """Return the PLCMOS v2 of a signal, 1..5: how little it suffers from concealment.

    The published scorer draws its raters anew in each run; here they are drawn once
    from a fixed seed, so that the same signal always gets the same score.

    Raises :class:`softphone.errors.ConfigError` when `speechmos` is not installed.
    """
    transform, session = _plcmos_model()
    narrow = np.clip(_to_model_rate(pcm), -1.0, 1.0)
    features = np.asarray(transform(narrow), dtype=np.float32)[np.newaxis, np.newaxis]
    random = np.random.RandomState(_RATER_SEED)
    scores = []
    for _ in range(raters):
        rater = random.normal(size=(1, 64)).astype(np.float32)
        scores.append(
            float(np.squeeze(session.run(None, {"degraded_audio": features, "rater_embed": rater})[0]))
        )
    return float(np.mean(scores))


def pesq_wb(reference: Signal, degraded: Signal) -> float:
    """Return PESQ wideband (ITU-T P.862.2), 1..4.6; NaN when no speech is found.

    Raises :class:`softphone.errors.ConfigError` when `pesq` is not installed.
    """
    model = _extra("pesq")
    if not (np.any(reference) and np.any(degraded)):
        return float("nan")
    try:
        return float(model.pesq(_MODEL_RATE, _to_model_rate(reference), _to_model_rate(degraded), "wb"))
    except model.PesqError:
        return float("nan")


def stoi(reference: Signal, degraded: Signal) -> float:
    """Return short-time objective intelligibility, 0..1, of signals that are already aligned.

    The longer one is cut. Raises :class:`softphone.errors.ConfigError` when `pystoi`
    is not installed.
    """
    model = _extra("pystoi")
    length = min(len(reference), len(degraded))
    narrow = (_to_model_rate(signal[:length]) for signal in (reference, degraded))
    return float(model.stoi(*narrow, _MODEL_RATE, extended=False))


@cache
def _plcmos_model() -> tuple[Callable[[Signal], Signal], Any]:
    scorer = _extra("speechmos.plcmos").PLCMOS()
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    # One thread: the same sums in the same order on every machine.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return scorer.stft_transform, runtime.InferenceSession(scorer.model_path, options)


def _extra(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ConfigError(f"scoring needs {package}: pip install 'softphone[bench]'") from error


def _to_model_rate(pcm: Signal) -> Signal:
    resampled: Signal = soxr.resample(np.asarray(pcm, dtype=np.float64), SAMPLE_RATE, _MODEL_RATE, "HQ")
    return resampled


# Alignment and delay -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SegmentDelay:
    """Delay of one stretch of the heard signal."""

    time: float
    """Middle of the stretch in the sent signal, seconds."""
    delay: float
    """How much later it is heard, seconds; negative when earlier."""
    correlation: float
    """Normalised correlation at that delay, 0..1: how sure this is."""


@dataclass(frozen=True, slots=True)
class DelayStatistics:
    """Delay from mouth to ear in milliseconds, over all stretches that could be aligned."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float


def segment_delays(
    sent: Signal, heard: Signal, *, max_delay: float = 1.0, segment: float = 0.4, hop: float = 0.1
) -> list[SegmentDelay]:
    """Return the delay of each stretch of speech, by cross-correlation.

    Both signals start at the same moment, shapes (n,) and (m,). Stretches are
    ``segment`` seconds long, ``hop`` apart; delays from 0 to ``max_delay`` are tried.
    Stretches without speech, or that correlate below 0.5 (lost, concealed, or cut by a
    change of delay), are left out.
    """
    length, step, reach = (round(seconds * SAMPLE_RATE) for seconds in (segment, hop, max_delay))
    active = speech_activity(sent)
    delays: list[SegmentDelay] = []
    for start in range(0, len(sent) - length + 1, step):
        frames = active[start // ACTIVITY_FRAME : (start + length) // ACTIVITY_FRAME]
        if frames.mean() < 0.5:
            continue
        template = np.asarray(sent[start : start + length], dtype=np.float64)
        window = np.asarray(heard[start : start + length + reach], dtype=np.float64)
        if len(window) < length:
            break
        correlation = _normalised_correlation(template, window)
        best = int(np.argmax(correlation))
        if correlation[best] >= _MIN_CORRELATION:
            middle = (start + length / 2) / SAMPLE_RATE
            delays.append(SegmentDelay(middle, best / SAMPLE_RATE, float(correlation[best])))
    return delays


def delay_statistics(delays: Iterable[SegmentDelay]) -> DelayStatistics | None:
    """Return mean and quantiles in milliseconds; None when nothing could be aligned."""
    values = np.array([delay.delay * 1000.0 for delay in delays])
    if not len(values):
        return None
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return DelayStatistics(float(values.mean()), float(p50), float(p95), float(p99), float(values.max()))


def align(sent: Signal, heard: Signal, *, max_delay: float = 1.0) -> tuple[Signal, Signal]:
    """Return both signals cut to the same length, the median delay taken out of the second.

    Signals that share no speech come back with nothing taken out.
    """
    statistics = delay_statistics(segment_delays(sent, heard, max_delay=max_delay))
    shift = round(statistics.p50 / 1000.0 * SAMPLE_RATE) if statistics else 0
    moved = heard[shift:]
    length = min(len(sent), len(moved))
    return sent[:length], moved[:length]


def _normalised_correlation(template: Signal, window: Signal) -> Signal:
    """Correlation of the template with each place in the window, -1..1."""
    length = len(template)
    lags = len(window) - length + 1
    size = 1 << (len(window) + length - 1).bit_length()
    spectrum = np.fft.rfft(window, size) * np.conj(np.fft.rfft(template, size))
    products = np.fft.irfft(spectrum, size)[:lags]
    energy = np.concatenate(([0.0], np.cumsum(window**2)))
    norms = np.sqrt(np.maximum((energy[length:] - energy[:-length]) * np.sum(template**2), 1e-12))
    normalised: Signal = products / norms
    return normalised


# Interruptions -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interruptions:
    """Stretches of at least 150 ms in which speech was not heard."""

    count: int
    total_ms: float


def speech_activity(pcm: Signal) -> NDArray[np.bool_]:
    """Return for each 10 ms whether somebody speaks, shape (n // 480,).

    A frame counts when it is within 35 dB of the loud frames (95th percentile) and
    above -65 dBFS. Gaps of up to 100 ms inside speech (closures of stops) are filled.
    """
    count = len(pcm) // ACTIVITY_FRAME
    frames = np.asarray(pcm[: count * ACTIVITY_FRAME], dtype=np.float64).reshape(count, ACTIVITY_FRAME)
    level = _levels(frames)
    if not count:
        return np.zeros(0, dtype=np.bool_)
    active: NDArray[np.bool_] = level > max(float(np.percentile(level, 95)) - 35.0, -65.0)
    spoken = np.flatnonzero(active)
    for before, after in pairwise(spoken):
        if after - before <= 10:
            active[before:after] = True
    return active


def interruptions(
    records: Iterable[TraceRecord],
    is_speech: Callable[[int], bool] | None = None,
    *,
    minimum: float = INTERRUPTION_SECONDS,
) -> Interruptions:
    """Count runs of concealment (PLC, comfort noise, waiting) from a playout trace.

    ``is_speech(timestamp)`` says whether the sender spoke at an extended RTP timestamp;
    only such steps count. Without it, comfort noise counts only after PLC (a loss that
    went on): directly after a packet it is the sender's own silence (DTX).
    """
    needed = round(minimum * SAMPLE_RATE)
    count = total = run = 0
    lost = False
    for record in records:
        if record.samples == 0:
            continue
        if not record.source.is_concealment:
            if run >= needed:
                count, total = count + 1, total + run
            run, lost = 0, False
            continue
        lost = lost or record.source is Source.PLC
        if is_speech(record.timestamp) if is_speech is not None else lost:
            run += record.samples
    if run >= needed:
        count, total = count + 1, total + run
    return Interruptions(count, total * 1000.0 / SAMPLE_RATE)


def signal_interruptions(
    sent: Signal,
    heard: Signal,
    *,
    max_delay: float = 1.0,
    minimum: float = INTERRUPTION_SECONDS,
    drop_db: float = 25.0,
) -> Interruptions:
    """Count stretches in which speech was sent but (nearly) nothing was heard, from the signals alone.

    Both start at the same moment. The delay is followed by `segment_delays`. A 10 ms
    frame is missed when it is heard more than ``drop_db`` weaker than it was sent.
    Concealment that sounds like speech is not found this way: use `interruptions`.
    """
    active = speech_activity(sent)
    delays = segment_delays(sent, heard, max_delay=max_delay)
    if not delays:
        missed = active
    else:
        gain = _median_gain(sent, heard, delays)
        middles = (np.arange(len(active)) + 0.5) * ACTIVITY_FRAME / SAMPLE_RATE
        times = np.array([delay.time for delay in delays])
        nearest = np.abs(middles[:, np.newaxis] - times).argmin(axis=1)
        shifts = np.array([round(delay.delay * SAMPLE_RATE) for delay in delays])[nearest]
        missed = np.zeros(len(active), dtype=np.bool_)
        for index in np.flatnonzero(active):
            start = index * ACTIVITY_FRAME
            said = sent[start : start + ACTIVITY_FRAME]
            # Words move by a few milliseconds when time is stretched: look around a little.
            begin = max(start + shifts[index] - ACTIVITY_FRAME, 0)
            got = heard[begin : begin + 3 * ACTIVITY_FRAME]
            missed[index] = not len(got) or _peak_level(got) < float(_levels(said)) + gain - drop_db
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missed, [False]))))
    runs = (edges[1::2] - edges[::2]) * ACTIVITY_FRAME
    runs = runs[runs >= round(minimum * SAMPLE_RATE)]
    return Interruptions(len(runs), float(runs.sum()) * 1000.0 / SAMPLE_RATE)


def _levels(frames: Signal) -> Signal:
    """Level along the last axis in dBFS."""
    power: Signal = np.mean(np.asarray(frames, dtype=np.float64) ** 2, axis=-1)
    levels: Signal = 10.0 * np.log10(power + 1e-12)
    return levels


def _peak_level(pcm: Signal) -> float:
    """Level of the loudest 10 ms."""
    count = max(len(pcm) // ACTIVITY_FRAME, 1)
    return max(float(_levels(part)) for part in np.array_split(pcm, count))


def _median_gain(sent: Signal, heard: Signal, delays: list[SegmentDelay]) -> float:
    """Gain of the whole chain in dB, from stretches that were heard well."""
    gains = []
    for delay in delays:
        start = round((delay.time - 0.1) * SAMPLE_RATE)
        moved = start + round(delay.delay * SAMPLE_RATE)
        length = round(0.2 * SAMPLE_RATE)
        gains.append(
            float(_levels(heard[moved : moved + length])) - float(_levels(sent[start : start + length]))
        )
    return float(np.median(gains))
