from dataclasses import dataclass

import numpy as np
import pytest

from softphone.audio.drift import DriftController, DriftCorrector

RATE = 48_000
FRAME = 0.020


@dataclass
class Outcome:
    excess: np.ndarray
    """Excess over the target at each tick, seconds."""
    stretches: list[float]
    """Times at which the policy had to stretch or compress."""


def simulate(
    ppm: float,
    *,
    minutes: float = 30.0,
    controller: DriftController | None,
    jitter: float = 0.006,
    bursts: tuple[float, ...] = (),
) -> Outcome:
    """A jitter buffer between two drifting clocks, with a policy that stretches in steps.

    The sender's card runs `ppm` faster, the receiver's `ppm` slower than nominal. The
    policy looks at a level smoothed over half a second and beyond 20 ms from the target
    removes or adds 10 ms at once. Each burst adds 150 ms of delay, as late recovery does.
    """
    rng = np.random.default_rng(3)
    drift = 2 * ppm * 1e-6
    steps = int(minutes * 60 / FRAME)
    noise = rng.gamma(2.0, jitter / 2.0, steps) - jitter
    burst_steps = {int(at / FRAME) for at in bursts}
    level, seen, ratio = 0.0, 0.0, 1.0
    excess, stretches = np.empty(steps), []
    for k in range(steps):
        level += FRAME * (drift + ratio - 1.0)
        if k in burst_steps:
            level += 0.150
        measured = level + noise[k]
        seen += (measured - seen) * FRAME / 0.5
        if abs(seen) > 0.020:
            step = 0.010 if seen > 0 else -0.010
            level, seen = level - step, seen - step
            stretches.append(k * FRAME)
        if controller is not None:
            ratio = controller.update(measured, FRAME)
        excess[k] = level
    return Outcome(excess, stretches)


@pytest.mark.parametrize("ppm", [100.0, -100.0, 0.0])
def test_takes_the_drift_over_from_the_time_stretcher(ppm: float) -> None:
    controller = DriftController()
    outcome = simulate(ppm, controller=controller)
    settled = len(outcome.excess) // 2
    assert abs(np.mean(outcome.excess[settled:])) < 0.0015
    assert np.max(np.abs(outcome.excess[settled:])) < 0.006
    assert controller.drift_ppm == pytest.approx(2 * ppm, abs=15.0)
    assert [at for at in outcome.stretches if at > 900.0] == []


@pytest.mark.parametrize("ppm", [100.0, -100.0])
def test_without_it_the_policy_stretches_for_ever(ppm: float) -> None:
    outcome = simulate(ppm, controller=None)
    assert sum(at > 900.0 for at in outcome.stretches) > 10


def test_a_drift_is_answered_without_overshoot() -> None:
    outcome = simulate(50.0, controller=DriftController(), jitter=1e-9)
    peak = np.max(outcome.excess)
    assert peak == pytest.approx(1e-4 / (0.01 * np.e), rel=0.15)
    assert np.min(outcome.excess) > -0.1 * peak
    assert outcome.stretches == []


def test_bursts_teach_it_little() -> None:
    """What the policy works off within seconds is hardly learnt as drift."""
    controller = DriftController()
    worst = 0.0
    for minutes in (8.0, 12.0, 20.0, 30.0):
        simulate(50.0, minutes=minutes, controller=controller, bursts=tuple(range(300, 1700, 300)))
        worst = max(worst, abs(controller.drift_ppm - 100.0))
        controller.reset()
    assert worst < 80.0


def test_keeps_the_learnt_drift_through_a_pause() -> None:
    controller = DriftController()
    simulate(100.0, controller=controller)
    before = controller.drift_ppm
    for _ in range(3000):
        ratio = controller.update(None, FRAME)
    assert controller.drift_ppm == before
    assert ratio == pytest.approx(1.0 - before * 1e-6, abs=1e-9)
    controller.reset()
    assert (controller.drift_ppm, controller.ratio) == (0.0, 1.0)


@pytest.mark.parametrize("excess", [1e9, -1e9, float("nan"), float("inf")])
def test_the_ratio_stays_within_its_limit(excess: float) -> None:
    controller = DriftController()
    for _ in range(10_000):
        assert abs(controller.update(excess, FRAME) - 1.0) <= 5e-4
    assert controller.drift_ppm == pytest.approx(0.0, abs=1.0)


class Engine:
    """Renders a sine and keeps what it was asked."""

    def __init__(self) -> None:
        self.position = 0
        self.asked: list[tuple[int, float]] = []

    def render(self, samples: int, playout: float) -> np.ndarray:
        self.asked.append((self.position, playout))
        n = np.arange(self.position, self.position + samples)
        self.position += samples
        return (0.5 * np.sin(2 * np.pi * 1000.0 * n / RATE)).astype(np.float32)


def test_the_corrector_asks_for_more_media_when_there_is_too_much() -> None:
    engine = Engine()
    corrector = DriftCorrector(engine.render, lambda: 0.015)
    heard = np.concatenate([corrector(480, k * 0.01) for k in range(3000)])
    assert heard.shape == (30 * RATE,)
    assert heard.dtype == np.float32
    ratio = corrector.controller.ratio
    assert ratio < 1.0 - 2e-4
    # The media spent beyond what was heard, but for what the resampler holds.
    assert engine.position - len(heard) > 0.5 * (1.0 - ratio) * len(heard)
    # A clean sine of a slightly higher pitch: the step between samples never jumps.
    assert np.max(np.abs(np.diff(heard[960:]))) < 0.5 * 2 * np.pi * 1000 / RATE * 1.01


def test_the_corrector_tells_when_its_samples_are_heard() -> None:
    engine = Engine()
    corrector = DriftCorrector(engine.render, lambda: 0.0)
    for k in range(200):
        corrector(480, 7.0 + k * 0.01)
    for position, playout in engine.asked:
        assert playout == pytest.approx(7.0 + position / RATE, abs=1e-4)
