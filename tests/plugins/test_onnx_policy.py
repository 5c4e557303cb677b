"""The policy with its shipped model, and with models that can't be used."""

import logging
import math
import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from softphone_onnx_playout import OnnxPolicy
from softphone_onnx_playout.e_model import delay_impairment
from softphone_onnx_playout.features import FEATURES, TARGETS, TENT_AT, FeatureExtractor
from softphone_onnx_playout.holding import ABOVE
from softphone_onnx_playout.model import OUTPUTS, ModelError, PlayoutModel, shipped_model

from softphone.audio.files import read_file
from softphone.data import sample_speech
from softphone.playout import MAX_DELAY, Action, Arrival, Effort, PlayoutConfig, PolicyConfig, Source
from softphone.playout.policies.histogram import HistogramPolicy
from softphone.sending import SendingConfig
from softphone.sim.call import SimulationConfig, simulate_call
from softphone.sim.network import generate_trace
from softphone.sim.presets import parse_profile
from tests.support.observations import HERE


def arrival(number: int, delay: float = 0.001) -> Arrival:
    return Arrival(
        at=0.020 * number + delay,
        timestamp=960 * number,
        sequence=number,
        samples=960,
        relative_delay=delay,
        late=False,
        lbrr=False,
        dred_reach=0.0,
    )


def fed(policy: OnnxPolicy, delays: list[float]) -> OnnxPolicy:
    """The policy after a second and more of packets, NaN = lost."""
    for number, delay in enumerate(delays):
        if np.isfinite(delay):
            policy.on_arrival(arrival(number, delay))
    return policy


def test_shipped_model_is_used() -> None:
    policy = fed(OnnxPolicy(PolicyConfig()), [0.001] * 500)
    decision = policy.decide(HERE)
    assert policy.failure is None
    assert policy.fallbacks == 0
    assert np.abs(TARGETS + ABOVE - decision.target_delay).min() < 1e-9


def test_clean_network_needs_little_delay_and_a_jittery_one_more() -> None:
    clean = fed(OnnxPolicy(PolicyConfig()), [0.001] * 1500).decide(HERE)
    jitter = np.random.default_rng(1).uniform(0.0, 0.120, 1500)
    jittery = fed(OnnxPolicy(PolicyConfig()), list(jitter)).decide(HERE)
    assert clean.action is Action.COMPRESS
    assert clean.target_delay <= 0.040
    assert jittery.target_delay >= 0.080


def test_the_features_know_how_far_copies_lie_back() -> None:
    features = FeatureExtractor()
    for number in range(100):
        features.on_arrival(replace(arrival(number), copy_distance=0.080 if number >= 4 else 0.0))
    far = features.extract(HERE)
    for number in range(100, 110):  # a talk spurt begins without
        features.on_arrival(arrival(number))
    assert (features.extract(HERE) == 1.0).sum() >= (far == 1.0).sum()
    for number in range(110, 200):
        features.on_arrival(arrival(number))
    without = features.extract(HERE)
    (changed,) = np.nonzero((far != without) & (without == 0.0) & (far == 1.0))
    copies = TENT_AT - len(TARGETS)
    assert changed.tolist() == [copies + TARGETS.tolist().index(0.080)]


def test_a_path_that_becomes_longer_is_followed() -> None:
    # Whatever the model thinks of it: no packet is in time any more.
    policy = fed(OnnxPolicy(PolicyConfig()), [0.001] * 500)
    nothing = replace(HERE, now=10.2, sources=(Source.PLC,), gap=None, buffered=0.0, contiguous=0.0)
    for number in range(490, 499):  # held ones come at once, and say nothing of those after them
        policy.on_arrival(replace(arrival(number, 0.150), at=9.999, late=True))
    policy.on_arrival(arrival(499))
    assert policy.decide(nothing).target_delay < 0.100
    for number in range(500, 510):
        policy.on_arrival(arrival(number, 0.150 - 0.001 * (number % 2)))
    decision = policy.decide(nothing)
    assert decision.action is Action.WAIT
    assert 0.149 <= decision.target_delay <= 0.149 + ABOVE
    limited = policy.decide(replace(nothing, delay=0.0, mouth_to_ear=MAX_DELAY - 0.050))
    assert limited.target_delay <= 0.050 + ABOVE
    for number in range(510, 520):
        policy.on_arrival(arrival(number))
    assert policy.decide(replace(nothing, now=10.6)).target_delay < 0.100


