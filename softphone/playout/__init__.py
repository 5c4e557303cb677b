"""The receive core: from packets with arrival times to audio on the card's clock."""

from softphone.playout.config import PlayoutConfig
from softphone.playout.engine import PlayoutEngine
from softphone.playout.frames import Action, Source
from softphone.playout.policy import (
    MAX_DELAY,
    Arrival,
    Decision,
    Effort,
    Observation,
    PlayoutPolicy,
    PolicyConfig,
    default_policy,
    playout_policies,
)
from softphone.playout.statistics import PlayoutStatistics
from softphone.playout.trace import TraceRecord

__all__ = [
    "MAX_DELAY",
    "Action",
    "Arrival",
    "Decision",
    "Effort",
    "Observation",
    "PlayoutConfig",
    "PlayoutEngine",
    "PlayoutPolicy",
    "PlayoutStatistics",
    "PolicyConfig",
    "Source",
    "TraceRecord",
    "default_policy",
    "playout_policies",
]
