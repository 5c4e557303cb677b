"""Settings of the playout core."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from softphone.playout.policy import MAX_DELAY, default_policy
from softphone.rtp.packet import OPUS_CLOCK_RATE

__all__ = ["CODEC_DELAY", "PlayoutConfig"]

CODEC_DELAY = 312 / OPUS_CLOCK_RATE
"""Look-ahead of the Opus encoder in the VOIP application, 6.5 ms."""


@dataclass(frozen=True, slots=True)
class PlayoutConfig:
    """Settings of one incoming stream."""

    payload_types: Mapping[int, str] = field(default_factory=lambda: {111: "opus", 63: "red"})
    """Negotiated payload types: ``"opus"`` or ``"red"``."""
    policy: str = field(default_factory=default_policy)
    """Name of the playout policy."""
    max_delay: float = MAX_DELAY
    """Largest mouth-to-ear delay the policy may choose, seconds."""
    decoder_complexity: int = 7
    """Opus decoder complexity while redundancy takes bits from the speech: 5 and more conceal
    by neural network, 6 adds the LACE enhancer, 7 NoLACE. Without redundancy at most 5."""
