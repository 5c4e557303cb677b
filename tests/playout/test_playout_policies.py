"""What the policies decide, in tables."""

from dataclasses import replace

import numpy as np
import pytest

from softphone.errors import ConfigError
from softphone.playout import (
    Action,
    Arrival,
    Decision,
    Observation,
    PlayoutConfig,
    PlayoutEngine,
    PlayoutPolicy,
    PolicyConfig,
    Source,
    playout_policies,
)
from softphone.playout.policies.control import DelayControl
from softphone.playout.policies.fixed import FixedPolicy
from softphone.playout.policies.histogram import DelayHistogram, HistogramPolicy
from softphone.playout.policy import Effort
from tests.support.observations import HERE
from tests.support.stream import Receiver

LOST = replace(HERE, sources=(Source.PLC,), gap=0.020, contiguous=0.0)
EMPTY = replace(LOST, gap=None, buffered=0.0)


@pytest.mark.parametrize(
    ("observation", "target_ms", "action", "effort"),
    [
        (HERE, 80, Action.PLAY, None),
        (HERE, 84, Action.PLAY, None),
        (HERE, 70, Action.COMPRESS, Effort.PAUSES),
        (HERE, 55, Action.COMPRESS, Effort.SPEECH),
        (replace(HERE, delay=0.300), 80, Action.COMPRESS, Effort.URGENT),
        (HERE, 90, Action.STRETCH, Effort.PAUSES),
        (HERE, 120, Action.STRETCH, Effort.SPEECH),
        (LOST, 80, Action.PLAY, None),
        (replace(LOST, delay=0.100), 80, Action.SKIP, None),
        (replace(LOST, delay=0.084), 80, Action.PLAY, None),
        (replace(LOST, delay=0.200, gap=0.060), 80, Action.SKIP, None),
        (replace(LOST, delay=0.200, sources=(Source.DRED, Source.PLC)), 80, Action.COMPRESS, Effort.URGENT),
        (replace(EMPTY, delay=0.200), 80, Action.PLAY, None),  # it may still come: no faster than time passes
        (replace(EMPTY, delay=0.200, dtx=True), 80, Action.COMPRESS, Effort.URGENT),
        (replace(EMPTY, delay=-0.010), 80, Action.WAIT, None),  # can't have come yet
        (replace(LOST, delay=-0.010), 80, Action.WAIT, None),
    ],
)
def test_steering(observation: Observation, target_ms: float, action: Action, effort: Effort | None) -> None:
    decision = DelayControl().steer(observation, target_ms / 1000)
    assert decision.action is action
    assert effort is None or decision.effort is effort
    assert decision.source is observation.best


def test_steering_finishes_what_it_began() -> None:
    control = DelayControl()
    efforts = [control.steer(replace(HERE, delay=0.080 + ms / 1000), 0.080).effort for ms in (15, 25, 15, 8)]
    assert efforts == [Effort.PAUSES, Effort.SPEECH, Effort.SPEECH, Effort.SPEECH]
    assert control.steer(HERE, 0.080).action is Action.PLAY
    assert control.steer(replace(HERE, delay=0.095), 0.080).effort is Effort.PAUSES


@pytest.mark.parametrize(
    ("observation", "action"),
    [
        (EMPTY, Action.WAIT),
        (replace(EMPTY, waited=0.39), Action.WAIT),
        (replace(EMPTY, waited=0.41), Action.PLAY),
        (replace(EMPTY, dtx=True), Action.PLAY),
        (LOST, Action.PLAY),
        (HERE, Action.PLAY),
    ],
)
def test_histogram_waits_only_when_nothing_is_held(observation: Observation, action: Action) -> None:
    policy = HistogramPolicy(PolicyConfig())
    assert policy.decide(observation).action is action


def test_fixed_never_waits_and_holds_the_limit() -> None:
    policy = FixedPolicy(PolicyConfig(max_delay=0.160))
    assert policy.decide(EMPTY).action is not Action.WAIT
    # 56.5 ms of the mouth-to-ear delay are not the buffer's.
    assert policy.decide(HERE).target_delay == pytest.approx(0.160 - 0.0565)


def arrival(relative_delay: float) -> Arrival:
    return Arrival(0.0, 0, 0, 960, relative_delay, late=False, lbrr=False, dred_reach=0.0)


@pytest.mark.parametrize(
    ("delays_ms", "target_ms"),
    [
        ([5] * 200, 20),
        ([25] * 200, 40),
        ([5] * 190 + [65] * 10, 80),
        ([5] * 198 + [65] * 2, 20),
    ],
)
def test_histogram_target_is_the_quantile(delays_ms: list[int], target_ms: int) -> None:
    policy = HistogramPolicy(PolicyConfig(max_delay=1.0))
    for delay in delays_ms:
        policy.on_arrival(arrival(delay / 1000))
    assert policy.decide(HERE).target_delay == pytest.approx(target_ms / 1000)


def test_repairs_count_like_late_packets_up_to_a_bound() -> None:
    policy = HistogramPolicy(PolicyConfig(max_delay=1.0))
    for _ in range(100):
        policy.on_arrival(arrival(0.001))
        policy.on_repair(0.045)
        policy.on_repair(0.9)
    assert policy.decide(HERE).target_delay == pytest.approx(0.060)


def test_histogram_respects_the_mouth_to_ear_limit_and_forgets_on_reset() -> None:
    policy = HistogramPolicy(PolicyConfig(max_delay=0.1))
    for _ in range(100):
        policy.on_arrival(arrival(0.5))
    assert policy.decide(HERE).target_delay == pytest.approx(0.1 - 0.0565)
    policy.reset()
    assert policy.start_delay == pytest.approx(0.080)


