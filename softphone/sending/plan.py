"""Plans: what the encoder and the packetizer are told to do, and how one is fitted to a rate."""

import math
from dataclasses import dataclass
from enum import Flag, auto
from typing import Final

from softphone.opus import Bandwidth
from softphone.sending.budget import (
    CHUNK_MS,
    DRED_DURATION_MAX_MS,
    REACH_OFFSET_MS,
    DredBudget,
    lbrr_bandwidth,
    max_chunks,
    predict,
)
from softphone.sending.config import SendingConfig

__all__ = ["Means", "RedundancyPlan", "fit"]

MIN_LOSS_PERC: Final = 5
"""Loss figure given to the encoder at least while LBRR is wanted."""
DRED_MIN_LOSS_PERC: Final = 10
"""Loss figure at least while DRED is wanted without FEC: less buys almost no DRED."""
BOTH_MIN_LOSS_PERC: Final = 20
"""Loss figure at least while LBRR and DRED are wanted: below, FEC leaves DRED nothing."""
# The encoder's share for DRED grows no more beyond these.
_DRED_SATURATION: Final = 25
_RAISED_DRED_LOSS_PERC: Final = 20
_RAISED_LBRR_LOSS_PERC: Final = 30
_SMALL_LOSS: Final = 0.10
_RAISED_SMALL_LOSS_PERC: Final = 12
_DRED_OVERSHOOT: Final = 1.015
"""With DRED the encoder sends up to so much more than it was told, in dense speech."""
# Figures handed to the encoder; coarse, so that the estimate's noise doesn't become a new plan.
_LOSS_STEPS: Final = (0, 5, 10, 15, 20, 25, 30, 40, 50)

# Depths of DRED to choose from: coarse, for the same reason.
_REACHES_MS: Final = (240, 400, 640, 1015)
_DEFAULT_BURST: Final = 5.0
_BURSTS_COVERED: Final = 0.98

_RED_MIN_BITRATE: Final = 20_000
_RED_MAX_COPIES: Final = 2
# Mean burst in packets up to which a copy follows after so many ms, and what longer bursts
# get: far enough that few bursts take both, near enough that it comes before it is too late.
_COPY_DISTANCES_MS: Final = ((1.5, 40), (2.4, 60), (math.inf, 80))
_SPACED_MIN_SPEECH: Final = 14_000
"""Rate of speech and of its copy below which DRED alone sounds better."""
# Beside a copy: the least loss figure, the farthest that DRED is asked to reach, and how far it
# has to before the rest goes to the speech.
_SPACED_LOSS_PERC: Final = 15
_SPACED_REACH_MS: Final = 400
_SPACED_LEAST_REACH_MS: Final = 240
_SPACED_MOST_DRED: Final = 16_000
_RATE_STEP: Final = 200


class Means(Flag):
    """Ways to send speech twice."""

    NONE = 0
    LBRR = auto()
    """The frame before, once more at a lower rate, inside the Opus packet (RFC 6716, 2.1.7)."""
    DRED = auto()
    """Up to a second of the past as neural features, in the padding of the Opus packet."""
    RED = auto()
    """Copies of earlier packets without their DRED (RFC 2198): of those directly before, or,
    beside DRED, of one farther back that seldom falls into the same burst."""


