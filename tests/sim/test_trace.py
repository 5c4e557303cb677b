"""Packet traces: reading, repeating, resampling, figures."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import ConfigError, MediaFileError
from softphone.sim.trace import PacketTrace

HEADER = "seq,send_ms,arrival_ms\n"


def load(tmp_path: Path, rows: str, interval: float = 0.02, header: str = HEADER) -> PacketTrace:
    path = tmp_path / "trace.csv"
    path.write_text(header + rows, encoding="utf-8")
    return PacketTrace.load(path, interval)


def fates(trace: PacketTrace) -> list[float | None]:
    return [None if fate is None else round(fate, 9) for fate in trace]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param("0,0,30\n1,20,45\n2,40,90\n", [0.03, 0.025, 0.05], id="plain"),
        pytest.param("0,0,30\n1,20,\n2,40,NaN\n3,60,nan\n", [0.03, None, None, None], id="lost"),
        pytest.param("5,1000,1030\n6,1020,1040\n", [0.03, 0.02], id="begins anywhere"),
        pytest.param("0,0,30\n3,60,90\n", [0.03, None, None, 0.03], id="skipped numbers are lost"),
        pytest.param("0,0,90\n1,20,50\n", [0.09, 0.03], id="reordered"),
        pytest.param("0,0,10\n1,20,-80\n2,40,40\n", [0.11, 0.0, 0.1], id="clocks out of step"),
        pytest.param("0,0,30\n1,21,50\n2,40,70\n", [0.03, 0.029, 0.03], id="sending jitter"),
        pytest.param("0,0,30\n\n1,20,50\n", [0.03, 0.03], id="blank line"),
        pytest.param("0,0,30", [0.03], id="one packet"),
        pytest.param("0,0,\n1,20,\n", [None, None], id="nothing arrives"),
    ],
)
def test_packet_by_packet(tmp_path: Path, rows: str, expected: list[float | None]) -> None:
    assert fates(load(tmp_path, rows)) == expected


def test_columns_in_any_order_with_others_between(tmp_path: Path) -> None:
    trace = load(tmp_path, "50, 7, x, 20\n70, 8, x, 40\n", header="\ufeffarrival_ms, SEQ, note, send_ms\n")
    assert fates(trace) == [0.03, 0.03]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ("0,0,30\n1,20\n", HEADER, "line 3: 2 fields instead of 3"),
        ("0,0,30\n1,x,50\n", HEADER, "line 3: send_ms must be a number, not 'x'"),
        ("0,nan,30\n", HEADER, "line 2: send_ms must be a number"),
        ("0,0,inf\n", HEADER, "line 2: arrival_ms must be a number"),
        ("0.5,0,30\n", HEADER, "line 2: seq must be a whole number"),
        ("1,0,30\n1,20,50\n", HEADER, "line 3: seq must ascend"),
        ("2,0,30\n1,20,50\n", HEADER, "line 3: seq must ascend"),
        ("0,20,30\n1,0,50\n", HEADER, "line 3: send_ms must not go back"),
        ("0,0,30\n999999999999,20,50\n", HEADER, "line 3: a trace can't have more than"),
        ("0,0,30\n1,1e300,50\n", HEADER, "too long"),
        ("0,0,99999999\n1,20,99999999\n", HEADER, "same origin"),
        ("0,0,30\n1,0,30\n", HEADER, "sent at the same time"),
        ("0,0,30\n", "seq,arrival_ms\n", "line 1: no column send_ms"),
        ("", HEADER, "no packets"),
        ("", "", "line 1"),
        ("0,0,30\n1,20,\0\n", HEADER, "trace"),
    ],
)
def test_wrong_files_are_named_with_the_line(tmp_path: Path, rows: str, header: str, message: str) -> None:
    with pytest.raises(MediaFileError, match=r"trace\.csv") as error:
        load(tmp_path, rows, header=header)
    assert message in str(error.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(MediaFileError, match="can't read trace"):
        PacketTrace.load(tmp_path / "nowhere.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(MediaFileError, match="not a CSV"):
        PacketTrace.load(binary)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_trace_or_a_file_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "trace.csv"
    path.write_bytes(HEADER.encode() + data)
    try:
        trace = PacketTrace.load(path)
    except MediaFileError:
        return
    assert len(trace) >= 1


def test_save_and_load(tmp_path: Path) -> None:
    trace = PacketTrace([0.03, math.nan, 0.0415, 0.2])
    trace.save(tmp_path / "saved.csv")
    assert fates(PacketTrace.load(tmp_path / "saved.csv")) == fates(trace)
    with pytest.raises(MediaFileError, match="can't write"):
        trace.save(tmp_path / "no" / "folder.csv")


def test_perfect_trace() -> None:
    trace = PacketTrace.perfect(0.05)
    assert [trace.fate(k) for k in (0, 1, 10**9)] == [0.05, 0.05, 0.05]
    assert (trace.fraction_lost, trace.mean_delay) == (0.0, 0.05)


def test_repeats_in_sending_time() -> None:
    trace = PacketTrace([0.03, math.nan, 0.01])
    assert [trace.fate(k) for k in range(7)] == [0.03, None, 0.01, 0.03, None, 0.01, 0.03]
    assert trace.arrival(3) == pytest.approx(3 * 0.02 + 0.03)
    assert trace.arrival(4) is None


def test_seam_keeps_the_order_of_an_ordered_trace() -> None:
    trace = PacketTrace([0.01, 0.01, 0.01, 0.1])  # the last arrives at 160 ms, a round is 80 ms
    arrivals = [trace.arrival(k) for k in range(12)]
    assert arrivals[4:8] == pytest.approx([0.16, 0.16, 0.16, 0.24])
    assert np.all(np.diff(np.array(arrivals, dtype=float)) >= -1e-9)


def test_seam_leaves_a_reordering_trace_alone() -> None:
    trace = PacketTrace([0.05, 0.01, 0.1])
    assert trace.reordered == 1
    assert [trace.fate(k) for k in (3, 4, 5)] == [0.05, 0.01, 0.1]


def test_spikes_keep_their_length_when_resampled(tmp_path: Path) -> None:
    """Packets 55 ms apart; a stall of 300 ms whose packets arrive together."""
    rows = []
    for k in range(40):
        send = 55.0 * k
        stalled = 1000 <= send < 1300
        rows.append(f"{k},{send},{1300 + 20 if stalled else send + 20}")
    trace = load(tmp_path, "\n".join(rows))
    assert len(trace) == math.ceil(40 * 55 / 20)
    slow = np.flatnonzero(trace.delays > 0.03) * 0.02
    assert slow[0] == pytest.approx(1.0, abs=0.055)
    assert slow[-1] == pytest.approx(1.3, abs=0.055)
    assert trace.quantile(1.0) == pytest.approx(0.275, abs=0.03)  # the packet sent at 1045 ms
    assert trace.reordered == 0
    assert trace.quantile(0.5) == pytest.approx(0.02)


def test_outages_keep_their_length_when_resampled(tmp_path: Path) -> None:
    rows = [f"{k},{36 * k}," + ("" if 50 <= k < 60 else f"{36 * k + 30}") for k in range(200)]
    trace = load(tmp_path, "\n".join(rows))
    assert trace.bursts.bursts == 1
    assert trace.bursts.lost == pytest.approx(10 * 36 / 20, abs=1)
    assert trace.fraction_lost == pytest.approx(10 / 200, abs=0.002)
    assert trace.min_delay == trace.quantile(1.0) == pytest.approx(0.03)


def test_resampled_to_longer_packets() -> None:
    trace = PacketTrace([0.01, 0.02, 0.03, 0.04, math.nan, 0.06, math.nan])
    assert trace.resampled(0.02) is trace
    assert fates(trace.resampled(0.06)) == [0.01, 0.04, None]
    assert fates(trace.resampled(0.01))[:4] == [0.01, 0.015, 0.02, 0.025]
    with pytest.raises(ConfigError):
        trace.resampled(0.0)


@given(
    st.lists(st.floats(0, 2) | st.just(math.nan), min_size=1, max_size=60),
    st.sampled_from([0.01, 0.036, 0.04, 0.055, 0.06]),
)
def test_resampling_stays_within_what_was_seen(delays: list[float], interval: float) -> None:
    trace = PacketTrace(delays)
    resampled = trace.resampled(interval)
    assert resampled.duration == pytest.approx(trace.duration, abs=interval)
    received = [delay for delay in delays if not math.isnan(delay)]
    for fate in resampled:
        assert fate is None or min(received) - 1e-9 <= fate <= max(received) + 1e-9
    if trace.reordered == 0 and interval > 0.02:
        assert resampled.reordered == 0


def test_figures() -> None:
    trace = PacketTrace([0.01, math.nan, math.nan, 0.03, 0.05, math.nan, 0.03, 0.03])
    assert trace.fraction_lost == 3 / 8
    assert (trace.bursts.lost, trace.bursts.bursts, trace.bursts.longest) == (3, 2, 2)
    assert trace.bursts.mean_burst == 1.5
    assert trace.mean_delay == pytest.approx(0.03)
    assert trace.min_delay == 0.01
    assert trace.quantile(0.5) == pytest.approx(0.03)
    assert trace.duration == pytest.approx(0.16)
    nothing = PacketTrace([math.nan])
    assert (nothing.mean_delay, nothing.min_delay, nothing.quantile(0.5)) == (None, None, None)


@pytest.mark.parametrize("delays", [[], [[0.1]], [-0.1], [math.inf]])
def test_impossible_delays(delays: list[float]) -> None:
    with pytest.raises(ConfigError):
        PacketTrace(delays)
    with pytest.raises(ConfigError):
        PacketTrace([0.1], interval=0.0)


def test_delays_can_not_be_changed() -> None:
    source = np.array([0.01, 0.02])
    trace = PacketTrace(source)
    source[0] = 1.0
    assert trace.fate(0) == 0.01
    with pytest.raises(ValueError, match="read-only"):
        trace.delays[0] = 1.0
