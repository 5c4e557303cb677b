"""RED against RFC 2198 and against hostile bytes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.rtp.red import (
    MAX_BLOCK_LENGTH,
    MAX_BLOCKS,
    MAX_TIMESTAMP_OFFSET,
    RedBlock,
    pack_red,
    unpack_red,
)

blocks = st.builds(
    RedBlock,
    payload_type=st.integers(0, 127),
    timestamp_offset=st.integers(1, MAX_TIMESTAMP_OFFSET),
    payload=st.binary(max_size=MAX_BLOCK_LENGTH),
)


def test_layout_of_section_3() -> None:
    packed = pack_red(111, b"new", [RedBlock(111, 1920, b"older"), RedBlock(5, 960, b"old")])
    assert packed[:4] == bytes([0x80 | 111, 1920 >> 6, (1920 & 0x3F) << 2, 5])
    assert packed[4:8] == bytes([0x80 | 5, 960 >> 6, (960 & 0x3F) << 2, 3])
    assert packed[8:] == bytes([111]) + b"olderoldnew"


@given(st.integers(0, 127), st.binary(max_size=2000), st.lists(blocks, max_size=MAX_BLOCKS - 1))
def test_round_trip(payload_type: int, primary: bytes, redundant: list[RedBlock]) -> None:
    packed = pack_red(payload_type, primary, redundant)
    assert unpack_red(packed) == [*redundant, RedBlock(payload_type, 0, primary)]


@pytest.mark.parametrize(
    ("offset", "length", "kept"),
    [
        (MAX_TIMESTAMP_OFFSET, 10, True),
        (MAX_TIMESTAMP_OFFSET + 1, 10, False),
        (960, MAX_BLOCK_LENGTH, True),
        (960, MAX_BLOCK_LENGTH + 1, False),
        (0, 10, False),
        (-960, 10, False),
    ],
)
def test_a_block_that_does_not_fit_is_left_out_whole(offset: int, length: int, kept: bool) -> None:
    other = RedBlock(111, 480, b"other")
    block = RedBlock(111, offset, bytes(length))
    expected = [block, other] if kept else [other]
    assert unpack_red(pack_red(111, b"x", [block, other]))[:-1] == expected


def test_the_oldest_of_too_many_blocks_go() -> None:
    many = [RedBlock(111, 960 - k, bytes([k])) for k in range(MAX_BLOCKS + 3)]
    assert unpack_red(pack_red(111, b"x", many))[:-1] == many[-(MAX_BLOCKS - 1) :]


@pytest.mark.parametrize("payload_type", [-1, 128])
def test_payload_types_have_seven_bits(payload_type: int) -> None:
    with pytest.raises(ConfigError):
        pack_red(payload_type, b"x")
    with pytest.raises(ConfigError):
        pack_red(111, b"x", [RedBlock(payload_type, 960, b"y")])


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes([0x80 | 111]), id="header cut short"),
        pytest.param(bytes([0x80 | 111, 0, 0, 5]), id="no primary header"),
        pytest.param(bytes([0x80 | 111, 15, 0, 5, 111]) + b"abcd", id="block longer than the packet"),
        pytest.param(bytes([0x80 | 111, 15, 0, 0]) * MAX_BLOCKS + b"\x6f", id="too many blocks"),
    ],
)
def test_malformed_payloads(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        unpack_red(payload)


def test_a_lone_primary_and_an_empty_one_are_legal() -> None:
    assert unpack_red(b"\x6fabc") == [RedBlock(111, 0, b"abc")]
    assert unpack_red(b"\x6f") == [RedBlock(111, 0, b"")]


@given(st.binary(max_size=200))
def test_any_bytes_give_blocks_or_a_protocol_error(payload: bytes) -> None:
    try:
        result = unpack_red(payload)
    except RemoteProtocolError:
        return
    assert 1 <= len(result) <= MAX_BLOCKS
    assert sum(len(block.payload) for block in result) + 4 * (len(result) - 1) + 1 == len(payload)


def test_ten_thousand_mutated_payloads() -> None:
    rng = random.Random(2198)
    valid = pack_red(111, bytes(80), [RedBlock(111, 1920, bytes(60)), RedBlock(111, 960, bytes(70))])
    refused = 0
    for _ in range(10_000):
        data = bytearray(valid[: rng.randint(0, len(valid))] if rng.random() < 0.3 else valid)
        for _ in range(rng.randint(0, 4)):
            if data:
                data[rng.randrange(min(len(data), 12))] = rng.randrange(256)
        try:
            unpack_red(bytes(data))
        except RemoteProtocolError:
            refused += 1
    assert 1_000 < refused < 9_000
