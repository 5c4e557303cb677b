"""How long packets wait in a queue of the network, and whether they wait longer and longer.

Only the receiver can know: the one-way delay of a packet is its arrival less the time it
was sent, apart from an offset between two clocks that stays the same. What a packet waits
is what its delay exceeds the smallest one of late by.

Jitter must not pass for a queue. As in CoDel (RFC 8289, section 3.1), the smallest delay
of a short time counts: in a queue that stands no packet is quick, while in a stall or on
a jittery link some are. The trend is a median of differences (where
draft-ietf-rmcat-gcc-02, section 5.3, filters a gradient), so that one step, as after a
move to another path, is not a queue that grows.
"""

import math
import statistics
from dataclasses import dataclass
from typing import Final

from softphone.rtp.sequence import MAX_DROPOUT, SequenceUnwrapper

__all__ = ["QueueingDelay", "QueueingDelayEstimator"]

_BIN: Final = 0.1
"""Seconds of sending time of which the smallest delay is kept."""
_FLOOR_BINS: Final = 300
"""Bins in which the smallest delay is looked for: 30 s. A clock that runs 100 ppm off moves
the delay by 3 ms in that time."""
_STANDING_BINS: Final = 3
_TREND_BINS: Final = 10
_LAG_BINS: Final = 4
_REORDERED_BINS: Final = 20
_LEAST_DIFFERENCES: Final = 3
_NEW_CLOCK: Final = 5.0
"""Seconds. A longer step of the delay is a new media clock, not the network."""
_DURATIONS_MS: Final = frozenset((2.5, 5, 10, 20, 40, 60, 80, 100, 120))


@dataclass(frozen=True, slots=True)
class QueueingDelay:
    """What the delays of the last second and a half say."""

    delay: float
    """Time that even the quickest packets of the last 0.3 seconds waited, seconds, >= 0."""
    trend: float
    """Growth of the delay in seconds per second; negative when the queue drains."""


class QueueingDelayEstimator:
    """Follows the delay of one incoming stream. Memory is bounded; a stream may restart."""

    def __init__(self, clock_rate: int) -> None:
        """``clock_rate`` of the RTP timestamps in Hz; ValueError unless positive."""
        if clock_rate <= 0:
            raise ValueError(f"clock_rate must be positive, not {clock_rate}")
        self._clock_rate = clock_rate
        self._media = SequenceUnwrapper(32)
        self._numbers = SequenceUnwrapper(16)
        self.restart()

    def restart(self) -> None:
        """Another stream or another path begins: forget everything."""
        self._bins: dict[int, float] = {}
        self._media.reset()
        self._numbers.reset()
        self._pending: tuple[int, int, float] | None = None
        self._duration = 0.0

    def on_packet(
        self, sequence_number: int, timestamp: int, arrival: float, *, marker: bool = False
    ) -> None:
        """A packet arrived: 16-bit sequence number, 32-bit timestamp, arrival in seconds.

        ``marker``: it follows silence that wasn't sent (RFC 7587, section 4.2).
        """
        number, media = self._numbers.unwrap(sequence_number), self._media.unwrap(timestamp)
        if number != self._numbers.last or media != self._media.last:
            return  # a jump that no second packet has confirmed
        pending = self._pending
        if pending is not None and number != pending[0]:
            if pending[0] - MAX_DROPOUT < number <= pending[0]:
                return
            # A packet leaves when its last sample was captured. How long it is, only the next
            # one tells, or two gaps that agree: a guess would be wrong just where it changes.
            # After silence it tells nothing: a pause of 120 ms isn't a packet of that length,
            # which would have left 100 ms later than the 20 ms before that pause did.
            lengths = number - pending[0]
            duration = (media - pending[1]) / self._clock_rate / lengths
            known, self._duration = self._duration, duration
            if (
                not marker
                and round(1000 * duration, 1) in _DURATIONS_MS
                and (lengths == 1 or duration == known)
            ):
                sent = pending[1] / self._clock_rate + duration
                self._add(sent, pending[2] - sent)
        self._pending = (number, media, arrival)

    def measure(self) -> QueueingDelay | None:
        """Queueing delay and trend of late; None before two packets in a row."""
        if not self._bins:
            return None
        newest = max(self._bins)
        recent = [delay for index, delay in self._bins.items() if index > newest - _STANDING_BINS]
        differences = [
            (delay - self._bins[index - _LAG_BINS]) / (_LAG_BINS * _BIN)
            for index, delay in self._bins.items()
            if index > newest - _TREND_BINS and index - _LAG_BINS in self._bins
        ]
        enough = len(differences) >= _LEAST_DIFFERENCES
        return QueueingDelay(
            delay=max(0.0, min(recent) - min(self._bins.values())),
            trend=statistics.median(differences) if enough else 0.0,
        )

    def _add(self, sent: float, delay: float) -> None:
        index = math.floor(sent / _BIN)
        newest = max(self._bins, default=index)
        if index < newest - _REORDERED_BINS or abs(delay - self._bins.get(newest, delay)) > _NEW_CLOCK:
            self._bins.clear()
            newest = index
        known = self._bins.get(index)
        self._bins[index] = delay if known is None else min(known, delay)
        while (first := next(iter(self._bins))) <= newest - _FLOOR_BINS:
            del self._bins[first]
