"""A report of a made-up call: files, escaping, picture and its geometry."""

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import soundfile
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from rich.console import Console

from softphone.errors import LocalError
from softphone.playout.frames import Action, Source
from softphone.playout.trace import TraceRecord, read_trace
from softphone.report import (
    CallReport,
    CallSummary,
    DelayMs,
    FrameCounts,
    PacketCounts,
    render_table,
    write_call_report,
)
from softphone.report.palette import DELAY, LOST, SOURCE_COLOURS
from softphone.report.rows import report_sections
from softphone.report.timeline import _draw_delay, draw_timeline
from softphone.sending import (
    NetworkEstimate,
    NetworkState,
    PlanRecord,
    RateLimit,
    RateState,
    RedundancyPlan,
)

RATE = 48_000


def make_report(seconds: float = 4.0, *, hostile: str = "") -> CallReport:
    random = np.random.default_rng(7)
    sent = random.normal(scale=0.05, size=round(seconds * RATE)).astype(np.float32)
    heard = np.concatenate([np.zeros(4800, dtype=np.float32), sent])
    cycle = [Source.REGULAR] * 10 + [
        Source.RED,
        Source.LBRR,
        Source.DRED,
        Source.DRED,
        Source.PLC,
        Source.CNG,
    ]
    trace = [
        TraceRecord(
            round(5.1 + number * 0.02, 2),
            number * 960,
            number,
            cycle[number % len(cycle)],
            Action.PLAY,
            960,
            960,
            30.0,
            50.0,
            -26.0,
        )
        for number in range(round(seconds * 50))
    ]
    lost = [5.0 + number * 0.02 for number in range(len(trace)) if trace[number].source is not Source.REGULAR]
    summary = CallSummary(
        frames=FrameCounts.from_trace(trace),
        packets=PacketCounts(sent=len(trace), lost=len(lost)),
        delay_ms=DelayMs.from_values([96.5]),
        duration_s=seconds,
    )
    return CallReport(
        summary=summary,
        sent=sent,
        heard=heard,
        trace=trace,
        plc_only=heard * 0.5,
        sent_start=5.0,
        heard_start=5.0,
        lost=lost,
        loss_bursts=[6, 1, 1, 2, 20],
        title="Call with " + (hostile or "Grace"),
        subtitle="speech.wav " + hostile,
        notes=("A note. " + hostile,),
    )


class Page(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_report_is_complete(tmp_path: Path) -> None:
    report = make_report()
    page_path = write_call_report(tmp_path / "report", report)
    assert page_path == tmp_path / "report" / "index.html"
    page = Page(page_path.read_text(encoding="utf-8"))
    files = [*(tag["src"] for tag in page.all("audio")), *(tag["src"] for tag in page.all("img"))]
    files += [tag["href"] for tag in page.all("a")]
    assert len(page.all("audio")) == 3
    for name in files:
        # Relative and there: the folder can be copied.
        assert name is not None
        assert (tmp_path / "report" / name).is_file(), name
    for name, pcm in (("sent", report.sent), ("heard", report.heard), ("plc_only", report.plc_only)):
        back, rate = soundfile.read(tmp_path / "report" / f"{name}.wav", dtype="float32")
        assert rate == RATE
        np.testing.assert_allclose(back, pcm, atol=1 / 32768)
    assert json.loads((tmp_path / "report" / "summary.json").read_text())["schema_version"] == 1
    assert list(read_trace(tmp_path / "report" / "trace.jsonl")) == list(report.trace)


def test_page_works_offline(tmp_path: Path) -> None:
    text = write_call_report(tmp_path, make_report()).read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert "@import" not in text
    assert "$" not in text


def test_second_report_replaces_the_first(tmp_path: Path) -> None:
    write_call_report(tmp_path, make_report())
    report = replace(make_report(), plc_only=None, title="Again")
    text = write_call_report(tmp_path, report).read_text(encoding="utf-8")
    assert "Again" in text
    assert len(Page(text).all("audio")) == 2
    assert not (tmp_path / "plc_only.wav").exists()


def test_texts_of_the_report_are_escaped(tmp_path: Path) -> None:
    hostile = "</title><script>alert(1)</script>\"'&$title {0} $"
    page = Page(write_call_report(tmp_path, make_report(hostile=hostile)).read_text(encoding="utf-8"))
    plain = Page(write_call_report(tmp_path, make_report()).read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]


def test_controls_have_names(tmp_path: Path) -> None:
    page = Page(write_call_report(tmp_path, make_report()).read_text(encoding="utf-8"))
    assert page.all("html") == [{"lang": "en"}]
    assert all(tag.get("alt") for tag in page.all("img"))
    assert all(tag.get("aria-label") for tag in page.all("audio"))
    assert len(page.all("label")) == len(page.all("input")) == 3
    assert all(tag.get("scope") == "row" for tag in page.all("th"))


def test_table_in_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=80, no_color=True)
    console.print(render_table(make_report()))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for expected in (
        r"deep redundancy \(DRED\) +2[45] +1\d\.\d %",
        r"lost +7\d +3\d\.\d %",
        r"mean / longest +6\.0 / 20 packets",
        r"16\+ packets +1",
        r"p95 +96 ms",
    ):
        assert re.search(expected, text), (expected, text)


