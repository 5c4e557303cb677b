"""Loss reports between two softphones: what a receiver report of RFC 3550 can't say.

A report travels as application-layer feedback (RTCP PSFB, FMT 15, RFC 4585 section 6.4).
Its FCI begins with four ASCII letters that say whose it is, so other software skips it:

    0                   1                   2                   3
    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    |      'S'      |      'P'      |      'L'      |      'R'      |
    |   version=1   |   reserved    |       packets in window       |
    |         fraction lost         |      unrepaired fraction      |
    |         late fraction         |      mean burst (8.8 bit)     |
    |     queueing delay (ms)       |  its trend (ms/s, signed)     |
    |                    payload received (bit/s)                   |

Fractions are 16-bit: 65535 is one. A mean burst of 0 means that nothing was lost. The
last two lines came later and may be missing: a parser takes what the length holds and
skips what is beyond. A queueing delay of 65535 means that it isn't known.
"""

import struct
from dataclasses import dataclass

from softphone.errors import RemoteProtocolError
from softphone.rtp.bursts import SequenceWindow
from softphone.rtp.packet import OPUS_CLOCK_RATE
from softphone.rtp.queueing import QueueingDelayEstimator
from softphone.rtp.sequence import MAX_DROPOUT, SequenceUnwrapper

__all__ = ["LOSS_REPORT_NAME", "LossReport", "LossReporter"]

LOSS_REPORT_NAME = b"SPLR"
"""First four bytes of the FCI."""

_VERSION = 1
_FORMAT = struct.Struct("!4sBxHHHHH")
_CONGESTION = struct.Struct("!HhI")
_UNKNOWN_DELAY = 0xFFFF


@dataclass(frozen=True, slots=True)
class LossReport:
    """Loss as the receiver of our audio sees it, over a recent window.

    Values are quantised on the wire: fractions to 1/65535, the burst length to 1/256,
    delays to a millisecond, the rate to a bit per second.
    """

    packets: int
    """Packets expected in the window, 0..65535; how far the figures can be trusted."""
    fraction_lost: float
    """Share of packets that didn't arrive, 0..1."""
    mean_burst: float | None
    """Mean length of a run of losses in packets, 1..255.99; None without loss."""
    unrepaired_fraction: float
    """Share of played frames that nothing could restore and that were concealed, 0..1."""
    late_fraction: float
    """Share of packets that came too late to be played, 0..1."""
    queueing_delay: float | None = None
    """Time that packets wait in queues of the network of late, seconds, 0..65.534; None
    when an older peer doesn't say or nothing arrived."""
    delay_trend: float = 0.0
    """Growth of that time, seconds per second, -32.768..32.767."""
    received_bps: int | None = None
    """Payload that arrived in the interval, bit/s, 0..2**32-1; None when an older peer
    doesn't say or nothing arrived."""

    def pack(self) -> bytes:
        """The FCI, 24 bytes (16 without a rate); values beyond their range saturate."""
        burst = 0 if self.mean_burst is None else min(0xFFFF, max(256, round(self.mean_burst * 256)))
        fci = _FORMAT.pack(
            LOSS_REPORT_NAME,
            _VERSION,
            min(0xFFFF, max(0, self.packets)),
            _quantise(self.fraction_lost),
            _quantise(self.unrepaired_fraction),
            _quantise(self.late_fraction),
            burst,
        )
        if self.received_bps is None:
            return fci
        delay = _UNKNOWN_DELAY
        if self.queueing_delay is not None:
            delay = min(_UNKNOWN_DELAY - 1, max(0, round(1000 * self.queueing_delay)))
        trend = min(0x7FFF, max(-0x8000, round(1000 * self.delay_trend)))
        return fci + _CONGESTION.pack(delay, trend, min(0xFFFFFFFF, max(0, self.received_bps)))

    @classmethod
    def parse(cls, fci: bytes) -> "LossReport":
        """Read an FCI; :class:`RemoteProtocolError` when it is none of ours.

        Bytes after the known ones are ignored: a later version may add fields, and keeps
        version 1 as long as these keep their meaning.
        """
        if fci[:4] != LOSS_REPORT_NAME:
            raise RemoteProtocolError("application-layer feedback is not a loss report")
        if len(fci) < _FORMAT.size:
            raise RemoteProtocolError(f"loss report has {len(fci)} bytes instead of {_FORMAT.size}")
        _, version, packets, lost, unrepaired, late, burst = _FORMAT.unpack_from(fci)
        if version != _VERSION:
            raise RemoteProtocolError(f"loss report has unknown version {version}")
        if 0 < burst < 256:
            raise RemoteProtocolError("loss report has a mean burst below one packet")
        delay, trend, received = _UNKNOWN_DELAY, 0, None
        if len(fci) >= _FORMAT.size + _CONGESTION.size:
            delay, trend, received = _CONGESTION.unpack_from(fci, _FORMAT.size)
        return cls(
            packets=packets,
            fraction_lost=lost / 0xFFFF,
            mean_burst=burst / 256 if burst else None,
            unrepaired_fraction=unrepaired / 0xFFFF,
            late_fraction=late / 0xFFFF,
            queueing_delay=None if delay == _UNKNOWN_DELAY else delay / 1000,
            delay_trend=trend / 1000,
            received_bps=received,
        )


