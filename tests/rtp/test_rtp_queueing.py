"""Queueing delay out of arrival times: queues are seen, jitter and steps aren't taken for them."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp.queueing import QueueingDelay, QueueingDelayEstimator


def receive(
    delay: Callable[[float], float | None],
    seconds: float,
    *,
    frame: float = 0.02,
    timestamp: int = 2**32 - 48_000,
    estimator: QueueingDelayEstimator | None = None,
) -> QueueingDelay:
    """Packets sent from 0 to `seconds`; `delay` of the time sent, None = lost."""
    estimator = estimator or QueueingDelayEstimator(48_000)
    for number in range(round(seconds / frame)):
        sent = (number + 1) * frame
        waited = delay(sent)
        if waited is not None:
            stamp = (timestamp + round(number * frame * 48_000)) % 2**32
            estimator.on_packet((65_500 + number) % 2**16, stamp, sent + waited)
    measured = estimator.measure()
    assert measured is not None
    return measured


@pytest.mark.parametrize("frame", [0.01, 0.02, 0.04, 0.06])
@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize(
    ("delay", "queue", "trend"),
    [
        (lambda t: 0.05, 0.0, 0.0),
        # A queue that fills at 0.4 s/s from 4 s on: the quickest of the last 0.3 s.
        (lambda t: 0.05 + max(0.0, 0.4 * (t - 4)), 0.68, 0.4),
        # One that has been full for a second, and one that drains.
        (lambda t: 0.05 + min(0.3, max(0.0, 0.4 * (t - 1))), 0.3, 0.0),
        (lambda t: 0.05 + (max(0.0, 0.8 - 0.1 * t) if t > 1 else 0.0), 0.2, -0.1),
        # The clock of the sender runs 100 ppm fast.
        (lambda t: 0.05 - 0.0001 * t, 0.0, 0.0),
    ],
)
def test_queues(
    delay: Callable[[float], float], queue: float, trend: float, frame: float, loss: float
) -> None:
    rng = random.Random(1)
    measured = receive(lambda t: None if rng.random() < loss else delay(t), 6.0, frame=frame)
    assert measured.delay == pytest.approx(queue, abs=0.1 if trend > 0.1 else 0.02)
    assert measured.trend == pytest.approx(trend, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_jitter_is_no_queue(seed: int) -> None:
    rng = random.Random(seed)
    measured = receive(lambda t: 0.05 + rng.uniform(0.0, 0.08), 10.0)
    assert measured.delay < 0.03
    assert abs(measured.trend) < 0.03


def test_a_stall_is_no_queue() -> None:
    # From 8 to 8.7 s nothing moves, then all arrives at once.
    measured = receive(lambda t: 0.05 + (max(0.0, 8.7 - t) if t >= 8.0 else 0.0), 9.0)
    assert measured.delay < 0.01


@pytest.mark.parametrize("ago", [0.3, 0.8, 1.5])
def test_a_step_has_no_trend(ago: float) -> None:
    measured = receive(lambda t: 0.05 if t < 8 - ago else 0.13, 8.0)
    assert measured.trend == pytest.approx(0.0, abs=0.02)


def test_a_longer_path_is_forgotten_in_time() -> None:
    assert receive(lambda t: 0.05 if t < 5 else 0.13, 30.0).delay == pytest.approx(0.08)
    assert receive(lambda t: 0.05 if t < 5 else 0.13, 40.0).delay == pytest.approx(0.0)


def test_another_length_of_packets_is_no_queue() -> None:
    estimator = QueueingDelayEstimator(48_000)
    timestamp, number = 0, 0
    for length in [960] * 200 + [2880] * 50 + [960] * 100:
        sent = (timestamp + length) / 48_000
        estimator.on_packet(number, timestamp, sent + 0.05)
        timestamp, number = timestamp + length, number + 1
        measured = estimator.measure()
        assert measured is None or measured.delay < 0.005
    assert estimator.measure() is not None


def test_a_restart_of_the_numbering_is_followed() -> None:
    estimator = QueueingDelayEstimator(48_000)
    for begin, first, delay in ((0.0, 40_000, 0.05), (2.0, 100, 0.15)):
        for number in range(100):
            now = begin + 0.02 * number
            estimator.on_packet(first + number, round(48_000 * now), now + delay)
    measured = estimator.measure()
    assert measured is not None
    assert measured.delay == pytest.approx(0.1)


def test_silence_that_is_not_sent_is_no_queue() -> None:
    measured = receive(lambda t: None if 3 < t < 5 and round(t * 50) % 20 else 0.05, 6.0)
    assert measured == QueueingDelay(pytest.approx(0.0), pytest.approx(0.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("pause", [0.02, 0.04, 0.06, 0.08, 0.1])
@pytest.mark.parametrize("lost", [False, True])
def test_a_pause_is_not_a_long_packet(pause: float, lost: bool) -> None:
    """Silence that isn't sent takes no sequence numbers, so it looks like one packet of its length."""
    estimator = QueueingDelayEstimator(48_000)
    media, number = 0.0, 0
    for spurt in range(20):
        for index in range(25):
            if not (lost and spurt % 2 and index == 0):
                arrival = media + 0.02 + 0.05
                estimator.on_packet(number, round(48_000 * media), arrival, marker=index == 0)
            media, number = media + 0.02, number + 1
        media += pause
    measured = estimator.measure()
    assert measured is not None
    assert measured.delay == pytest.approx(0.0, abs=0.001)


def test_a_new_clock_begins_anew() -> None:
    estimator = QueueingDelayEstimator(48_000)
    receive(lambda t: 0.05, 3.0, estimator=estimator)
    assert receive(lambda t: 900.05, 3.0, estimator=estimator).delay == pytest.approx(0.0)
    estimator.restart()
    assert estimator.measure() is None


@given(
    st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.floats(0, 1e6)), max_size=60)
)
def test_any_packets_give_finite_figures(packets: list[tuple[int, int, float]]) -> None:
    estimator = QueueingDelayEstimator(48_000)
    for packet in packets:
        estimator.on_packet(*packet)
        measured = estimator.measure()
        if measured is not None:
            assert measured.delay >= 0.0
            assert abs(measured.trend) < float("inf")


def test_a_clock_rate_is_needed() -> None:
    with pytest.raises(ValueError, match="clock_rate"):
        QueueingDelayEstimator(0)
