"""The redundancy planner: reports in, plan out."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from softphone.errors import ConfigError
from softphone.sending.config import SendingConfig
from softphone.sending.congestion import CongestionControl, RateLimit, SentRate
from softphone.sending.framing import FrameLengthChoice, overhead_bps
from softphone.sending.modes import MODES, Mode
from softphone.sending.network import NetworkEstimate, NetworkEstimator, NetworkReport, NetworkState
from softphone.sending.plan import Means, RedundancyPlan, fit

__all__ = ["PlanRecord", "RedundancyPlanner"]

_HISTORY: Final = 1000
# Weakest first.
_STRENGTH: Final = (
    Means.NONE,
    Means.LBRR,
    Means.RED,
    Means.LBRR | Means.RED,
    Means.DRED,
    Means.LBRR | Means.DRED,
    Means.DRED | Means.RED,
)
# What an unknown network is taken to be.
_ASSUMED_LOSS: Final = 0.20
_ASSUMED_BURST: Final = 5.0


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One change of plan and what it rested on."""

    at: float
    """When, in seconds."""
    plan: RedundancyPlan
    """The plan from then on."""
    network: NetworkEstimate
    """What was known of the network."""
    limit: RateLimit
    """What the congestion control allowed."""
    reason: str
    """Why the plan or the state of the congestion control changed, for people."""

    def __str__(self) -> str:
        """For people: the plan and the reason for it."""
        return f"{self.plan} ({self.reason})"


