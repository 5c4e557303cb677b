"""What the reports of the receiver say about the network."""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from softphone.sending.config import PlannerTuning

__all__ = ["NetworkEstimate", "NetworkEstimator", "NetworkReport", "NetworkState"]


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """What one receiver report says about our packets on their way to the peer."""

    at: float
    """When the report came, in seconds."""
    fraction_lost: float
    """Fraction of the packets that were lost, 0..1."""
    mean_burst: float | None = None
    """Mean length of a run of losses in packets, >= 1; None when the peer doesn't say
    (RFC 3550) or nothing was lost."""
    round_trip: float | None = None
    """Round-trip time in seconds; None when unknown."""
    jitter: float = 0.0
    """Interarrival jitter in seconds (RFC 3550, section 6.4.1)."""
    span: float | None = None
    """Seconds of media that the report covers; None: all since the report before."""
    queueing_delay: float | None = None
    """Seconds that packets wait in queues on their way; None when the peer doesn't say."""
    delay_trend: float = 0.0
    """Growth of `queueing_delay` in seconds per second."""
    received_bps: float | None = None
    """Payload that reached the peer in bit/s; None when it doesn't say."""
    own_wait: float = 0.0
    """Seconds of `queueing_delay` that packets may have waited on this machine, before they left."""

    def is_valid(self) -> bool:
        """False when a field is out of range or not a number."""
        burst = self.mean_burst
        return (
            math.isfinite(self.at)
            and 0.0 <= self.fraction_lost <= 1.0
            and (burst is None or 1.0 <= burst < math.inf)
            and (self.span is None or 0.0 <= self.span < math.inf)
            and (self.round_trip is None or 0.0 <= self.round_trip < math.inf)
            and 0.0 <= self.jitter < math.inf
            and (self.queueing_delay is None or 0.0 <= self.queueing_delay < math.inf)
            and math.isfinite(self.delay_trend)
            and (self.received_bps is None or 0.0 <= self.received_bps < math.inf)
            and 0.0 <= self.own_wait < math.inf
        )


class _Covered(NamedTuple):
    begin: float
    loss: float
    weight: float


class NetworkState(StrEnum):
    """How much is known of the network."""

    UNKNOWN = "unknown"
    """No report yet, or none for long, or no loss so far but not for long enough."""
    CLEAN = "clean"
    """As good as no loss for some seconds."""
    LOSSY = "lossy"
    """Loss, or not yet long enough without it."""


@dataclass(frozen=True, slots=True)
class NetworkEstimate:
    """The planner's view of the network."""

    state: NetworkState
    """How much is known."""
    loss: float
    """Fraction lost, 0..1: quick to rise, slow to fall."""
    mean_loss: float
    """Fraction lost, 0..1, evenly weighed over some seconds."""
    mean_burst: float | None
    """Mean run of losses in packets; None when nobody says."""
    bursty: bool
    """Losses come in runs too long for LBRR."""
    moderate: bool
    """Enough loss for LBRR and DRED together."""
    high: bool
    """So much loss that it comes in runs, independent or not."""

    def __str__(self) -> str:
        """For people, like "20 % loss in runs of 3.1"."""
        if self.state is NetworkState.UNKNOWN:
            return "the network isn't known yet"
        if self.state is NetworkState.CLEAN:
            return "no loss"
        text = f"{100 * self.mean_loss:.0f} % loss"
        return text if self.mean_burst is None else f"{text} in runs of {self.mean_burst:.1f}"


