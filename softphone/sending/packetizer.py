"""Opus packets into RTP payloads, with RED copies when the plan asks for them."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from softphone.rtp.packet import RtpPayload
from softphone.rtp.red import MAX_BLOCK_LENGTH, MAX_TIMESTAMP_OFFSET, RedBlock, pack_red
from softphone.sending.inspection import without_padding

__all__ = ["PacketizedFrame", "Packetizer"]

_MAX_COPIES: Final = 4
_SHORTEST_FRAME: Final = 480
_HISTORY: Final = MAX_TIMESTAMP_OFFSET // _SHORTEST_FRAME
"""Packets that can still be repeated."""


@dataclass(frozen=True, slots=True)
class PacketizedFrame:
    """A payload and what of it is redundant."""

    payload: RtpPayload
    """What to send."""
    red_bytes: int
    """Bytes of the payload that are RED headers and copies; 0 for plain Opus."""


class Packetizer:
    """Gives each Opus packet its timestamp, marker and payload type (RFC 7587, RFC 2198)."""

    def __init__(self, opus_payload_type: int = 111, red_payload_type: int = 63) -> None:
        self._opus_payload_type: Final = opus_payload_type
        self._red_payload_type: Final = red_payload_type
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=_HISTORY)
        self._paused = True

    def pause(self) -> None:
        """A packet isn't sent (silence): the next one begins a talk spurt and repeats nothing."""
        self._paused = True
        self._sent.clear()

    def packetize(
        self,
        packet: bytes,
        timestamp: int,
        *,
        red_copies: int = 0,
        red_distance: int = 1,
        audio_level: int | None = None,
    ) -> PacketizedFrame:
        """Make the payload of `packet`, whose first sample is `timestamp` (48 kHz, from 0).

        `red_copies` earlier packets (0..4) are repeated without their padding, `red_distance`
        packets (1 or more) from one to the next; fewer when they are too old or too long for a
        RED header. With none to repeat, the payload is plain Opus.
        """
        blocks = [
            RedBlock(self._opus_payload_type, timestamp - earlier, payload)
            for earlier, payload in self._copies(min(red_copies, _MAX_COPIES), red_distance)
            if timestamp - earlier <= MAX_TIMESTAMP_OFFSET and len(payload) <= MAX_BLOCK_LENGTH
        ]
        payload_type, payload = self._opus_payload_type, packet
        if blocks:
            payload_type = self._red_payload_type
            payload = pack_red(self._opus_payload_type, packet, blocks)
        marker, self._paused = self._paused, False
        self._sent.append((timestamp, packet))
        return PacketizedFrame(
            RtpPayload(payload_type, timestamp, payload, marker, audio_level), len(payload) - len(packet)
        )

    def _copies(self, count: int, distance: int) -> list[tuple[int, bytes]]:
        """Timestamp and packet without padding, oldest first."""
        back = [step * distance for step in range(count, 0, -1)]
        sent = (self._sent[-steps] for steps in back if steps <= len(self._sent))
        return [(timestamp, without_padding(packet)) for timestamp, packet in sent]
