"""What happens to an emulated path as time goes by, whoever sends: outages, stalls, the queue.

Times are seconds since the emulation began.
"""

import math
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from softphone.sim.profile import (
    CrossTraffic,
    GilbertElliott,
    Handovers,
    NetworkProfile,
    OutageMode,
    Stalls,
)

__all__ = ["Path", "Queue"]


class Path:
    """The state of a path under one profile."""

    def __init__(self, profile: NetworkProfile, rng: random.Random) -> None:
        self._profile = profile
        self.has_events: bool = bool(
            profile.outages or profile.periodic_outage or profile.stalls or profile.handovers or profile.drift
        )
        model = profile.loss_model
        self.chain = model.chain if isinstance(model, GilbertElliott) else model
        seeds = [rng.getrandbits(64) for _ in range(3)]
        self._stalls = _Recurring(_stalls(profile.stalls, random.Random(seeds[0])))
        self._handovers = _Recurring(_handovers(profile.handovers, random.Random(seeds[1])))
        self.queue = None
        if profile.rate is not None:
            self.queue = Queue(profile.rate, profile.queue, profile.cross_traffic, random.Random(seeds[2]))

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


class Queue:
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

    def take_over(self, earlier: "Queue", now: float) -> None:
        """Continue with what waits in ``earlier`` at ``now``."""
        earlier._advance(now)
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
