"""From the segments of a run to its means, with how sure they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.neteq.scoring import Score, SegmentScore

__all__ = ["Estimate", "Summary", "summarize"]

# Student's t for a two-sided 95 % interval, by degrees of freedom.
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
_NORMAL = 1.96


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over segments; NaN without any."""

    mean: float
    margin: float
    """Half of the 95 % interval; NaN with fewer than two segments."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Mean and interval; NaN values are left out."""
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return cls(math.nan, math.nan)
        if len(known) < 2:
            return cls(known[0], math.nan)
        freedom = len(known) - 1
        t = _T95[freedom - 1] if freedom <= len(_T95) else _NORMAL
        return cls(float(np.mean(known)), t * float(np.std(known, ddof=1)) / math.sqrt(len(known)))


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over the valid segments of one or more runs."""

    segments: int
    lost: float
    """Share of packets, 0..1."""
    plcmos: Estimate
    pesq: Estimate
    stoi: Estimate
    delay_p50: Estimate
    """Of the medians of the segments, ms."""
    delay_p95: Estimate
    """Of the 95th percentiles of the segments, ms."""
    interruptions: float
    """In 10 s."""
    interrupted: float
    """Seconds in 10 s."""
    outages: int
    """Outages after which the return of the delay was looked for."""
    return_median: float
    """Seconds; an outage from which it did not return counts as endless."""
    return_worst: float
    """Seconds; infinite when it did not return before the next outage."""


def summarize(scores: Sequence[Score]) -> Summary:
    """Sum up runs of the same system, stream and kind of schedule."""
    segments = [segment for score in scores for segment in score.segments if segment.valid]
    returns = [
        math.inf if back.seconds is None else back.seconds for score in scores for back in score.returns
    ]

    def estimate(name: str) -> Estimate:
        return Estimate.of([float(getattr(segment, name)) for segment in segments])

    return Summary(
        segments=len(segments),
        lost=_mean(segments, "lost"),
        plcmos=estimate("plcmos"),
        pesq=estimate("pesq"),
        stoi=estimate("stoi"),
        delay_p50=estimate("delay_p50"),
        delay_p95=estimate("delay_p95"),
        interruptions=_mean(segments, "interruptions"),
        interrupted=_mean(segments, "interrupted"),
        outages=len(returns),
        return_median=float(np.median(returns)) if returns else math.nan,
        return_worst=max(returns, default=math.nan),
    )


def _mean(segments: Sequence[SegmentScore], name: str) -> float:
    return Estimate.of([float(getattr(segment, name)) for segment in segments]).mean