def test_histogram_forgets() -> None:
    histogram = DelayHistogram(0.99)
    for _ in range(200):
        histogram.add(0.3)
    for _ in range(400):
        histogram.add(0.01)
    assert histogram.quantile(0.95) == pytest.approx(0.02)
    assert DelayHistogram(0.9).quantile(0.5) <= DelayHistogram.BUCKET * DelayHistogram.BUCKETS
    histogram.add(1e9)
    histogram.add(-1.0)
    assert np.isfinite(histogram.quantile(1.0))


class Contrary(PlayoutPolicy):
    """Always asks for what is impossible or unwise."""

    start_delay = 0.05

    def __init__(self) -> None:
        super().__init__(PolicyConfig())
        self._turn = 0

    def decide(self, observation: Observation) -> Decision:
        self._turn += 1
        action = list(Action)[self._turn % len(Action)]
        source = list(Source)[self._turn % len(Source)]
        return Decision(action, source, float("nan"))


def test_a_bad_policy_sounds_bad_and_breaks_nothing() -> None:
    receiver = Receiver(Contrary())
    receiver.run(receiver.steady(200, lost=range(50, 200, 7)), 4.3)
    statistics = receiver.engine.statistics
    assert np.isfinite(receiver.pcm).all()
    assert statistics.actions_masked > 50
    played = {record.sequence for record in receiver.records if record.source is Source.REGULAR}
    skipped = [record for record in receiver.records if record.action is Action.SKIP]
    arrived = set(range(200)) - set(range(50, 200, 7))
    # Waiting for ever is masked by the delay limit, so media goes on; what came is not skipped.
    assert not {record.timestamp // 960 for record in skipped} & played
    assert len(played) > 0.5 * len(arrived)


@pytest.mark.parametrize("where", ["decide", "on_arrival", "on_repair", "start_delay", "reset"])
def test_histogram_takes_over_from_a_policy_that_raises(where: str, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(HistogramPolicy):
        pass

    def fail(*_: object) -> float:
        raise ZeroDivisionError("not my day")

    policy = Broken(PolicyConfig(max_delay=0.3))
    setattr(Broken, where, property(fail) if where == "start_delay" else fail)
    receiver = Receiver(policy, max_delay=0.3)
    arrivals = receiver.steady(100, lost={30, 31})
    if where == "reset":  # called when the sender begins anew
        receiver.run(arrivals, 2.2, make=lambda i: receiver.packet(i, ssrc=1 if i < 50 else 2))
    else:
        receiver.run(arrivals, 2.2)
    assert receiver.engine.statistics.policy_failures == 1
    assert receiver.engine.statistics.policy_fallbacks == 1
    assert receiver.sources().count("regular") >= 96
    assert caplog.text.count("histogram plays on") == 1


class Yielding(HistogramPolicy):
    """Gives up its own way at each `yields` that is passed, and breaks at `breaks`."""

    yields: tuple[float, ...] = ()
    breaks = float("inf")

    def decide(self, observation: Observation) -> Decision:
        self.fallbacks = sum(observation.now >= at for at in self.yields)
        if observation.now >= self.breaks:
            raise ZeroDivisionError("not my day")
        return super().decide(observation)


@pytest.mark.parametrize(
    ("members", "fallbacks"),
    [
        ({}, 0),
        ({"yields": (0.5,)}, 1),
        ({"yields": (0.5, 1.0)}, 2),
        ({"yields": (9.9,)}, 0),
        ({"yields": (0.5,), "breaks": 1.0}, 2),
        ({"breaks": 1.0}, 1),
    ],
)
def test_a_policy_that_leaves_its_decisions_to_another_is_counted(
    members: dict[str, object], fallbacks: int
) -> None:
    policy = Yielding(PolicyConfig())
    for name, value in members.items():
        setattr(policy, name, value)
    receiver = Receiver(policy)
    receiver.run(receiver.steady(100), 2.0)
    assert receiver.engine.statistics.policy_fallbacks == fallbacks


@pytest.mark.parametrize("meaning", [None, "many", [HistogramPolicy], 1.5])
def test_a_policy_may_mean_something_else_by_fallbacks(meaning: object) -> None:
    policy = HistogramPolicy(PolicyConfig())
    policy.fallbacks = meaning  # type: ignore[assignment]
    receiver = Receiver(policy)
    receiver.run(receiver.steady(100), 2.0)
    statistics = receiver.engine.statistics
    assert (statistics.policy_fallbacks, statistics.policy_failures) == (0, 0)
    assert receiver.sources().count("regular") > 80


def test_a_policy_of_nobodys_class_works() -> None:
    class Stranger:
        """Has what is called, and nothing else."""

        def __init__(self) -> None:
            self.config = PolicyConfig()
            self.start_delay = 0.06

        def decide(self, observation: Observation) -> Decision:
            return Decision(Action.PLAY, observation.best, 0.06)

        def on_arrival(self, arrival: object) -> None: ...

        def on_repair(self, relative_delay: float) -> None: ...

        def reset(self) -> None: ...

    receiver = Receiver()
    receiver.engine = PlayoutEngine(policy=Stranger())  # type: ignore[arg-type]
    receiver.run(receiver.steady(100), 2.0)
    statistics = receiver.engine.statistics
    assert (statistics.policy_fallbacks, statistics.policy_failures) == (0, 0)


def test_policies_are_found_by_name() -> None:
    assert {"fixed", "histogram"} <= set(playout_policies.names())
    assert playout_policies.load("fixed") is FixedPolicy
    with pytest.raises(ConfigError, match=r"choose one of: .*histogram"):
        PlayoutEngine(PlayoutConfig(policy="psychic"))