def test_the_delay_runs_ahead_of_a_queue_that_grows() -> None:
    policy = fed(OnnxPolicy(PolicyConfig()), [0.001] * 500)
    for number in range(500, 520):
        policy.on_arrival(replace(arrival(number, 0.005 * (number - 500)), late=True))
    assert policy.decide(HERE).target_delay >= 0.005 * 20


class _Preferring:
    """Finds all targets equal, delay included, but one, which saves ``gain`` in ``share`` of the steps."""

    favourite = 8

    def __init__(self, gain: float, share: float) -> None:
        self.gain, self.share, self.steps = gain, share, 0

    def predict(self, features):
        self.steps += 1
        offset = HERE.mouth_to_ear - HERE.delay
        costs = -OnnxPolicy.DELAY_WEIGHT * OnnxPolicy.HORIZON * delay_impairment(TARGETS + offset)
        costs[self.favourite] -= self.gain if self.steps % 10 < 10 * self.share else -self.gain
        return np.append(costs, 1.0).astype(np.float32)


@pytest.mark.parametrize(
    ("gain", "share", "seconds", "chosen"),
    [
        pytest.param(10.0, 1.0, 0.1, True, id="much, at once"),
        pytest.param(1.0, 1.0, 0.1, False, id="little, at once"),
        pytest.param(1.0, 1.0, 5.0, True, id="little, but lasting"),
        pytest.param(1.0, 0.3, 5.0, False, id="little, now and then"),
        pytest.param(0.1, 1.0, 5.0, False, id="next to nothing"),
    ],
)
def test_a_small_advantage_counts_when_it_lasts(
    gain: float, share: float, seconds: float, chosen: bool
) -> None:
    needed = [0.0] * 400 + [0.120] + [0.0] * 99
    policy = fed(OnnxPolicy(PolicyConfig(), model=_Preferring(gain, share)), needed)
    for step in range(round(seconds / 0.020)):
        target = policy.decide(replace(HERE, now=10.0 + 0.020 * step)).target_delay
    assert (abs(target - TARGETS[_Preferring.favourite] - ABOVE) < 1e-9) == chosen


@pytest.mark.parametrize(
    ("delays", "chosen"),
    [
        pytest.param([0.0] * 500, False, id="nothing needed it"),
        pytest.param([0.0] * 400 + [0.120] + [0.0] * 99, True, id="a packet needed it"),
        pytest.param([0.0] * 400 + [math.nan] + [0.0] * 99, True, id="one was lost"),
    ],
)
def test_delay_for_which_there_is_no_reason_is_not_chosen(delays: list[float], chosen: bool) -> None:
    policy = fed(OnnxPolicy(PolicyConfig(), model=_Preferring(10.0, 1.0)), delays)
    target = policy.decide(HERE).target_delay
    assert (abs(target - TARGETS[_Preferring.favourite] - ABOVE) < 1e-9) == chosen


@pytest.mark.parametrize(("short_by", "action"), [(0.001, Action.WAIT), (-0.001, Action.PLAY)])
def test_in_a_hole_the_delay_grows_to_what_repairs_need(short_by: float, action: Action) -> None:
    # However the steps of the output fall: a millisecond less than the target misses every repair.
    needed = [0.0] * 400 + [0.120] + [0.0] * 99
    policy = fed(OnnxPolicy(PolicyConfig(), model=_Preferring(10.0, 1.0)), needed)
    delay = float(TARGETS[_Preferring.favourite]) - short_by
    hole = replace(HERE, delay=delay, sources=(Source.PLC,), gap=None, buffered=0.0, contiguous=0.0)
    assert policy.decide(hole).action is action