@dataclass(frozen=True, slots=True)
class RedundancyPlan:
    """Everything that can change during a call about how speech is sent."""

    bitrate: int
    """Rate of the Opus encoder in bit/s, LBRR and DRED included, RED copies not."""
    frame_ms: int
    """Length of a packet in ms."""
    inband_fec: bool = False
    """LBRR on."""
    packet_loss_perc: int = 0
    """Loss that the encoder is told to expect, in percent; not always the measured one."""
    dred_duration_ms: int = 0
    """Upper bound for DRED in ms, a multiple of 10; 0 = no DRED."""
    red_copies: int = 0
    """Earlier packets repeated in each RED payload; 0 = plain Opus."""
    red_distance: int = 1
    """Packets from one of these to the next, and from the last one to the payload."""

    def __str__(self) -> str:
        """For people, like "24.5 kb/s in packets of 40 ms, DRED 255 ms, told 20 % loss"."""
        parts = [f"{self.bitrate / 1000:.1f} kb/s in packets of {self.frame_ms} ms"]
        if self.inband_fec:
            parts.append("LBRR")
        if self.dred_duration_ms > 0:
            parts.append(f"DRED {self.dred.reach_ms} ms")
        if self.red_copies > 0:
            copies = f"{self.red_copies} {'copy' if self.red_copies == 1 else 'copies'}"
            parts.append(f"{copies} after {self.red_distance * self.frame_ms} ms")
        if self.means is Means.NONE:
            parts.append("no redundancy")
        else:
            parts.append(f"told {self.packet_loss_perc} % loss")
        return ", ".join(parts)

    @property
    def means(self) -> Means:
        """Which kinds of redundancy the plan sends."""
        means = Means.LBRR if self.inband_fec else Means.NONE
        if self.dred_duration_ms > 0:
            means |= Means.DRED
        if self.red_copies > 0:
            means |= Means.RED
        return means

    @property
    def dred(self) -> DredBudget:
        """What the encoder is predicted to do about DRED."""
        return predict(
            self.bitrate, self.packet_loss_perc, self.inband_fec, self.dred_duration_ms, self.frame_ms
        )

    @property
    def total_bitrate(self) -> int:
        """Predicted rate of all payload bytes, RED copies and headers included, in bit/s."""
        copies = self.red_copies
        if not copies:
            return self.bitrate
        copied = self.bitrate - self.dred.dred_bps
        return self.bitrate + copied * copies + _red_header_bps(copies, self.frame_ms)


def fit(means: Means, loss: float, mean_burst: float | None, config: SendingConfig) -> RedundancyPlan | None:
    """The parameters that give `means` at the configured rate, None when that doesn't fit.

    `loss` is the fraction lost, `mean_burst` the mean run of losses in packets (None =
    unknown). A plan that is returned never has the encoder send a single DRED chunk.
    """
    step = _loss_step(loss)
    if means is Means.NONE:
        return RedundancyPlan(config.bitrate, config.frame_ms)
    if means & Means.DRED:
        if means & Means.RED:
            return _fit_spaced(step, mean_burst, config)
        return _fit_dred(bool(means & Means.LBRR), step, mean_burst, config)
    copies = _red_copies(mean_burst, config) if means & Means.RED else 0
    if means & Means.RED and not copies:
        return None
    bitrate = config.bitrate
    if copies:
        bitrate = (bitrate - _red_header_bps(copies, config.frame_ms)) // (1 + copies)
    if not means & Means.LBRR:
        return RedundancyPlan(bitrate, config.frame_ms, packet_loss_perc=step, red_copies=copies)
    loss_perc = _lbrr_loss_perc(bitrate, step, loss, config)
    if loss_perc is None:
        return None
    return RedundancyPlan(bitrate, config.frame_ms, True, loss_perc, red_copies=copies)


def _fit_dred(fec: bool, step: int, mean_burst: float | None, config: SendingConfig) -> RedundancyPlan | None:
    duration = _dred_duration_ms(mean_burst, config)
    bitrate = int(config.bitrate / _DRED_OVERSHOOT)
    first = max(step, BOTH_MIN_LOSS_PERC if fec else DRED_MIN_LOSS_PERC)
    last = max(first, _DRED_SATURATION if fec else _RAISED_DRED_LOSS_PERC)
    most = max_chunks(duration)
    chosen: RedundancyPlan | None = None
    deepest = 0
    for loss_perc in range(first, last + 1):
        plan = RedundancyPlan(bitrate, config.frame_ms, fec, loss_perc, duration)
        budget = plan.dred
        # Take the smallest figure that reaches far enough, else the one that reaches farthest.
        if budget.chunks >= 2 and budget.reach_ms > deepest:
            chosen, deepest = plan, budget.reach_ms
            if budget.chunks >= most:
                break
    if chosen is None or not fec:
        return chosen
    left = bitrate - chosen.dred.dred_bps
    has_lbrr = lbrr_bandwidth(left, chosen.packet_loss_perc, config.frame_ms, config.complexity)
    return chosen if has_lbrr is not None else None


