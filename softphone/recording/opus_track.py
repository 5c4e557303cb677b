"""From packets as they come to a track that players can play: ordered and without holes.

Sans-I/O: packets and times go in, blocks for the muxer come out. The bytes of a packet
are never changed. Where a packet is missing, one-byte packets stand in: a table of
contents byte (RFC 6716, section 3.1) of code 0 without data, which every Opus decoder
takes for a lost frame and conceals. Players which ignore timestamps thus stay in time.
Long holes, in which nobody sent, are left as a jump of the timestamps.
"""

from dataclasses import dataclass
from math import inf

from softphone.opus import packet_samples
from softphone.opus.errors import OpusError
from softphone.rtp.packet import OPUS_CLOCK_RATE

__all__ = ["OpusTrack", "TrackBlock"]

HOLD_SECONDS = 0.2
"""How long a packet behind a hole waits for the missing one: also what a crash may cost."""

LONGEST_FILL_SECONDS = 2.0
"""Holes up to this length are filled with one-byte packets."""

JUMP_SECONDS = 10.0
"""A timestamp this far from where the clock says it should be starts a new timeline."""

_MAX_WAITING = 256


@dataclass(frozen=True, slots=True)
class TrackBlock:
    """One packet at its place in the track."""

    pts: int
    """Start in 48 kHz samples since the recording began, never falling."""
    payload: bytes
    """Opus packet, untouched, or a one-byte stand-in."""
    duration: int
    """Length in 48 kHz samples."""
    filler: bool = False
    """True for a stand-in: no such packet was sent or arrived."""


@dataclass(slots=True)
class _Waiting:
    payload: bytes
    duration: int
    since: float
    redundant: bool


class OpusTrack:
    """Orders the Opus packets of one participant and fills the holes.

    Times are seconds since the recording began; timestamps are 32-bit RTP timestamps.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {}
        self._offset = 0  # pts = extended timestamp + offset
        self._next: int | None = None  # extended timestamp of the next block
        self._last_seen = 0
        self._last_time = 0.0
        self._end = 0  # pts after the last block
        self._ssrc: int | None = None
        self._filler: tuple[bytes, int] = (b"", 0)
        self.late = 0
        """Packets that came after their place was filled, and duplicates."""
        self.invalid = 0
        """Payloads that are no Opus packets."""
        self.fillers = 0
        """One-byte stand-ins written."""

    def push(
        self, payload: bytes, timestamp: int, now: float, *, ssrc: int = 0, redundant: bool = False
    ) -> list[TrackBlock]:
        """Take one Opus packet and return the blocks that are ready, oldest first.

        ``redundant`` marks a copy out of a RED payload (RFC 2198): it yields to the
        packet itself as long as neither is written.
        """
        try:
            duration = packet_samples(payload)
        except OpusError:
            self.invalid += 1
            return []
        if duration <= 0:
            self.invalid += 1
            return []
        ready: list[TrackBlock] = []
        extended = self._last_seen + _signed(timestamp - self._last_seen)
        expected = self._last_seen + (now - self._last_time) * OPUS_CLOCK_RATE
        jumped = abs(extended - expected) > JUMP_SECONDS * OPUS_CLOCK_RATE
        if self._next is None or ssrc != self._ssrc or jumped:
            if redundant:
                return []
            ready = self._drain(inf)
            self._start(timestamp, ssrc, now)
            extended = timestamp
        if not redundant:
            self._last_seen, self._last_time = extended, now
        assert self._next is not None
        if extended < self._next:
            self.late += not redundant
            return ready + self._drain(now)
        waiting = self._waiting.get(extended)
        if waiting is None:
            self._waiting[extended] = _Waiting(payload, duration, now, redundant)
        elif waiting.redundant and not redundant:
            waiting.payload, waiting.duration, waiting.redundant = payload, duration, False
        else:
            self.late += not redundant
        return ready + self._drain(now)

    def advance(self, now: float) -> list[TrackBlock]:
        """Return what has waited long enough behind a hole."""
        return self._drain(now)

    def flush(self) -> list[TrackBlock]:
        """Return everything that still waits; the track ends here."""
        return self._drain(inf)

    def _start(self, timestamp: int, ssrc: int, now: float) -> None:
        self._ssrc = ssrc
        self._next = timestamp
        self._last_seen, self._last_time = timestamp, now
        self._offset = max(round(now * OPUS_CLOCK_RATE), self._end) - timestamp

    def _drain(self, now: float) -> list[TrackBlock]:
        ready: list[TrackBlock] = []
        while self._waiting:
            assert self._next is not None
            first = min(self._waiting)
            waiting = self._waiting[first]
            if first > self._next:
                patient = now - waiting.since < HOLD_SECONDS and len(self._waiting) < _MAX_WAITING
                if patient:
                    break
                ready += self._fill(first)
            del self._waiting[first]
            if first < self._next:  # overlaps a longer packet that is already written
                self.late += not waiting.redundant
                continue
            ready.append(TrackBlock(first + self._offset, waiting.payload, waiting.duration))
            # Code 0 with the same mode, bandwidth, frame length and channels, and no data.
            toc = waiting.payload[0] & 0xFC
            self._filler = (bytes((toc,)), packet_samples(bytes((toc,))))
            self._next = first + waiting.duration
            self._end = self._next + self._offset
        return ready

    def _fill(self, until: int) -> list[TrackBlock]:
        assert self._next is not None
        payload, duration = self._filler
        start, hole = self._next, until - self._next
        self._next = until
        if not payload or hole > LONGEST_FILL_SECONDS * OPUS_CLOCK_RATE:
            return []
        count = hole // duration
        self.fillers += count
        return [
            TrackBlock(start + index * duration + self._offset, payload, duration, filler=True)
            for index in range(count)
        ]


def _signed(difference: int) -> int:
    """Fold a difference of 32-bit timestamps into -2**31..2**31-1."""
    return (difference + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000
