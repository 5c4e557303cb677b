"""DTMF digits as RTP payloads (RFC 4733): the payload, a sender and a receiver.

Both ends are sans-I/O and run on the media clock: the sender is asked with the current
RTP timestamp what is due, the receiver is handed payloads with their timestamps.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.rtp.packet import RtpPayload

__all__ = [
    "DTMF_DIGITS",
    "DtmfReceiver",
    "DtmfSender",
    "ReceivedDigit",
    "ScheduledEvent",
    "TelephoneEvent",
    "digit_to_event",
    "event_packets",
    "event_to_digit",
    "parse_events",
]

DTMF_DIGITS = "0123456789*#ABCD"
"""Digit of each event code 0..15 (RFC 4733, table 3)."""

MAX_DURATION = 0xFFFF
"""Longest duration of one event segment in timestamp units."""

FINAL_PACKETS = 3
"""How often the last packet of an event is sent (RFC 4733, section 2.5.1.4)."""

MAX_EVENTS_PER_PACKET = 8
"""Most events accepted in one packet (section 2.5.1.5 sets no limit)."""

_HISTORY = 32


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The four bytes of one event (RFC 4733, section 2.3)."""

    event: int
    """Event code, 0..255; 0..15 are DTMF digits."""
    end: bool
    """E bit: the event is over and `duration` is final."""
    volume: int
    """Power level without its sign, 0..63 dBm0."""
    duration: int
    """How long it has lasted so far, 0..65535 timestamp units."""

    def pack(self) -> bytes:
        """The four bytes; :class:`ConfigError` when a field is out of range."""
        if not (0 <= self.event <= 255 and 0 <= self.volume <= 63 and 0 <= self.duration <= MAX_DURATION):
            raise ConfigError(f"telephone event out of range: {self}")
        return bytes((self.event, self.end << 7 | self.volume)) + self.duration.to_bytes(2, "big")

    @classmethod
    def parse(cls, payload: bytes) -> "TelephoneEvent":
        """Read exactly four bytes; :class:`RemoteProtocolError` for another length."""
        if len(payload) != 4:
            raise RemoteProtocolError(f"a telephone event has 4 bytes, not {len(payload)}")
        # The R bit is ignored, as section 2.3.3 asks of receivers.
        return cls(
            payload[0], bool(payload[1] & 0x80), payload[1] & 0x3F, int.from_bytes(payload[2:4], "big")
        )


def parse_events(payload: bytes) -> list[TelephoneEvent]:
    """The contiguous events of one packet (RFC 4733, section 2.5.1.5), oldest first.

    Raises :class:`RemoteProtocolError` for an empty payload, a length that is no multiple
    of four, or more than `MAX_EVENTS_PER_PACKET` events.
    """
    count, rest = divmod(len(payload), 4)
    if rest or not 1 <= count <= MAX_EVENTS_PER_PACKET:
        raise RemoteProtocolError(f"a telephone-event payload can't have {len(payload)} bytes")
    return [TelephoneEvent.parse(payload[4 * i : 4 * i + 4]) for i in range(count)]


def digit_to_event(digit: str) -> int:
    """Event code of a digit (0-9 * # A-D, either case); :class:`ConfigError` otherwise."""
    code = DTMF_DIGITS.find(digit.upper()) if len(digit) == 1 else -1
    if code < 0:
        raise ConfigError(f"{digit!r} is no DTMF digit; use 0-9, *, # or A-D")
    return code


def event_to_digit(event: int) -> str | None:
    """Digit of an event code; None when it is no DTMF digit."""
    return DTMF_DIGITS[event] if 0 <= event < len(DTMF_DIGITS) else None


@dataclass(frozen=True, slots=True)
class ScheduledEvent:
    """A packet of an event and when to send it."""

    due: int
    """Media time at which it is to be sent, in timestamp units."""
    timestamp: int
    """RTP timestamp of the packet: where the event, or its segment, began."""
    marker: bool
    """Set on the first packet of the event only."""
    payload: TelephoneEvent
    """What to send."""


def event_packets(
    event: int, start: int, duration: int, *, interval: int = 960, volume: int = 10
) -> Iterator[ScheduledEvent]:
    """The packets of one event, in sending order (RFC 4733, section 2.5.1).

    All figures in timestamp units: the event begins at ``start`` and lasts ``duration``;
    an update is due each ``interval``. The first packet comes one interval after the start
    (a duration of zero would mean "state", not "tone") and carries the marker; the last is
    sent three times, an interval apart. An event longer than 65,535 units is continued in
    segments with timestamps of their own, whose last packet has no E bit.
    """
    if duration < 1 or interval < 1:
        raise ConfigError("duration and interval of a telephone event must be positive")
    elapsed, marker, segment = 0, True, start
    while True:
        elapsed = min(elapsed + interval, duration, segment - start + MAX_DURATION)
        end = elapsed == duration
        full = elapsed == segment - start + MAX_DURATION
        payload = TelephoneEvent(event, end, volume, elapsed - (segment - start))
        yield ScheduledEvent(start + elapsed, segment, marker, payload)
        marker = False
        if end:
            for repeat in range(1, FINAL_PACKETS):
                yield ScheduledEvent(start + elapsed + repeat * interval, segment, False, payload)
            return
        if full:
            # Sent at once, all three: the next segment's updates are due already.
            for _ in range(1, FINAL_PACKETS):
                yield ScheduledEvent(start + elapsed, segment, False, payload)
            segment = start + elapsed


