"""The adaptive baseline, after the rules of NetEq.

NetEq (the jitter buffer of libwebrtc) keeps a forgetting histogram of relative delays
and aims at a quantile of it. Two things are added here. A loss that a later packet
repairs enters the histogram as the delay its repair needed, within a bound: with
redundancy on the way, waiting for the next packet is worth as much as waiting for a late
one. And the delay is measured exactly, frame by frame, instead of as a filtered buffer
level.
"""

from softphone.playout.frames import Action
from softphone.playout.policies.control import DelayControl
from softphone.playout.policy import Arrival, Decision, Observation, PlayoutPolicy, PolicyConfig

__all__ = ["DelayHistogram", "HistogramPolicy"]


class DelayHistogram:
    """Forgetting histogram of delays in buckets of 20 ms.

    ``forget`` is the weight kept per new value. It rises to that from 0 over the first
    values, as ``1 - 2 / (n + 1)``, so that the start of a call counts.
    """

    BUCKET = 0.020
    BUCKETS = 150
    _SMALLEST_SCALE = 1e-100

    def __init__(self, forget: float) -> None:
        self._forget = forget
        self._added = 0
        # Old values are not made smaller, new ones are made larger: only one bucket changes.
        self._counts = [0.0] * self.BUCKETS
        self._total = 0.0
        self._scale = 1.0

    def add(self, delay: float) -> None:
        """Take in a delay, seconds."""
        self._added += 1
        keep = min(self._forget, 1.0 - 2.0 / (self._added + 1))
        self._scale *= keep
        if self._scale < self._SMALLEST_SCALE:
            self._counts = [count * self._scale for count in self._counts]
            self._total *= self._scale
            self._scale = 1.0
        weight = (1.0 - keep) / self._scale
        self._counts[min(self.BUCKETS - 1, max(0, int(delay / self.BUCKET)))] += weight
        self._total += weight

    def quantile(self, share: float) -> float:
        """Upper edge of the bucket below which ``share`` of the delays lie, seconds."""
        wanted = share * self._total
        reached = 0.0
        for bucket, count in enumerate(self._counts):
            reached += count
            if reached >= wanted:
                return (bucket + 1) * self.BUCKET
        return self.BUCKETS * self.BUCKET


class HistogramPolicy(PlayoutPolicy):
    """Aims at a quantile of the delays seen lately."""

    QUANTILE = 0.95
    FORGET = 0.9993
    """Per packet: a memory of about half a minute."""
    START_DELAY = 0.080
    MAX_REPAIR_WAIT = 0.120
    """Longest delay at which a repair is worth waiting for, seconds."""
    MAX_WAIT = 0.400
    """Longest wait for late packets before media is given up, seconds."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__(config)
        self.reset()

    def reset(self) -> None:
        """Forget the network."""
        self._histogram = DelayHistogram(self.FORGET)
        self._control = DelayControl()
        self._target = self.START_DELAY

    @property
    def start_delay(self) -> float:
        """80 ms, as NetEq starts."""
        return self.START_DELAY

    def on_arrival(self, arrival: Arrival) -> None:
        """Count the delay of a packet."""
        self._count(arrival.relative_delay)

    def on_repair(self, relative_delay: float) -> None:
        """Count the delay that a repair needed, unless it is not worth waiting for."""
        if relative_delay <= self.MAX_REPAIR_WAIT:
            self._count(relative_delay)

    def _count(self, delay: float) -> None:
        self._histogram.add(delay)
        self._target = self._histogram.quantile(self.QUANTILE)

    def decide(self, observation: Observation) -> Decision:
        """Steer to the quantile; wait for what may still come."""
        limit = self.config.max_delay - (observation.mouth_to_ear - observation.delay)
        target = max(0.0, min(self._target, limit))
        if observation.nothing_held and observation.waited < self.MAX_WAIT:
            return Decision(Action.WAIT, observation.best, target)
        return self._control.steer(observation, target)
