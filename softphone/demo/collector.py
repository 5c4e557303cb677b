"""What one end of the demo call keeps in memory for the report."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softphone.audio.stream import SAMPLE_RATE, Pcm
from softphone.playout import TraceRecord
from softphone.playout.trace import read_trace, write_trace
from softphone.recording.recorder import Recorder
from softphone.rtp.packet import RtpPacket, RtpPayload

__all__ = ["Collected", "Collector", "LoggedPacket"]


@dataclass(frozen=True, slots=True)
class LoggedPacket:
    """A packet as one end saw it."""

    at: float
    """When it was sent or came, seconds on ``time.monotonic``."""
    payload_type: int
    """RTP payload type."""
    timestamp: int
    """Sender: media time since its start. Receiver: 32-bit RTP timestamp."""
    sequence: int
    """Receiver: 16-bit sequence number. Sender: 0, it is not known there."""
    payload: bytes
    """What was in it."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything one end kept."""

    said: Pcm
    """What its microphone gave."""
    said_start: float
    """When the first sample was captured, seconds on ``time.monotonic``."""
    heard: Pcm
    """What its loudspeaker played."""
    heard_start: float
    """When the first sample was heard, seconds on ``time.monotonic``."""
    sent: list[LoggedPacket]
    """Packets it sent, in order."""
    received: list[LoggedPacket]
    """Packets that reached it, in order of arrival."""
    trace: list[TraceRecord]
    """What its playout core did."""

    @classmethod
    def load(cls, directory: Path, name: str) -> "Collected":
        """Read what `Collector.save` wrote."""
        with np.load(directory / f"{name}.npz") as stored:
            return cls(
                said=stored["said"],
                said_start=float(stored["starts"][0]),
                heard=stored["heard"],
                heard_start=float(stored["starts"][1]),
                sent=_unpack(stored["sent"], stored["sent_bytes"]),
                received=_unpack(stored["received"], stored["received_bytes"]),
                trace=list(read_trace(directory / f"{name}.jsonl")),
            )


class Collector(Recorder):
    """Keeps a short call in memory; each list has one writing thread."""

    def __init__(self) -> None:
        self._said: list[Pcm] = []
        self._heard: list[Pcm] = []
        self._said_start = self._heard_start = 0.0
        self._heard_end = 0.0
        self._sent: list[LoggedPacket] = []
        self._received: list[LoggedPacket] = []
        self._trace: list[TraceRecord] = []

    @property
    def heard_seconds(self) -> float:
        """Audio played so far."""
        return self._heard_end - self._heard_start

    @property
    def trace(self) -> list[TraceRecord]:
        """What the playout core did so far; grows."""
        return self._trace

    @property
    def packets_received(self) -> int:
        """Packets that came so far."""
        return len(self._received)

    def on_sent(self, payload: RtpPayload, now: float) -> None:
        self._sent.append(LoggedPacket(now, payload.payload_type, payload.timestamp, 0, payload.payload))

    def on_received(self, packet: RtpPacket, arrival: float, participant: str | None = None) -> None:
        self._received.append(
            LoggedPacket(
                arrival, packet.payload_type, packet.timestamp, packet.sequence_number, packet.payload
            )
        )

    def on_said(self, pcm: Pcm, now: float) -> None:
        if not self._said:
            self._said_start = now
        self._said.append(pcm.copy())

    def on_heard(self, pcm: Pcm, now: float) -> None:
        if not self._heard:
            self._heard_start = now
        self._heard_end = now + pcm.size / SAMPLE_RATE
        self._heard.append(pcm.copy())

    def on_trace(self, record: TraceRecord) -> None:
        self._trace.append(record)

    def save(self, directory: Path, name: str) -> None:
        """Write everything as ``name.npz`` and ``name.jsonl``."""
        np.savez(
            directory / f"{name}.npz",
            said=_join(self._said),
            heard=_join(self._heard),
            starts=np.array([self._said_start, self._heard_start]),
            sent=_pack(self._sent),
            sent_bytes=_bytes(self._sent),
            received=_pack(self._received),
            received_bytes=_bytes(self._received),
        )
        write_trace(directory / f"{name}.jsonl", self._trace)


def _join(blocks: list[Pcm]) -> Pcm:
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _pack(packets: list[LoggedPacket]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rows = [(p.at, p.payload_type, p.timestamp, p.sequence, len(p.payload)) for p in packets]
    return np.array(rows, np.float64).reshape(-1, 5)


def _bytes(packets: list[LoggedPacket]) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(packet.payload for packet in packets), np.uint8)


def _unpack(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    data: np.ndarray[tuple[int], np.dtype[np.uint8]],
) -> list[LoggedPacket]:
    packets, position, payloads = [], 0, data.tobytes()
    for at, payload_type, timestamp, sequence, length in rows.tolist():
        end = position + int(length)
        packets.append(
            LoggedPacket(at, int(payload_type), int(timestamp), int(sequence), payloads[position:end])
        )
        position = end
    return packets
