"""From one direction of a call to its report."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from softphone.audio.stream import SAMPLE_RATE, Pcm
from softphone.report.call import CallReport
from softphone.report.summary import (
    BitrateBps,
    CallSummary,
    DelayMs,
    FrameCounts,
    InterruptionCounts,
    JitterBufferMs,
    PacketCounts,
    TimeStretchMs,
)
from softphone.sending import PlanRecord
from softphone.sim.call import OneWayCall
from softphone.sim.scoring import ACTIVITY_FRAME, speech_activity

__all__ = ["plan_values", "report_call", "summarize_call"]


def summarize_call(
    call: OneWayCall,
    sent: Pcm,
    *,
    elapsed: float = 0.0,
    inputs: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> CallSummary:
    """The numbers of a call that spoke ``sent``; ``elapsed`` is its computing time in seconds."""
    active = speech_activity(sent)

    def is_speech(timestamp: int) -> bool:
        frame = timestamp // ACTIVITY_FRAME
        return 0 <= frame < active.size and bool(active[frame])

    delays, weights = call.mouth_to_ear()
    duration = call.heard.size / SAMPLE_RATE
    return CallSummary(
        frames=FrameCounts.from_trace(call.records),
        packets=PacketCounts(
            sent=len(call.packets),
            lost=call.lost,
            late=call.playout.packets_late,
            discarded=call.playout.packets_discarded,
            duplicated=call.playout.packets_duplicated,
        ),
        delay_ms=DelayMs.from_values((1000.0 * np.repeat(delays, weights // 120)).tolist()),
        jitter_buffer_ms=JitterBufferMs.from_values((1000.0 * call.buffer_delays()).tolist()),
        interruptions_150ms=InterruptionCounts.from_trace(call.records, is_speech),
        time_stretch_ms=TimeStretchMs.from_trace(call.records),
        bitrate_bps=BitrateBps(total=call.sending.total_bps, media=call.sending.media_bps),
        policy_fallbacks=call.playout.policy_fallbacks,
        duration_s=duration,
        real_time_factor=elapsed / duration if duration else 0.0,
        plans=[plan_values(record) for record in call.plans],
        inputs=inputs or {},
        settings=settings or {},
    )


def plan_values(record: PlanRecord, start: float = 0.0) -> dict[str, Any]:
    """A change of plan as JSON values; `start` is when the speaker began, seconds."""
    plan = record.plan
    return {
        "at_s": round(record.at - start, 3),
        "frame_ms": plan.frame_ms,
        "bitrate_bps": plan.total_bitrate,
        "inband_fec": plan.inband_fec,
        "dred_reach_ms": plan.dred.reach_ms,
        "red_copies": plan.red_copies,
        "red_distance": plan.red_distance,
        "packet_loss_perc": plan.packet_loss_perc,
        "rate_state": str(record.limit.state),
        "reason": record.reason,
    }


def report_call(
    call: OneWayCall,
    sent: Pcm,
    summary: CallSummary,
    *,
    title: str,
    subtitle: str,
    plc_only: Pcm | None = None,
    link: Sequence[tuple[float, float | None]] = (),
) -> CallReport:
    """Everything for the page of a call; ``link`` as in `CallReport`."""
    runs = groupby(call.packets, key=lambda packet: packet.arrival is None)
    return CallReport(
        summary=summary,
        sent=sent,
        heard=call.heard,
        trace=call.records,
        plc_only=plc_only,
        lost=[packet.timestamp / SAMPLE_RATE for packet in call.packets if packet.arrival is None],
        loss_bursts=[len(list(run)) for lost, run in runs if lost],
        plans=call.plans,
        link=link,
        title=title,
        subtitle=subtitle,
    )
