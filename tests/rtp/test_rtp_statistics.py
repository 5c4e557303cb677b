"""Reception statistics against RFC 3550, appendix A."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp.statistics import Arrival, ReceiveStatistics


def feed(statistics: ReceiveStatistics, numbers: Iterable[int]) -> list[Arrival]:
    """Packets of 20 ms that arrive exactly in time."""
    return [
        statistics.update(number & 0xFFFF, number * 960 & 0xFFFFFFFF, number * 0.02) for number in numbers
    ]


IN, RE, DUP, SUS, NEW = (
    Arrival.IN_ORDER,
    Arrival.REORDERED,
    Arrival.DUPLICATE,
    Arrival.SUSPECT,
    Arrival.RESTART,
)


@pytest.mark.parametrize(
    ("numbers", "kinds", "expected", "lost"),
    [
        pytest.param([1, 2, 3], [IN, IN, IN], 3, 0, id="clean"),
        pytest.param([1, 3, 2], [IN, IN, RE], 3, 0, id="reordered"),
        pytest.param([1, 2, 2, 1], [IN, IN, DUP, DUP], 2, 0, id="duplicates"),
        pytest.param([1, 5, 5, 5], [IN, IN, DUP, DUP], 5, 3, id="duplicates hide no loss"),
        pytest.param([65534, 65537], [IN, IN], 4, 2, id="loss at the wrap"),
        pytest.param([5, 3], [IN, RE], 3, 1, id="first one overtook"),
        pytest.param([1, 3000], [IN, IN], 3000, 2998, id="longest gap"),
        pytest.param([1, 3001, 2], [IN, SUS, IN], 2, 0, id="lone jump"),
        pytest.param([1, 9000, 9001, 9002], [IN, SUS, NEW, IN], 3, 0, id="restart"),
        pytest.param([9000, 1, 2, 3], [IN, SUS, NEW, IN], 3, 0, id="restart backward"),
        pytest.param([1, 9000, 12000, 2], [IN, SUS, SUS, IN], 2, 0, id="two jumps that don't agree"),
    ],
)
def test_numbering(numbers: list[int], kinds: list[Arrival], expected: int, lost: int) -> None:
    statistics = ReceiveStatistics(48_000)
    assert feed(statistics, numbers) == kinds
    assert (statistics.expected, statistics.lost) == (expected, lost)
    assert statistics.duplicates == kinds.count(DUP)
    assert statistics.reordered == kinds.count(RE)
    assert statistics.suspect == kinds.count(SUS)
    assert statistics.restarts == kinds.count(NEW)


def test_new_ssrc_starts_a_numbering_and_keeps_the_totals() -> None:
    statistics = ReceiveStatistics(48_000)
    for number in (10, 12, 13):
        statistics.update(number, 0, 0.0, ssrc=1)
    assert statistics.update(50_000, 0, 0.0, ssrc=2) is Arrival.RESTART
    assert statistics.update(50_001, 0, 0.0, ssrc=2) is Arrival.IN_ORDER
    assert (statistics.expected, statistics.received, statistics.lost) == (6, 5, 1)


def test_fraction_lost_covers_one_interval() -> None:
    statistics = ReceiveStatistics(48_000)
    feed(statistics, [n for n in range(100) if n % 4])  # 1..99
    first = statistics.report()
    assert first.fraction_lost == pytest.approx(24 / 99)
    assert first.fraction_lost_byte == int(24 / 99 * 256)
    feed(statistics, range(100, 200))
    second = statistics.report()
    assert second.fraction_lost == 0.0
    assert second.packets_lost == 24
    assert statistics.fraction_lost == 0.0


def test_late_packets_never_make_the_fraction_negative() -> None:
    statistics = ReceiveStatistics(48_000)
    feed(statistics, [0, 1, 5])
    assert statistics.report().fraction_lost == pytest.approx(3 / 6)
    feed(statistics, [2, 3, 4, 6])
    assert statistics.report().fraction_lost == 0.0
    assert statistics.lost == 0


def test_cumulative_loss_counts_duplicates_as_the_rfc_does() -> None:
    statistics = ReceiveStatistics(48_000)
    feed(statistics, [0, 1, 1, 1])
    assert statistics.report().packets_lost == -2


def test_total_loss_between_reports() -> None:
    statistics = ReceiveStatistics(48_000)
    feed(statistics, [0])
    statistics.report()
    assert statistics.report().fraction_lost == 0.0  # nothing expected, nothing known


def test_highest_sequence_counts_cycles() -> None:
    statistics = ReceiveStatistics(48_000)
    feed(statistics, range(65_000, 66_000, 100))
    assert statistics.highest_sequence == 65_900


def test_jitter_follows_appendix_a8() -> None:
    statistics = ReceiveStatistics(8_000)
    arrivals = [0.0, 0.025, 0.040, 0.061, 0.080]
    expected = 0.0
    for k, arrival in enumerate(arrivals):
        statistics.update(k, k * 160, arrival)
        if k:
            step = abs((arrival - arrivals[k - 1]) - 0.02)
            expected += (step - expected) / 16
    assert statistics.jitter == pytest.approx(expected)
    assert statistics.report().jitter == int(expected * 8_000)


def test_jitter_survives_the_timestamp_wrap() -> None:
    statistics = ReceiveStatistics(48_000)
    for k in range(10):
        statistics.update(k, (2**32 - 2880 + 960 * k) & 0xFFFFFFFF, k * 0.02)
    assert statistics.jitter == pytest.approx(0.0, abs=1e-12)


def test_silence_and_shared_timestamps_are_no_jitter() -> None:
    statistics = ReceiveStatistics(48_000)
    statistics.update(0, 0, 0.0)
    statistics.update(1, 480_000, 10.0)  # ten seconds of discontinuous transmission
    statistics.update(2, 480_000, 10.05)  # an update of the same telephone event
    assert statistics.jitter == pytest.approx(0.0, abs=1e-12)


def test_a_new_media_clock_is_no_jitter() -> None:
    statistics = ReceiveStatistics(48_000)
    statistics.update(0, 0, 0.0)
    statistics.update(1, 0x7000_0000, 0.02)
    statistics.update(2, 0x7000_0000 + 960, 0.04)
    assert statistics.jitter < 1e-9


def test_bursts_of_the_window() -> None:
    statistics = ReceiveStatistics(48_000, window=50)
    feed(statistics, [n for n in range(200) if n % 10 not in (3, 4, 5)])
    bursts = statistics.bursts()
    assert bursts.fraction_lost == pytest.approx(0.3)
    assert bursts.mean_burst == pytest.approx(3.0)
    assert statistics.bursts(last=2).lost == 0


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.floats(0, 1e6)), max_size=200)
)
def test_any_packets_give_sane_figures(packets: list[tuple[int, int, float]]) -> None:
    statistics = ReceiveStatistics(48_000)
    for sequence_number, timestamp, arrival in packets:
        statistics.update(sequence_number, timestamp, arrival)
    assert statistics.received + statistics.suspect == len(packets)
    assert 0 <= statistics.lost <= statistics.expected
    report = statistics.report()
    assert 0.0 <= report.fraction_lost <= 1.0
    assert -0x800000 <= report.packets_lost <= 0x7FFFFF
    assert 0 <= report.highest_sequence <= 0xFFFFFFFF
    assert 0 <= report.jitter <= 0xFFFFFFFF
