"""One scorer for all systems: quality, delay and interruptions of what was played.

Per segment of 10 s: PLCMOS v2 (no reference; fixed raters), PESQ wideband on the stretch
that lies the median delay later, STOI on a copy that is aligned piece by piece, since
intelligibility does not suffer from a delay that moves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.neteq.delay import RATE, DelayTrack, Return, delay_track, returns
from benchmarks.neteq.recording import Recording, running_median
from benchmarks.neteq.reference import Reference
from benchmarks.neteq.schedules import Schedule
from softphone.audio.stream import SAMPLE_RATE
from softphone.sim.scoring import ACTIVITY_FRAME, pesq_wb, plcmos, speech_activity, stoi

__all__ = ["METRICS", "Score", "SegmentScore", "score"]

METRICS = ("plcmos", "pesq", "stoi")
"""Quality models, by name."""

_PIECE = 0.05
_MEDIAN = 5
_INTERRUPTION = 0.15
_DROP_DB = 25.0
_FEW = 5
_FRAME = 0.02

Signal = NDArray[np.float32]


@dataclass(slots=True)
class SegmentScore:
    """One segment of 10 s. NaN: not asked for, or not measurable."""

    begin: float
    """Seconds into the reference."""
    lost: float
    """Share of its packets that the network lost."""
    plcmos: float
    pesq: float
    stoi: float
    delay_p50: float
    """Mouth to ear, ms."""
    delay_p95: float
    """Mouth to ear, ms."""
    aligned: float
    """Share of the windows with speech in which the speech was found: the rest is lost,
    concealed or distorted."""
    interruptions: int
    """Stretches of 150 ms and more in which speech was sent and nothing was heard."""
    interrupted: float
    """Their length together, seconds."""
    valid: bool = True
    """False when the machine stood still during it: the receiver is not to blame."""


@dataclass(slots=True)
class Score:
    """All segments of one run, and how the delay returned after outages."""

    segments: list[SegmentScore]
    returns: list[Return]


def score(
    reference: Reference, schedule: Schedule, recording: Recording, metrics: tuple[str, ...] = METRICS
) -> Score:
    """Score what a receiver played of ``reference`` on ``schedule``.

    Raises :class:`softphone.errors.ConfigError` when a quality model is not installed.
    """
    track = delay_track(reference, schedule, recording)
    segments = [
        _segment(reference, schedule, recording, track, segment, metrics) for segment in reference.segments
    ]
    return Score(segments, returns(schedule, reference, track))


def _segment(
    reference: Reference,
    schedule: Schedule,
    recording: Recording,
    track: DelayTrack,
    segment: tuple[float, float],
    metrics: tuple[str, ...],
) -> SegmentScore:
    begin, end = segment
    here = track.within(begin, end)
    # With next to nothing found, the delay of the whole call is the best guess.
    around = here if here.delays.size >= _FEW else track
    said = reference.pcm[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
    shift = float(np.median(around.shifts)) if around.shifts.size else 0.0
    moved = _cut(recording.pcm, round(begin * SAMPLE_RATE + shift * SAMPLE_RATE / RATE), said.size)
    aligned = _aligned(recording.pcm, around, begin, said.size)
    silences = _interruptions(said, aligned)
    p50, p95 = np.percentile(1000 * here.delays, (50, 95)) if here.delays.size else (np.nan, np.nan)
    return SegmentScore(
        begin=begin,
        lost=schedule.lost(round(begin / _FRAME), round(end / _FRAME)),
        plcmos=plcmos(moved) if "plcmos" in metrics else np.nan,
        pesq=pesq_wb(said, moved) if "pesq" in metrics else np.nan,
        stoi=stoi(said, aligned) if "stoi" in metrics else np.nan,
        delay_p50=float(p50),
        delay_p95=float(p95),
        aligned=here.begins.size / max(1, here.sought.size),
        interruptions=len(silences),
        interrupted=sum(silences),
    )


def _cut(pcm: Signal, begin: int, length: int) -> Signal:
    """A stretch of the recording; silence where it holds nothing."""
    part = pcm[max(0, begin) : max(0, begin + length)]
    before = min(length, max(0, -begin))
    return np.pad(part, (before, length - before - part.size))


def _aligned(pcm: Signal, track: DelayTrack, begin: float, length: int) -> Signal:
    """The recording cut into pieces of 50 ms, each from where its speech was found."""
    size = round(_PIECE * SAMPLE_RATE)
    starts = round(begin * SAMPLE_RATE) + np.arange(0, length, size)
    shifts = np.zeros(starts.size)
    if track.shifts.size:
        steady = running_median(track.shifts.astype(np.float64), _MEDIAN)
        shifts = np.interp(starts / SAMPLE_RATE, track.begins, steady) * SAMPLE_RATE / RATE
    pieces = [
        _cut(pcm, round(start + shift), size)
        for start, shift in zip(starts.tolist(), shifts.tolist(), strict=True)
    ]
    return np.concatenate(pieces)[:length]


def _interruptions(said: Signal, aligned: Signal) -> list[float]:
    """Seconds of each stretch in which speech is 25 dB weaker than the rest of the call lets expect."""
    active = speech_activity(said)
    sent = _levels(said)[: active.size]
    heard = _levels(aligned)[: active.size]
    gain = float(np.median((heard - sent)[active])) if active.any() else 0.0
    # A change of delay moves words by some milliseconds: the neighbours count too.
    loudest = np.maximum(heard, np.maximum(np.roll(heard, 1), np.roll(heard, -1)))
    missed = active & (loudest < sent + gain - _DROP_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], missed.astype(np.int8), [0]))))
    lengths = (edges[1::2] - edges[::2]) * ACTIVITY_FRAME / SAMPLE_RATE
    return [float(length) for length in lengths if length >= _INTERRUPTION - 1e-9]


def _levels(pcm: Signal) -> NDArray[np.float64]:
    """Level of each 10 ms, dBFS."""
    frames = pcm[: pcm.size // ACTIVITY_FRAME * ACTIVITY_FRAME].reshape(-1, ACTIVITY_FRAME)
    levels: NDArray[np.float64] = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)
    return levels
