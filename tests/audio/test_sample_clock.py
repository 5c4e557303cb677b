import numpy as np
import pytest

from softphone.audio.sample_clock import SampleClock, glide

RATE = 48_000


def callbacks(seconds: float, ppm: float, jitter: float, seed: int = 1) -> list[tuple[int, float, float]]:
    """(position, reported time, true time) of callbacks of 480 frames that come late at random."""
    rng = np.random.default_rng(seed)
    rate = RATE * (1 + ppm * 1e-6)
    rows = []
    for k in range(int(seconds * 100)):
        true = 1000.0 + k * 480 / rate
        rows.append((k * 480, true + rng.uniform(-jitter, jitter), true))
    return rows


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 100.0])
def test_smooths_jitter_and_learns_the_rate(ppm: float) -> None:
    clock = SampleClock(RATE)
    rates, errors = [], []
    for position, reported, true in callbacks(120.0, ppm, jitter=0.005):
        clock.update(position, reported)
        if position > 20 * RATE:
            errors.append(clock.time_at(position) - true)
            rates.append(clock.rate_error_ppm)
    assert np.max(np.abs(errors)) < 0.0015
    assert np.mean(rates) == pytest.approx(ppm, abs=20.0)


def test_is_exact_without_jitter_and_looks_ahead() -> None:
    clock = SampleClock(RATE)
    for position, reported, _ in callbacks(1.0, 0.0, jitter=0.0):
        clock.update(position, reported)
    assert clock.time_at(10 * RATE) == pytest.approx(1010.0, abs=1e-6)
    assert clock.resyncs == 0


def test_two_callbacks_at_once_do_not_upset_it() -> None:
    """PulseAudio calls twice every 20 ms."""
    clock = SampleClock(RATE)
    for k in range(1000):
        clock.update(k * 480, 5.0 + (k // 2) * 0.020)
    assert clock.time_at(1000 * 480) == pytest.approx(15.0 - 0.005, abs=0.002)
    assert abs(clock.rate_error_ppm) < 100


def test_starts_anew_after_the_card_had_stopped() -> None:
    clock = SampleClock(RATE)
    for position, reported, _ in callbacks(2.0, 0.0, jitter=0.0):
        clock.update(position, reported)
    clock.update(2 * RATE, 1002.5)
    assert clock.resyncs == 1
    assert clock.time_at(3 * RATE) == pytest.approx(1003.5)


def test_ignores_what_does_not_advance() -> None:
    clock = SampleClock(RATE)
    clock.update(480, 1.0)
    clock.update(480, 7.0)
    clock.update(0, 9.0)
    assert clock.time_at(480) == 1.0


def test_forgets() -> None:
    clock = SampleClock(RATE)
    assert not clock.known
    clock.update(0, 1.0)
    assert clock.known
    clock.reset()
    assert not clock.known


@pytest.mark.parametrize(
    ("expected", "measured", "given"),
    [
        (5.0, 5.001, 5.001),
        (5.0, 4.999, 4.999),
        (5.0, 5.150, 5.005),
        (5.0, 4.850, 4.995),
        (5.0, 7.000, 7.000),
        (5.0, 4.000, 4.000),
    ],
)
def test_block_times_glide_unless_the_stream_was_interrupted(
    expected: float, measured: float, given: float
) -> None:
    assert glide(expected, measured) == pytest.approx(given)
