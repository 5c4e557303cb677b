"""The Pareto front of delay and quality."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["Place", "pareto_front", "quality_at"]

Place = tuple[float, float]
"""Delay and quality, in any unit."""


def pareto_front(places: Iterable[Place]) -> list[Place]:
    """The places to which no other is preferable, by ascending delay.

    Preferable is one that is no worse in delay and quality, and better in one of them.
    Places with NaN are left out.
    """
    front: list[Place] = []
    known = (place for place in places if not any(math.isnan(value) for value in place))
    for delay, quality in sorted(known, key=lambda place: (place[0], -place[1])):
        if not front or quality > front[-1][1] or (delay, quality) == front[-1]:
            front.append((delay, quality))
    return front


def quality_at(front: Sequence[Place], delay: float) -> float:
    """Quality of a front at ``delay``, between its places on a straight line.

    NaN below its least delay; above its greatest the quality of its last place.
    """
    if not front or math.isnan(delay) or delay < front[0][0]:
        return math.nan
    delays, qualities = zip(*front, strict=True)
    return float(np.interp(delay, delays, qualities))
