"""How long a packet is, and what headers leave of the rate.

At 20 ms, headers take 20 kb/s. Where that is more than the speech gets, a longer packet is
worth its delay: 40 ms save 10 kb/s, 60 ms another 3.
"""

from typing import Final

from softphone.sending.config import FRAME_LENGTHS_MS, PACKET_OVERHEAD, SendingConfig

__all__ = ["FrameLengthChoice", "overhead_bps"]

_RETURN_ABOVE: Final = 4_000
"""Bit/s above the least payload that a shorter packet must leave before it is taken again."""
_DWELL: Final = 15.0
"""Seconds before a shorter packet is taken again."""


def overhead_bps(frame_ms: int) -> int:
    """Rate of the headers of packets of such a length, bit/s."""
    return PACKET_OVERHEAD * 8 * 1000 // frame_ms


class FrameLengthChoice:
    """The length of packets over a call: longer at once, shorter again after a while."""

    def __init__(self, config: SendingConfig) -> None:
        longest = max(config.frame_ms, config.max_frame_ms)
        self._lengths: Final = [ms for ms in FRAME_LENGTHS_MS if config.frame_ms <= ms <= longest]
        self._most: Final = config.bitrate
        # Payload below which a longer packet is better: Opus sounds worse from there on down.
        least = config.congestion.min_payload_bps
        self._least: Final = min(least, self._most)
        self._return: Final = min(least + _RETURN_ABOVE, self._most)
        # Of a rate that is low by choice, too, no more goes into headers than into speech.
        self._first: Final = 1 if self._most < least and len(self._lengths) > 1 else 0
        self._index = self._first
        self._changed_at: float | None = None

    @property
    def least_wire_bps(self) -> int:
        """Rate of the longest packets with the least payload, headers included, bit/s."""
        return self._least + overhead_bps(self._lengths[-1])

    def choose(self, wire_bps: int, now: float) -> tuple[int, int]:
        """(length in ms, payload in bit/s) for `wire_bps` with headers at `now` seconds."""
        index = self._index
        while index + 1 < len(self._lengths) and self._payload(index, wire_bps) < self._least:
            index += 1
        rested = self._changed_at is None or now - self._changed_at >= _DWELL
        unchanged = index == self._index > self._first
        if unchanged and rested and self._payload(index - 1, wire_bps) >= self._return:
            index -= 1
        if index != self._index:
            self._index, self._changed_at = index, now
        return self._lengths[index], self._payload(index, wire_bps)

    def _payload(self, index: int, wire_bps: int) -> int:
        return min(self._most, wire_bps - overhead_bps(self._lengths[index]))
