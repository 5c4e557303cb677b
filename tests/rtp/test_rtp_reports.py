"""Loss reports: the bytes, and how they come about."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import RemoteProtocolError
from softphone.rtp.reports import LOSS_REPORT_NAME, LossReport, LossReporter

fractions = st.floats(0, 1)
reports = st.builds(
    LossReport,
    packets=st.integers(0, 0xFFFF),
    fraction_lost=fractions,
    mean_burst=st.none() | st.floats(1, 255),
    unrepaired_fraction=fractions,
    late_fraction=fractions,
    queueing_delay=st.none() | st.floats(0, 65),
    delay_trend=st.floats(-32, 32),
    received_bps=st.none() | st.integers(0, 2**32 - 1),
)


@given(reports)
def test_round_trip_within_the_quantisation(report: LossReport) -> None:
    fci = report.pack()
    assert len(fci) == (16 if report.received_bps is None else 24)
    parsed = LossReport.parse(fci)
    assert parsed.packets == report.packets
    for name in ("fraction_lost", "unrepaired_fraction", "late_fraction"):
        assert getattr(parsed, name) == pytest.approx(getattr(report, name), abs=0.5 / 0xFFFF + 1e-12)
    if report.mean_burst is None:
        assert parsed.mean_burst is None
    else:
        assert parsed.mean_burst == pytest.approx(report.mean_burst, abs=0.5 / 256)
    assert parsed.received_bps == report.received_bps
    if report.received_bps is None or report.queueing_delay is None:
        assert parsed.queueing_delay is None
    else:
        assert parsed.queueing_delay == pytest.approx(report.queueing_delay, abs=0.00051)
    if report.received_bps is not None:
        assert parsed.delay_trend == pytest.approx(report.delay_trend, abs=0.00051)
    assert parsed.pack() == fci


@given(reports, st.integers(16, 23))
def test_a_peer_that_knows_less_reads_the_rest(report: LossReport, known: int) -> None:
    """What an older version sends is read as what it means, and an older version reads ours."""
    parsed, older = LossReport.parse(report.pack()), LossReport.parse(report.pack()[:known])
    assert older == replace(parsed, queueing_delay=None, delay_trend=0.0, received_bps=None)


def test_values_beyond_the_range_saturate() -> None:
    parsed = LossReport.parse(LossReport(10**6, 1.5, 1e9, -0.1, 2.0, 1e6, -1e6, 10**12).pack())
    assert parsed == LossReport(0xFFFF, 1.0, 0xFFFF / 256, 0.0, 1.0, 65.534, -32.768, 2**32 - 1)


VALID = LossReport(100, 0.2, 3.0, 0.05, 0.01).pack()
LATEST = LossReport(100, 0.2, 3.0, 0.05, 0.01, 0.1, 0.2, 32_000).pack()


@pytest.mark.parametrize(
    "fci",
    [
        b"",
        b"REMB" + VALID[4:],
        VALID[:-1],
        VALID[:4] + b"\x02" + VALID[5:],
        VALID[:-2] + b"\x00\xff",
    ],
)
def test_what_is_not_ours_is_refused(fci: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        LossReport.parse(fci)


def test_later_fields_are_skipped() -> None:
    assert LossReport.parse(VALID + b"more") == LossReport.parse(VALID)
    assert LossReport.parse(LATEST + b"more") == LossReport.parse(LATEST)


@given(st.binary(max_size=32) | st.binary(max_size=24).map(lambda tail: LOSS_REPORT_NAME + b"\x01" + tail))
def test_any_bytes_give_a_report_or_a_protocol_error(fci: bytes) -> None:
    try:
        report = LossReport.parse(fci)
    except RemoteProtocolError:
        return
    assert 0 <= report.fraction_lost <= 1
    assert report.mean_burst is None or report.mean_burst >= 1
    assert report.queueing_delay is None or report.queueing_delay >= 0


def run(reporter: LossReporter, numbers: list[int]) -> LossReport:
    """One report over packets and nothing else."""
    assert reporter.poll(0.0) is None
    for number in numbers:
        reporter.on_packet(number & 0xFFFF)
    report = reporter.poll(1.0)
    assert report is not None
    return report


def test_loss_and_bursts_over_the_wrap() -> None:
    numbers = [n for n in range(65_500, 65_600) if n % 10 not in (4, 5, 6)]
    report = run(LossReporter(), numbers)
    assert report == LossReport(100, pytest.approx(0.3), pytest.approx(3.0), 0.0, 0.0)  # type: ignore[arg-type]


def test_reordered_packets_are_not_lost() -> None:
    assert run(LossReporter(), [1, 3, 2, 5, 4]).fraction_lost == 0.0


def test_restart_of_the_numbering_is_no_loss() -> None:
    report = run(LossReporter(), [1, 2, 3, 40_000, 40_001, 40_002])
    assert report.fraction_lost == 0.0
    assert report.packets == 2


def test_a_lone_forged_number_is_no_loss() -> None:
    assert run(LossReporter(), [1, 2, 30_000, 3, 4]) == LossReport(4, 0.0, None, 0.0, 0.0)


def test_another_ssrc() -> None:
    reporter = LossReporter()
    reporter.on_packet(1)
    reporter.restart()
    assert run(reporter, [1_000, 1_001]).packets == 2


def test_frames_and_late_packets_belong_to_one_interval() -> None:
    reporter = LossReporter(interval=0.5)
    reporter.poll(0.0)
    for number in range(20):
        reporter.on_packet(number)
        reporter.on_audio(960, concealed=number < 5)
    reporter.on_late_packet()
    first = reporter.poll(0.5)
    assert first is not None
    assert (first.unrepaired_fraction, first.late_fraction) == (0.25, 0.05)
    for number in range(20, 40):
        reporter.on_packet(number)
        reporter.on_audio(960, concealed=False)
    assert reporter.poll(0.9) is None
    second = reporter.poll(1.0)
    assert second is not None
    assert (second.unrepaired_fraction, second.late_fraction) == (0.0, 0.0)


def test_an_outage_shows_in_the_frames() -> None:
    reporter = LossReporter()
    run(reporter, [1, 2, 3])
    for _ in range(50):
        reporter.on_audio(960, concealed=True)
    report = reporter.poll(2.0)
    assert report is not None
    assert report.unrepaired_fraction == 1.0


def test_no_report_of_nothing_and_one_after_a_stall() -> None:
    reporter = LossReporter()
    assert [reporter.poll(time) for time in (0.0, 1.0, 2.0)] == [None, None, None]
    reporter.on_packet(1)
    assert reporter.poll(10.0) is not None
    reporter.on_packet(2)
    assert reporter.poll(10.1) is None
    assert reporter.poll(11.0) is not None


def test_delay_and_rate_of_what_arrived() -> None:
    reporter = LossReporter()
    reporter.poll(0.0)
    for number in range(100):
        sent = (number + 1) * 0.02
        reporter.on_packet(number, 960 * number, sent + 0.05 + 0.2 * sent, 100)
    report = reporter.poll(2.5)
    assert report is not None
    assert report.received_bps == 32_000
    assert report.queueing_delay == pytest.approx(0.2 * 1.7, abs=0.03)
    assert report.delay_trend == pytest.approx(0.2, abs=0.01)


def test_nothing_is_said_of_delay_and_rate_when_nothing_arrives() -> None:
    reporter = LossReporter()
    reporter.poll(0.0)
    reporter.on_packet(0, 0, 0.07, 100)
    assert reporter.poll(1.0) is not None
    reporter.on_audio(960, concealed=True)
    report = reporter.poll(2.0)
    assert report is not None
    assert (report.queueing_delay, report.received_bps) == (None, None)


def test_a_packet_that_arrives_twice_counts_once() -> None:
    reporter = LossReporter()
    reporter.poll(0.0)
    for _ in range(2):
        reporter.on_packet(7, 0, 0.07, 100)
    report = reporter.poll(1.0)
    assert report is not None
    assert report.received_bps == 800
