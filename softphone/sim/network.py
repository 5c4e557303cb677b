"""A seeded network emulator without I/O: when does a packet arrive, if at all?

Hand it every packet with the time it is sent; it answers with the times of delivery.
Live links, tests and the call simulation use the same code.

What a packet meets, in this order: outage (lost or held), loss, the bottleneck's queue,
delay with jitter, reordering, duplication.
"""

import math
import random
from dataclasses import dataclass
from typing import NamedTuple

from softphone.sim.path import Path
from softphone.sim.presets import parse_profile, profile_names, register_profile
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
from softphone.sim.random_profile import random_profile
from softphone.sim.trace import DEFAULT_INTERVAL, PacketTrace

__all__ = [
    "CrossTraffic",
    "EmulatorStatistics",
    "GilbertElliott",
    "Handovers",
    "JitterDistribution",
    "MarkovLoss",
    "NetworkEmulator",
    "NetworkProfile",
    "Outage",
    "OutageMode",
    "PeriodicOutage",
    "Stalls",
    "generate_trace",
    "parse_profile",
    "profile_names",
    "random_profile",
    "register_profile",
]

_DUPLICATE_GAP = 0.001
_PARETO_SHAPE = 2.5
_PARETO_LIMIT = 30.0
_GAMMA_SHAPE = 2.0


@dataclass(slots=True)
class EmulatorStatistics:
    """What became of the packets so far."""

    sent: int = 0
    """Packets handed in."""
    lost: int = 0
    """Lost by a loss model or a trace."""
    outage_lost: int = 0
    """Lost in an outage."""
    queue_lost: int = 0
    """Dropped by the full queue of the bottleneck."""
    reordered: int = 0
    """Held back so that later ones may overtake."""
    duplicated: int = 0
    """Delivered twice."""


class NetworkEmulator:
    """One direction of a path, shared by any number of flows.

    Random draws are keyed by (seed, direction, flow) and their number per packet is fixed:
    the k-th packet of a flow meets the same loss and jitter whatever other flows do. Stalls,
    handovers and cross traffic belong to the path and depend on time alone. Only the
    bottleneck's queue couples flows, as it must. Not thread-safe.
    """

    def __init__(
        self, profile: NetworkProfile, seed: int = 0, *, direction: str = "up", start: float | None = None
    ) -> None:
        """``start``: the time that outages, timeline and path events count from; by default
        the time of the first packet."""
        self.statistics = EmulatorStatistics()
        self._profile = profile
        self._seed = seed
        self._direction = direction
        self._start = start
        self._now = -math.inf
        self._flows: dict[int | str, _Flow] = {}
        self._changes = list(profile.timeline)
        self._paths = 0
        self._path = self._next_path()

    def send(self, now: float, size: int, flow: int | str = 0) -> list[float]:
        """Times at which a packet sent at ``now`` is delivered; empty when it is lost.

        ``now`` in seconds must not go back (an earlier time is taken as the latest one);
        ``size`` in bytes counts only at a bottleneck. Name flows by their role, not by a
        random SSRC, where runs are to be repeated.
        """
        self._now = now = max(now, self._now)
        if self._start is None:
            self._start = now
        elapsed = now - self._start
        while self._changes and elapsed >= self._changes[0][0]:
            at, self._profile = self._changes.pop(0)
            queue, self._path = self._path.queue, self._next_path()
            if queue is not None and self._path.queue is not None:
                self._path.queue.take_over(queue, at)
        state = self._flows.get(flow)
        if state is None:
            state = self._flows[flow] = _Flow(self._random(f"flow {flow}"))
        self.statistics.sent += 1
        deliveries = self._deliver(elapsed, size, state)
        return [self._start + delivery for delivery in deliveries]

    def _next_path(self) -> Path:
        path = Path(self._profile, self._random(f"path {self._paths}"))
        self._paths += 1
        return path

    def _random(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}/{self._direction}/{name}")

    def _deliver(self, now: float, size: int, flow: "_Flow") -> list[float]:
        profile, path = self._profile, self._path
        draw = flow.draw()
        fate = profile.trace.fate(flow.count) if profile.trace is not None else 0.0
        flow.count += 1
        lost = fate is None or draw.loss < profile.loss
        if path.chain is not None:
            lost |= flow.step(path.chain, draw)

        offset, entered = 0.0, now
        if path.has_events:
            offset = path.delay_offset(now)
            while (outage := path.outage(entered)) is not None:
                mode, entered = outage
                if mode is OutageMode.DROP:
                    self.statistics.outage_lost += 1
                    return []
        if lost or fate is None:
            self.statistics.lost += 1
            return []
        left = entered
        if path.queue is not None:
            passed = path.queue.enter(entered, size, draw.queue)
            if passed is None:
                self.statistics.queue_lost += 1
                return []
            left = passed

        jitter = flow.jitter(profile, draw.normal) if profile.jitter else 0.0
        arrival = left + max(0.0, profile.delay + fate + offset + jitter)
        if draw.reorder < profile.reorder:
            self.statistics.reordered += 1
            arrival += profile.reorder_delay
        elif profile.keep_order and (profile.trace is None or not profile.trace.reordered):
            arrival = flow.latest = max(arrival, flow.latest)
        if draw.duplicate < profile.duplicate:
            self.statistics.duplicated += 1
            return [arrival, arrival + _DUPLICATE_GAP]
        return [arrival]


