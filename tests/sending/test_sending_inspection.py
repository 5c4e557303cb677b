"""Redundancy counted from the bytes of a packet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from softphone.opus import Decoder, DredState, Encoder, capabilities, has_lbrr
from softphone.sending.inspection import dred_bytes, lbrr_bytes, without_padding


def dred_extension(data: bytes) -> bytes:
    return bytes([126 << 1]) + data


@pytest.mark.parametrize(
    ("packet", "size"),
    [
        # One frame made code 3 by its padding: count byte, length byte, extension.
        (bytes([0x7B, 0x41, 8]) + b"frame" + dred_extension(b"D\x0clatents")[:8], 1 + 1 + 8),
        # Two frames: the count byte would be there without padding, too.
        (bytes([0x7B, 0x42, 5]) + b"framefra" + dred_extension(b"D\x0cla"), 1 + 5),
        # 300 bytes of padding: 255 stands for 254 and more to come.
        (bytes([0x7B, 0x41, 255, 46]) + b"frame" + dred_extension(bytes(299)), 1 + 2 + 300),
        # A short extension before it, and one with its length given.
        (bytes([0x7B, 0x41, 6]) + b"frame" + bytes([3 << 1 | 1, 9]) + dred_extension(b"D\x0cl"), 1 + 1 + 6),
        (
            bytes([0x7B, 0x41, 7]) + b"frame" + bytes([40 << 1 | 1, 1, 9]) + dred_extension(b"D\x0cl"),
            1 + 1 + 7,
        ),
        # Plain padding, another extension, no padding, not code 3.
        (bytes([0x7B, 0x41, 4]) + b"frame" + bytes(4), 0),
        (bytes([0x7B, 0x41, 4]) + b"frame" + bytes([40 << 1, 1, 2, 3]), 0),
        (bytes([0x7B, 0x01]) + b"frame", 0),
        (bytes([0x78]) + b"frame", 0),
        # Lengths that lie.
        (bytes([0x7B, 0x41, 200]) + b"frame", 0),
        (bytes([0x7B, 0x41, 255, 255]), 0),
        (bytes([0x7B, 0x41, 3]) + b"frame" + bytes([126 << 1 | 1, 90, 1]), 0),
        (b"", 0),
        (b"\x7b", 0),
    ],
)
def test_dred_bytes(packet: bytes, size: int) -> None:
    assert dred_bytes(packet) == size


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(packet: bytes) -> None:
    assert 0 <= dred_bytes(packet) <= len(packet)
    assert 0 <= dred_bytes(b"\x7b\x41" + packet) <= len(packet) + 2
    assert len(without_padding(b"\x7b\x41" + packet)) <= len(packet) + 2


@pytest.mark.parametrize(
    ("packet", "bare"),
    [
        (bytes([0x7B, 0x41, 8]) + b"frame" + bytes(8), bytes([0x78]) + b"frame"),
        (bytes([0x7B, 0xC2, 3, 2]) + b"ababa" + bytes(3), bytes([0x7B, 0x82, 2]) + b"ababa"),
        (bytes([0x7B, 0x41, 255, 1]) + b"frame" + bytes(255), bytes([0x78]) + b"frame"),
        # Nothing to take away, or no packet.
        (bytes([0x7B, 0x01]) + b"frame", bytes([0x7B, 0x01]) + b"frame"),
        (bytes([0x78]) + b"frame", bytes([0x78]) + b"frame"),
        (bytes([0x7B, 0x41, 200]) + b"frame", bytes([0x7B, 0x41, 200]) + b"frame"),
        (b"", b""),
    ],
)
def test_without_padding(packet: bytes, bare: bytes) -> None:
    assert without_padding(packet) == bare


@pytest.mark.skipif(not capabilities().dred, reason="libopus without DRED")
def test_real_packets_lose_exactly_their_dred(voice: NDArray[np.float32]) -> None:
    encoder = Encoder()
    encoder.bitrate, encoder.packet_loss_perc, encoder.dred_duration_ms = 48_000, 20, 400
    whole, stripped, state = Decoder(), Decoder(), DredState()
    with_dred = 0
    for begin in range(0, voice.size, 960):
        packet = encoder.encode(voice[begin : begin + 960])
        size = dred_bytes(packet)
        assert (size > 0) == (state.parse(packet, 48_000) > 0)
        audio = whole.decode(packet)
        if size:
            with_dred += 1
            # Without padding and count byte a single frame is a code 0 packet.
            header = 3 if packet[2] != 255 else 4
            bare = bytes([packet[0] & 0xFC]) + packet[header : header + len(packet) - size - 1]
            assert without_padding(packet) == bare
            packet = bare
        assert without_padding(packet) == packet
        np.testing.assert_array_equal(stripped.decode(packet), audio)
    assert with_dred > 100


def test_lbrr_share(voice: NDArray[np.float32]) -> None:
    encoder = Encoder()
    encoder.bitrate, encoder.packet_loss_perc, encoder.inband_fec = 32_000, 10, True
    packets = [encoder.encode(voice[begin : begin + 960]) for begin in range(0, voice.size, 960)]
    total = sum(map(len, packets))
    estimate = sum(lbrr_bytes(packet, 10, 20) for packet in packets)
    assert 0.1 < estimate / total < 0.35
    for packet in packets:
        assert (lbrr_bytes(packet, 10, 20) > 0) == has_lbrr(packet)
    assert lbrr_bytes(b"", 10, 20) == 0
