"""What a receiver knows of one incoming RTP stream (RFC 3550, appendix A)."""

from dataclasses import dataclass
from enum import StrEnum

from softphone.rtp.bursts import BurstStatistics, SequenceWindow
from softphone.rtp.sequence import MAX_DROPOUT, signed_difference

__all__ = ["Arrival", "ReceiveStatistics", "ReceptionReport"]

MAX_TRANSIT_STEP = 5.0
"""Seconds. A longer step of the transit time is a new media clock, not jitter."""

_CUMULATIVE_LOST_RANGE = (-0x800000, 0x7FFFFF)


class Arrival(StrEnum):
    """How a packet fits into its stream."""

    IN_ORDER = "in_order"
    """Newer than everything before it."""
    REORDERED = "reordered"
    """Fills a hole: overtaken by a later packet."""
    DUPLICATE = "duplicate"
    """Seen before."""
    SUSPECT = "suspect"
    """Far away from the stream; not counted unless the next packet continues it."""
    RESTART = "restart"
    """Begins a new numbering: second packet after a jump, or a new SSRC."""


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """The figures of an RTCP report block (RFC 3550, section 6.4.1), and burstiness."""

    fraction_lost: float
    """Share of the packets expected since the last report that didn't arrive, 0..1."""
    packets_lost: int
    """Cumulative loss as RFC 3550 counts it: 24 bits signed, duplicates reduce it."""
    highest_sequence: int
    """32-bit extended highest sequence number."""
    jitter: int
    """Interarrival jitter in units of the RTP clock."""
    bursts: BurstStatistics
    """Loss bursts over the sliding window."""

    @property
    def fraction_lost_byte(self) -> int:
        """`fraction_lost` as the 8-bit fixed-point number of the report block, 0..255."""
        return min(255, int(self.fraction_lost * 256))


class ReceiveStatistics:
    """Counts loss, reordering, duplicates and jitter of one stream.

    Follows RFC 3550 appendices A.1, A.3 and A.8 with two changes that the sliding window
    makes possible: duplicates are told apart from late packets, so that they don't hide
    loss in `fraction_lost`; and a stream counts from its first packet, since behind SRTP
    no probation is needed.
    """

    def __init__(self, clock_rate: int, *, window: int = 1024) -> None:
        """``clock_rate`` in Hz; ``window``: packets over which bursts are measured, and
        the farthest a packet may come behind the newest one."""
        if clock_rate <= 0:
            raise ValueError(f"clock_rate must be positive, not {clock_rate}")
        self.clock_rate = clock_rate
        self.received = 0
        """Packets that arrived, late ones and duplicates included."""
        self.duplicates = 0
        """Packets that had arrived before."""
        self.reordered = 0
        """Packets that came after a later one."""
        self.suspect = 0
        """Packets too far from the stream to be counted."""
        self.restarts = 0
        """New numberings: a jump of the sequence number that lasted, or another SSRC."""
        self._window = SequenceWindow(window)
        self._window_size = window
        self._ssrc: int | None = None
        self._base = 0
        self._bad_sequence: int | None = None
        self._expected_before = 0
        self._expected_prior = 0
        self._unique_prior = 0
        self._jitter = 0.0
        self._transit_reference: tuple[int, float] | None = None

    def update(
        self, sequence_number: int, timestamp: int, arrival: float, *, ssrc: int | None = None
    ) -> Arrival:
        """Note a packet: 16-bit sequence number, 32-bit timestamp, arrival in seconds.

        With ``ssrc`` given, a change of it begins a new numbering.
        """
        sequence_number &= 0xFFFF
        highest = self._window.highest
        if ssrc is not None and self._ssrc is not None and ssrc != self._ssrc:
            kind = Arrival.RESTART
            self._ssrc = ssrc
        else:
            self._ssrc = ssrc if ssrc is not None else self._ssrc
            kind = self._classify(sequence_number, highest)
        if kind is Arrival.SUSPECT:
            self.suspect += 1
            return kind
        if kind is Arrival.RESTART:
            self._restart(sequence_number)
            highest = None

        self.received += 1
        if highest is None:
            extended = self._base = sequence_number
        else:
            extended = highest + signed_difference(sequence_number, highest & 0xFFFF, 16)
        self._base = min(self._base, extended)
        if not self._window.add(extended):
            self.duplicates += 1
            return Arrival.DUPLICATE
        if kind is Arrival.REORDERED:
            self.reordered += 1
        self._update_jitter(timestamp & 0xFFFFFFFF, arrival)
        return kind

    def _classify(self, sequence_number: int, highest: int | None) -> Arrival:
        if highest is None:
            return Arrival.IN_ORDER
        ahead = signed_difference(sequence_number, highest & 0xFFFF, 16)
        if -self._window_size < ahead < MAX_DROPOUT:
            self._bad_sequence = None
            return Arrival.IN_ORDER if ahead > 0 else Arrival.REORDERED
        if sequence_number == self._bad_sequence:
            return Arrival.RESTART
        self._bad_sequence = (sequence_number + 1) & 0xFFFF
        return Arrival.SUSPECT

    def _restart(self, sequence_number: int) -> None:
        self.restarts += 1
        self._expected_before = self.expected
        self._window.clear()
        self._base = sequence_number
        self._bad_sequence = None
        self._transit_reference = None

    def _update_jitter(self, timestamp: int, arrival: float) -> None:
        reference = self._transit_reference
        if reference is not None:
            if timestamp == reference[0]:  # one event or frame in several packets
                return
            media = signed_difference(timestamp, reference[0], 32) / self.clock_rate
            step = abs((arrival - reference[1]) - media)
            if step <= MAX_TRANSIT_STEP:
                self._jitter += (step - self._jitter) / 16.0
        self._transit_reference = (timestamp, arrival)

    @property
    def expected(self) -> int:
        """Packets the sender has sent as far as the sequence numbers tell."""
        highest = self._window.highest
        current = 0 if highest is None else highest - self._base + 1
        return self._expected_before + current

    @property
    def lost(self) -> int:
        """Packets that never arrived so far, >= 0; duplicates don't make up for them."""
        return max(0, self.expected - (self.received - self.duplicates))

    @property
    def jitter(self) -> float:
        """Interarrival jitter in seconds (RFC 3550, A.8)."""
        return self._jitter

    @property
    def fraction_lost(self) -> float:
        """Share of the packets expected since the last `report` that are missing, 0..1."""
        expected = self.expected - self._expected_prior
        unique = self.received - self.duplicates - self._unique_prior
        return min(1.0, max(0, expected - unique) / expected) if expected > 0 else 0.0

    @property
    def highest_sequence(self) -> int:
        """Extended highest sequence number as RTCP carries it (32 bits); 0 before the first."""
        return (self._window.highest or 0) & 0xFFFFFFFF

    def bursts(self, last: int | None = None) -> BurstStatistics:
        """Loss bursts over the window, or over its ``last`` newest packets."""
        return self._window.statistics(last)

    def report(self) -> ReceptionReport:
        """Figures for a report block; begins the next interval of `fraction_lost`."""
        low, high = _CUMULATIVE_LOST_RANGE
        report = ReceptionReport(
            fraction_lost=self.fraction_lost,
            packets_lost=min(high, max(low, self.expected - self.received)),
            highest_sequence=self.highest_sequence,
            jitter=min(0xFFFFFFFF, int(self._jitter * self.clock_rate)),
            bursts=self.bursts(),
        )
        self._expected_prior = self.expected
        self._unique_prior = self.received - self.duplicates
        return report
