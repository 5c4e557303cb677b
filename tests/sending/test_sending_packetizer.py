"""Opus packets to RTP payloads and back."""

from softphone.rtp.red import RedBlock, unpack_red
from softphone.sending.packetizer import Packetizer

FRAME = 960


def packets(count: int, size: int = 50) -> list[bytes]:
    return [bytes([index]) * size for index in range(count)]


def test_plain_opus() -> None:
    packetizer = Packetizer()
    for index, packet in enumerate(packets(4)):
        frame = packetizer.packetize(packet, index * FRAME, audio_level=30)
        assert frame.payload.payload == packet
        assert frame.payload.payload_type == 111
        assert frame.payload.timestamp == index * FRAME
        assert frame.payload.marker is (index == 0)
        assert frame.payload.audio_level == 30
        assert frame.red_bytes == 0


def test_red_copies_are_the_packets_before() -> None:
    packetizer = Packetizer(opus_payload_type=96, red_payload_type=97)
    sent = packets(6)
    for index, packet in enumerate(sent):
        frame = packetizer.packetize(packet, index * FRAME, red_copies=2)
        if index == 0:
            assert (frame.payload.payload_type, frame.payload.payload) == (96, packet)
            continue
        assert frame.payload.payload_type == 97
        *copies, primary = unpack_red(frame.payload.payload)
        expected = range(max(0, index - 2), index)
        assert [copy.payload for copy in copies] == [sent[i] for i in expected]
        assert [copy.timestamp_offset for copy in copies] == [(index - i) * FRAME for i in expected]
        assert {copy.payload_type for copy in copies} == {96}
        assert (primary.payload, primary.payload_type, primary.timestamp_offset) == (packet, 96, 0)
        assert frame.red_bytes == sum(4 + len(copy.payload) for copy in copies) + 1


def test_copies_may_lie_farther_back() -> None:
    packetizer = Packetizer()
    sent = packets(12)
    for index, packet in enumerate(sent):
        frame = packetizer.packetize(packet, index * FRAME, red_copies=2, red_distance=4)
        *copies, primary = unpack_red(frame.payload.payload) if index >= 4 else (RedBlock(111, 0, packet),)
        expected = [i for i in (index - 8, index - 4) if i >= 0]
        assert [copy.payload for copy in copies] == [sent[i] for i in expected]
        assert [copy.timestamp_offset for copy in copies] == [(index - i) * FRAME for i in expected]
        assert primary.payload == packet


def test_copies_go_without_their_dred() -> None:
    packetizer = Packetizer()
    with_dred = bytes([0x7B, 0x41, 4]) + b"frame" + bytes([126 << 1]) + b"D\x0cl"
    packetizer.packetize(with_dred, 0)
    copy, primary = unpack_red(packetizer.packetize(with_dred, FRAME, red_copies=1).payload.payload)
    assert (copy.payload, primary.payload) == (b"\x78frame", with_dred)


def test_what_no_red_header_can_hold_is_left_out() -> None:
    packetizer = Packetizer()
    packetizer.packetize(b"x" * 1024, 0)
    packetizer.packetize(b"y" * 1023, FRAME)
    frame = packetizer.packetize(b"z", 2 * FRAME, red_copies=2)
    assert [block.payload[:1] for block in unpack_red(frame.payload.payload)] == [b"y", b"z"]
    far = packetizer.packetize(b"a", 2 * FRAME + (1 << 14), red_copies=1)
    assert far.payload.payload_type == 111


def test_after_a_pause_comes_a_marker_and_no_copies() -> None:
    packetizer = Packetizer()
    for index, packet in enumerate(packets(3)):
        packetizer.packetize(packet, index * FRAME, red_copies=1)
    packetizer.pause()
    frame = packetizer.packetize(b"new", 5 * FRAME, red_copies=1)
    assert frame.payload.marker
    assert frame.payload.payload == b"new"
    following = packetizer.packetize(b"next", 6 * FRAME, red_copies=1)
    assert not following.payload.marker
    assert len(unpack_red(following.payload.payload)) == 2


def test_history_is_bounded() -> None:
    packetizer = Packetizer()
    for index, packet in enumerate(packets(100)):
        frame = packetizer.packetize(packet, index * 480, red_copies=50)
        assert len(frame.payload.payload) < 6 * 50
