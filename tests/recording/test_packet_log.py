"""The packet log gives back what went in, whole or torn."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import LocalError
from softphone.recording.packet_log import Direction, PacketLogWriter, read_packet_log
from softphone.rtp.packet import RtpPacket

packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFF_FFFF),
    ssrc=st.integers(0, 0xFFFF_FFFF),
    payload=st.binary(max_size=1500),
    marker=st.booleans(),
    audio_level=st.none() | st.integers(0, 127),
)


@given(st.lists(st.tuples(st.sampled_from(Direction), packets, st.integers(0, 2**62), st.integers(0, 252))))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    path = tmp_path_factory.mktemp("log") / "packets.pcap"
    writer = PacketLogWriter(path)
    rows = [
        (direction, packet, time_ns % 2**61, participant) for direction, packet, time_ns, participant in rows
    ]
    for direction, packet, time_ns, participant in rows:
        writer.write(direction, packet, time_ns, participant)
    writer.close()
    logged = list(read_packet_log(path))
    assert [(entry.direction, entry.participant, entry.packet) for entry in logged] == [
        (direction, participant, packet) for direction, packet, _, participant in rows
    ]
    for entry, (_, _, time_ns, _) in zip(logged, rows, strict=True):
        assert entry.time == pytest.approx(time_ns * 1e-9, abs=1e-6, rel=1e-15)


def write_log(path: Path, count: int = 3) -> None:
    writer = PacketLogWriter(path)
    for number in range(count):
        packet = RtpPacket(111, number, number * 960, 1, bytes((number,)) * 50, audio_level=30)
        writer.write(Direction.RECEIVED, packet, 1_700_000_000_123_456_789 + number)
    writer.close()


@pytest.mark.parametrize("lost", [1, 30, 90])
def test_torn_last_record_is_ignored(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "packets.pcap"
    write_log(path)
    path.write_bytes(path.read_bytes()[:-lost])
    assert [entry.packet.sequence_number for entry in read_packet_log(path)] == [0, 1]


def test_ip_headers_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "packets.pcap"
    write_log(path, 1)
    data = path.read_bytes()
    assert struct.unpack_from("<I", data)[0] == 0xA1B23C4D
    datagram = data[40:]
    words = struct.unpack("!10H", datagram[:20])
    total = sum(words)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF  # RFC 1071
    assert struct.unpack("!H", datagram[2:4])[0] == len(datagram)
    assert struct.unpack("!H", datagram[24:26])[0] == len(datagram) - 20


@pytest.mark.parametrize("content", [b"", b"RIFF" + bytes(40), None])
def test_foreign_file_is_a_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "packets.pcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LocalError, match=r"packets\.pcap"):
        list(read_packet_log(path))
