"""Settings of the sending side of a call."""

from dataclasses import dataclass, field
from typing import Final

from softphone.errors import ConfigError

__all__ = ["FRAME_LENGTHS_MS", "PACKET_OVERHEAD", "CongestionTuning", "PlannerTuning", "SendingConfig"]

FRAME_LENGTHS_MS: Final = (10, 20, 40, 60)
"""Packet lengths that can be sent, in ms."""

PACKET_OVERHEAD: Final = 50
"""Bytes that the network carries beside the payload: IPv4 20, UDP 8, RTP 12, SRTP tag 10."""

_MIN_BITRATE: Final = 6_000
_MAX_BITRATE: Final = 510_000


@dataclass(frozen=True, slots=True)
class PlannerTuning:
    """Thresholds and time constants of the planner. The defaults rest on measured quality."""

    both_from_bps: int = 45_000
    """Rate from which LBRR and DRED together beat each alone."""
    high_loss: float = 0.30
    """Fraction lost from which even independent losses make bursts too long for LBRR."""
    moderate_loss: float = 0.15
    """Fraction lost from which LBRR and DRED together are worth their bits, and from which
    a report that doesn't know its bursts is taken to be bursty."""
    loss_hysteresis: float = 0.03
    """A loss threshold that was passed holds until the loss is this much below it."""
    burst_enter: float = 1.4
    """Mean burst in packets above which losses count as bursty."""
    burst_leave: float = 1.25
    """Mean burst in packets below which bursty losses count as independent again."""
    long_burst: float = 3.5
    """Mean burst in packets above which LBRR isn't worth its bits beside DRED, below
    `long_burst_both_from_bps`."""
    long_burst_both_from_bps: int = 56_000
    """Rate from which LBRR stays beside DRED whatever the bursts."""
    copy_burst: float = 10.0
    """Mean burst in packets above which a copy falls into the same burst too often to be worth its bits."""
    clean_loss: float = 0.005
    """Fraction lost, over the whole clean window, below which the network is clean."""
    alarm_loss: float = 0.05
    """Fraction lost in one report that ends a clean network at once."""
    relapse_loss: float = 0.01
    """Fraction lost over the clean window that ends a clean network."""
    clean_window: float = 6.0
    """Seconds without loss before protection is dropped."""
    clean_window_max: float = 48.0
    """The clean window doubles up to this many seconds each time the verdict was wrong."""
    relapse_within: float = 60.0
    """A loss this many seconds after the verdict "clean" proves it wrong."""
    loss_attack: float = 1.0
    """Time constant in seconds with which the loss estimate rises."""
    loss_release: float = 8.0
    """Time constant in seconds with which the loss estimate falls."""
    loss_memory: float = 8.0
    """Time constant in seconds of the mean loss, which decides what kind of network it is."""
    burst_memory: float = 10.0
    """Time constant in seconds of the burst estimate."""
    stale_after: float = 15.0
    """Seconds without a report after which the network counts as unknown again."""
    step_up_after: float = 1.0
    """Least seconds between two plans when the new one protects more."""
    dwell: float = 4.0
    """Least seconds between two plans in all other cases. Leaving "no redundancy" is
    never delayed."""


