"""Is the path congested? What one report says about the queue in front of its bottleneck.

Loss alone isn't congestion: radio links and lossy access networks drop packets whatever is
sent. What gives congestion away is that packets wait. Our own peers report how long; of
others, the round trip tells, less its shortest value. What waits on a busy machine before it
leaves isn't in a queue of the network: sending less wouldn't make it any shorter.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from softphone.sending.config import CongestionTuning
from softphone.sending.network import NetworkReport

__all__ = ["Queue", "QueueSignal", "QueueWatch"]


class Queue(StrEnum):
    """What the queue does."""

    EMPTY = "empty"
    """Packets wait no longer than jitter explains, or nothing is known."""
    DRAINING = "draining"
    """There is a queue, and it gets shorter."""
    CONGESTED = "congested"
    """It grows, is full, or stands."""
    TOLERATED = "tolerated"
    """It stands whatever we send, and hasn't grown since that was found out."""


@dataclass(frozen=True, slots=True)
class QueueSignal:
    """The verdict on one report."""

    queue: Queue
    delay: float
    """Seconds that packets wait."""
    loss: float
    """Fraction lost in the same time."""
    rare: bool
    """The report comes from a peer that reports every few seconds, by round trip only."""

    def __str__(self) -> str:
        """For people, like "a queue of 180 ms and 12 % loss"."""
        text = f"a queue of {1000 * self.delay:.0f} ms"
        return f"{text} and {100 * self.loss:.0f} % loss" if self.loss >= 0.005 else text


class QueueWatch:
    """Judges reports, one after the other."""

    def __init__(self, tuning: CongestionTuning) -> None:
        self._tuning = tuning
        self._round_trips: deque[tuple[float, float]] = deque(maxlen=256)
        self._first_report: float | None = None
        self._unloaded = math.inf
        self._last_excess = 0.0
        self._path = 0.0
        self._tolerated = 0.0

    def accept(self, delay: float) -> None:
        """Take `delay` seconds of waiting for a part of the path."""
        self._path += delay

    def tolerate(self, delay: float) -> None:
        """Take `delay` seconds of waiting for a queue that isn't ours, as long as it lasts."""
        self._tolerated = delay

    def on_round_trip(self, seconds: float) -> None:
        """A round trip from before anything was sent. Reports that come every few seconds may
        never see an empty queue."""
        if 0.0 <= seconds < self._unloaded:
            self._unloaded = seconds

    def judge(self, report: NetworkReport) -> QueueSignal:
        """The verdict on a report, which must be valid and newer than the last one."""
        if report.queueing_delay is not None:
            return self._judge_delay(report, report.queueing_delay)
        if report.round_trip is not None:
            return self._judge_round_trip(report, report.round_trip)
        return QueueSignal(Queue.EMPTY, 0.0, report.fraction_lost, rare=True)

    def _judge_delay(self, report: NetworkReport, measured: float) -> QueueSignal:
        tuning = self._tuning
        delay = self._beyond_path(max(0.0, measured - report.own_wait))
        noise = tuning.jitters * report.jitter
        trend, loss = report.delay_trend, report.fraction_lost
        if delay <= max(tuning.queue, noise):
            queue = Queue.EMPTY
        elif delay <= self._tolerated + max(tuning.queue, noise):
            queue = Queue.TOLERATED
        elif trend <= tuning.drain:
            queue = Queue.DRAINING
        elif trend >= tuning.growth or loss >= tuning.queue_loss or delay > max(tuning.standing_queue, noise):
            queue = Queue.CONGESTED
        else:
            queue = Queue.DRAINING
        return QueueSignal(queue, delay, loss, rare=False)

    def _judge_round_trip(self, report: NetworkReport, round_trip: float) -> QueueSignal:
        tuning = self._tuning
        while self._round_trips and self._round_trips[0][0] < report.at - tuning.floor_window:
            self._round_trips.popleft()
        self._round_trips.append((report.at, round_trip))
        shortest = min(value for _, value in self._round_trips)
        if self._first_report is None:
            self._first_report = report.at
        if report.at - self._first_report < tuning.floor_window:
            shortest = min(shortest, self._unloaded)
        excess = self._beyond_path(round_trip - shortest)
        before, self._last_excess = self._last_excess, excess
        threshold = max(tuning.round_trip_queue, tuning.round_trip_jitters * report.jitter)
        if excess <= threshold:
            queue = Queue.EMPTY
        elif excess <= self._tolerated + threshold:
            queue = Queue.TOLERATED
        elif report.fraction_lost >= tuning.queue_loss or before > threshold:
            # One long round trip alone may be a packet that was held up. Falling by less than a
            # quarter from one report to the next isn't draining: there are seconds between them.
            queue = Queue.DRAINING if excess < 0.75 * before else Queue.CONGESTED
        else:
            queue = Queue.DRAINING
        return QueueSignal(queue, excess, report.fraction_lost, rare=True)

    def _beyond_path(self, delay: float) -> float:
        self._path = min(self._path, max(0.0, delay))
        beyond = max(0.0, delay - self._path)
        self._tolerated = min(self._tolerated, beyond)
        return beyond
