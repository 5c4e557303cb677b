"""How much may be sent: less when the path is congested, more again step by step.

The law, with the rate of everything sent, headers included:

- Congestion: the rate becomes 0.85 times what arrives at the peer. What arrives through a
  full queue is what the bottleneck carries, so the queue drains at once, however far above
  it we were (multiplicative decrease of the measured rate: draft-ietf-rmcat-gcc-02,
  section 5.5).
- While the queue drains, nothing changes.
- When it has been gone for 5 s, probes: 10 % more, and as long as no queue appears, 10 %
  more again, up to 0.95 times what arrived when the queue was there. With reports that
  come every few seconds these steps are 5 %, since a queue grows that long before it is seen.
- Beyond that goes one step after 10 s. If it meets congestion, it is taken back to a little
  less than what worked, and the next one waits twice as long, up to 40 s. If it doesn't,
  the bottleneck has opened, and the steps follow each other up to the allowed rate.
- A delay that decreases don't change isn't ours. Two of them without loss: the path has become
  longer, and the rate from before returns. Three with loss: the queue is somebody else's,
  or the link carries less than a call needs. The rate stays until that queue is gone or grows.

Loss without a queue changes nothing here: redundancy answers it, within the same rate.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from softphone.sending.config import CongestionTuning
from softphone.sending.network import NetworkReport
from softphone.sending.queue_signal import Queue, QueueSignal, QueueWatch

__all__ = ["CongestionControl", "RateLimit", "RateState", "SentRate"]

_OUTAGE: Final = 0.95
"""Fraction lost from which a report knows nothing of queues: hardly anything has arrived."""


class RateState(StrEnum):
    """What the congestion control is about."""

    STEADY = "steady"
    """All that is allowed may be sent."""
    BACKING_OFF = "backing off"
    """The rate was lowered, and the queue isn't gone yet."""
    HOLDING = "holding"
    """The queue is gone; the rate stays low for a while."""
    PROBING = "probing"
    """The rate was raised by a step, and nothing has gone wrong so far."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How much may be sent."""

    state: RateState = RateState.STEADY
    wire_bps: int | None = None
    """Most to send, headers included, in bit/s; None: all that is allowed."""
    reason: str = ""
    """Why it is so, for people; empty before the first congestion."""


@dataclass(frozen=True, slots=True)
class SentRate:
    """What we send, may send and must send, in bit/s with headers where nothing else is said."""

    wire_bps: int
    """Now."""
    payload_bps: int
    """The payload of it."""
    most_bps: int
    """Most that may ever be sent."""
    least_bps: int
    """Least that makes a call."""