@dataclass(frozen=True, slots=True)
class CongestionTuning:
    """Thresholds and time constants of the congestion control. Rates count headers."""

    min_payload_bps: int = 16_000
    """Payload that is left whatever happens: below, speech gives way faster than the queue."""
    queue: float = 0.05
    """Seconds of waiting from which a queue that grows, or one that loses packets, is congestion."""
    standing_queue: float = 0.10
    """Seconds of waiting from which a queue that doesn't drain is congestion."""
    jitters: float = 2.0
    """Both thresholds are at least so many times the interarrival jitter of RFC 3550."""
    round_trip_queue: float = 0.10
    """Seconds above the shortest round trip that count as a queue where the peer reports no
    delay: one sample a report, and the way back is in it."""
    round_trip_jitters: float = 4.0
    """The like of `jitters` for round trips."""
    growth: float = 0.01
    """Seconds per second from which a queue grows."""
    drain: float = -0.02
    """Seconds per second below which it drains."""
    queue_loss: float = 0.02
    """Fraction lost from which a queue counts as full."""
    decrease: float = 0.85
    """Share of the rate that arrived that is sent after congestion."""
    least_decrease: float = 0.5
    """No single decrease goes below this share of the rate before."""
    cuts: int = 3
    """Decreases without effect after which the queue is not of our making."""
    step: float = 0.10
    """Share by which a probe raises the rate."""
    rare_step: float = 0.05
    """The same with reports that come every few seconds, up to where the queue began."""
    step_after: float = 2.0
    """Least seconds between two steps; with rare reports, two reports."""
    failed_probe: float = 0.95
    """Share of the last rate that worked to which a probe that fails is taken back."""
    near_ceiling: float = 0.95
    """Share of what arrived at the last congestion up to which probes follow each other."""
    hold: float = 5.0
    """Seconds without congestion before the first probe, and half of those before the first
    one that goes beyond where the queue began."""
    hold_max: float = 40.0
    """The latter double up to this many seconds with each probe that fails."""
    floor_window: float = 60.0
    """Seconds over which the shortest round trip is looked for."""


@dataclass(frozen=True, slots=True)
class SendingConfig:
    """What to send and what the peer can use.

    Raises :class:`softphone.errors.ConfigError` when a value is out of range.
    """

    bitrate: int = 48_000
    """Rate of all payload bytes together, redundancy included, in bit/s, 6000..510000."""
    mode: str = "auto"
    """How redundancy is chosen: a name in :data:`softphone.sending.modes.MODES`."""
    frame_ms: int = 20
    """Length of a packet in ms: 10, 20, 40 or 60. Mode `auto` makes them longer where the
    rate is so low that headers would outweigh the speech."""
    max_frame_ms: int = 60
    """Longest packet that `auto` may choose, in ms."""
    back_off: bool = True
    """Mode `auto` sends less while the network is congested."""
    complexity: int = 9
    """Encoder complexity, 0..10."""
    dtx: bool = False
    """Announce silence, then send nothing while nobody speaks (RFC 7587, section 3.1.3)."""
    peer_fec: bool = True
    """The peer's decoder uses LBRR (``useinbandfec`` wasn't refused)."""
    peer_dred_ms: int = 1040
    """Most DRED the peer can use, in ms; 0 = none."""
    peer_red: bool = True
    """The peer accepts RED with Opus inside."""
    opus_payload_type: int = 111
    """Negotiated payload type of Opus, 0..127."""
    red_payload_type: int = 63
    """Negotiated payload type of RED, 0..127."""
    tuning: PlannerTuning = field(default_factory=PlannerTuning)
    """Thresholds and time constants of the planner."""
    congestion: CongestionTuning = field(default_factory=CongestionTuning)
    """Thresholds and time constants of the congestion control."""

    def __post_init__(self) -> None:
        if not _MIN_BITRATE <= self.bitrate <= _MAX_BITRATE:
            raise ConfigError(f"bitrate must be {_MIN_BITRATE}..{_MAX_BITRATE} bit/s, not {self.bitrate}")
        if self.frame_ms not in FRAME_LENGTHS_MS:
            raise ConfigError(f"frame length must be 10, 20, 40 or 60 ms, not {self.frame_ms}")
        if self.max_frame_ms < 10:
            raise ConfigError(f"the longest packet can't be {self.max_frame_ms} ms; 10 is the least")
        if not 0 <= self.complexity <= 10:
            raise ConfigError(f"complexity must be 0..10, not {self.complexity}")
        if self.peer_dred_ms < 0:
            raise ConfigError(f"the peer's DRED duration can't be negative ({self.peer_dred_ms} ms)")
        for name, value in (("Opus", self.opus_payload_type), ("RED", self.red_payload_type)):
            if not 0 <= value <= 127:
                raise ConfigError(f"payload type of {name} must be 0..127, not {value}")
