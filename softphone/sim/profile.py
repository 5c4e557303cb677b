"""What an emulated network does to packets, as plain values.

Times are seconds, probabilities and shares 0..1, rates bit/s, unless a docstring says
otherwise. Everything is checked when it is made; :class:`softphone.errors.ConfigError`
says in one sentence what is wrong.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from softphone.errors import ConfigError
from softphone.sim.trace import PacketTrace

__all__ = [
    "CrossTraffic",
    "GilbertElliott",
    "Handovers",
    "JitterDistribution",
    "MarkovLoss",
    "NetworkProfile",
    "Outage",
    "OutageMode",
    "PeriodicOutage",
    "Stalls",
]


class JitterDistribution(StrEnum):
    """How the delay varies from packet to packet; `NetworkProfile.jitter` scales it."""

    NORMAL = "normal"
    """Symmetric about the delay; jitter is the standard deviation."""
    UNIFORM = "uniform"
    """Symmetric about the delay; jitter is half the width."""
    GAMMA = "gamma"
    """On top of the delay, shape 2: most packets little, few much; jitter is the mean."""
    PARETO = "pareto"
    """On top of the delay, heavy tail (Lomax, shape 2.5, cut at 30 means); jitter is the mean."""


class OutageMode(StrEnum):
    """What happens to packets sent during an outage."""

    DROP = "drop"
    """They are lost."""
    HOLD = "hold"
    """They wait, and arrive together when it ends."""


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} must be between 0 and 1 (0 and 100 %), not {value:g}")


def _check_time(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ConfigError(f"{name} must be a time of zero or more seconds, not {value:g}")


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{name} must be greater than zero, not {value:g}")


@dataclass(frozen=True, slots=True)
class MarkovLoss:
    """Loss by a Markov chain that makes one step a packet; a flow begins in state 0."""

    transitions: tuple[tuple[float, ...], ...]
    """Row i: probabilities of going from state i to each state; a row sums to 1."""
    loss: tuple[float, ...]
    """Probability of losing a packet in each state."""

    def __post_init__(self) -> None:
        size = len(self.loss)
        if not size or len(self.transitions) != size or any(len(row) != size for row in self.transitions):
            raise ConfigError(
                "a Markov loss model of n states needs n rows of n transitions and n loss values"
            )
        for value in (*self.loss, *(value for row in self.transitions for value in row)):
            _check_share("each probability of a Markov loss model", value)
        for row in self.transitions:
            if abs(sum(row) - 1) > 1e-6:
                raise ConfigError(f"transitions from a state must sum to 1, not {sum(row):g}")

    @classmethod
    def three_state(
        cls, *, burst_rate: float, burst: float, gap_rate: float, gap: float, gap_loss: float
    ) -> "MarkovLoss":
        """Good, burst (everything lost) and gap (scattered loss) states.

        ``burst_rate`` and ``gap_rate``: probability per packet of leaving the good state for
        the one or the other; ``burst`` and ``gap``: mean stay there in packets, >= 1;
        ``gap_loss``: loss in the gap state. From the gap state bursts begin as often as from
        the good one.
        """
        _check_share("burst_rate + gap_rate", burst_rate + gap_rate)
        if min(burst, gap) < 1:
            raise ConfigError("the mean stay in a state must be at least one packet")
        leave_burst, leave_gap = 1 / burst, 1 / gap
        return cls(
            (
                (1 - burst_rate - gap_rate, burst_rate, gap_rate),
                (leave_burst, 1 - leave_burst, 0.0),
                (leave_gap * (1 - burst_rate), burst_rate, (1 - leave_gap) * (1 - burst_rate)),
            ),
            (0.0, 1.0, gap_loss),
        )


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Loss in bursts: a good and a bad state, one step a packet."""

    p: float
    """Probability of going from good to bad, per packet."""
    r: float
    """Probability of going from bad to good, per packet."""
    loss_good: float = 0.0
    """Probability of losing a packet in the good state."""
    loss_bad: float = 1.0
    """Probability of losing a packet in the bad state."""

    def __post_init__(self) -> None:
        for name in ("p", "r", "loss_good", "loss_bad"):
            _check_share(f"Gilbert-Elliott {name}", getattr(self, name))

    @classmethod
    def from_mean(cls, loss: float, burst: float) -> "GilbertElliott":
        """The simple Gilbert model that loses a share ``loss`` in runs of ``burst`` packets on average."""
        _check_share("loss", loss)
        if loss == 1 or not (math.isfinite(burst) and burst >= 1) or loss / (1 - loss) > burst:
            raise ConfigError(
                f"a loss of {loss:.0%} in bursts of {burst:g} packets is impossible: a burst is "
                "at least 1 packet and at least loss/(1-loss) packets long"
            )
        return cls(p=loss / (1 - loss) / burst, r=1 / burst)

    @property
    def chain(self) -> MarkovLoss:
        """The same as a Markov chain."""
        return MarkovLoss(((1 - self.p, self.p), (self.r, 1 - self.r)), (self.loss_good, self.loss_bad))


@dataclass(frozen=True, slots=True)
class Outage:
    """The path fails once."""

    start: float
    """Seconds after the emulation began."""
    length: float
    """Seconds."""
    mode: OutageMode = OutageMode.DROP

    def __post_init__(self) -> None:
        _check_time("start of an outage", self.start)
        _check_positive("length of an outage", self.length)