class CongestionControl:
    """Turns reports into a `RateLimit`. Time is that of the reports."""

    def __init__(self, tuning: CongestionTuning | None = None) -> None:
        self._tuning = tuning or CongestionTuning()
        self._watch = QueueWatch(self._tuning)
        self._limit = RateLimit()
        self._hold = self._tuning.hold
        self._since = 0.0
        self._last_report: float | None = None
        self._interval = 1.0
        # Of the present or latest congestion.
        self._cuts = 0
        self._first_delay = self._last_delay = 0.0
        self._arrived = 0.0
        self._before: int | None = None
        # Of the probes.
        self._worked = 0
        self._ceiling: float | None = None
        self.backoffs = 0
        """Times the rate was lowered because of congestion."""
        self.probes = 0
        """Steps up."""
        self.probes_failed = 0
        """Steps up that met congestion."""

    @property
    def limit(self) -> RateLimit:
        """What holds now."""
        return self._limit

    def on_report(self, report: NetworkReport, sent: SentRate) -> bool:
        """Take in a valid report; True when its losses are those of a queue that we filled."""
        if self._last_report is not None:
            self._interval = min(5.0, max(0.2, report.at - self._last_report))
        self._last_report = report.at
        signal = self._watch.judge(report)
        if signal.queue is Queue.CONGESTED:
            arrived = (1.0 - report.fraction_lost) * sent.wire_bps
            if report.received_bps is not None:
                # What waits in the queue isn't lost, and hasn't arrived either.
                arrived = report.received_bps * sent.wire_bps / sent.payload_bps
            self._on_congestion(report.at, signal, sent, min(arrived, sent.wire_bps))
        elif signal.queue is Queue.EMPTY and signal.loss < _OUTAGE:
            self._on_calm(report.at, signal, sent.most_bps)
        self._last_delay = signal.delay
        return signal.queue is not Queue.EMPTY and self._limit.state is RateState.BACKING_OFF

    def release(self) -> None:
        """Lift the limit: nobody wants it any more."""
        self._set(RateState.STEADY, None, "the rate is fixed")

    def on_round_trip(self, seconds: float) -> None:
        """Take in a round trip that was measured before anything was sent."""
        self._watch.on_round_trip(seconds)

    def _on_congestion(self, now: float, signal: QueueSignal, sent: SentRate, arrived: float) -> None:
        state = self._limit.state
        if state is RateState.PROBING:
            self.probes_failed += 1
            self._ceiling = max(self._worked, arrived)
            self._wait_longer()
            self._begin(now, signal, self._worked)
            lowered = max(self._tuning.failed_probe * self._worked, sent.least_bps)
            self._set(RateState.BACKING_OFF, round(lowered), f"{signal}: the probe has failed")
            return
        if state is not RateState.BACKING_OFF:
            if state is RateState.STEADY:
                self._relapse(now)
            self._begin(now, signal, self._limit.wire_bps)
        elif self._eases(signal) or self._gave_up(now, signal):
            return
        # Speech has pauses, in which less arrives than could.
        self._ceiling = self._arrived = max(self._arrived, arrived)
        self._cut(now, signal, sent)

    def _cut(self, now: float, signal: QueueSignal, sent: SentRate) -> None:
        tuning = self._tuning
        self._cuts += 1
        self.backoffs += 1
        self._since = now
        arrived = min(self._arrived, sent.wire_bps)
        lowered = max(tuning.decrease * arrived, tuning.least_decrease * sent.wire_bps)
        self._set(RateState.BACKING_OFF, round(max(lowered, sent.least_bps)), str(signal))

    def _relapse(self, now: float) -> None:
        if not self._limit.reason or now - self._since >= self._tuning.hold_max:
            self._hold = self._tuning.hold
        self._wait_longer()

    def _wait_longer(self) -> None:
        self._hold = min(2.0 * self._hold, self._tuning.hold_max)

    def _begin(self, now: float, signal: QueueSignal, before: int | None) -> None:
        self._cuts = 0
        self._since = now
        self._first_delay = signal.delay
        self._arrived = 0.0
        self._before = before

    def _eases(self, signal: QueueSignal) -> bool:
        """Whether the last decrease works already, although the trend doesn't show it yet."""
        return not signal.rare and signal.delay < self._last_delay

    def _gave_up(self, now: float, signal: QueueSignal) -> bool:
        """Whether lowering the rate any further would be of no use."""
        tuning = self._tuning
        lossy = signal.loss >= tuning.queue_loss
        if self._cuts < (tuning.cuts if lossy else 2) or signal.delay < 0.8 * self._first_delay:
            return False
        if lossy:
            self._watch.tolerate(signal.delay)
            self._calm(now, f"{signal} whatever we send")
            return True
        self._watch.accept(signal.delay)
        if self._before is None:
            self._steady(now, "the path has become longer")
        else:
            self._limit = replace(self._limit, wire_bps=self._before)
            self._calm(now, "the path has become longer")
        return True

    def _on_calm(self, now: float, signal: QueueSignal, allowed: int) -> None:
        tuning, state, limit = self._tuning, self._limit.state, self._limit.wire_bps
        if limit is None:
            return
        if state is RateState.BACKING_OFF:
            self._calm(now, "the queue is gone")
        elif state is RateState.HOLDING:
            if now - self._since >= (self._hold if self._crosses(limit) else tuning.hold):
                self._step(now, signal, limit, allowed)
        elif now - self._since >= max(tuning.step_after, 1.9 * self._interval):
            if self._ceiling is not None and limit > self._ceiling:
                self._ceiling, self._hold = None, tuning.hold
            if limit >= allowed:
                self._steady(now, "all that is allowed gets through")
            elif self._crosses(limit):
                self._calm(now, "the queue began not far above")
            else:
                self._step(now, signal, limit, allowed)

    def _crosses(self, limit: int) -> bool:
        """Whether the next step leads to where the queue began the last time."""
        return self._ceiling is not None and limit >= round(self._tuning.near_ceiling * self._ceiling)

    def _calm(self, now: float, reason: str) -> None:
        self._since = now
        self._set(RateState.HOLDING, self._limit.wire_bps, reason)

    def _step(self, now: float, signal: QueueSignal, limit: int, allowed: int) -> None:
        self._worked = limit
        self._since = now
        self.probes += 1
        careful = signal.rare and self._ceiling is not None
        step = self._tuning.rare_step if careful else self._tuning.step
        raised = min((1.0 + step) * limit, allowed)
        if self._ceiling is not None and not self._crosses(limit):
            raised = min(raised, self._tuning.near_ceiling * self._ceiling)
        self._set(RateState.PROBING, round(raised), "no queue: trying more")

    def _steady(self, now: float, reason: str) -> None:
        self._since = now
        self._set(RateState.STEADY, None, reason)

    def _set(self, state: RateState, wire_bps: int | None, reason: str) -> None:
        self._limit = RateLimit(state, wire_bps, reason)