class RedundancyPlanner:
    """Chooses how much of which redundancy to send.

    A call starts protected, since nobody knows the network yet; protection is dropped
    once reports show a clean one and comes back with the first losses. On a congested path
    mode `auto` sends less in all, in longer packets where headers would outweigh the speech.
    Times only need a common origin; nothing here reads a clock.
    """

    def __init__(self, config: SendingConfig) -> None:
        """Raises :class:`ConfigError` when the configured mode doesn't exist."""
        self._estimator = NetworkEstimator(config.tuning)
        self._history: deque[PlanRecord] = deque(maxlen=_HISTORY)
        self._current: RedundancyPlan | None = None
        self._changed_at = 0.0
        self._reports_ignored = 0
        self._seen: NetworkEstimate | None = None
        self._wanted: RedundancyPlan | None = None
        self._config, self._mode = config, _mode(config)
        self._congestion = CongestionControl(config.congestion)
        self._framing = FrameLengthChoice(config)
        self._room = self._planned_room = (config.frame_ms, config.bitrate)
        self._limit_noted = RateLimit()

    @property
    def config(self) -> SendingConfig:
        """The settings in force."""
        return self._config

    @property
    def history(self) -> tuple[PlanRecord, ...]:
        """Changes of plan and of the congestion control's state, oldest first, the first plan
        included; the newest 1000."""
        return tuple(self._history)

    @property
    def reports_ignored(self) -> int:
        """Reports that were out of range or out of order."""
        return self._reports_ignored

    @property
    def congestion(self) -> CongestionControl:
        """The congestion control, for its state and counters."""
        return self._congestion

    def reconfigure(self, config: SendingConfig) -> None:
        """Take new settings (rate, mode, what the peer can use); they hold from the next plan.

        What is known of the network is kept. Raises :class:`ConfigError` when the mode
        doesn't exist.
        """
        self._mode = _mode(config)
        self._config = config
        self._framing = FrameLengthChoice(config)
        self._seen = self._current = None
        if not self._backs_off and self._congestion.limit.wire_bps is not None:
            self._congestion.release()

    def on_report(self, report: NetworkReport) -> None:
        """Take in what the peer reports. Bad and outdated reports are counted and ignored."""
        if not self._estimator.accepts(report):
            self._reports_ignored += 1
            return
        congested = False
        if self._backs_off:
            congested = self._congestion.on_report(report, self._sent_rate())
        self._estimator.on_report(report, congested=congested)

    def on_round_trip(self, seconds: float) -> None:
        """Take in a round trip that was measured before anything was sent, in seconds."""
        self._congestion.on_round_trip(seconds)

    def plan(self, now: float) -> RedundancyPlan:
        """The plan at time `now` in seconds; cheap enough to ask for each packet."""
        network = self._estimator.estimate(now)
        room = self._room_for_speech(now)
        if self._wanted is None or network != self._seen or room != self._room:
            self._seen, self._room = network, room
            self._wanted = self._choose(network, replace(self._config, frame_ms=room[0], bitrate=room[1]))
        wanted, current, limit = self._wanted, self._current, self._congestion.limit
        if current is None or (wanted != current and self._may_change(current, wanted, now)):
            self._note(now, wanted, network, limit)
            self._current, self._changed_at, self._planned_room = wanted, now, room
            return wanted
        if limit.state is not self._limit_noted.state:
            self._note(now, current, network, limit)
        return current

    @property
    def _adapts(self) -> bool:
        return self._config.mode == "auto"

    @property
    def _backs_off(self) -> bool:
        return self._adapts and self._config.back_off

    def _sent_rate(self) -> SentRate:
        config, plan = self._config, self._current
        most = config.bitrate + overhead_bps(config.frame_ms)
        least = min(most, self._framing.least_wire_bps)
        if plan is None:
            return SentRate(most, config.bitrate, most, least)
        payload = plan.total_bitrate
        return SentRate(payload + overhead_bps(plan.frame_ms), payload, most, least)

    def _room_for_speech(self, now: float) -> tuple[int, int]:
        """Length of packets in ms and rate of their payload in bit/s."""
        config = self._config
        if not self._adapts:
            return config.frame_ms, config.bitrate
        limit = self._congestion.limit.wire_bps
        most = config.bitrate + overhead_bps(config.frame_ms)
        return self._framing.choose(most if limit is None else min(limit, most), now)

    def _choose(self, network: NetworkEstimate, config: SendingConfig) -> RedundancyPlan:
        # The quick estimate jumps with each burst; it counts for half, for the first seconds.
        loss, burst = max(network.mean_loss, 0.5 * network.loss), network.mean_burst
        if network.state is NetworkState.UNKNOWN:
            loss, burst = _ASSUMED_LOSS, _ASSUMED_BURST
        for means in self._mode(network, config):
            if means & Means.LBRR and not config.peer_fec:
                continue
            if means & Means.DRED and config.peer_dred_ms <= 0:
                continue
            if means & Means.RED and not config.peer_red:
                continue
            plan = fit(means, loss, burst, config)
            if plan is not None:
                return plan
        plan = fit(Means.NONE, 0.0, None, config)
        assert plan is not None
        return plan

    def _may_change(self, current: RedundancyPlan, wanted: RedundancyPlan, now: float) -> bool:
        """Changes of the room for speech can't wait; all others have their time."""
        if self._room != self._planned_room:
            return True
        return now - self._changed_at >= self._patience(current, wanted)

    def _note(self, now: float, plan: RedundancyPlan, network: NetworkEstimate, limit: RateLimit) -> None:
        before, self._limit_noted = self._limit_noted, limit
        reason = f"{limit.state}: {limit.reason}" if limit != before else str(network)
        self._history.append(PlanRecord(now, plan, network, limit, reason))

    def _patience(self, current: RedundancyPlan, wanted: RedundancyPlan) -> float:
        """Seconds that `current` must have lasted before `wanted` may replace it."""
        tuning = self._config.tuning
        if current.means is Means.NONE:
            return 0.0
        before, after = _strength(current), _strength(wanted)
        return tuning.step_up_after if after > before else tuning.dwell


def _strength(plan: RedundancyPlan) -> tuple[int, int]:
    """Orders plans by how much they protect."""
    return _STRENGTH.index(plan.means), plan.packet_loss_perc


def _mode(config: SendingConfig) -> Mode:
    try:
        return MODES[config.mode]
    except KeyError:
        raise ConfigError(f"redundancy must be one of {', '.join(MODES)}, not {config.mode!r}") from None
