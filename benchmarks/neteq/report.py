"""The report: a table of everything measured, softphone against the targets, pictures."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.neteq.pages import images_of, write_end
from benchmarks.neteq.pictures import Point, draw_fronts
from benchmarks.neteq.results import RunResult
from benchmarks.neteq.schedules import SCHEDULES
from benchmarks.neteq.summary import Estimate, Summary, summarize
from benchmarks.neteq.systems import SYSTEMS
from benchmarks.neteq.targets import TARGETS
from softphone.errors import ConfigError

__all__ = ["write_report"]

_HEADER = (
    "schedule", "system", "stream", "kb/s", "segments", "lost %", "PLCMOS", "PESQ-WB", "STOI",
    "delay p50, ms", "p95, ms", "interruptions in 10 s", "return, s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Row:
    """All seeds of one system and encoding on one kind of schedule."""

    kind: str
    system: str
    encoding: str
    stream: str
    policy: str
    kbps: float
    summary: Summary

    @property
    def title(self) -> str:
        name = SYSTEMS[self.system].title if self.system in SYSTEMS else self.system
        return f"{name}, {self.policy}" if self.policy else name


def write_report(results: Sequence[RunResult], page: Path) -> None:
    """Write ``page`` (Markdown) and its pictures, beside it or in its folder ``images``.

    Of a page that has been written before, what stands above the mark stays. Raises
    :class:`ConfigError` when there are no results.
    """
    if not results:
        raise ConfigError("there are no results to report; run first")
    rows = list(_rows(results))
    pictures = draw_fronts([_point(row) for row in rows], images_of(page) / page.stem)
    lines = [
        "## Results",
        "",
        "Means over segments of 10 s with their 95 % interval. Delay is from mouth to ear, without sound",
        "cards: means of the medians and of the 95th percentiles of the segments. *Return* is the time after",
        "an outage of 0.2 s or more until the delay was back at what it had been: median and worst (∞: not",
        "before the next outage).",
        "",
        *(f"![delay against quality]({picture.relative_to(page.parent)})" for picture in pictures),
        "",
        *_table(rows),
        "",
        *_targets(rows),
        *_validity(results),
    ]
    write_end(page, lines)


def _rows(results: Sequence[RunResult]) -> Iterator[_Row]:
    groups: dict[tuple[str, str, str, str], list[RunResult]] = {}
    for result in results:
        groups.setdefault((result.kind, result.encoding, result.system, result.policy), []).append(result)
    systems, kinds = list(SYSTEMS), list(SCHEDULES)

    def order(key: tuple[str, str, str, str]) -> tuple[object, ...]:
        kind, encoding, system, policy = key
        place = kinds.index(kind) if kind in kinds else len(kinds)
        rank = systems.index(system) if system in systems else len(systems)
        return encoding, place, kind, rank, policy

    for key in sorted(groups, key=order):
        group = groups[key]
        summary = summarize([result.score for result in group])
        kbps = sum(result.kbps for result in group) / len(group)
        yield _Row(key[0], key[2], key[1], group[0].stream, key[3], kbps, summary)


def _point(row: _Row) -> Point:
    summary = row.summary
    return Point(
        kind=row.kind,
        label=f"{row.title}: {row.stream}, {row.encoding.lstrip('abcdefghijklmnopqrstuvwxyz')} kb/s",
        delay=summary.delay_p50.mean,
        quality={"PLCMOS": summary.plcmos, "PESQ-WB": summary.pesq, "STOI": summary.stoi},
    )


def _table(rows: Iterable[_Row]) -> Iterator[str]:
    yield "| " + " | ".join(_HEADER) + " |"
    yield "|---" * len(_HEADER) + "|"
    for row in rows:
        summary = row.summary
        cells = (
            row.kind,
            row.title,
            row.stream,
            f"{row.kbps:.1f}",
            str(summary.segments),
            f"{100 * summary.lost:.1f}",
            _estimate(summary.plcmos, 2),
            _estimate(summary.pesq, 2),
            _estimate(summary.stoi, 3),
            _estimate(summary.delay_p50, 0),
            f"{summary.delay_p95.mean:.0f}",
            f"{summary.interruptions:.1f}",
            _return(summary),
        )
        yield "| " + " | ".join(cells) + " |"


def _targets(rows: Iterable[_Row]) -> Iterator[str]:
    """softphone's best stream at 48 kb/s against what it is to reach."""
    ours = [row for row in rows if row.system.startswith("softphone") and row.encoding == "best48"]
    ours = [row for row in ours if row.kind in TARGETS]
    if not ours:
        return
    yield "### Against the targets"
    yield ""
    yield "PLCMOS / PESQ-WB / STOI / delay p50 in ms, at no more than 48 kb/s. Missed ones are bold."
    yield ""
    yield "| schedule | system | target | reached | kb/s |"
    yield "|---|---|---|---|---|"
    for row in ours:
        target, summary = TARGETS[row.kind], row.summary
        pairs = (
            (f"{summary.plcmos.mean:.2f}", summary.plcmos.mean >= target.plcmos - 0.005),
            (f"{summary.pesq.mean:.2f}", summary.pesq.mean >= target.pesq - 0.005),
            (f"{summary.stoi.mean:.3f}", summary.stoi.mean >= target.stoi - 0.0005),
            (f"{summary.delay_p50.mean:.0f}", summary.delay_p50.mean <= target.delay_ms + 0.5),
        )
        reached = " / ".join(text if good else f"**{text}**" for text, good in pairs)
        yield f"| {row.kind} | {row.title} | {target} | {reached} | {row.kbps:.1f} |"
    yield ""


def _validity(results: Sequence[RunResult]) -> Iterator[str]:
    segments = sum(len(result.score.segments) for result in results)
    valid = sum(result.valid for result in results)
    late = [result.late_ms["p99"] for result in results if "p99" in result.late_ms]
    receivers = sorted({result.receiver for result in results if result.receiver})
    yield "### How clean the runs were"
    yield ""
    yield f"{valid} of {segments} segments count; in the others the machine had stood still."
    if late:
        yield f"Packets left at most {max(late):.1f} ms late in 99 % of cases, in the worst run."
    if receivers:
        yield f"Browser: {', '.join(receivers)}."


def _estimate(estimate: Estimate, digits: int) -> str:
    if math.isnan(estimate.mean):
        return "-"
    margin = "" if math.isnan(estimate.margin) else f" ±{estimate.margin:.{digits}f}"
    return f"{estimate.mean:.{digits}f}{margin}"


def _return(summary: Summary) -> str:
    if not summary.outages:
        return "-"
    return " / ".join(
        "∞" if math.isinf(seconds) else f"{seconds:.1f}"
        for seconds in (summary.return_median, summary.return_worst)
    )
