"""Loss bursts over a bounded window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp.bursts import BurstStatistics, SequenceWindow


@pytest.mark.parametrize(
    ("received", "lost", "bursts", "longest", "mean"),
    [
        ("11111", 0, 0, 0, None),
        ("10101", 2, 2, 1, 1.0),
        ("100011", 3, 1, 3, 3.0),
        ("0110001", 4, 2, 3, 2.0),
        ("", 0, 0, 0, None),
    ],
)
def test_runs(received: str, lost: int, bursts: int, longest: int, mean: float | None) -> None:
    statistics = BurstStatistics.of_bitmap(received)
    assert statistics == BurstStatistics(len(received), lost, bursts, longest)
    assert statistics.mean_burst == mean
    assert BurstStatistics.of(digit == "0" for digit in received) == statistics


def test_window_reports_only_its_newest_packets() -> None:
    window = SequenceWindow(10)
    for number in range(100):
        if number not in (3, 92, 93, 97):
            window.add(number)
    assert window.statistics() == BurstStatistics(10, 3, 2, 2)
    assert window.statistics(last=4) == BurstStatistics(4, 1, 1, 1)


def test_late_packet_fills_its_hole_once() -> None:
    window = SequenceWindow(10)
    assert [window.add(number) for number in (0, 1, 3, 2, 2)] == [True, True, True, True, False]
    assert window.statistics().lost == 0


def test_packets_behind_the_window_are_refused() -> None:
    window = SequenceWindow(4)
    window.add(100)
    assert window.add(97)
    assert not window.add(96)
    assert window.statistics() == BurstStatistics(4, 2, 1, 2)


def test_memory_stays_bounded_under_any_jump() -> None:
    window = SequenceWindow(64)
    for number in (0, 2**40, 2**62, 2**62 + 1):
        assert window.add(number)
    assert window.statistics().expected == 64


@given(st.lists(st.integers(0, 120), min_size=1, max_size=200))
def test_agrees_with_a_set(numbers: list[int]) -> None:
    window = SequenceWindow(200)
    seen: set[int] = set()
    for number in numbers:
        assert window.add(number) == (number not in seen)
        seen.add(number)
    first, last = min(seen), max(seen)
    expected = BurstStatistics.of(number not in seen for number in range(first, last + 1))
    assert window.statistics() == expected
    assert all((number in window) == (number in seen) for number in range(-5, 130))
