"""The numbers of one call, with a JSON form that stays stable (docs/simulate-report.md)."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from softphone.playout.frames import Action, Source
from softphone.playout.trace import TraceRecord
from softphone.sim.scoring import interruptions

__all__ = [
    "SCHEMA_VERSION",
    "BitrateBps",
    "CallSummary",
    "DelayMs",
    "FrameCounts",
    "InterruptionCounts",
    "JitterBufferMs",
    "PacketCounts",
    "TimeStretchMs",
]

SCHEMA_VERSION = 1
"""Grows when a field changes its meaning or goes away; new fields alone do not change it."""

_FRAME_SAMPLES = 960


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Frames of 20 ms by what they were made of, rounded."""

    regular: int = 0
    """The packet itself."""
    red: int = 0
    """A whole copy out of a later packet (RFC 2198)."""
    lbrr: int = 0
    """In-band FEC of the next packet."""
    dred: int = 0
    """Deep redundancy of a later packet."""
    plc: int = 0
    """Concealment: nothing of what was said."""
    cng: int = 0
    """Comfort noise: the sender's silence, or a loss too long to conceal."""

    @classmethod
    def from_trace(cls, records: Iterable[TraceRecord]) -> "FrameCounts":
        """Count media by source; of steps that consume none, the audio they made."""
        samples = dict.fromkeys(Source, 0)
        for record in records:
            samples[record.source] += record.media if record.media > 0 else record.samples
        return cls(**{source.value: round(count / _FRAME_SAMPLES) for source, count in samples.items()})

    @property
    def total(self) -> int:
        """All frames."""
        return sum(asdict(self).values())

    @property
    def repaired(self) -> int:
        """Lost frames that redundancy brought back."""
        return self.red + self.lbrr + self.dred


@dataclass(frozen=True, slots=True)
class PacketCounts:
    """What became of the packets."""

    sent: int = 0
    lost: int = 0
    """Never arrived."""
    late: int = 0
    """Arrived after their time to be played."""
    discarded: int = 0
    """Arrived in time and were thrown away all the same."""
    duplicated: int = 0
    """Arrived once more."""


@dataclass(frozen=True, slots=True)
class DelayMs:
    """Delay from mouth to ear without devices, milliseconds; zeros when nothing was played."""

    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "DelayMs":
        """Statistics of delays in milliseconds."""
        if not len(values):
            return cls()
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        return cls(float(np.mean(values)), float(p50), float(p95), float(p99), float(np.max(values)))


@dataclass(frozen=True, slots=True)
class JitterBufferMs:
    """Time packets spend in the playout buffer, milliseconds."""

    mean: float = 0.0
    p95: float = 0.0

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "JitterBufferMs":
        """Statistics of times in milliseconds."""
        return cls(float(np.mean(values)), float(np.percentile(values, 95))) if len(values) else cls()


@dataclass(frozen=True, slots=True)
class InterruptionCounts:
    """Stretches of 150 ms and more in which speech was only concealed."""

    count: int = 0
    total_ms: float = 0.0

    @classmethod
    def from_trace(
        cls, records: Iterable[TraceRecord], is_speech: Callable[[int], bool] | None = None
    ) -> "InterruptionCounts":
        """As :func:`softphone.sim.scoring.interruptions` counts them."""
        found = interruptions(records, is_speech)
        return cls(found.count, found.total_ms)


@dataclass(frozen=True, slots=True)
class TimeStretchMs:
    """Audio added and taken away by time-stretching, milliseconds."""

    inserted: float = 0.0
    removed: float = 0.0

    @classmethod
    def from_trace(cls, records: Iterable[TraceRecord]) -> "TimeStretchMs":
        """Sum up what `STRETCH` and `COMPRESS` steps did."""
        inserted = removed = 0
        for record in records:
            if record.action is Action.STRETCH:
                inserted += record.samples - record.media
            elif record.action is Action.COMPRESS:
                removed += record.media - record.samples
        return cls(inserted / 48.0, removed / 48.0)


@dataclass(frozen=True, slots=True)
class BitrateBps:
    """Mean rate that was sent, bit/s."""

    total: float = 0.0
    """RTP payloads with everything in them: Opus, LBRR, DRED, RED copies."""
    media: float = 0.0
    """What Opus would have taken without redundancy, as far as the sender can tell."""


@dataclass(frozen=True, slots=True)
class CallSummary:
    """The numbers of one call."""

    frames: FrameCounts = field(default_factory=FrameCounts)
    packets: PacketCounts = field(default_factory=PacketCounts)
    delay_ms: DelayMs = field(default_factory=DelayMs)
    jitter_buffer_ms: JitterBufferMs = field(default_factory=JitterBufferMs)
    interruptions_150ms: InterruptionCounts = field(default_factory=InterruptionCounts)
    time_stretch_ms: TimeStretchMs = field(default_factory=TimeStretchMs)
    bitrate_bps: BitrateBps = field(default_factory=BitrateBps)
    policy_fallbacks: int = 0
    """Times another playout policy had to take over from the one that was chosen."""
    duration_s: float = 0.0
    """Length of what was heard, seconds."""
    real_time_factor: float = 0.0
    """Processing time over `duration_s`: below 1 is faster than real time. 0 for a live call."""
    plans: Sequence[Mapping[str, Any]] = ()
    """Changes of what was sent and why, as JSON values, oldest first."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Names of the files that went in."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that led to these numbers, as JSON values."""

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values, floats rounded to 3 decimals (5 for the real-time factor)."""
        values: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        for name, value in asdict(self).items():
            if name in ("inputs", "settings"):
                values[name] = value
            elif name == "plans":
                values[name] = list(value)
            elif isinstance(value, dict):
                values[name] = {key: _rounded(number) for key, number in value.items()}
            else:
                values[name] = round(value, 5)
        return values

    def to_json(self) -> str:
        """`to_dict` as indented JSON with a newline at the end."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"


def _rounded(number: float) -> float:
    return number if isinstance(number, int) else round(number, 3)