class NetworkEstimator:
    """Turns reports into a `NetworkEstimate`. Pure arithmetic on the reports' own times."""

    def __init__(self, tuning: PlannerTuning | None = None) -> None:
        self._tuning = tuning or PlannerTuning()
        self._clean_window = self._tuning.clean_window
        self._forget()

    def _forget(self) -> None:
        self._window: deque[_Covered] = deque(maxlen=1024)
        self._last: NetworkReport | None = None
        self._known_from = 0.0
        self._loss_seen = False
        self._loss = 0.0
        self._mean_loss: float | None = None
        self._lost_packets = 0.0
        self._lost_runs = 0.0
        self._bursty = self._moderate = self._high = False
        self._clean_since: float | None = None

    def accepts(self, report: NetworkReport) -> bool:
        """Whether a report is valid and newer than the last."""
        return report.is_valid() and (self._last is None or report.at > self._last.at)

    def on_report(self, report: NetworkReport, *, congested: bool = False) -> bool:
        """Take in a report; False when it is invalid or older than the last.

        With `congested` its losses are our own doing: they tell nothing of what the network
        loses otherwise, and more redundancy would make them worse. Then only the time counts.
        """
        if not self.accepts(report):
            return False
        last, tuning = self._last, self._tuning
        if last is not None and report.at - last.at > tuning.stale_after:
            self._forget()
            last = None
        if congested:
            self._last = report
            if self._clean_since is None:
                # A verdict "clean" needs a whole window without congestion.
                self._known_from = report.at
            return True
        elapsed = report.at - last.at if last else 0.0
        span = report.span if report.span is not None else elapsed
        if last is None:
            self._known_from = report.at - span
            self._loss = report.fraction_lost
        else:
            rising = report.fraction_lost > self._loss
            constant = tuning.loss_attack if rising else tuning.loss_release
            self._loss += (report.fraction_lost - self._loss) * (1.0 - math.exp(-elapsed / constant))
        self._last = report
        self._loss_seen = self._loss_seen or report.fraction_lost > tuning.clean_loss
        self._update_mean(report, elapsed)
        self._update_bursts(report, elapsed)
        self._update_flags()
        self._window.append(_Covered(report.at - span, report.fraction_lost, elapsed or span))
        self._update_clean(report)
        return True

    def estimate(self, now: float) -> NetworkEstimate:
        """The view at time `now` in seconds."""
        if self._last is None or now - self._last.at > self._tuning.stale_after:
            return NetworkEstimate(NetworkState.UNKNOWN, 0.0, 0.0, None, False, False, False)
        if self._clean_since is not None:
            state = NetworkState.CLEAN
        else:
            state = NetworkState.LOSSY if self._loss_seen else NetworkState.UNKNOWN
        mean = self._mean_loss or 0.0
        return NetworkEstimate(
            state, self._loss, mean, self._mean_burst(), self._bursty, self._moderate, self._high
        )

    def _update_mean(self, report: NetworkReport, elapsed: float) -> None:
        if self._mean_loss is None:
            self._mean_loss = report.fraction_lost
        share = 1.0 - math.exp(-elapsed / self._tuning.loss_memory)
        self._mean_loss += (report.fraction_lost - self._mean_loss) * share

    def _update_bursts(self, report: NetworkReport, elapsed: float) -> None:
        fade = math.exp(-elapsed / self._tuning.burst_memory)
        self._lost_packets *= fade
        self._lost_runs *= fade
        if report.mean_burst is not None and report.fraction_lost > 0.0:
            # In any unit: only the ratio counts, and the loss gives each report its weight.
            weight = report.fraction_lost * max(elapsed, 0.1)
            self._lost_packets += weight
            self._lost_runs += weight / report.mean_burst

    def _mean_burst(self) -> float | None:
        return self._lost_packets / self._lost_runs if self._lost_runs > 1e-4 else None

    def _update_flags(self) -> None:
        tuning = self._tuning
        # What kind of network it is shows in the mean; the quick estimate leans to the worst second.
        mean = self._mean_loss or 0.0
        self._moderate = _hold(self._moderate, mean, tuning.moderate_loss, tuning.loss_hysteresis)
        self._high = _hold(self._high, mean, tuning.high_loss, tuning.loss_hysteresis)
        burst = self._mean_burst()
        if burst is None:
            self._bursty = self._moderate
        else:
            self._bursty = burst > (tuning.burst_leave if self._bursty else tuning.burst_enter)

    def _update_clean(self, report: NetworkReport) -> None:
        tuning = self._tuning
        mean = self._window_loss(report.at - self._clean_window)
        if self._clean_since is None:
            known = report.at - self._known_from >= self._clean_window
            if known and mean <= tuning.clean_loss and report.fraction_lost <= tuning.relapse_loss:
                self._clean_since = report.at
                self._loss = report.fraction_lost
        elif report.fraction_lost >= tuning.alarm_loss or mean >= tuning.relapse_loss:
            self._end_clean(report.at)

    def _window_loss(self, begin: float) -> float:
        """Mean loss over the newest reports that reach back to `begin`; older ones are dropped."""
        needed = 0
        loss = weight = 0.0
        for covered in reversed(self._window):
            needed += 1
            loss += covered.loss * covered.weight
            weight += covered.weight
            if covered.begin <= begin:
                break
        while len(self._window) > needed:
            self._window.popleft()
        return loss / weight if weight > 0.0 else self._window[-1].loss

    def _end_clean(self, at: float) -> None:
        assert self._clean_since is not None
        tuning = self._tuning
        if at - self._clean_since <= tuning.relapse_within:
            self._clean_window = min(2.0 * self._clean_window, tuning.clean_window_max)
        else:
            self._clean_window = tuning.clean_window
        self._clean_since = None
        self._loss_seen = True
        # The next verdict needs a whole window of its own.
        self._known_from = at


def _hold(on: bool, value: float, threshold: float, hysteresis: float) -> bool:
    return value >= (threshold - hysteresis if on else threshold)
