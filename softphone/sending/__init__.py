"""The sending side: encoder control and the choice of how much redundancy to send."""

from softphone.sending.budget import DredBudget, predict
from softphone.sending.config import (
    FRAME_LENGTHS_MS,
    PACKET_OVERHEAD,
    CongestionTuning,
    PlannerTuning,
    SendingConfig,
)
from softphone.sending.congestion import CongestionControl, RateLimit, RateState
from softphone.sending.modes import MODES
from softphone.sending.network import NetworkEstimate, NetworkReport, NetworkState
from softphone.sending.pipeline import SendingPipeline
from softphone.sending.plan import Means, RedundancyPlan
from softphone.sending.planner import PlanRecord, RedundancyPlanner
from softphone.sending.statistics import SendingStatistics

__all__ = [
    "FRAME_LENGTHS_MS",
    "MODES",
    "PACKET_OVERHEAD",
    "CongestionControl",
    "CongestionTuning",
    "DredBudget",
    "Means",
    "NetworkEstimate",
    "NetworkReport",
    "NetworkState",
    "PlanRecord",
    "PlannerTuning",
    "RateLimit",
    "RateState",
    "RedundancyPlan",
    "RedundancyPlanner",
    "SendingConfig",
    "SendingPipeline",
    "SendingStatistics",
    "predict",
]
