"""From RTP packets to Opus frames on one timeline.

Takes RED apart, unwraps sequence numbers and timestamps, follows a sender that begins
anew, and drops (and counts) what is not what it claims to be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from softphone.errors import RemoteProtocolError
from softphone.opus import DTX_BYTES, DredState, OpusError, samples_and_lbrr
from softphone.playout.frames import BufferedFrame
from softphone.playout.statistics import PlayoutStatistics
from softphone.rtp.packet import OPUS_CLOCK_RATE, RtpPacket
from softphone.rtp.red import RedBlock, unpack_red
from softphone.rtp.sequence import SequenceUnwrapper, signed_difference

__all__ = ["Depacketizer", "Received"]

_MAX_JUMP = 30 * OPUS_CLOCK_RATE
"""A timestamp further from the stream than this is another timeline or an error."""

_DRED_SPAN = OPUS_CLOCK_RATE + 4800
"""More than the longest DRED, samples."""

_SEEN = 2048
"""Sequence numbers remembered to tell duplicates."""


@dataclass(frozen=True, slots=True)
class Received:
    """The frames of one packet, the primary last."""

    frames: tuple[BufferedFrame, ...]
    """Copies that were in the packet, oldest first, then the primary unless it was empty."""
    restarted: bool
    """The sender began anew with this packet; what was held before is of another timeline."""


class Depacketizer:
    """Turns the packets of one sender into frames.

    ``payload_types`` maps payload types to ``"opus"`` or ``"red"``; others are invalid.
    Counts into ``statistics``.
    """

    def __init__(self, payload_types: Mapping[int, str], statistics: PlayoutStatistics) -> None:
        self._payload_types = dict(payload_types)
        self._statistics = statistics
        self._dred = DredState()
        self._ssrc: int | None = None
        self._sequences = SequenceUnwrapper(16)
        self._timestamps = SequenceUnwrapper(32)
        self._seen: dict[int, None] = {}
        self._suspect: tuple[RtpPacket, float] | None = None

    def receive(self, packet: RtpPacket, arrival: float) -> list[Received]:
        """Take in a packet; returns nothing for one that is dropped.

        A packet of another SSRC or timeline is kept until a second one confirms it, so a
        stray packet can't end a stream; the confirmed restart then delivers both.
        """
        statistics = self._statistics
        kind = self._payload_types.get(packet.payload_type)
        if kind not in ("opus", "red"):
            statistics.packets_invalid += 1
            return []
        if self._ssrc is None:
            self._restart(packet)
        elif packet.ssrc != self._ssrc or self._is_jump(packet):
            return self._on_suspect(packet, arrival)
        received = self._take(packet, arrival, kind, restarted=False)
        return [] if received is None else [received]

    def _is_jump(self, packet: RtpPacket) -> bool:
        last = self._timestamps.last
        return last is not None and abs(self._timestamps.peek(packet.timestamp) - last) > _MAX_JUMP

    def _on_suspect(self, packet: RtpPacket, arrival: float) -> list[Received]:
        held, self._suspect = self._suspect, (packet, arrival)
        if held is None or not _continues(held[0], packet):
            return []
        self._suspect = None
        self._restart(held[0])
        self._statistics.stream_resets += 1
        result = []
        for index, (each, at) in enumerate((held, (packet, arrival))):
            kind = self._payload_types[each.payload_type]
            received = self._take(each, at, kind, restarted=index == 0)
            result.append(received or Received((), index == 0))
        return result

    def _restart(self, packet: RtpPacket) -> None:
        self._ssrc = packet.ssrc
        self._sequences.reset()
        self._timestamps.reset()
        self._seen.clear()
        self._suspect = None

    def _take(self, packet: RtpPacket, arrival: float, kind: str, *, restarted: bool) -> Received | None:
        statistics = self._statistics
        statistics.packets_received += 1
        try:
            blocks = (
                unpack_red(packet.payload)
                if kind == "red"
                else [RedBlock(packet.payload_type, 0, packet.payload)]
            )
        except RemoteProtocolError:
            statistics.packets_invalid += 1
            return None
        sequence = self._sequences.unwrap(packet.sequence_number)
        if sequence in self._seen:
            statistics.packets_duplicated += 1
            return None
        timestamp = self._timestamps.unwrap(packet.timestamp)
        frames: list[BufferedFrame] = []
        for back, block in zip(range(len(blocks) - 1, -1, -1), blocks, strict=True):
            frame = self._frame(block, back, sequence, timestamp, arrival)
            if frame is None:
                continue
            if not back and frames:
                frame = replace(frame, copies=tuple(timestamp - copy.timestamp for copy in frames))
            frames.append(frame)
        if not frames:
            return None
        self._seen[sequence] = None
        if len(self._seen) > _SEEN:
            del self._seen[next(iter(self._seen))]
        return Received(tuple(frames), restarted)

    def _frame(
        self, block: RedBlock, back: int, sequence: int, timestamp: int, arrival: float
    ) -> BufferedFrame | None:
        if not block.payload:  # an empty block stands for silence that was not sent
            return None
        statistics = self._statistics
        if self._payload_types.get(block.payload_type) != "opus":
            statistics.packets_invalid += 1
            return None
        try:
            samples, lbrr = samples_and_lbrr(block.payload)
        except OpusError:
            statistics.packets_invalid += 1
            return None
        reach = self._dred_reach(block.payload) if _has_padding(block.payload) else 0
        if back:
            statistics.fec_packets_received += 1
        return BufferedFrame(
            timestamp=timestamp - block.timestamp_offset,
            sequence=sequence - max(back, block.timestamp_offset // samples),
            samples=samples,
            payload=block.payload,
            arrival=arrival,
            redundancy=back,
            lbrr=lbrr and len(block.payload) > DTX_BYTES,
            dred_reach=reach,
            dred_end=self._dred.end if reach else 0,
        )

    def _dred_reach(self, payload: bytes) -> int:
        """How far back the DRED of a packet reaches; damaged DRED does not spoil the packet."""
        try:
            return self._dred.parse(payload, _DRED_SPAN)
        except OpusError:
            self._statistics.dred_damaged += 1
            return 0


def _has_padding(packet: bytes) -> bool:
    """True for a packet with padding, where extensions such as DRED travel (RFC 6716, section 3.2.5)."""
    return len(packet) > DTX_BYTES and packet[0] & 0x03 == 3 and bool(packet[1] & 0x40)


def _continues(first: RtpPacket, second: RtpPacket) -> bool:
    """True when two packets look like neighbours in one stream."""
    return (
        first.ssrc == second.ssrc
        and 0 < signed_difference(second.sequence_number, first.sequence_number, 16) < 100
        and abs(signed_difference(second.timestamp, first.timestamp, 32)) <= _MAX_JUMP
    )
