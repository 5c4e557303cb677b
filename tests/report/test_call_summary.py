"""The numbers of a call and their JSON form."""

import json

import pytest

from softphone.playout.frames import Action, Source
from softphone.playout.trace import TraceRecord
from softphone.report import (
    BitrateBps,
    CallSummary,
    DelayMs,
    FrameCounts,
    InterruptionCounts,
    JitterBufferMs,
    PacketCounts,
    TimeStretchMs,
)


def step(source: Source, action: Action = Action.PLAY, samples: int = 960, media: int = 960) -> TraceRecord:
    return TraceRecord(0.0, 0, None, source, action, samples, media, 40.0, 40.0, -30.0)


def test_frames_count_media_and_the_audio_of_waiting() -> None:
    records = [
        step(Source.REGULAR),
        step(Source.REGULAR, samples=700, action=Action.COMPRESS),
        step(Source.REGULAR, samples=2880, media=2880),
        step(Source.DRED),
        step(Source.LBRR),
        step(Source.RED),
        step(Source.PLC, Action.WAIT, samples=480, media=0),
        step(Source.PLC, Action.WAIT, samples=480, media=0),
        step(Source.PLC, Action.SKIP, samples=0),
        step(Source.CNG),
    ]
    frames = FrameCounts.from_trace(records)
    assert frames == FrameCounts(regular=5, red=1, lbrr=1, dred=1, plc=2, cng=1)
    assert frames.total == 11
    assert frames.repaired == 3


def test_time_stretch_counts_stretching_only() -> None:
    records = [
        step(Source.REGULAR, Action.STRETCH, samples=1200),
        step(Source.REGULAR, Action.COMPRESS, samples=480),
        step(Source.PLC, Action.WAIT, media=0),
        step(Source.PLC, Action.SKIP, samples=0),
    ]
    assert TimeStretchMs.from_trace(records) == TimeStretchMs(inserted=5.0, removed=10.0)


def test_statistics_of_values() -> None:
    delay = DelayMs.from_values([float(value) for value in range(101)])
    assert delay == DelayMs(mean=50.0, p50=50.0, p95=95.0, p99=99.0, max=100.0)
    assert JitterBufferMs.from_values([10.0, 30.0]) == JitterBufferMs(20.0, 29.0)
    assert DelayMs.from_values([]) == DelayMs()
    assert JitterBufferMs.from_values([]) == JitterBufferMs()


def test_interruptions_from_trace() -> None:
    records = [step(Source.REGULAR), *[step(Source.PLC)] * 10, step(Source.REGULAR)]
    assert InterruptionCounts.from_trace(records) == InterruptionCounts(1, 200.0)


def test_json_has_the_documented_fields() -> None:
    summary = CallSummary(
        packets=PacketCounts(sent=10, lost=2),
        bitrate_bps=BitrateBps(48_000.12345, 31_000),
        real_time_factor=0.0123456,
        inputs={"audio": "a.wav", "trace": None},
        settings={"policy": "fixed"},
    )
    values = json.loads(summary.to_json())
    assert values == summary.to_dict()
    assert {name: list(value) if isinstance(value, dict) else value for name, value in values.items()} == {
        "schema_version": 1,
        "frames": ["regular", "red", "lbrr", "dred", "plc", "cng"],
        "packets": ["sent", "lost", "late", "discarded", "duplicated"],
        "delay_ms": ["mean", "p50", "p95", "p99", "max"],
        "jitter_buffer_ms": ["mean", "p95"],
        "interruptions_150ms": ["count", "total_ms"],
        "time_stretch_ms": ["inserted", "removed"],
        "bitrate_bps": ["total", "media"],
        "policy_fallbacks": 0,
        "duration_s": 0.0,
        "real_time_factor": 0.01235,
        "plans": [],
        "inputs": ["audio", "trace"],
        "settings": ["policy"],
    }
    assert values["bitrate_bps"]["total"] == pytest.approx(48_000.123)
    assert isinstance(values["packets"]["sent"], int)
