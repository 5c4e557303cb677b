"""The table of a call: sections of labelled values, the same in the terminal and on the page."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from softphone.playout.frames import Source
from softphone.report.call import CallReport
from softphone.sending import Means, PlanRecord, RateState, RedundancyPlan

__all__ = ["SOURCE_NAMES", "Row", "Section", "report_sections"]

SOURCE_NAMES = {
    Source.REGULAR: "packet itself",
    Source.RED: "copy (RED)",
    Source.LBRR: "in-band FEC (LBRR)",
    Source.DRED: "deep redundancy (DRED)",
    Source.PLC: "concealed (PLC)",
    Source.CNG: "comfort noise",
}

_MOST_CHANGES = 20
"""Changes of plan that are listed, the newest; summary.json has them all."""
_USUAL_LENGTH_MS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    label: str
    value: str
    share: str = ""
    """Share of the whole, when that means something."""
    source: Source | None = None
    """The source whose colour belongs to the line."""


@dataclass(frozen=True, slots=True)
class Section:
    """Lines that belong together."""

    title: str
    rows: tuple[Row, ...]


def report_sections(report: CallReport) -> list[Section]:
    """Return the table of a call."""
    sections = [_frames(report), _packets(report), _bursts(report), _delay(report), _rate(report)]
    return [*sections, _plans(report)] if report.plans else sections


def _frames(report: CallReport) -> Section:
    frames = report.summary.frames
    rows = []
    for source, name in SOURCE_NAMES.items():
        count = getattr(frames, source.value)
        rows.append(Row(name, f"{count:,}", _share(count, frames.total), source))
    gone = frames.repaired + frames.plc
    if gone:
        rows.append(
            Row("missing frames repaired", f"{frames.repaired:,} of {gone:,}", _share(frames.repaired, gone))
        )
    return Section("What you heard (20 ms frames)", tuple(rows))


def _packets(report: CallReport) -> Section:
    packets = report.summary.packets
    rows = [Row("sent", f"{packets.sent:,}")]
    for name in ("lost", "late", "discarded", "duplicated"):
        count = getattr(packets, name)
        rows.append(Row(name, f"{count:,}", _share(count, packets.sent)))
    return Section("Packets", tuple(rows))


def _bursts(report: CallReport) -> Section:
    lengths = report.loss_bursts
    interruptions = report.summary.interruptions_150ms
    rows = []
    if lengths:
        mean = sum(lengths) / len(lengths)
        rows.append(Row("loss bursts", f"{len(lengths):,}"))
        rows.append(Row("mean / longest", f"{mean:.1f} / {max(lengths)} packets"))
        groups: Counter[str] = Counter(_burst_group(length) for length in lengths)
        rows += [
            Row(f"{group} packets" if group != "1" else "single packets", f"{groups[group]:,}")
            for group in ("1", "2-3", "4-7", "8-15", "16+")
            if groups[group]
        ]
    else:
        rows.append(Row("loss bursts", "none"))
    heard = f"{interruptions.count}"
    if interruptions.count:
        heard += f" ({interruptions.total_ms:.0f} ms)"
    rows.append(Row("interruptions of 150 ms and more", heard))
    return Section("Bursts", tuple(rows))


def _delay(report: CallReport) -> Section:
    delay, buffer = report.summary.delay_ms, report.summary.jitter_buffer_ms
    stretch = report.summary.time_stretch_ms
    rows = [Row(name, f"{getattr(delay, name):.0f} ms") for name in ("mean", "p50", "p95", "p99", "max")]
    rows.append(Row("in the playout buffer, mean / p95", f"{buffer.mean:.0f} / {buffer.p95:.0f} ms"))
    rows.append(Row("time inserted / removed", f"{stretch.inserted:.0f} / {stretch.removed:.0f} ms"))
    fallbacks = report.summary.policy_fallbacks
    if fallbacks:
        rows.append(
            Row("playout policy replaced by another", "once" if fallbacks == 1 else f"{fallbacks} times")
        )
    return Section("Delay, mouth to ear without devices", tuple(rows))


def _rate(report: CallReport) -> Section:
    rate = report.summary.bitrate_bps
    rows = [Row("sent in all", f"{rate.total / 1000:.1f} kb/s")]
    if rate.media:
        redundancy = max(rate.total - rate.media, 0.0)
        rows.append(Row("speech itself", f"{rate.media / 1000:.1f} kb/s", _share(rate.media, rate.total)))
        rows.append(Row("redundancy", f"{redundancy / 1000:.1f} kb/s", _share(redundancy, rate.total)))
    rows += _rate_control(report)
    rows.append(Row("length of the call", f"{report.summary.duration_s:.1f} s"))
    if report.summary.real_time_factor:
        rows.append(Row("computed in", f"{report.summary.real_time_factor * 100:.1f} % of real time"))
    return Section("Rate", tuple(rows))


def _rate_control(report: CallReport) -> list[Row]:
    """What the congestion control did; nothing when there was nothing to do."""
    states = [record.limit.state for record in report.plans]
    if not any(state is RateState.BACKING_OFF for state in states):
        return []
    changes = [state for before, state in pairwise([RateState.STEADY, *states]) if state is not before]
    lowest = min(record.plan.total_bitrate for record in report.plans)
    return [
        Row("backed off from congestion", f"{changes.count(RateState.BACKING_OFF)} times"),
        Row("lowest rate planned", f"{lowest / 1000:.1f} kb/s"),
    ]


def _plans(report: CallReport) -> Section:
    """Each change of what was sent, and of what the congestion control is about, with the reason."""
    left_out = max(0, len(report.plans) - _MOST_CHANGES)
    rows = [Row("earlier changes", f"{left_out:,}")] if left_out else []
    for record in report.plans[left_out:]:
        minutes, seconds = divmod(int(record.at - report.sent_start), 60)
        rows.append(Row(f"{minutes:02}:{seconds:02}  {_sent(record.plan)}", _reason(record)))
    return Section("What was sent, and why", tuple(rows))


def _sent(plan: RedundancyPlan) -> str:
    """A plan in few words, like "24.5 kb/s, 40 ms, LBRR+DRED"."""
    names = [str(means.name) for means in (Means.LBRR, Means.DRED, Means.RED) if means & plan.means]
    length = f", {plan.frame_ms} ms" if plan.frame_ms != _USUAL_LENGTH_MS else ""
    return f"{plan.total_bitrate / 1000:.1f} kb/s{length}, {'+'.join(names) or 'plain'}"


def _reason(record: PlanRecord) -> str:
    state = record.limit.state
    if state is RateState.STEADY or record.reason.startswith(str(state)):
        return record.reason
    return f"{record.reason} ({state})"


def _burst_group(length: int) -> str:
    for limit, group in ((1, "1"), (3, "2-3"), (7, "4-7"), (15, "8-15")):
        if length <= limit:
            return group
    return "16+"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""
