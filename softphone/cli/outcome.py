"""What is left of a call when it is over: exit code, table, numbers in a file."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from softphone.call import Call
from softphone.call_statistics import CallStatistics
from softphone.errors import MediaFileError
from softphone.sending import PlanRecord
from softphone.signaling import CallEnd, EndReason, Side

__all__ = ["EXIT_LOCAL", "EXIT_OK", "EXIT_REMOTE", "describe_end", "exit_code", "print_table", "write_json"]

EXIT_OK = 0
EXIT_LOCAL = 1
"""Something on this machine must be changed."""
EXIT_REMOTE = 3
"""The other side declined, was busy, could not be reached or vanished."""


def exit_code(end: CallEnd) -> int:
    """What the process returns for such an end of a call."""
    if end.reason is EndReason.HUNG_UP:
        return EXIT_OK
    return EXIT_LOCAL if end.reason is EndReason.ERROR and end.by is Side.LOCAL else EXIT_REMOTE


def describe_end(end: CallEnd) -> str:
    """A sentence for people, without a full stop."""
    ours = end.by is Side.LOCAL
    text = {
        EndReason.HUNG_UP: "you hung up" if ours else "the other side hung up",
        EndReason.DECLINED: "the call was declined",
        EndReason.BUSY: "the other side is busy",
        EndReason.TIMEOUT: "nobody answered",
        EndReason.REMOTE_GONE: "the other side is gone",
        EndReason.ERROR: "the call failed",
    }[end.reason]
    return f"{text}: {end.detail}" if end.detail and end.detail != "nobody answered in time" else text


def print_table(console: Console, statistics: CallStatistics, plans: Sequence[PlanRecord] = ()) -> None:
    """The numbers of a call as a table, with what was sent and why."""
    # Here, because the pictures of a report take long to load.
    from softphone.report import CallReport, render_table

    nothing = np.zeros(0, np.float32)
    report = CallReport(
        _summary(statistics, plans),
        sent=nothing,
        heard=nothing,
        trace=(),
        plans=plans,
        sent_start=_start(plans),
    )
    console.print(render_table(report))


def write_json(path: Path, call: Call, end: CallEnd) -> None:
    """Write everything that is known; `MediaFileError` when that fails."""
    statistics, plans = call.statistics(), call.media.pipeline.plan_history
    values: dict[str, Any] = {
        "schema_version": 1,
        "end": {"reason": end.reason, "by": end.by, "detail": end.detail},
        "role": call.role,
        "remote": {"name": call.remote_name, "address": call.remote_address},
        "verification": call.verification,
        "summary": _summary(statistics, plans).to_dict(),
        "statistics": dataclasses.asdict(statistics),
        "plans": [dataclasses.asdict(record) for record in plans],
        "counters": dict(call.peer.counters()),
    }
    try:
        path.write_text(json.dumps(values, indent=2, default=str) + "\n", encoding="utf-8")
    except OSError as error:
        raise MediaFileError(f"can't write {path}: {error.strerror or error}; choose another file") from error


def _summary(statistics: CallStatistics, plans: Sequence[PlanRecord]) -> Any:
    from softphone.report import summary
    from softphone.report.one_way import plan_values

    delays, buffering = statistics.delays, statistics.buffering
    return summary.CallSummary(
        frames=summary.FrameCounts(**{source.value: count for source, count in statistics.frames.items()}),
        packets=summary.PacketCounts(
            sent=statistics.packets_expected,
            lost=statistics.packets_lost,
            late=statistics.packets_late,
            discarded=statistics.packets_discarded,
            duplicated=statistics.packets_duplicated,
        ),
        delay_ms=summary.DelayMs(
            *(1000.0 * value for value in (delays.mean, delays.p50, delays.p95, delays.p99, delays.maximum))
        ),
        jitter_buffer_ms=summary.JitterBufferMs(1000.0 * buffering.mean, 1000.0 * buffering.p95),
        interruptions_150ms=summary.InterruptionCounts(
            statistics.interruptions, 1000.0 * statistics.interrupted
        ),
        time_stretch_ms=summary.TimeStretchMs(
            1000.0 * statistics.time_inserted, 1000.0 * statistics.time_removed
        ),
        bitrate_bps=summary.BitrateBps(statistics.sending.total_bps, statistics.sending.media_bps),
        policy_fallbacks=statistics.policy_fallbacks,
        duration_s=statistics.duration,
        plans=[plan_values(record, _start(plans)) for record in plans],
    )


def _start(plans: Sequence[PlanRecord]) -> float:
    """When we began to speak: the first packet follows the first plan, seconds."""
    return plans[0].at if plans else 0.0
