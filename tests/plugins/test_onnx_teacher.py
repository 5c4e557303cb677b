"""Costs, the simulator, and the teacher that knows the future."""

import json
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from softphone_onnx_playout import OnnxPolicy
from softphone_onnx_playout.e_model import delay_impairment, mos_to_r, r_to_mos
from softphone_onnx_playout.features import FEATURES, TARGETS, FeatureExtractor
from softphone_onnx_playout.holding import hold_target
from softphone_onnx_playout.training.cost import CostTable, call_cost
from softphone_onnx_playout.training.network_call import NetworkCall
from softphone_onnx_playout.training.networks import NetworkGenerator
from softphone_onnx_playout.training.simulator import Simulator
from softphone_onnx_playout.training.speech import FRAME, SpeechLibrary, SpeechPattern
from softphone_onnx_playout.training.teacher import COMMITMENT, Teacher, Visit

from softphone.audio.files import read_file
from softphone.data import sample_speech
from softphone.playout import (
    Action,
    Decision,
    Observation,
    PlayoutConfig,
    PlayoutPolicy,
    PolicyConfig,
    Source,
    TraceRecord,
)
from softphone.playout.policies.fixed import FixedPolicy
from softphone.playout.policies.histogram import HistogramPolicy
from softphone.sending import SendingConfig
from softphone.sim.call import SimulationConfig, simulate_call
from softphone.sim.network import generate_trace
from softphone.sim.presets import parse_profile
from softphone.sim.scoring import speech_activity
from softphone.sim.trace import PacketTrace


@pytest.fixture(scope="module")
def library() -> SpeechLibrary:
    return SpeechLibrary([sample_speech()])


def talk(frames: int) -> SpeechPattern:
    """Speech without a pause, with a pitch of 125 Hz."""
    lags = np.tile([0.0, 0.008, 0.008], (frames, 1))
    return SpeechPattern(np.ones(frames), np.zeros(frames, np.bool_), lags)


@pytest.mark.parametrize(
    ("ms", "low", "high"), [(0, 0.0, 0.3), (100, 1.5, 3.0), (150, 2.5, 4.5), (250, 11, 17), (400, 25, 32)]
)
def test_delay_impairment_is_that_of_g107(ms: float, low: float, high: float) -> None:
    assert low <= float(delay_impairment(ms / 1000)) <= high


def test_mos_and_rating_are_inverse() -> None:
    ratings = np.linspace(10.0, 95.0, 20)
    np.testing.assert_allclose(mos_to_r(r_to_mos(ratings)), ratings, atol=0.1)


def test_cost_adds_up_by_source_and_action() -> None:
    costs = CostTable(
        positions=(0.0, 0.02),
        concealment=(100.0, 200.0),
        waiting=(90.0, 30.0),
        lbrr=10.0,
        dred=40.0,
        skipping=50.0,
        tempo=0.5,
        silence=0.0,
    )

    def record(number: int, source: Source, action: Action = Action.PLAY) -> TraceRecord:
        media = {Action.WAIT: 0, Action.RECOVER: -960}.get(action, 960)
        samples = {Action.WAIT: 480, Action.SKIP: 0, Action.RECOVER: 0}.get(action, 960)
        return TraceRecord(0.02 * number, 960 * number, None, source, action, samples, media, 0, 0, 0)

    result = call_cost(
        [
            record(0, Source.REGULAR),
            record(1, Source.PLC),
            record(2, Source.PLC),
            record(3, Source.DRED),
            record(4, Source.LBRR),
            record(5, Source.PLC, Action.WAIT),
            record(5, Source.PLC, Action.SKIP),
            record(6, Source.REGULAR, Action.COMPRESS),
            record(7, Source.PLC),
            record(8, Source.PLC, Action.RECOVER),
            record(7, Source.DRED),
        ],
        np.ones(20),
        costs,
    )
    assert result.concealment == pytest.approx(0.02 * 300)
    assert result.redundancy == pytest.approx(0.02 * 90)
    # What was gone back to was heard as a wait.
    assert result.waiting == pytest.approx(0.01 * 90 + 0.02 * 90)
    assert result.skipping == pytest.approx(0.02 * 50)
    assert result.tempo == pytest.approx(0.5)
    assert result.concealed == pytest.approx(0.09)
    assert result.seconds == pytest.approx(0.16)


def test_shipped_prices_have_the_order_of_the_sources() -> None:
    costs = CostTable()
    assert 0.0 < costs.lbrr < costs.dred < min(costs.concealment)