def _fit_spaced(step: int, mean_burst: float | None, config: SendingConfig) -> RedundancyPlan | None:
    """One copy of the speech, farther back than most bursts, and DRED for the rest.

    A copy sounds as the original does, and costs as much; DRED costs little and sounds worse.
    """
    burst = _DEFAULT_BURST if mean_burst is None else mean_burst
    distance_ms = next(distance for longest, distance in _COPY_DISTANCES_MS if burst < longest)
    distance = max(1, round(distance_ms / config.frame_ms))
    duration = _bound_ms(min(_wanted_reach_ms(mean_burst, config), _SPACED_REACH_MS), config)
    loss_perc = min(max(step, _SPACED_LOSS_PERC), _RAISED_DRED_LOSS_PERC)
    total = int(config.bitrate / _DRED_OVERSHOOT)

    def spaced(bitrate: int) -> RedundancyPlan:
        return RedundancyPlan(
            bitrate,
            config.frame_ms,
            packet_loss_perc=loss_perc,
            dred_duration_ms=duration,
            red_copies=1,
            red_distance=distance,
        )

    least = (total - _red_header_bps(1, config.frame_ms)) // (2 * _RATE_STEP) * _RATE_STEP
    # What DRED takes of the rate is not copied; more rate lets it take more.
    fitting = [
        plan
        for bitrate in range(least, least + _SPACED_MOST_DRED // 2, _RATE_STEP)
        if (plan := spaced(bitrate)).dred.chunks >= 2 and plan.total_bitrate <= total
    ]
    # More rate may also mean finer DRED that does not reach as far.
    best = max(
        fitting,
        key=lambda plan: (min(plan.dred.reach_ms, _SPACED_LEAST_REACH_MS), plan.bitrate),
        default=None,
    )
    if best is None or best.bitrate - best.dred.dred_bps < _SPACED_MIN_SPEECH:
        return None
    return best


def _dred_duration_ms(mean_burst: float | None, config: SendingConfig) -> int:
    """Upper bound for DRED that covers nearly all bursts."""
    return _bound_ms(_wanted_reach_ms(mean_burst, config), config)


def _wanted_reach_ms(mean_burst: float | None, config: SendingConfig) -> int:
    """Reach of DRED that covers nearly all bursts; runs are taken to be geometric."""
    burst = _DEFAULT_BURST if mean_burst is None else mean_burst
    burst = max(burst, 1.01)
    longest = math.log(1.0 - _BURSTS_COVERED) / math.log(1.0 - 1.0 / burst)
    needed = min(longest * config.frame_ms, _REACHES_MS[-1])
    return next(reach for reach in _REACHES_MS if needed <= reach)


def _bound_ms(wanted: int, config: SendingConfig) -> int:
    """Upper bound for DRED to be given to the encoder for a reach in ms, within the peer's."""
    # The encoder makes (duration / 10 ms + 5) // 4 chunks of the bound.
    chunks = math.ceil((wanted + REACH_OFFSET_MS) / CHUNK_MS)
    bound = min(CHUNK_MS * chunks - 50, config.peer_dred_ms, DRED_DURATION_MAX_MS)
    return bound // 10 * 10


def _lbrr_loss_perc(bitrate: int, step: int, loss: float, config: SendingConfig) -> int | None:
    """Smallest loss figure for which the encoder adds LBRR at a decent bandwidth."""
    first = max(step, MIN_LOSS_PERC)
    last = max(first, _RAISED_SMALL_LOSS_PERC if loss < _SMALL_LOSS else _RAISED_LBRR_LOSS_PERC)
    narrow: int | None = None
    for loss_perc in range(first, last + 1):
        bandwidth = lbrr_bandwidth(bitrate, loss_perc, config.frame_ms, config.complexity)
        if bandwidth is None:
            continue
        if bandwidth.code >= Bandwidth.WIDEBAND.code:
            return loss_perc
        if narrow is None:
            narrow = loss_perc
    # Narrow speech twice beats wide speech with holes only once the holes are many.
    return narrow if loss >= _SMALL_LOSS else None


def _red_copies(mean_burst: float | None, config: SendingConfig) -> int:
    """Copies that help against such bursts and leave the encoder a decent rate."""
    wanted = 1 if mean_burst is not None and mean_burst <= 2.0 else _RED_MAX_COPIES
    for copies in range(wanted, 0, -1):
        rate = (config.bitrate - _red_header_bps(copies, config.frame_ms)) // (1 + copies)
        if rate >= _RED_MIN_BITRATE:
            return copies
    return 0


def _red_header_bps(copies: int, frame_ms: int) -> int:
    return (1 + 4 * copies) * 8 * 1000 // frame_ms


def _loss_step(loss: float) -> int:
    return min(_LOSS_STEPS, key=lambda step: abs(step - loss * 100.0))