@pytest.mark.parametrize(
    ("gap", "action"),
    [
        pytest.param(None, Action.RECOVER, id="nothing newer has come"),
        pytest.param(0.020, Action.SKIP, id="something has"),
    ],
)
def test_words_are_heard_late_rather_than_never(gap: float | None, action: Action) -> None:
    # What a stall held back came, too late, and the network stands still again.
    policy = fed(OnnxPolicy(PolicyConfig(), model=_Preferring(10.0, 1.0)), [0.001] * 500)
    stalled = replace(
        HERE,
        delay=0.160,
        mouth_to_ear=0.360,
        sources=(Source.PLC,),
        gap=gap,
        concealed=0.500,
        recoverable=0.420,
    )
    assert policy.decide(stalled).action is action


class _PatientModel:
    """Expects something of waiting."""

    def __init__(self, gain: float) -> None:
        self.gain = gain

    def predict(self, features):
        costs = np.zeros(OUTPUTS, np.float32)
        costs[-1] = -self.gain
        return costs


@pytest.mark.parametrize(
    ("gain", "late", "action"),
    [
        (5.0, False, Action.WAIT),
        (2.0, False, Action.PLAY),
        (2.0, True, Action.WAIT),
        (-1.0, True, Action.PLAY),
    ],
)
def test_late_packets_are_waited_for_sooner_than_lost_ones(gain: float, late: bool, action: Action) -> None:
    policy = fed(OnnxPolicy(PolicyConfig(), model=_PatientModel(gain)), [0.001] * 500)
    policy.on_arrival(replace(arrival(500), late=late))
    hole = replace(HERE, now=10.1, sources=(Source.PLC,), gap=None, buffered=0.0, contiguous=0.0)
    assert policy.decide(hole).action is action


def test_a_delay_for_which_no_pause_comes_is_shortened_in_speech() -> None:
    policy = fed(OnnxPolicy(PolicyConfig()), [0.001] * 500)
    efforts = []
    for step in range(200):
        high = replace(HERE, now=10.0 + 0.020 * step, delay=0.180, mouth_to_ear=0.2365)
        decision = policy.decide(high)
        assert decision.action is Action.COMPRESS
        efforts.append(decision.effort)
    patient = round(OnnxPolicy.OVERDUE / 0.020)
    assert set(efforts[:patient]) == {Effort.PAUSES}
    assert set(efforts[patient + 1 :]) == {Effort.SPEECH}


def test_target_keeps_the_limit() -> None:
    policy = fed(OnnxPolicy(PolicyConfig(max_delay=0.150)), [0.0, 0.120] * 500)
    offset = HERE.mouth_to_ear - HERE.delay
    assert policy.decide(HERE).target_delay + offset <= 0.150


def test_model_file_describes_its_training() -> None:
    model = PlayoutModel(shipped_model())
    assert model.training["features"] == FEATURES
    assert model.predict(np.zeros(FEATURES, np.float32)).shape == (OUTPUTS,)


def _without(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(2).bytes(5000))


def _other_input(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"features", b"featurez"))


def _other_output(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"costs", b"coins"))


def _other_version(path: Path) -> None:
    data = path.read_bytes()
    changed = data.replace(b"\x0a\x07version\x12\x014", b"\x0a\x07version\x12\x010")
    assert changed != data
    path.write_bytes(changed)


