"""What every recorder looks like to a call, and how recorders are found by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from softphone.audio.stream import Pcm
from softphone.playout.trace import TraceRecord
from softphone.registry import Registry
from softphone.rtp.packet import RtpPacket, RtpPayload

__all__ = ["RecordedCall", "Recorder", "RecorderFactory", "recorders"]


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """What a recorder is told about the call when it starts."""

    began: float
    """Time zero of the recording on the clock of every ``now`` (``time.monotonic``), seconds."""
    local_name: str = "me"
    """Name of this phone's user."""
    participants: tuple[str, ...] = ("arrived",)
    """Names of the others, one track each, all different, and none "said"; empty for a room,
    whose participants come and go: see `Recorder.on_participant`."""
    payload_types: Mapping[int, str] = field(default_factory=lambda: {111: "opus", 63: "red"})
    """RTP payload types and what they carry: "opus", "red" or anything else (logged only)."""
    negotiated: Mapping[str, Any] = field(default_factory=dict)
    """What both sides agreed on, as JSON values: written into the manifest as it is."""


class Recorder:
    """Does nothing with everything: inherit and override what you need.

    Every ``on_`` method may be called from any thread, must return at once and must
    not raise. Times are seconds on ``time.monotonic``.
    """

    def on_participant(self, name: str, payload_types: Mapping[int, str]) -> None:
        """Packets of ``name`` may come from now on, with those payload types; known ones are told anew."""

    def on_sent(self, payload: RtpPayload, now: float) -> None:
        """A payload was handed to the network at ``now``."""

    def on_received(self, packet: RtpPacket, arrival: float, participant: str | None = None) -> None:
        """A packet arrived; ``participant`` None means the first, an unknown one is left out."""

    def on_said(self, pcm: Pcm, now: float) -> None:
        """Audio as it goes to the encoder; the first sample was captured at ``now``."""

    def on_heard(self, pcm: Pcm, now: float) -> None:
        """Audio as it goes to the loudspeaker; the first sample is heard at ``now``."""

    def on_trace(self, record: TraceRecord) -> None:
        """The playout core made one step."""

    def close(self) -> None:
        """The call is over: write what is left, then return. Idempotent."""


RecorderFactory: TypeAlias = Callable[[Path, RecordedCall], Recorder]
"""``factory(directory, call)``: start to record into a folder. Raises
:class:`softphone.errors.LocalError` when that can't work."""

recorders: Registry[RecorderFactory] = Registry(
    "softphone.recorders",
    "recorder",
    {"files": "softphone.recording.call_recorder:CallRecorder"},
)
"""Recorders by name; a third party declares an entry point in ``softphone.recorders``."""