def test_shipped_prices_agree_with_the_shipped_model() -> None:
    """A model trained for other prices would have to be trained again."""
    from softphone_onnx_playout.model import PlayoutModel, shipped_model

    trained = PlayoutModel(shipped_model()).training["costs"]
    table = json.loads(
        resources.files("softphone_onnx_playout.training").joinpath("costs.json").read_text(encoding="utf-8")
    )
    assert (trained["dred"], trained["tempo"]) == (table["dred"], table["tempo"])
    assert trained["lbrr"] == table["lbrr"]


def test_need_of_each_source() -> None:
    delays = np.full(10, 0.010)
    delays[4:6] = np.nan
    call = NetworkCall(
        speech=talk(10),
        arrival=np.where(np.isnan(delays), np.inf, (np.arange(10) + 1) * FRAME + delays),
        lbrr=np.ones(10, np.bool_),
        reach=np.full(10, 2 * 960),
        silent=np.zeros(10, np.int64),
        copies=np.zeros(10, np.int64),
        distance=np.ones(10, np.int64),
        path_delay=0.010,
    )
    need = call.need()
    assert need[3, 0] == pytest.approx(0.030)
    assert np.isinf(need[4:6, 0]).all()
    assert np.isinf(need[4, 2])
    assert need[5, 2] == pytest.approx(0.050)
    assert need[4, 3] == pytest.approx(0.070)
    assert np.isinf(need[:, 1]).all()
    call = replace(call, copies=np.ones(10, np.int64), distance=np.full(10, 3))
    assert [list(call.copied(number)) for number in (2, 3, 9)] == [[], [3], [3]]
    need = call.need()
    assert need[4:6, 1] == pytest.approx(0.090)
    assert np.isinf(need[1:3, 1]).all(), "the packets with their copies are lost, too"
    assert np.isinf(need[7:, 1]).all()


@pytest.mark.parametrize("network", ["delay=30", "loss=20,burst=3,delay=40", "jitter=40,delay=60"])
def test_simulator_does_what_the_playout_core_does(network: str) -> None:
    pcm = read_file(str(sample_speech()))[: 48_000 * 12]
    trace = generate_trace(parse_profile(network), 800, 5)
    call = NetworkCall.make(trace, SpeechPattern.measure(pcm), SendingConfig())
    active = speech_activity(pcm).astype(np.float64)
    quick = call_cost(Simulator(call, HistogramPolicy(PolicyConfig())).run(), active)
    config = SimulationConfig(SendingConfig(), PlayoutConfig(policy="histogram"), trace)
    real = call_cost(simulate_call(pcm, config).records, active)
    assert quick.mean_delay == pytest.approx(real.mean_delay, abs=0.012)
    assert quick.total == pytest.approx(real.total, rel=0.25, abs=0.3)


def test_clean_network_costs_nothing_but_its_delay() -> None:
    call = NetworkCall.make(PacketTrace.perfect(0.030), talk(200), SendingConfig(mode="none"))
    assert Teacher(call).bound() == pytest.approx(float(delay_impairment(0.0565)), rel=0.1)


def test_nobody_beats_the_teacher(library: SpeechLibrary) -> None:
    generator = NetworkGenerator(library, shortest=8.0, longest=8.0)
    for seed in (1, 2, 3, 4):
        call = generator.draw(seed)
        bound = Teacher(call).bound()
        active = np.repeat(call.speech.active, 2)
        for policy, limit in (
            (HistogramPolicy(PolicyConfig()), 0.5),
            (FixedPolicy(PolicyConfig(max_delay=0.15)), 0.15),
            (OnnxPolicy(PolicyConfig()), 0.5),
        ):
            cost = call_cost(Simulator(call, policy, max_delay=limit).run(), active)
            assert cost.total >= 0.97 * bound - 0.2


def _one_off(delay: float) -> NetworkCall:
    """A clean call in which one packet has another delay."""
    delays = np.full(400, 0.010)
    delays[100] = delay
    return NetworkCall(
        talk(400),
        (np.arange(400) + 1) * FRAME + delays,
        np.zeros(400, np.bool_),
        np.zeros(400, np.int64),
        np.zeros(400, np.int64),
        np.zeros(400, np.int64),
        np.ones(400, np.int64),
        0.010,
    )


def test_teacher_waits_sooner_for_what_is_late_than_for_what_is_lost() -> None:
    missing = [Visit(100, 0.030, 0.0)]
    late, lost = (float(Teacher(_one_off(delay)).label(missing)[0, -1]) for delay in (0.020, np.inf))
    assert late < lost
    assert lost > 0.5


