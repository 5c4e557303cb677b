"""Copies that lie farther back than the packet before."""

import pytest

from softphone.playout import PlayoutConfig, PlayoutEngine, Source, TraceRecord
from softphone.playout.depacketizer import Depacketizer
from softphone.playout.statistics import PlayoutStatistics
from softphone.rtp.packet import RtpPacket
from softphone.sending.packetizer import Packetizer
from tests.support.stream import opus_packets

FRAME = 960
DISTANCE = 4


def packets(count: int = 100, first: int = 0) -> list[RtpPacket]:
    """Packets of speech with a copy of the fourth before."""
    packetizer, sent = Packetizer(), []
    for number, packet in enumerate(opus_packets()[:count]):
        payload = packetizer.packetize(packet, number * FRAME, red_copies=1, red_distance=DISTANCE).payload
        sequence = first + number & 0xFFFF
        sent.append(RtpPacket(payload.payload_type, sequence, payload.timestamp, 1, payload.payload))
    return sent


def played(sent: list[RtpPacket], lost: set[int], delay: float = 0.160) -> list[TraceRecord]:
    records: list[TraceRecord] = []
    engine = PlayoutEngine(PlayoutConfig(policy="fixed", max_delay=delay), on_trace=records.append)
    arrivals = [
        (packet.timestamp / 48_000 + 0.020, packet)
        for number, packet in enumerate(sent)
        if number not in lost
    ]
    for tick in range(300):
        while arrivals and arrivals[0][0] <= tick * 0.01:
            at, packet = arrivals.pop(0)
            engine.insert(packet, at)
        engine.pull(tick * 0.01, 480)
    return records


def test_a_burst_that_is_shorter_than_the_distance_is_repaired_by_copies() -> None:
    lost = {40, 41, 42}
    sources = {record.timestamp // FRAME: record.source for record in played(packets(), lost)}
    assert all(sources[number] is Source.RED for number in lost)
    assert all(sources[number] is Source.REGULAR for number in range(90) if number not in lost)


def test_copies_that_come_too_late_are_of_no_use() -> None:
    sources = [
        record.source for record in played(packets(), {40}, delay=0.090) if record.timestamp // FRAME == 40
    ]
    assert Source.RED not in sources


@pytest.mark.parametrize("first", [0, 65_530])
def test_the_sequence_number_of_a_copy_is_that_of_the_packet(first: int) -> None:
    depacketizer = Depacketizer({111: "opus", 63: "red"}, PlayoutStatistics())
    for packet in packets(20, first):
        (received,) = depacketizer.receive(packet, 0.0)
        *copies, primary = received.frames
        for copy in copies:
            assert primary.sequence - copy.sequence == DISTANCE
            assert primary.copies == (DISTANCE * FRAME,)
