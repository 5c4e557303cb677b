"""Plays calls with several policies and adds up what they cost."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.playout import MAX_DELAY, PlayoutConfig, PlayoutPolicy, PolicyConfig
from softphone.playout.policies.fixed import FixedPolicy
from softphone.playout.policies.histogram import HistogramPolicy
from softphone.sending import SendingConfig
from softphone.sim.call import SimulationConfig, simulate_call
from softphone.sim.scoring import speech_activity
from softphone.sim.trace import PacketTrace
from softphone_onnx_playout.policy import OnnxPolicy
from softphone_onnx_playout.training.cost import call_cost
from softphone_onnx_playout.training.network_call import NetworkCall
from softphone_onnx_playout.training.simulator import Simulator
from softphone_onnx_playout.training.speech import SpeechPattern
from softphone_onnx_playout.training.teacher import Teacher

__all__ = ["Case", "Outcome", "evaluate", "policies", "weighted"]

MakePolicy = Callable[[], tuple[PlayoutPolicy, float]]
"""Makes a policy and says the mouth-to-ear limit that the playout core gets, seconds."""


@dataclass(frozen=True, slots=True)
class Case:
    """A call to evaluate on."""

    kind: str
    """Kind of network, for the tables."""
    name: str
    trace: PacketTrace
    pcm: NDArray[np.float32]
    """What is said, mono, 48 kHz."""
    sending: SendingConfig


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy made of a case."""

    kind: str
    name: str
    policy: str
    cost: Mapping[str, float]
    """Mean loss of R by parts, and ``total``."""
    delay: float
    """Mean from mouth to ear, seconds."""
    concealed: float
    """Active speech not heard as it was said, seconds per second."""


def weighted(weight: float, model: Path | None = None) -> MakePolicy:
    """The policy ``onnx`` with the price of delay multiplied by ``weight``."""
    return partial(_weighted, weight, model)


def _weighted(weight: float, model: Path | None) -> tuple[PlayoutPolicy, float]:
    policy = OnnxPolicy(PolicyConfig(), model=model)
    policy.DELAY_WEIGHT = weight * OnnxPolicy.DELAY_WEIGHT
    return policy, MAX_DELAY


def _histogram() -> tuple[PlayoutPolicy, float]:
    return HistogramPolicy(PolicyConfig()), MAX_DELAY


def _fixed(delay: float) -> tuple[PlayoutPolicy, float]:
    return FixedPolicy(PolicyConfig(max_delay=delay)), delay


def policies(
    fixed_ms: Iterable[int], weights: Iterable[float], model: Path | None = None
) -> dict[str, MakePolicy]:
    """The policies to compare, by name."""
    made: dict[str, MakePolicy] = {"histogram": _histogram, "onnx": weighted(1.0, model)}
    made |= {f"fixed {ms} ms": partial(_fixed, ms / 1000) for ms in fixed_ms}
    return made | {f"onnx x{weight:g}": weighted(weight, model) for weight in weights}


def evaluate(
    cases: list[Case], made: Mapping[str, MakePolicy], *, real: bool, bound: bool, jobs: int
) -> list[Outcome]:
    """Play every case with every policy.

    ``real``: with the encoder and the playout core itself; otherwise with the simulator that
    the training uses. ``bound``: add the teacher's best choices, under the name ``bound``.
    """
    with ProcessPoolExecutor(jobs) as pool:
        work = partial(_play, made=made, real=real, bound=bound)
        return [outcome for group in pool.map(work, cases) for outcome in group]


def _play(case: Case, made: Mapping[str, MakePolicy], real: bool, bound: bool) -> list[Outcome]:
    active = speech_activity(case.pcm).astype(np.float64)
    outcomes = []
    call = (
        None
        if real and not bound
        else NetworkCall.make(case.trace, SpeechPattern.measure(case.pcm), case.sending)
    )
    for name, make in made.items():
        policy, limit = make()
        if real:
            config = SimulationConfig(case.sending, PlayoutConfig(max_delay=limit), case.trace)
            records = simulate_call(case.pcm, config, policy).records
        else:
            assert call is not None
            records = Simulator(call, policy, max_delay=limit).run()
        cost = call_cost(records, active)
        share = cost.concealed / max(cost.seconds, 1e-9)
        outcomes.append(Outcome(case.kind, case.name, name, cost.per_second(), cost.mean_delay, share))
    if bound and call is not None:
        best = Teacher(call).bound()
        outcomes.append(Outcome(case.kind, case.name, "bound", {"total": best}, np.nan, np.nan))
    return outcomes