class _Held(PlayoutPolicy):
    """Holds one delay, and waits for nothing else."""

    start_delay = 0.030

    def __init__(self, config: PolicyConfig, target: float) -> None:
        super().__init__(config)
        self.target = target

    def decide(self, observation: Observation) -> Decision:
        return hold_target(observation, self.target, wait=False)


@pytest.mark.parametrize("target", [0.020, 0.050])
def test_the_teacher_knows_what_a_delay_too_small_for_repairs_costs(
    library: SpeechLibrary, target: float
) -> None:
    """In comparison with one that is enough, as the simulation has it; a commitment ends, though."""
    enough, frames = 0.120, 1250
    targets = [int(np.searchsorted(TARGETS, each)) for each in (target, enough)]
    saved, said = [], []
    for seed in (1, 2, 3):
        speech = library.draw(np.random.default_rng(seed), frames)
        trace = generate_trace(parse_profile("loss=20,burst=3,delay=40"), frames + 50, seed)
        call = NetworkCall.make(trace, speech, SendingConfig(bitrate=48_000))
        visits: list[Visit] = []

        def note(frame: int, observation: Observation, visits: list[Visit] = visits) -> None:
            if not observation.missing and 100 < frame < frames - COMMITMENT:
                visits.append(Visit(frame, observation.now - frame * FRAME, 0.0))

        runs = [
            Simulator(call, _Held(PolicyConfig(), target), on_step=note).run(),
            Simulator(call, _Held(PolicyConfig(), enough)).run(),
        ]
        low, high = (call_cost(run, np.repeat(speech.active, 2)).total for run in runs)
        saved.append(low - high)
        labels = Teacher(call).label(visits[::40])[:, targets]
        said.append(float(np.mean(labels[:, 0] - labels[:, 1])) / (COMMITMENT * FRAME))
    assert 0.65 < np.mean(said) / np.mean(saved) < 1.05


def test_committing_is_never_better_than_choosing(library: SpeechLibrary) -> None:
    call = NetworkGenerator(library, shortest=6.0, longest=6.0).draw(7)
    teacher = Teacher(call)
    labels = teacher.label([Visit(0, FRAME + call.path_delay + 0.060, 0.0)])
    assert float(labels[:, : len(TARGETS)].min()) / (call.frames * FRAME) >= teacher.bound() - 0.1


def test_what_came_before_changes_no_label(library: SpeechLibrary) -> None:
    call = NetworkGenerator(library, shortest=6.0, longest=6.0).draw(7)
    early, late = (Visit(frame, FRAME + call.path_delay + 0.060, 0.0) for frame in (20, 150))
    teacher = Teacher(call)
    np.testing.assert_array_equal(teacher.label([late])[0], teacher.label([early, late])[1])


def test_features_are_bounded_and_do_not_depend_on_the_clock(library: SpeechLibrary) -> None:
    call = NetworkGenerator(library, shortest=6.0, longest=6.0).draw(11)
    shifted: list[list[np.ndarray]] = []
    for shift in (0.0, 1000.0):
        policy = _Watcher(shift)
        Simulator(call, policy).run()
        shifted.append(policy.seen)
    first, second = (np.array(each) for each in shifted)
    assert first.shape[1] == FEATURES
    assert np.abs(first).max() <= 4.0
    np.testing.assert_allclose(first, second, atol=1e-3)


class _Watcher(HistogramPolicy):
    """Extracts features from a stream whose clock is ahead."""

    def __init__(self, shift: float) -> None:
        self._shift, self.features, self.seen = shift, FeatureExtractor(), []
        super().__init__(PolicyConfig())

    def on_arrival(self, arrival) -> None:
        from dataclasses import replace

        self.features.on_arrival(replace(arrival, at=arrival.at + self._shift))
        super().on_arrival(arrival)

    def on_repair(self, relative_delay) -> None:
        self.features.on_repair(relative_delay)
        super().on_repair(relative_delay)

    def decide(self, observation):
        from dataclasses import replace

        self.seen.append(self.features.extract(replace(observation, now=observation.now + self._shift)))
        return super().decide(observation)


def test_policy_beats_histogram_on_networks_it_has_not_seen(library: SpeechLibrary) -> None:
    generator = NetworkGenerator(library, shortest=15.0, longest=15.0)
    totals = np.zeros(2)
    for seed in range(10):
        call = generator.draw(9_000_000_000 + seed)
        active = np.repeat(call.speech.active, 2)
        for column, policy in enumerate((OnnxPolicy(PolicyConfig()), HistogramPolicy(PolicyConfig()))):
            totals[column] += call_cost(Simulator(call, policy).run(), active).total
    assert totals[0] < 0.95 * totals[1]
