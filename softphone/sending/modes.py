"""Redundancy modes: which means to use on a network, in order of preference.

A mode is a function from what is known of the network to the combinations worth
trying; the planner takes the first that fits the rate and the peer.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from softphone.sending.config import SendingConfig
from softphone.sending.network import NetworkEstimate, NetworkState
from softphone.sending.plan import Means

__all__ = ["MODES", "Mode"]

Mode: TypeAlias = Callable[[NetworkEstimate, SendingConfig], tuple[Means, ...]]
"""Means to try, best first; "none" always fits and need not be named."""

_NONE: Final = Means.NONE
_LBRR: Final = Means.LBRR
_DRED: Final = Means.DRED
_BOTH: Final = Means.LBRR | Means.DRED
_SPACED: Final = Means.DRED | Means.RED
"""Best wherever it fits: a copy farther back than most bursts is a waveform, DRED is not.
Outages it can't reach across."""
_COPIES: Final = Means.LBRR | Means.RED
_RED: Final = Means.RED
"""For a peer that decodes neither LBRR nor DRED."""


def none(network: NetworkEstimate, config: SendingConfig) -> tuple[Means, ...]:
    """No redundancy whatever happens."""
    return (_NONE,)


def lbrr(network: NetworkEstimate, config: SendingConfig) -> tuple[Means, ...]:
    """LBRR whenever the rate allows."""
    return (_LBRR,)


def dred(network: NetworkEstimate, config: SendingConfig) -> tuple[Means, ...]:
    """DRED whenever the rate and the peer allow."""
    return (_DRED,)


def both(network: NetworkEstimate, config: SendingConfig) -> tuple[Means, ...]:
    """LBRR and DRED; where they don't fit together, the one that suits the losses."""
    bursty = network.state is NetworkState.UNKNOWN or network.bursty or network.high
    return (_BOTH, _DRED, _LBRR) if bursty else (_BOTH, _LBRR, _DRED)


def auto(network: NetworkEstimate, config: SendingConfig) -> tuple[Means, ...]:
    """What the measured network asks for: nothing when it is clean."""
    tuning = config.tuning
    roomy = config.bitrate >= tuning.both_from_bps
    if network.state is NetworkState.CLEAN:
        return (_NONE,)
    if network.state is NetworkState.UNKNOWN:
        return (_BOTH, _DRED, _LBRR) if roomy else (_DRED, _LBRR)
    if not (network.bursty or network.high):
        return (_BOTH, _LBRR, _DRED, _RED) if roomy and network.moderate else (_LBRR, _DRED, _RED)
    burst = network.mean_burst or 0.0
    if burst > tuning.long_burst and config.bitrate < tuning.long_burst_both_from_bps:
        roomy = False
    spaced = (_SPACED,) if burst <= tuning.copy_burst else ()
    if roomy and network.moderate:
        return (*spaced, _BOTH, _DRED, _COPIES, _RED, _LBRR)
    return (*spaced, _DRED, _COPIES, _RED, _LBRR)


MODES: Final[dict[str, Mode]] = {"auto": auto, "none": none, "lbrr": lbrr, "dred": dred, "both": both}
"""The modes by the name that settings and flags use."""