def plan_record(at: float, plan: RedundancyPlan, state: RateState, reason: str) -> PlanRecord:
    network = NetworkEstimate(NetworkState.CLEAN, 0.0, 0.0, None, False, False, False)
    return PlanRecord(5.0 + at, plan, network, RateLimit(state, 40_000, "why"), reason)


LBRR_AND_DRED = RedundancyPlan(48_000, 20, True, 20, 400)
LONG = RedundancyPlan(16_000, 60)


def test_changes_of_plan_are_listed_with_their_reasons(tmp_path: Path) -> None:
    plans = [
        plan_record(0.0, LBRR_AND_DRED, RateState.STEADY, "the network isn't known yet"),
        plan_record(3.2, LONG, RateState.BACKING_OFF, "backing off: a queue of 294 ms"),
        plan_record(65.9, LONG, RateState.HOLDING, "no loss"),
    ]
    report = replace(make_report(), plans=plans)
    section = report_sections(report)[-1]
    assert section.title == "What was sent, and why"
    assert [(row.label, row.value) for row in section.rows] == [
        ("00:00  48.0 kb/s, LBRR+DRED", "the network isn't known yet"),
        ("00:03  16.0 kb/s, 60 ms, plain", "backing off: a queue of 294 ms"),
        ("01:05  16.0 kb/s, 60 ms, plain", "no loss (holding)"),
    ]
    page = write_call_report(tmp_path, report).read_text(encoding="utf-8")
    assert "backing off: a queue of 294 ms" in page
    console = Console(file=io.StringIO(), width=80, no_color=True)
    console.print(render_table(report))
    assert isinstance(console.file, io.StringIO)
    # Long reasons are wrapped, not cut.
    assert "..." not in console.file.getvalue()
    assert "\u2026" not in console.file.getvalue()


def test_only_the_newest_of_many_changes_are_listed() -> None:
    plans = [plan_record(float(at), LONG, RateState.STEADY, f"reason {at}") for at in range(100)]
    rows = report_sections(replace(make_report(), plans=plans))[-1].rows
    assert (rows[0].label, rows[0].value) == ("earlier changes", "80")
    assert [row.value for row in rows[1:]] == [f"reason {at}" for at in range(80, 100)]


@pytest.mark.parametrize(("count", "text"), [(0, None), (1, "once"), (3, "3 times")])
def test_a_policy_that_was_replaced_is_told(count: int, text: str | None) -> None:
    report = make_report()
    report = replace(report, summary=replace(report.summary, policy_fallbacks=count))
    rows = {row.label: row.value for section in report_sections(report) for row in section.rows}
    assert rows.get("playout policy replaced by another") == text


