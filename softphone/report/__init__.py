"""Pictures, tables and pages of a finished call."""

from softphone.report.call import CallReport
from softphone.report.summary import (
    SCHEMA_VERSION,
    BitrateBps,
    CallSummary,
    DelayMs,
    FrameCounts,
    InterruptionCounts,
    JitterBufferMs,
    PacketCounts,
    TimeStretchMs,
)
from softphone.report.terminal import render_table
from softphone.report.write import write_call_report

__all__ = [
    "SCHEMA_VERSION",
    "BitrateBps",
    "CallReport",
    "CallSummary",
    "DelayMs",
    "FrameCounts",
    "InterruptionCounts",
    "JitterBufferMs",
    "PacketCounts",
    "TimeStretchMs",
    "render_table",
    "write_call_report",
]
