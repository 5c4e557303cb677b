"""A seeded network emulator without I/O: when does a packet arrive, if at all?

Hand it every packet with the time it is sent; it answers with the times of delivery.
Live links, tests and the call simulation use the same code.

What a packet meets, in this order: outage (lost or held), loss, the bottleneck's queue,
delay with jitter, reordering, duplication.
"""

import math
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

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
        self._path = self._next_path(None)

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
            _, self._profile = self._changes.pop(0)
            self._path = self._next_path(self._path.queue)
        state = self._flows.get(flow)
        if state is None:
            state = self._flows[flow] = _Flow(self._random(f"flow {flow}"))
        self.statistics.sent += 1
        deliveries = self._deliver(elapsed, size, state)
        return [self._start + delivery for delivery in deliveries]

    def _next_path(self, queue: "_Queue | None") -> "_Path":
        path = _Path(self._profile, self._random(f"path {self._paths}"), queue)
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
        offset = path.delay_offset(now)

        entered = now
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


@dataclass(slots=True)
class _Draw:
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
        self._rng = rng
        self._state = 0
        self._deviate: float | None = None
        self.count = 0
        self.latest = -math.inf

    def draw(self) -> _Draw:
        uniform = self._rng.random
        return _Draw(
            uniform(), uniform(), uniform(), uniform(), uniform(), uniform(), self._rng.gauss(0.0, 1.0)
        )

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


class _Path:
    """Time-driven events of a path under one profile; times in seconds of the emulation."""

    def __init__(self, profile: NetworkProfile, rng: random.Random, queue: "_Queue | None" = None) -> None:
        self._profile = profile
        model = profile.loss_model
        self.chain = model.chain if isinstance(model, GilbertElliott) else model
        seeds = [rng.getrandbits(64) for _ in range(3)]
        self._stalls = _Recurring(_stalls(profile.stalls, random.Random(seeds[0])))
        self._handovers = _Recurring(_handovers(profile.handovers, random.Random(seeds[1])))
        self.queue = None
        if profile.rate is not None:
            self.queue = _Queue(profile.rate, profile.queue, profile.cross_traffic, random.Random(seeds[2]))
            if queue is not None:
                self.queue.continue_from(queue)

    def outage(self, now: float) -> tuple[OutageMode, float] | None:
        """(mode, end) of an outage at ``now``; None when packets pass."""
        for outage in self._profile.outages:
            if outage.start <= now < outage.start + outage.length:
                return outage.mode, outage.start + outage.length
        periodic = self._profile.periodic_outage
        if periodic is not None:
            begin = math.floor(now / periodic.period) * periodic.period
            if begin > 0 and now < begin + periodic.length:
                return periodic.mode, begin + periodic.length
        stall = self._stalls.at(now)
        if stall is not None and now < stall.end:
            return OutageMode.HOLD, stall.end
        handover = self._handovers.at(now)
        if handover is not None and self._profile.handovers is not None and now < handover.end:
            return self._profile.handovers.mode, handover.end
        return None

    def delay_offset(self, now: float) -> float:
        """Seconds to add to the profile's delay at ``now``."""
        handover = self._handovers.at(now)
        return self._profile.drift * now + (handover.value if handover is not None else 0.0)


@dataclass(slots=True)
class _Event:
    start: float
    end: float
    value: float = 0.0


class _Recurring:
    """The latest of a series of events.

    Held packets look ahead of the time of the ones after them, so a few are remembered.
    """

    def __init__(self, events: Iterator[_Event]) -> None:
        self._events = events
        self._known: deque[_Event] = deque(maxlen=16)
        self._next = next(events, None)

    def at(self, now: float) -> _Event | None:
        """The last event that began by ``now``; None before the first."""
        while self._next is not None and self._next.start <= now:
            self._known.append(self._next)
            self._next = next(self._events, None)
        for event in reversed(self._known):
            if event.start <= now:
                return event
        return None


def _stalls(stalls: Stalls | None, rng: random.Random) -> Iterator[_Event]:
    end = 0.0
    while stalls is not None:
        start = end + rng.expovariate(1 / stalls.interval)
        end = start + rng.uniform(stalls.shortest, stalls.longest)
        yield _Event(start, end)


def _handovers(handovers: Handovers | None, rng: random.Random) -> Iterator[_Event]:
    end = 0.0
    while handovers is not None:
        start = end + rng.expovariate(1 / handovers.interval)
        end = start + handovers.outage
        yield _Event(start, end, rng.uniform(0, handovers.step))


class _Queue:
    """A rate limiter with a drop-tail queue, measured in seconds of waiting."""

    def __init__(
        self, rate: float, limit: float, cross_traffic: CrossTraffic | None, rng: random.Random
    ) -> None:
        self._rate = rate
        self._limit = limit
        self._cross = cross_traffic
        self._rng = rng
        self._cross_on = False
        self._cross_change = math.inf
        if cross_traffic is not None:
            self._cross_change = rng.expovariate(1 / cross_traffic.off)
        self._now = 0.0
        self._backlog = 0.0

    def continue_from(self, earlier: "_Queue") -> None:
        """Take over what waits in ``earlier``."""
        self._advance(earlier._now)
        self._backlog = min(self._limit, earlier._backlog * earlier._rate / self._rate)

    def enter(self, now: float, size: int, chance: float) -> float | None:
        """When the last bit of the packet leaves; None when it is dropped."""
        self._advance(now)
        if self._backlog > self._limit:
            return None
        if self._cross_on and self._cross is not None and self._backlog >= self._limit * (1 - 1e-9):
            fitting = self._rate / max(self._cross.rate, self._rate)
            if chance >= fitting:
                return None
        self._backlog += size * 8 / self._rate
        return self._now + self._backlog

    def _advance(self, now: float) -> None:
        while self._now < now:
            until = min(now, self._cross_change)
            span = until - self._now
            inflow = self._cross.rate / self._rate if self._cross is not None and self._cross_on else 0.0
            level = self._backlog + (inflow - 1) * span
            self._backlog = max(0.0, min(level, max(self._limit, self._backlog - span)))
            self._now = until
            if until == self._cross_change and self._cross is not None:
                self._cross_on = not self._cross_on
                mean = self._cross.on if self._cross_on else self._cross.off
                self._cross_change = until + self._rng.expovariate(1 / mean)


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