def test_table_does_not_read_names_as_markup() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(render_table(replace(make_report(), title="[bold]x[/nonsense]")))


def colour_columns(picture: np.ndarray, colour: str) -> np.ndarray:
    """Pixel columns below the legend in which the colour occurs."""
    match = np.all(np.abs(picture[160:, :, :3] - np.array(to_rgb(colour))) < 0.02, axis=2)
    return np.flatnonzero(match.any(axis=0))


def test_picture_shows_each_source_where_it_was_heard(tmp_path: Path) -> None:
    report = make_report(2.0)
    # PLC from 1.0 s to 1.2 s after the beginning and nowhere else.
    trace = [
        replace(record, source=Source.PLC if 45 <= number < 55 else Source.REGULAR)
        for number, record in enumerate(report.trace)
    ]
    lost = [5.0 + number * 0.02 for number in range(45, 55)]
    frames = FrameCounts.from_trace(trace)
    report = replace(report, trace=trace, lost=lost, summary=replace(report.summary, frames=frames))
    geometry = draw_timeline(tmp_path / "t.png", report)
    picture = matplotlib.image.imread(tmp_path / "t.png")
    assert picture.shape[:2] == (geometry.height, geometry.width)

    def at(seconds: float) -> float:
        share = (seconds - geometry.start) / (geometry.end - geometry.start)
        return geometry.width * (geometry.left + share * (geometry.right - geometry.left))

    # The report begins at 5.0 s; record 45 is heard at 6.0 s.
    concealed = colour_columns(picture, SOURCE_COLOURS[Source.PLC])
    assert concealed.min() == pytest.approx(at(1.0), abs=4)
    assert concealed.max() == pytest.approx(at(1.2), abs=4)
    missing = colour_columns(picture, LOST)
    missing = missing[missing >= at(0.0)]  # the labels of the axes have the same colour
    assert missing.min() == pytest.approx(at(0.9), abs=4)
    assert missing.max() == pytest.approx(at(1.1), abs=4)
    assert len(colour_columns(picture, DELAY)) > 100


def test_the_delay_is_drawn_from_mouth_to_ear() -> None:
    report = make_report(2.0)
    # A queue that stays: after two seconds the trace takes it for the path and counts from there.
    trace = [
        replace(
            record, delay_ms=record.delay_ms + 300.0 * (number < 50), target_ms=50.0 + 300.0 * (number < 50)
        )
        for number, record in enumerate(report.trace)
    ]
    axes = Figure().subplots()
    _draw_delay(axes, replace(report, trace=trace))
    target, delay = (line.get_ydata() for line in axes.lines)
    # Said at 5.0 s, heard at 5.1 s, and 6.5 ms in the codec.
    assert delay == pytest.approx(106.5)
    assert target == pytest.approx(126.5)


@pytest.mark.parametrize("change", ["no trace", "no audio", "no lost", "silence", "loud"])
def test_unusual_calls_are_drawn_too(tmp_path: Path, change: str) -> None:
    report = make_report(0.5)
    if change == "no trace":
        report = replace(report, trace=())
    elif change == "no audio":
        report = replace(report, sent=report.sent[:0], heard=report.heard[:0], plc_only=None, trace=())
    elif change == "no lost":
        report = replace(report, lost=None, loss_bursts=())
    elif change == "silence":
        report = replace(report, sent=report.sent * 0, heard=report.heard * 0)
    elif change == "loud":
        report = replace(report, heard=report.heard * 1000)
    assert write_call_report(tmp_path, report).is_file()


def test_long_call_gets_a_wide_picture_but_not_an_endless_one(tmp_path: Path) -> None:
    short = draw_timeline(tmp_path / "s.png", make_report(1.0))
    report = make_report(1.0)
    long = np.zeros(600 * RATE, dtype=np.float32)
    wide = draw_timeline(tmp_path / "l.png", replace(report, sent=long, heard=long))
    assert short.width < wide.width <= 9000


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(LocalError, match="choose another folder"):
        write_call_report(blocker / "report", make_report(0.5))
