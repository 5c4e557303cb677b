"""What playing a schedule costs, and what it has to cost at least, in the unit of the policy ``onnx``.

The unit is R of the E-model, lost in the mean. The bound is that of the teacher, which knows
everything that will come. Both are computed on the model of a call that the policy is trained
on, whose packets hold what the planner would choose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.neteq.policies import load_policy, make_known
from benchmarks.neteq.reference import Reference
from benchmarks.neteq.schedules import Schedule
from benchmarks.neteq.streams import StreamSpec
from softphone.sending import SendingConfig
from softphone.sim.scoring import speech_activity

if TYPE_CHECKING:  # the plugin may be missing
    from softphone_onnx_playout.training.speech import SpeechPattern

__all__ = ["Costs", "Pricing", "make_pricing", "mean_costs", "price"]


@dataclass(frozen=True, slots=True)
class Costs:
    """Mean loss of R on one schedule."""

    bound: float
    """Of the best choices, made in the knowledge of everything."""
    of: Mapping[tuple[str, float], float]
    """Of each policy with each limit of the delay (mouth to ear, seconds)."""


@dataclass(frozen=True)
class Pricing:
    """What is the same for all schedules."""

    speech: "SpeechPattern"
    """What the playout core would notice of the reference."""
    active: NDArray[np.float64]
    """Share of speech in each 10 ms of it."""
    sending: SendingConfig


def make_pricing(reference: Reference, stream: StreamSpec) -> Pricing | None:
    """Measure the speech; None where the plugin is missing, or the stream isn't the planner's."""
    if not stream.adaptive:
        return None
    make_known("onnx")
    try:
        from softphone_onnx_playout.training.speech import SpeechPattern
    except ImportError:
        return None
    return Pricing(
        SpeechPattern.measure(reference.pcm),
        speech_activity(reference.pcm).astype(np.float64),
        SendingConfig(bitrate=stream.bitrate, mode=stream.plan),
    )


def price(pricing: Pricing, playouts: Sequence[tuple[str, float]], schedule: Schedule) -> Costs:
    """Cost of each policy and limit on ``schedule``, and the bound."""
    from softphone_onnx_playout.training.cost import call_cost
    from softphone_onnx_playout.training.network_call import NetworkCall
    from softphone_onnx_playout.training.simulator import Simulator
    from softphone_onnx_playout.training.teacher import Teacher

    call = NetworkCall.make(schedule.trace, pricing.speech, pricing.sending)
    costs = {}
    for name, limit in playouts:
        records = Simulator(call, load_policy(name, limit), max_delay=limit).run()
        costs[name, limit] = call_cost(records, pricing.active).total
    return Costs(Teacher(call).bound(), costs)


def mean_costs(each: Sequence[Costs]) -> Costs:
    """Over schedules on which the same was played."""
    return Costs(
        float(np.mean([costs.bound for costs in each])),
        {key: float(np.mean([costs.of[key] for costs in each])) for key in each[0].of},
    )