@dataclass(frozen=True, slots=True)
class PeriodicOutage:
    """The path fails again and again, first one period after the emulation began."""

    period: float
    """Seconds from one beginning to the next."""
    length: float
    """Seconds."""
    mode: OutageMode = OutageMode.DROP

    def __post_init__(self) -> None:
        _check_positive("length of a periodic outage", self.length)
        if not self.period > self.length:
            raise ConfigError("the period of outages must be longer than an outage")


@dataclass(frozen=True, slots=True)
class Stalls:
    """Delay spikes as radio links have them: now and then nothing moves, then all at once.

    The first packet of a stall is delayed by what is left of it, the next by 20 ms less,
    and so on.
    """

    interval: float
    """Mean seconds from the end of one to the next, exponentially distributed."""
    shortest: float
    """Seconds; the length is uniform between this and `longest`."""
    longest: float
    """Seconds."""

    def __post_init__(self) -> None:
        _check_positive("interval of stalls", self.interval)
        _check_time("shortest stall", self.shortest)
        if not self.shortest <= self.longest < math.inf:
            raise ConfigError("the longest stall must not be shorter than the shortest")


@dataclass(frozen=True, slots=True)
class Handovers:
    """Moves to another path: a short outage, after it another base delay."""

    interval: float
    """Mean seconds between handovers, exponentially distributed."""
    outage: float
    """Seconds without a path at each."""
    step: float
    """Seconds: each path's delay is up to this much more than the profile's, uniformly."""
    mode: OutageMode = OutageMode.HOLD

    def __post_init__(self) -> None:
        _check_positive("interval of handovers", self.interval)
        _check_time("outage of handovers", self.outage)
        _check_time("delay step of handovers", self.step)


@dataclass(frozen=True, slots=True)
class CrossTraffic:
    """Others who use the bottleneck, on and off; they fill its queue while on.

    A fluid: it isn't made of packets. While the queue is full, a packet is dropped with the
    share of the traffic that doesn't fit.
    """

    rate: float
    """Bit/s while on."""
    on: float
    """Mean seconds on, exponentially distributed."""
    off: float
    """Mean seconds off, exponentially distributed; it begins off."""

    def __post_init__(self) -> None:
        for name in ("rate", "on", "off"):
            _check_positive(f"cross traffic {name}", getattr(self, name))


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """One direction of a path. The default is a perfect one without delay."""

    delay: float = 0.0
    """One-way delay in seconds."""
    jitter: float = 0.0
    """Scale of the delay's variation in seconds; its meaning depends on the distribution."""
    jitter_distribution: JitterDistribution = JitterDistribution.NORMAL
    jitter_correlation: float = 0.0
    """Correlation of the jitter of successive packets, 0..0.999 (first-order autoregressive)."""
    keep_order: bool = True
    """True: jitter never lets a packet overtake another of its flow, as on one queue."""
    loss: float = 0.0
    """Independent (Bernoulli) loss."""
    loss_model: GilbertElliott | MarkovLoss | None = None
    """Loss with memory, in addition to `loss`."""
    trace: PacketTrace | None = None
    """The k-th packet of a flow meets its k-th fate; its delay adds to `delay`."""
    reorder: float = 0.0
    """Share of packets held back by `reorder_delay`, so that later ones overtake them."""
    reorder_delay: float = 0.03
    """Seconds."""
    duplicate: float = 0.0
    """Share of packets that arrive twice, 1 ms apart."""
    rate: float | None = None
    """Bottleneck in bit/s of what is passed as size; None: unlimited."""
    queue: float = 1.0
    """Seconds of traffic the bottleneck's drop-tail queue holds."""
    cross_traffic: CrossTraffic | None = None
    """Competing traffic at the bottleneck; needs `rate`."""
    outages: tuple[Outage, ...] = ()
    periodic_outage: PeriodicOutage | None = None
    stalls: Stalls | None = None
    handovers: Handovers | None = None
    drift: float = 0.0
    """Seconds by which the delay grows each second, -0.1..0.1; it never falls below zero."""
    timeline: tuple[tuple[float, "NetworkProfile"], ...] = field(default=())
    """(seconds after the emulation began, profile from then on), ascending, not nested."""

    @property
    def bottleneck(self) -> tuple[tuple[float, float | None], ...]:
        """(seconds after the emulation began, its rate in bit/s from then on); empty when the
        rate is never limited. There what is sent decides what arrives, and a trace can't tell."""
        rates = ((0.0, self.rate), *((at, profile.rate) for at, profile in self.timeline))
        return rates if any(rate is not None for _, rate in rates) else ()

    def __post_init__(self) -> None:
        for name in ("delay", "jitter", "reorder_delay", "queue"):
            _check_time(name, getattr(self, name))
        for name in ("loss", "reorder", "duplicate"):
            _check_share(name, getattr(self, name))
        if not 0 <= self.jitter_correlation <= 0.999:
            raise ConfigError(f"jitter correlation must be within 0..0.999, not {self.jitter_correlation:g}")
        if self.rate is not None:
            _check_positive("rate", self.rate)
        if self.cross_traffic is not None and self.rate is None:
            raise ConfigError("cross traffic needs a bottleneck: set a rate too")
        if not abs(self.drift) <= 0.1:
            raise ConfigError(f"drift must be within -0.1..0.1 seconds per second, not {self.drift:g}")
        for at, profile in self.timeline:
            _check_time("time of a profile change", at)
            if profile.timeline:
                raise ConfigError("a profile in a timeline can't have a timeline of its own")
        if any(later <= earlier for (earlier, _), (later, _) in pairwise(self.timeline)):
            raise ConfigError("profile changes must be in ascending order of time")
