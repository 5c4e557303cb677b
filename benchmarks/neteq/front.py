"""``front``: the same packets played at many fixed delays and by adaptive policies, in virtual time.

The fixed delays give the front of delay and quality on a schedule. It is what can be had
without adapting, so that a policy that adapts has to lie above it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from benchmarks.neteq.bounds import Costs, make_pricing, mean_costs, price
from benchmarks.neteq.pareto import Place, pareto_front
from benchmarks.neteq.reference import Reference
from benchmarks.neteq.schedules import Schedule
from benchmarks.neteq.scoring import METRICS
from benchmarks.neteq.simulation import Outcome, Settings, simulate_one
from benchmarks.neteq.streams import encode
from benchmarks.neteq.summary import Summary, summarize
from softphone.errors import ConfigError

__all__ = ["CEILING", "Front", "FrontPoint", "measure_fronts"]

CEILING = 1.0
"""Delay at which everything is repaired that the packets hold, seconds: DRED reaches back no
further, and the ruler for the delay looks no further."""

_FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One way to play the packets of a schedule."""

    policy: str
    limit: float
    """What the policy was given, seconds from mouth to ear."""
    summary: Summary

    @property
    def delay(self) -> float:
        """Median from mouth to ear, ms."""
        return self.summary.delay_p50.mean

    def place(self, metric: str) -> Place:
        """Delay in ms and quality."""
        return self.delay, getattr(self.summary, metric).mean


@dataclass(frozen=True)
class Front:
    """Everything measured on one kind of schedule; all seeds of it together."""

    kind: str
    kbps: float
    """Payload rate used."""
    fixed: Sequence[FrontPoint]
    """By ascending delay."""
    adaptive: Sequence[FrontPoint]
    ceiling: FrontPoint
    costs: Costs | None
    """None without the plugin, and for streams that it can't tell the cost of."""

    @cached_property
    def line(self) -> Mapping[str, list[Place]]:
        """By metric: the front of the fixed delays."""
        return {metric: pareto_front(point.place(metric) for point in self.fixed) for metric in METRICS}

    @cached_property
    def best(self) -> Mapping[str, list[Place]]:
        """By metric: the front of the fixed delays and the adaptive policies together."""
        points = [*self.fixed, *self.adaptive]
        return {metric: pareto_front(point.place(metric) for point in points) for metric in METRICS}

    def cost(self, point: FrontPoint) -> float:
        """Mean loss of R; NaN when it isn't known."""
        return math.nan if self.costs is None else self.costs.of.get((point.policy, point.limit), math.nan)

    def gap_closed(self, cost: float) -> float:
        """Share of the way from `histogram` to the bound; NaN when there is none."""
        histogram = [self.cost(point) for point in self.adaptive if point.policy == "histogram"]
        if self.costs is None or not histogram or not histogram[0] > self.costs.bound:
            return math.nan
        return (histogram[0] - cost) / (histogram[0] - self.costs.bound)


def measure_fronts(
    reference: Reference,
    schedules: Sequence[Schedule],
    settings: Settings,
    delays: Sequence[float],
    policies: Sequence[str],
    jobs: int,
) -> Iterator[Front]:
    """Play every schedule at ``delays`` (seconds) and with ``policies``, on ``jobs`` processes.

    ``settings.policy`` isn't used; the adaptive policies have the limit ``settings.max_delay``.
    Fronts come in the order of the schedules. Raises :class:`ConfigError` for an unknown policy
    or plan, delays that can't be measured, and quality models that are not installed.
    """
    if not delays or not all(0.0 < delay < CEILING for delay in delays):
        raise ConfigError(f"fixed delays lie between 0 and {1000 * CEILING:.0f} ms")
    fixed = [(_FIXED, delay) for delay in sorted(set(delays))]
    adaptive = [(policy, settings.max_delay) for policy in dict.fromkeys(policies) if policy != _FIXED]
    playouts = [*fixed, *adaptive, (_FIXED, CEILING)]
    kinds: dict[str, list[Schedule]] = {}
    for schedule in schedules:
        kinds.setdefault(schedule.kind, []).append(schedule)
    ordered = [schedule for group in kinds.values() for schedule in group]
    pricing = make_pricing(reference, settings.stream)
    with _workers(jobs) as each:
        # Before anything is played, so that no two processes make the same packets.
        for _ in each(partial(_prepare, reference, settings), ordered):
            pass
        tasks = [(schedule, playout) for schedule in ordered for playout in playouts]
        outcomes = each(partial(_play, reference, settings), tasks)
        priced = None if pricing is None else each(partial(price, pricing, playouts[:-1]), ordered)
        for kind, group in kinds.items():
            calls = [[next(outcomes) for _ in playouts] for _ in group]
            points = [
                FrontPoint(name, limit, summarize([call[place].score for call in calls]))
                for place, (name, limit) in enumerate(playouts)
            ]
            yield Front(
                kind=kind,
                kbps=sum(call[0].kbps for call in calls) / len(calls),
                fixed=points[: len(fixed)],
                adaptive=points[len(fixed) : -1],
                ceiling=points[-1],
                costs=None if priced is None else mean_costs([next(priced) for _ in group]),
            )


@contextmanager
def _workers(jobs: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Something like `map`; in this process when one job is all."""
    if jobs <= 1:
        yield map
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield pool.map


def _prepare(reference: Reference, settings: Settings, schedule: Schedule) -> None:
    encode(settings.stream, reference, schedule, settings.cache)


def _play(reference: Reference, settings: Settings, task: tuple[Schedule, tuple[str, float]]) -> Outcome:
    schedule, (policy, limit) = task
    return simulate_one(reference, replace(settings, policy=policy, max_delay=limit), schedule)