class DtmfSender:
    """Turns queued digits into payloads as the media clock advances."""

    def __init__(
        self, payload_type: int = 110, *, clock_rate: int = 48_000, interval: float = 0.02, volume: int = 10
    ) -> None:
        """``interval``: seconds between updates, 0.02 (with the audio) or 0.05 (RFC 4733);
        ``volume``: 0..63, the tone's level in -dBm0."""
        self._payload_type = payload_type
        self._clock_rate = clock_rate
        self._interval = round(interval * clock_rate)
        self._volume = volume
        self._waiting: deque[tuple[int, int, int]] = deque()
        self._packets: Iterator[ScheduledEvent] = iter(())
        self._next: ScheduledEvent | None = None
        self._not_before = 0

    def queue(self, digits: str, *, duration: float = 0.1, gap: float = 0.07) -> None:
        """Append digits; ``duration`` and the ``gap`` after each in seconds.

        Durations are kept within 0.04..6 s and gaps to at least 0.03 s, as the WebRTC
        recommendation does. A comma waits two seconds. Raises :class:`ConfigError`, and
        queues nothing, when a character is no digit.
        """
        length = round(min(6.0, max(0.04, duration)) * self._clock_rate)
        pause = round(max(0.03, gap) * self._clock_rate)
        self._waiting.extend(
            [
                (-1, 0, 2 * self._clock_rate) if digit == "," else (digit_to_event(digit), length, pause)
                for digit in digits
            ]
        )

    def cancel(self) -> None:
        """Drop the digits that haven't begun; the current one ends as planned."""
        self._waiting.clear()

    @property
    def active(self) -> bool:
        """True while packets are still to come."""
        return self._next is not None or bool(self._waiting)

    @property
    def pending(self) -> int:
        """Digits that have not begun yet."""
        return sum(1 for event, _, _ in self._waiting if event >= 0)

    def advance(self, timestamp: int) -> list[RtpPayload]:
        """Payloads due by media time ``timestamp`` (48 kHz samples since the sender began).

        Call it once a frame with times that never go back. When it answers with a payload,
        the tone replaces that frame's audio.
        """
        payloads = []
        while (scheduled := self._peek(timestamp)) is not None and scheduled.due <= timestamp:
            payloads.append(
                RtpPayload(
                    self._payload_type, scheduled.timestamp, scheduled.payload.pack(), scheduled.marker
                )
            )
            self._next = next(self._packets, None)
        return payloads

    def _peek(self, timestamp: int) -> ScheduledEvent | None:
        while self._next is None and self._waiting and timestamp >= self._not_before:
            event, length, pause = self._waiting.popleft()
            self._not_before = timestamp + length + pause
            if event >= 0:
                self._packets = event_packets(
                    event, timestamp, length, interval=self._interval, volume=self._volume
                )
                self._next = next(self._packets)
        return self._next


@dataclass(frozen=True, slots=True)
class ReceivedDigit:
    """A key the peer pressed, reported once."""

    digit: str
    """One of `DTMF_DIGITS`."""
    timestamp: int
    """RTP timestamp at which the tone began."""
    duration: int
    """Timestamp units it had lasted when first heard of."""


class DtmfReceiver:
    """Collapses the packets of an event to one digit.

    A digit is reported with the first packet of it that arrives, so losing its start or
    all its ends does no harm. Updates, the repeated end, duplicates and late packets
    carry a timestamp that is known already and are dropped; the same key pressed again has
    a new timestamp. A segment that continues a long event belongs to that event.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=_HISTORY)

    def receive(self, payload: bytes, timestamp: int) -> list[ReceivedDigit]:
        """Digits that begin with this packet, mostly none or one.

        ``timestamp`` is the packet's 32-bit RTP timestamp. Events that are no DTMF digits
        are ignored. Raises :class:`RemoteProtocolError` when the payload is malformed.
        """
        digits = []
        for event in parse_events(payload):
            timestamp &= 0xFFFFFFFF
            digit = event_to_digit(event.event)
            if digit is not None and self._is_new(event.event, timestamp):
                digits.append(ReceivedDigit(digit, timestamp, event.duration))
            timestamp += event.duration
        return digits

    def _is_new(self, event: int, timestamp: int) -> bool:
        if any(seen == timestamp for _, seen in self._seen):
            return False
        continued = (event, (timestamp - MAX_DURATION) & 0xFFFFFFFF) in self._seen
        self._seen.append((event, timestamp))
        return not continued
