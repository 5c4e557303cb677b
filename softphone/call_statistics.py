"""What is known of a call while it goes on, and afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from softphone.playout import Source
from softphone.sending import RedundancyPlan, SendingStatistics

__all__ = ["CallStatistics", "DelayStatistics"]


@dataclass(frozen=True, slots=True)
class DelayStatistics:
    """A distribution of delays, seconds; zeros when nothing was played."""

    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    maximum: float = 0.0

    def plus(self, seconds: float) -> "DelayStatistics":
        """The same distribution, `seconds` later; nothing stays nothing."""
        if not self.maximum:
            return self
        return DelayStatistics(
            self.mean + seconds,
            self.p50 + seconds,
            self.p95 + seconds,
            self.p99 + seconds,
            self.maximum + seconds,
        )


@dataclass(frozen=True, slots=True)
class CallStatistics:
    """A snapshot of one call. Times in seconds, packets and frames cumulative."""

    duration: float = 0.0
    """Since audio could flow; 0 before."""
    frames: Mapping[Source, int] = field(default_factory=dict)
    """Frames of 20 ms that were played, by what they were made of."""
    interruptions: int = 0
    """Gaps of 150 ms and more that were only concealed."""
    interrupted: float = 0.0
    """Their length together."""
    packets_expected: int = 0
    """Packets the peer has sent, as far as their numbers tell."""
    packets_lost: int = 0
    packets_late: int = 0
    packets_discarded: int = 0
    packets_duplicated: int = 0
    fraction_lost: float = 0.0
    """Share of the peer's latest packets (20 s at most) that did not arrive, 0..1."""
    mean_burst: float | None = None
    """Mean run of losses among them, packets; None without loss."""
    remote_fraction_lost: float | None = None
    """Share of our packets that did not arrive, from the peer's last report; None before the first."""
    round_trip: float | None = None
    """From the peer's last report; None before."""
    delay: float | None = None
    """From mouth to ear at this moment, without sound cards; None while nothing is played."""
    delays: DelayStatistics = field(default_factory=DelayStatistics)
    """The same over the whole call."""
    buffering: DelayStatistics = field(default_factory=DelayStatistics)
    """The part of it beyond the fastest packet's: what the playout buffer and jitter took."""
    time_inserted: float = 0.0
    """Audio added by time-stretching."""
    time_removed: float = 0.0
    """Audio taken away by time-stretching."""
    policy_fallbacks: int = 0
    """Times another playout policy had to take over from the one that was chosen."""
    plan: RedundancyPlan | None = None
    """How our speech is protected now; None before the first packet."""
    sending: SendingStatistics = field(default_factory=SendingStatistics)
    """What was sent."""
    silent_for: float = 0.0
    """Since anything came from the peer, be it audio or a report."""
    signaling_lost: bool = False
    """The call goes on without its signalling connection."""
    muted: bool = False
    warnings: tuple[str, ...] = ()
    """What is wrong with microphone or loudspeaker at this moment, in sentences."""

    @property
    def repaired(self) -> int:
        """Lost frames that redundancy brought back."""
        return sum(self.frames.get(source, 0) for source in (Source.RED, Source.LBRR, Source.DRED))

    @property
    def repaired_share(self) -> float | None:
        """Share of the missing frames that redundancy brought back, 0..1; None when none was missing."""
        missing = self.repaired + self.frames.get(Source.PLC, 0)
        return self.repaired / missing if missing else None