def _other_training(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"commitment"', b'"comMitment"'))


@pytest.mark.parametrize(
    "damage", [_without, _cut, _noise, _other_input, _other_output, _other_version, _other_training]
)
def test_unusable_model_falls_back(damage, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(shipped_model().read_bytes())
    damage(path)
    with caplog.at_level(logging.WARNING):
        policy = OnnxPolicy(PolicyConfig(), model=path)
        _check_fallback(policy)
    assert len(caplog.records) == 1


def _with_nan(path: Path) -> None:
    """Turn the biases of the last layer into NaN: name, then raw data of so many floats."""
    data = shipped_model().read_bytes()
    size = 4 * OUTPUTS
    head = b"bias2\x4a" + bytes([size])
    start = data.index(head) + len(head)
    path.write_bytes(data[:start] + struct.pack("<f", float("nan")) * OUTPUTS + data[start + size :])


def test_model_that_gives_nan_falls_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "model.onnx"
    _with_nan(path)
    with pytest.raises(ModelError, match="not a number"):
        PlayoutModel(path).predict(np.zeros(FEATURES, np.float32))
    with caplog.at_level(logging.WARNING):
        policy = OnnxPolicy(PolicyConfig(), model=path)
        assert policy.failure is None
        _check_fallback(policy)
    assert len(caplog.records) == 1


class _SlowModel:
    """Takes 5 ms of CPU a step, by the clock it is itself."""

    seconds = 0.0

    def predict(self, features):
        self.seconds += 0.005
        return np.zeros(OUTPUTS, np.float32)

    def clock(self) -> float:
        return self.seconds


def test_slow_model_falls_back(caplog: pytest.LogCaptureFixture) -> None:
    model = _SlowModel()
    policy = OnnxPolicy(PolicyConfig(), model=model, clock=model.clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(OnnxPolicy.SLOW_STEPS):
            assert policy.failure is None
            policy.decide(HERE)
        _check_fallback(policy)
    assert len(caplog.records) == 1


def test_one_slow_step_is_forgiven() -> None:
    model = _SlowModel()
    policy = OnnxPolicy(PolicyConfig(), model=model, clock=model.clock)
    policy.decide(HERE)
    policy._clock = lambda: 0.0
    policy.decide(HERE)
    policy._clock = model.clock
    policy.decide(HERE)
    assert policy.failure is None


def _check_fallback(policy: OnnxPolicy) -> None:
    """It decides as `histogram` does, and goes on doing so."""
    reference = HistogramPolicy(PolicyConfig())
    for number in range(200):
        packet = arrival(number, 0.030 * (number % 5))
        policy.on_arrival(packet)
        reference.on_arrival(packet)
        here = replace(HERE, delay=0.020 + 0.001 * number)
        assert policy.decide(here) == reference.decide(here)
    assert policy.failure
    assert policy.fallbacks == 1
    assert policy.start_delay == reference.start_delay


def _call(policy: OnnxPolicy | None, network: str, seconds: float = 8.0):
    pcm = read_file(str(sample_speech()))[: round(48_000 * seconds)]
    trace = generate_trace(parse_profile(network), 600, 3)
    config = SimulationConfig(SendingConfig(), PlayoutConfig(), trace)
    return simulate_call(pcm, config, policy)


def test_same_call_same_steps() -> None:
    first = _call(OnnxPolicy(PolicyConfig()), "loss=20,burst=3,delay=40", 4.0)
    again = _call(OnnxPolicy(PolicyConfig()), "loss=20,burst=3,delay=40", 4.0)
    assert first.records == again.records
    np.testing.assert_array_equal(first.heard, again.heard)


def test_a_call_without_its_model_says_so(tmp_path: Path) -> None:
    missing = OnnxPolicy(PolicyConfig(), model=tmp_path / "none.onnx")
    assert _call(missing, "delay=30", 2.0).playout.policy_fallbacks == 1
    assert _call(OnnxPolicy(PolicyConfig()), "delay=30", 2.0).playout.policy_fallbacks == 0


def test_clean_call_is_left_alone() -> None:
    policy = OnnxPolicy(PolicyConfig())
    call = _call(policy, "delay=30")
    late = [record for record in call.records if record.time > 3.0]
    assert policy.fallbacks == 0
    assert {record.action for record in late} == {Action.PLAY}
    assert {record.source for record in late} == {Source.REGULAR}
    assert max(record.delay_ms for record in late) <= 50.0


def test_step_costs_less_than_decoding_a_frame() -> None:
    """A ratio, so that it holds on any machine: a step of the policy against a whole step."""
    policy = fed(OnnxPolicy(PolicyConfig()), [0.001] * 100)
    steps = 300
    began = time.thread_time()
    for _ in range(steps):
        policy.decide(HERE)
    alone = (time.thread_time() - began) / steps
    began = time.thread_time()
    call = _call(HistogramPolicy(PolicyConfig()), "delay=30", 3.0)
    whole = (time.thread_time() - began) / len(call.records)
    assert alone < 0.5 * whole
