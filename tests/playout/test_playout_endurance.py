"""The core over random networks, and over a clean one: a few minutes of what benchmarks/endurance.py does."""

from types import ModuleType

import numpy as np
import pytest

from softphone.playout import playout_policies
from softphone.sim.network import parse_profile
from tests.support.benchmark_program import benchmark_program

POLICIES = [
    "fixed",
    "histogram",
    pytest.param(
        "onnx",
        marks=pytest.mark.skipif("onnx" not in playout_policies.names(), reason="onnx is not installed"),
    ),
]


@pytest.fixture(scope="module")
def endurance() -> ModuleType:
    return benchmark_program("endurance")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(101, 104))
def test_random_networks(endurance: ModuleType, policy: str, seed: int) -> None:
    result = endurance.run(seed, policy, None, seconds=15.0, calm=5.0)
    # The memory of a policy may be longer than this calm.
    assert set(result.failures) <= {"no return"}, result


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("jitter", [0.0, 0.005])
def test_a_clean_network_is_decoding_and_nothing_else(
    endurance: ModuleType, policy: str, jitter: float
) -> None:
    result = endurance.clean(policy, jitter, None, seconds=8.0)
    assert result.changed_late == 0
    assert result.difference == 0.0


@pytest.mark.parametrize("policy", POLICIES[1:])
@pytest.mark.parametrize("stall", ["500 ms hold", "900 ms drop"])
def test_the_delay_returns(endurance: ModuleType, policy: str, stall: str) -> None:
    assert endurance.comeback(policy, endurance.DISTURBANCES[stall], None) < 3.0


def test_dead_air_is_found(endurance: ModuleType) -> None:
    stream = endurance.Stream()
    call = endurance.play(endurance.tape(stream, None), 0, parse_profile("delay=20"), 1, "fixed", 12.0)
    result = endurance.Result(1, "fixed")
    endurance.examine(call, result, 0.0465)
    assert not result.failures
    call.heard[4 * 48_000 : 5 * 48_000] = 0.0
    endurance.examine(call, result, 0.0465)
    assert "dead air" in result.failures
    assert result.dead_air > 0.3
    call.heard[100] = np.nan
    endurance.examine(call, result, 0.0465)
    assert "counters" in result.failures
