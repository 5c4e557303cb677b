import numpy as np
import pytest

from softphone.errors import RemoteProtocolError
from softphone.opus import (
    Bandwidth,
    Encoder,
    InvalidPacketError,
    Mode,
    Toc,
    has_lbrr,
    packet_samples,
    parse_toc,
    samples_and_lbrr,
)


@pytest.mark.parametrize(
    ("packet", "toc", "samples"),
    [
        # RFC 6716, table 2: configuration << 3 | stereo << 2 | frame count code
        (bytes([0 << 3, 1]), Toc(Mode.SILK, Bandwidth.NARROWBAND, 10, False, 1), 480),
        (bytes([5 << 3, 1]), Toc(Mode.SILK, Bandwidth.MEDIUMBAND, 20, False, 1), 960),
        (bytes([11 << 3 | 4, 1]), Toc(Mode.SILK, Bandwidth.WIDEBAND, 60, True, 1), 2880),
        (bytes([13 << 3, 1]), Toc(Mode.HYBRID, Bandwidth.SUPERWIDEBAND, 20, False, 1), 960),
        (bytes([15 << 3, 1]), Toc(Mode.HYBRID, Bandwidth.FULLBAND, 20, False, 1), 960),
        (bytes([16 << 3, 1]), Toc(Mode.CELT, Bandwidth.NARROWBAND, 2.5, False, 1), 120),
        (bytes([31 << 3 | 4, 1]), Toc(Mode.CELT, Bandwidth.FULLBAND, 20, True, 1), 960),
        (bytes([1 << 3 | 1, 1, 2]), Toc(Mode.SILK, Bandwidth.NARROWBAND, 20, False, 2), 1920),
        (bytes([1 << 3 | 2, 1, 1, 2, 3]), Toc(Mode.SILK, Bandwidth.NARROWBAND, 20, False, 2), 1920),
        (bytes([31 << 3 | 3, 3, 1, 2, 3]), Toc(Mode.CELT, Bandwidth.FULLBAND, 20, False, 3), 2880),
        (bytes([1 << 3]), Toc(Mode.SILK, Bandwidth.NARROWBAND, 20, False, 1), 960),
    ],
)
def test_toc(packet: bytes, toc: Toc, samples: int) -> None:
    assert parse_toc(packet) == toc
    assert packet_samples(packet) == samples
    assert packet_samples(packet, 8_000) == samples // 6


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes([1 << 3 | 1, 1]),  # two equal frames in an odd number of bytes
        bytes([1 << 3 | 2, 9, 1]),  # the first frame is longer than the packet
        bytes([1 << 3 | 3]),  # the frame count is missing
        bytes([1 << 3 | 3, 0]),  # no frames
        bytes([11 << 3 | 3, 3, 1, 2, 3]),  # 180 ms
        bytes([1 << 3 | 3, 0x42, 200, 1]),  # more padding than packet
        bytes([1 << 3]) + bytes(1276),  # a frame over 1275 bytes
    ],
    ids=repr,
)
def test_malformed_packets_are_the_peers_fault(packet: bytes) -> None:
    for inspect in (parse_toc, packet_samples, has_lbrr):
        with pytest.raises(InvalidPacketError) as caught:
            inspect(packet)
        assert isinstance(caught.value, RemoteProtocolError)


def test_any_buffer_will_do() -> None:
    packet = Encoder().encode(np.zeros(960, np.float32))
    for same in (packet, bytearray(packet), memoryview(packet)):
        assert packet_samples(same) == 960  # type: ignore[arg-type]


def test_celt_has_no_lbrr() -> None:
    assert not has_lbrr(bytes([31 << 3, 0xFF, 0xFF]))


def test_samples_and_lbrr_agree_with_their_parts(lbrr_packets: list[bytes]) -> None:
    found = [samples_and_lbrr(packet) for packet in lbrr_packets]
    assert found == [(packet_samples(packet), has_lbrr(packet)) for packet in lbrr_packets]
    assert {lbrr for _, lbrr in found} == {True, False}
    with pytest.raises(InvalidPacketError):
        samples_and_lbrr(b"")
