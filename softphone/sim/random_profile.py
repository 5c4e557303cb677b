"""Random networks of realistic variety, for training and for wide tests."""

from dataclasses import replace
from typing import TypeVar

import numpy as np

from softphone.sim.profile import (
    CrossTraffic,
    GilbertElliott,
    Handovers,
    JitterDistribution,
    MarkovLoss,
    NetworkProfile,
    Outage,
    OutageMode,
    PeriodicOutage,
    Stalls,
)

__all__ = ["log_uniform", "random_profile"]

_T = TypeVar("_T")

_CHANGE_SHARE = 0.15
"""Share of profiles that change during the call."""


def random_profile(rng: np.random.Generator, *, duration: float = 30.0) -> NetworkProfile:
    """A network as calls meet them, anything from clean to hardly usable.

    About one in eight is clean; the others mix loss (independent, bursty, three-state),
    jitter of every shape, stalls, handovers, outages, a bottleneck with cross traffic,
    drift, reordering and duplication. One in seven changes once or twice within
    ``duration`` seconds. The same generator state gives the same profile.
    """
    profile = _random_part(rng, duration)
    if rng.random() >= _CHANGE_SHARE:
        return profile
    count = int(rng.integers(1, 3))
    times = sorted(float(time) for time in rng.uniform(0.15, 0.85, count) * duration)
    changes = tuple((time, _random_part(rng, duration)) for time in times)
    return replace(profile, timeline=changes)


def _random_part(rng: np.random.Generator, duration: float) -> NetworkProfile:
    delay = log_uniform(rng, 0.008, 0.25)
    if rng.random() < 0.12:
        return NetworkProfile(delay=delay, jitter=log_uniform(rng, 0.0002, 0.003))
    distribution = _choice(rng, list(JitterDistribution))
    jitter = log_uniform(rng, 0.0005, 0.06)
    correlation = float(rng.uniform(0, 0.95)) if rng.random() < 0.7 else 0.0
    profile = NetworkProfile(
        delay=delay,
        jitter=jitter,
        jitter_distribution=distribution,
        jitter_correlation=correlation,
        keep_order=bool(rng.random() < 0.8),
    )
    profile = _with_loss(profile, rng)
    if rng.random() < 0.3:
        shortest = log_uniform(rng, 0.04, 0.4)
        longest = shortest * float(rng.uniform(1, 3))
        profile = replace(profile, stalls=Stalls(log_uniform(rng, 1.0, 20.0), shortest, longest))
    if rng.random() < 0.15:
        mode = _choice(rng, list(OutageMode))
        outage, step = log_uniform(rng, 0.03, 0.5), log_uniform(rng, 0.005, 0.15)
        profile = replace(profile, handovers=Handovers(log_uniform(rng, 4, 30), outage, step, mode))
    if rng.random() < 0.2:
        profile = _with_outages(profile, rng, duration)
    if rng.random() < 0.25:
        rate = log_uniform(rng, 150e3, 5e6)
        cross = CrossTraffic(
            rate * float(rng.uniform(0.9, 1.6)), log_uniform(rng, 0.3, 6), log_uniform(rng, 0.5, 12)
        )
        profile = replace(profile, rate=rate, queue=log_uniform(rng, 0.05, 1.5), cross_traffic=cross)
    if rng.random() < 0.1:
        profile = replace(profile, drift=float(rng.uniform(-0.003, 0.003)))
    if rng.random() < 0.1:
        profile = replace(
            profile, reorder=log_uniform(rng, 0.002, 0.1), reorder_delay=log_uniform(rng, 0.02, 0.12)
        )
    if rng.random() < 0.05:
        profile = replace(profile, duplicate=log_uniform(rng, 0.002, 0.1))
    return profile


def _with_loss(profile: NetworkProfile, rng: np.random.Generator) -> NetworkProfile:
    kind = rng.random()
    if kind < 0.2:
        return profile
    if kind < 0.4:
        return replace(profile, loss=log_uniform(rng, 0.002, 0.3))
    if kind < 0.8:
        loss = log_uniform(rng, 0.005, 0.5)
        burst = max(loss / (1 - loss), 1.0) * log_uniform(rng, 1.1, 12)
        model = GilbertElliott.from_mean(loss, burst)
        if rng.random() < 0.5:  # bad states that let some packets pass, and scattered loss besides
            model = replace(
                model, loss_bad=float(rng.uniform(0.5, 1)), loss_good=log_uniform(rng, 0.0005, 0.03)
            )
        return replace(profile, loss_model=model)
    return replace(
        profile,
        loss_model=MarkovLoss.three_state(
            burst_rate=log_uniform(rng, 0.001, 0.03),
            burst=log_uniform(rng, 1.5, 15),
            gap_rate=log_uniform(rng, 0.001, 0.02),
            gap=log_uniform(rng, 20, 400),
            gap_loss=log_uniform(rng, 0.02, 0.4),
        ),
    )


def _with_outages(profile: NetworkProfile, rng: np.random.Generator, duration: float) -> NetworkProfile:
    mode = _choice(rng, list(OutageMode))
    if rng.random() < 0.5:
        period, length = float(rng.uniform(3, 12)), log_uniform(rng, 0.1, 1.0)
        return replace(profile, periodic_outage=PeriodicOutage(period, length, mode))
    starts = sorted(float(start) for start in rng.uniform(0, duration, int(rng.integers(1, 4))))
    outages = tuple(Outage(start, log_uniform(rng, 0.1, 2.0), mode) for start in starts)
    return replace(profile, outages=outages)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between ``low`` and ``high`` (> 0), of each order of magnitude equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _choice(rng: np.random.Generator, items: list[_T]) -> _T:
    return items[int(rng.integers(len(items)))]