class _Draw(NamedTuple):
    """All the chance one packet needs, drawn whether used or not."""

    transition: float
    state_loss: float
    loss: float
    queue: float
    reorder: float
    duplicate: float
    normal: float


class _Flow:
    """What is remembered of one flow."""

    def __init__(self, rng: random.Random) -> None:
        self._uniform = rng.random
        self._normal = rng.gauss
        self._state = 0
        self._deviate: float | None = None
        self.count = 0
        self.latest = -math.inf

    def draw(self) -> _Draw:
        uniform = self._uniform
        return _Draw(uniform(), uniform(), uniform(), uniform(), uniform(), uniform(), self._normal(0.0, 1.0))

    def step(self, chain: MarkovLoss, draw: _Draw) -> bool:
        """Move the loss chain by one packet; True when it loses this one."""
        row = chain.transitions[min(self._state, len(chain.loss) - 1)]
        remaining = draw.transition
        for state, probability in enumerate(row):
            self._state = state
            remaining -= probability
            if remaining < 0:
                break
        return draw.state_loss < chain.loss[self._state]

    def jitter(self, profile: NetworkProfile, normal: float) -> float:
        """Deviation from the profile's delay in seconds."""
        correlation = profile.jitter_correlation
        if correlation and self._deviate is not None:
            normal = correlation * self._deviate + math.sqrt(1 - correlation * correlation) * normal
        self._deviate = normal
        return profile.jitter * _shaped(profile.jitter_distribution, normal)


def _shaped(distribution: JitterDistribution, normal: float) -> float:
    """Turn a standard normal deviate into one of ``distribution`` with unit scale.

    Going through the normal one lets every distribution have correlated samples.
    """
    if distribution is JitterDistribution.NORMAL:
        return normal
    if distribution is JitterDistribution.GAMMA:
        # Wilson-Hilferty: the cube root of a gamma variable is nearly normal.
        root = 1 - 1 / (9 * _GAMMA_SHAPE) + normal / (3 * math.sqrt(_GAMMA_SHAPE))
        return max(0.0, root) ** 3
    above = 0.5 * math.erfc(normal / math.sqrt(2))
    if distribution is JitterDistribution.UNIFORM:
        return 1 - 2 * above
    tail = math.pow(max(above, 1e-12), -1 / _PARETO_SHAPE) - 1
    return min(_PARETO_LIMIT, tail * (_PARETO_SHAPE - 1))


def generate_trace(
    profile: NetworkProfile,
    packets: int,
    seed: int = 0,
    interval: float = DEFAULT_INTERVAL,
    *,
    size: int = 160,
) -> PacketTrace:
    """The fates of ``packets`` packets of ``size`` bytes sent each ``interval`` seconds.

    Of a packet that arrives twice the trace holds the first arrival. Raises
    :class:`softphone.errors.ConfigError` when ``packets`` is below 1.
    """
    emulator = NetworkEmulator(profile, seed, start=0.0)
    delays = []
    for k in range(packets):
        now = k * interval
        deliveries = emulator.send(now, size)
        delays.append(max(0.0, deliveries[0] - now) if deliveries else math.nan)
    return PacketTrace(delays, interval)
