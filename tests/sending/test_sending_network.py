"""From reports to an estimate, in virtual time."""

import math

import pytest

from softphone.sending.config import PlannerTuning
from softphone.sending.network import NetworkEstimator, NetworkReport, NetworkState

CLEAN, LOSSY, UNKNOWN = NetworkState.CLEAN, NetworkState.LOSSY, NetworkState.UNKNOWN


def feed(
    estimator: NetworkEstimator,
    begin: float,
    end: float,
    loss: float,
    burst: float | None = None,
    every: float = 1.0,
) -> float:
    """Reports from `begin` to `end` (inclusive); returns the time of the last."""
    at = begin
    while at <= end:
        assert estimator.on_report(NetworkReport(at, loss, burst))
        at += every
    return at - every


def test_nothing_is_known_before_the_first_report() -> None:
    assert NetworkEstimator().estimate(0.0).state is UNKNOWN


def test_clean_needs_the_whole_window() -> None:
    estimator = NetworkEstimator()
    feed(estimator, 1, 6, 0.0)
    assert estimator.estimate(6.0).state is UNKNOWN
    feed(estimator, 7, 7, 0.0)
    assert estimator.estimate(7.0).state is CLEAN


def test_loss_is_believed_at_once() -> None:
    estimator = NetworkEstimator()
    feed(estimator, 1, 1, 0.03)
    assert estimator.estimate(1.0).state is LOSSY
    feed(estimator, 2, 6, 0.0)
    assert estimator.estimate(6.0).state is LOSSY


def test_rare_reports_reach_the_clean_verdict_too() -> None:
    estimator = NetworkEstimator()
    feed(estimator, 5, 10, 0.0, every=5.0)
    assert estimator.estimate(10.0).state is UNKNOWN
    feed(estimator, 15, 15, 0.0)
    assert estimator.estimate(15.0).state is CLEAN


def test_a_report_that_covers_seconds_counts_for_them() -> None:
    estimator = NetworkEstimator()
    estimator.on_report(NetworkReport(5.0, 0.0, span=5.0))
    estimator.on_report(NetworkReport(6.0, 0.0, span=5.0))
    assert estimator.estimate(6.0).state is CLEAN


def test_a_single_lost_packet_now_and_then_is_clean() -> None:
    estimator = NetworkEstimator()
    for second in range(1, 60):
        estimator.on_report(NetworkReport(float(second), 0.02 if second % 10 == 0 else 0.0, 1.0))
        if second > 12:
            assert estimator.estimate(float(second)).state is CLEAN, second


@pytest.mark.parametrize("loss", [0.05, 0.2, 1.0])
def test_one_bad_report_ends_clean_at_once(loss: float) -> None:
    estimator = NetworkEstimator()
    at = feed(estimator, 1, 10, 0.0)
    estimator.on_report(NetworkReport(at + 1, loss, 2.0))
    assert estimator.estimate(at + 1).state is LOSSY


def test_creeping_loss_ends_clean() -> None:
    estimator = NetworkEstimator()
    at = feed(estimator, 1, 10, 0.0)
    at = feed(estimator, at + 1, at + 6, 0.02, 1.0)
    assert estimator.estimate(at).state is LOSSY


def test_a_wrong_clean_verdict_makes_the_next_one_slower() -> None:
    tuning = PlannerTuning()
    estimator = NetworkEstimator(tuning)
    waits = []
    at = 0.0
    for _ in range(5):
        at += 1.0
        estimator.on_report(NetworkReport(at, 0.2, 2.0))
        lost_at = at
        while estimator.estimate(at).state is not CLEAN:
            at += 1.0
            estimator.on_report(NetworkReport(at, 0.0))
        waits.append(at - lost_at)
    assert waits == sorted(waits)
    assert waits[1] >= 2 * tuning.clean_window
    assert waits[-1] <= tuning.clean_window_max + 2


def test_loss_rises_fast_and_falls_slowly() -> None:
    estimator = NetworkEstimator()
    feed(estimator, 1, 3, 0.0)
    at = feed(estimator, 4, 6, 0.3, 1.2)
    risen = estimator.estimate(at).loss
    assert risen > 0.27
    at = feed(estimator, 7, 9, 0.0)
    assert estimator.estimate(at).loss > 0.5 * risen


def test_bursts_are_weighed_by_the_losses_behind_them() -> None:
    estimator = NetworkEstimator()
    for second in range(1, 20):
        heavy = second % 2
        estimator.on_report(NetworkReport(float(second), 0.3 if heavy else 0.01, 4.0 if heavy else 1.0))
    burst = estimator.estimate(19.0).mean_burst
    assert burst is not None
    assert 3.0 < burst <= 4.0


@pytest.mark.parametrize(
    ("loss", "burst", "bursty"),
    [
        (0.05, 1.05, False),
        (0.2, 1.25, False),
        (0.05, 2.0, True),
        (0.2, 5.0, True),
        (0.05, None, False),
        (0.2, None, True),
    ],
)
def test_bursty(loss: float, burst: float | None, bursty: bool) -> None:
    estimator = NetworkEstimator()
    at = feed(estimator, 1, 10, loss, burst)
    assert estimator.estimate(at).bursty is bursty


def test_burst_flag_has_hysteresis() -> None:
    estimator = NetworkEstimator(PlannerTuning(burst_memory=0.1))
    states = []
    for second, burst in enumerate([1.3, 1.5, 1.3, 1.2, 1.3], start=1):
        estimator.on_report(NetworkReport(float(second), 0.1, burst))
        states.append(estimator.estimate(float(second)).bursty)
    assert states == [False, True, True, False, False]


def test_silence_of_the_peer_makes_the_network_unknown_again() -> None:
    estimator = NetworkEstimator()
    at = feed(estimator, 1, 10, 0.0)
    assert estimator.estimate(at + 14).state is CLEAN
    assert estimator.estimate(at + 16).state is UNKNOWN
    # And the old verdict isn't taken up again when the peer is back.
    estimator.on_report(NetworkReport(at + 30, 0.0))
    assert estimator.estimate(at + 30).state is UNKNOWN


@pytest.mark.parametrize(
    "report",
    [
        NetworkReport(math.nan, 0.1),
        NetworkReport(2.0, math.nan),
        NetworkReport(2.0, -0.1),
        NetworkReport(2.0, 1.1),
        NetworkReport(2.0, 0.1, 0.5),
        NetworkReport(2.0, 0.1, math.inf),
        NetworkReport(2.0, 0.1, math.nan),
        NetworkReport(2.0, 0.1, 2.0, span=-1.0),
        NetworkReport(2.0, 0.1, 2.0, span=math.nan),
        NetworkReport(1.0, 0.1),
        NetworkReport(0.5, 0.1),
    ],
)
def test_bad_and_outdated_reports_change_nothing(report: NetworkReport) -> None:
    estimator = NetworkEstimator()
    estimator.on_report(NetworkReport(1.0, 0.02, 1.5))
    before = estimator.estimate(2.0)
    assert not estimator.on_report(report)
    assert estimator.estimate(2.0) == before