def _quantise(fraction: float) -> int:
    return round(min(1.0, max(0.0, fraction)) * 0xFFFF)


class LossReporter:
    """Collects what happened to packets and frames, and sums it up each interval."""

    def __init__(self, *, interval: float = 1.0, window: int = 250) -> None:
        """``interval``: seconds between reports; ``window``: packets over which loss and
        bursts are measured (250 are five seconds of 20 ms packets)."""
        self._interval = interval
        self._unwrapper = SequenceUnwrapper(16)
        self._window = SequenceWindow(window)
        self._queueing = QueueingDelayEstimator(OPUS_CLOCK_RATE)
        self._reported_up_to: int | None = None
        self._payload_bytes = 0
        self._since = 0.0
        self._packets_late = 0
        self._samples = 0
        self._samples_concealed = 0
        self._due: float | None = None

    def on_packet(
        self,
        sequence_number: int,
        timestamp: int | None = None,
        arrival: float = 0.0,
        size: int = 0,
        *,
        marker: bool = False,
    ) -> None:
        """A packet arrived, in time or not.

        16-bit sequence number, 32-bit timestamp (48 kHz), arrival in seconds, bytes of payload,
        whether it follows silence that wasn't sent.
        Without a timestamp nothing is said of delays, without sizes nothing of the rate.
        """
        previous = self._unwrapper.last
        extended = self._unwrapper.unwrap(sequence_number)
        if extended != self._unwrapper.last:
            return  # a jump that no second packet has confirmed
        if previous is None or abs(extended - previous) > MAX_DROPOUT:
            self._window.clear()
            self._reported_up_to = extended - 1
        if self._window.add(extended):
            self._payload_bytes += size
            if timestamp is not None:
                self._queueing.on_packet(sequence_number, timestamp, arrival, marker=marker)

    def on_late_packet(self) -> None:
        """A packet that had arrived could not be played any more."""
        self._packets_late += 1

    def on_audio(self, samples: int, *, concealed: bool) -> None:
        """So much audio was due: ``concealed`` when no packet, copy or DRED could provide it.

        Silence that the sender meant (DTX) is no concealment.
        """
        self._samples += samples
        self._samples_concealed += samples * concealed

    def poll(self, now: float) -> LossReport | None:
        """The report when one is due, else None. The first is due one interval after the
        first call; none is made of an interval without packets and frames."""
        if self._due is None:
            self._due = now + self._interval
            self._since = now
        if now < self._due:
            return None
        elapsed, self._since = now - self._since, now
        payload_bytes, self._payload_bytes = self._payload_bytes, 0
        self._due += self._interval
        if self._due <= now:  # a stalled caller gets one report, not one for each interval missed
            self._due = now + self._interval
        highest = self._window.highest
        if highest is None or self._reported_up_to is None:
            return None
        new_packets = max(0, highest - self._reported_up_to)
        if not new_packets and not self._samples:
            return None
        bursts = self._window.statistics()
        queue = self._queueing.measure() if payload_bytes else None
        report = LossReport(
            packets=bursts.expected,
            fraction_lost=bursts.fraction_lost,
            mean_burst=bursts.mean_burst,
            unrepaired_fraction=self._samples_concealed / self._samples if self._samples else 0.0,
            late_fraction=min(1.0, self._packets_late / new_packets) if new_packets else 0.0,
            queueing_delay=queue.delay if queue is not None else None,
            delay_trend=queue.trend if queue is not None else 0.0,
            received_bps=round(8 * payload_bytes / elapsed) if payload_bytes and elapsed > 0 else None,
        )
        self._reported_up_to = highest
        self._packets_late = self._samples = self._samples_concealed = 0
        return report

    def restart(self) -> None:
        """The peer began a new stream (another SSRC): forget the old numbering."""
        self._window.clear()
        self._unwrapper.reset()
        self._queueing.restart()
        self._reported_up_to = None
