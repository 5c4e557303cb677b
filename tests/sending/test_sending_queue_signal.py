"""Reports and what they say about the queue."""

import pytest

from softphone.sending.config import CongestionTuning
from softphone.sending.network import NetworkReport
from softphone.sending.queue_signal import Queue, QueueWatch

EMPTY, DRAINING, CONGESTED, TOLERATED = Queue


@pytest.mark.parametrize(
    ("delay", "trend", "loss", "jitter", "queue"),
    [
        (0.0, 0.0, 0.0, 0.0, EMPTY),
        (0.0, 0.5, 0.3, 0.0, EMPTY),
        (0.04, 0.2, 0.1, 0.0, EMPTY),
        # A short queue matters when it grows or loses packets, a long one when it stands.
        (0.06, 0.0, 0.0, 0.0, DRAINING),
        (0.06, 0.02, 0.0, 0.0, CONGESTED),
        (0.06, 0.0, 0.05, 0.0, CONGESTED),
        (0.12, 0.0, 0.0, 0.0, CONGESTED),
        (0.30, 0.0, 0.2, 0.0, CONGESTED),
        (0.30, -0.1, 0.2, 0.0, DRAINING),
        # On a jittery link even the quickest packets wait.
        (0.12, 0.02, 0.05, 0.06, EMPTY),
        (0.13, 0.02, 0.00, 0.06, CONGESTED),
    ],
)
def test_what_a_softphone_reports(
    delay: float, trend: float, loss: float, jitter: float, queue: Queue
) -> None:
    watch = QueueWatch(CongestionTuning())
    report = NetworkReport(1.0, loss, None, 0.1, jitter, queueing_delay=delay, delay_trend=trend)
    assert watch.judge(report).queue is queue


@pytest.mark.parametrize(
    ("round_trips", "loss", "queue"),
    [
        ([0.08, 0.08], 0.0, EMPTY),
        ([0.08, 0.15], 0.3, EMPTY),
        # One long round trip may be a packet that was held up, unless packets are lost.
        ([0.08, 0.40], 0.0, DRAINING),
        ([0.08, 0.40], 0.1, CONGESTED),
        ([0.08, 0.40, 0.38], 0.0, CONGESTED),
        ([0.08, 0.40, 0.25], 0.0, DRAINING),
        ([0.08, 0.40, 0.38, 0.09], 0.0, EMPTY),
    ],
)
def test_what_round_trips_tell(round_trips: list[float], loss: float, queue: Queue) -> None:
    watch = QueueWatch(CongestionTuning())
    for number, round_trip in enumerate(round_trips):
        signal = watch.judge(NetworkReport(5.0 * number, loss, None, round_trip, 0.002))
    assert signal.queue is queue


def test_a_round_trip_from_before_shows_a_queue_that_was_always_full() -> None:
    without, watch = QueueWatch(CongestionTuning()), QueueWatch(CongestionTuning())
    watch.on_round_trip(0.08)
    report = NetworkReport(5.0, 0.4, None, 0.38, 0.002)
    assert without.judge(report).queue is EMPTY
    assert watch.judge(report).queue is CONGESTED


def test_a_longer_path_is_accepted_until_it_is_short_again() -> None:
    watch = QueueWatch(CongestionTuning())
    watch.accept(0.15)
    long, short = (NetworkReport(1.0, 0.0, queueing_delay=delay) for delay in (0.15, 0.0))
    assert watch.judge(long).queue is EMPTY
    assert watch.judge(short).queue is EMPTY
    assert watch.judge(long).queue is CONGESTED


def test_a_tolerated_queue_is_neither_calm_nor_congestion_until_it_grows() -> None:
    watch = QueueWatch(CongestionTuning())
    watch.tolerate(0.15)
    assert watch.judge(NetworkReport(1.0, 0.1, queueing_delay=0.16)).queue is TOLERATED
    assert watch.judge(NetworkReport(2.0, 0.1, queueing_delay=0.25)).queue is CONGESTED


def test_reports_without_any_delay_tell_nothing() -> None:
    signal = QueueWatch(CongestionTuning()).judge(NetworkReport(1.0, 0.5))
    assert (signal.queue, signal.delay) == (EMPTY, 0.0)


def test_people_can_read_it() -> None:
    watch = QueueWatch(CongestionTuning())
    assert (
        str(watch.judge(NetworkReport(1.0, 0.12, queueing_delay=0.18))) == "a queue of 180 ms and 12 % loss"
    )
    assert str(watch.judge(NetworkReport(2.0, 0.0, queueing_delay=0.18))) == "a queue of 180 ms"


@pytest.mark.parametrize(("own_wait", "queue"), [(0.0, CONGESTED), (0.02, CONGESTED), (0.15, EMPTY)])
def test_what_waits_on_this_machine_is_no_queue(own_wait: float, queue: Queue) -> None:
    watch = QueueWatch(CongestionTuning())
    report = NetworkReport(
        1.0, 0.2, None, 0.1, 0.002, queueing_delay=0.15, delay_trend=0.1, own_wait=own_wait
    )
    assert watch.judge(report).queue is queue
