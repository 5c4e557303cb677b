"""Redundant audio data: several encodings in one payload (RFC 2198).

A redundant block has a 4-byte header (F=1, 7-bit payload type, 14-bit timestamp offset,
10-bit length), the primary one a single byte (F=0, payload type). Headers come first,
then the data in the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from softphone.errors import ConfigError, RemoteProtocolError

__all__ = ["MAX_BLOCKS", "MAX_BLOCK_LENGTH", "MAX_TIMESTAMP_OFFSET", "RedBlock", "pack_red", "unpack_red"]

MAX_TIMESTAMP_OFFSET = (1 << 14) - 1
"""Largest offset a header can hold: 341 ms at 48 kHz."""

MAX_BLOCK_LENGTH = (1 << 10) - 1
"""Longest redundant block a header can describe, in bytes."""

MAX_BLOCKS = 16
"""Most blocks in one payload, primary included, that are packed or accepted: seventeen
blocks of 20 ms can't all lie within the largest offset."""


@dataclass(frozen=True, slots=True)
class RedBlock:
    """One encoding inside a RED payload."""

    payload_type: int
    """Payload type of the encoding, 0..127."""
    timestamp_offset: int
    """How much older than the packet's timestamp it is, in clock units; 0 for the primary."""
    payload: bytes
    """The encoded audio."""


def pack_red(primary_payload_type: int, primary: bytes, redundant: Sequence[RedBlock] = ()) -> bytes:
    """Pack ``primary`` behind the ``redundant`` blocks, which come oldest first.

    A block whose offset or length does not fit its header, or that is one too many, is
    left out: cutting it would hand the decoder a broken packet. With too many, the oldest
    go. Raises :class:`ConfigError` for a payload type outside 0..127.
    """
    fitting = [
        block
        for block in redundant
        if 0 < block.timestamp_offset <= MAX_TIMESTAMP_OFFSET and len(block.payload) <= MAX_BLOCK_LENGTH
    ][-(MAX_BLOCKS - 1) :]
    for payload_type in (primary_payload_type, *(block.payload_type for block in fitting)):
        if not 0 <= payload_type <= 127:
            raise ConfigError(f"an RTP payload type must be in 0..127, not {payload_type}")
    headers = bytearray()
    for block in fitting:
        word = 1 << 31 | block.payload_type << 24 | block.timestamp_offset << 10 | len(block.payload)
        headers += word.to_bytes(4, "big")
    headers.append(primary_payload_type)
    return bytes(headers) + b"".join(block.payload for block in fitting) + primary


def unpack_red(payload: bytes) -> list[RedBlock]:
    """Blocks in the order sent (oldest first by custom); the last is the primary, offset 0.

    Redundant blocks may be empty, and so may the primary. Raises
    :class:`RemoteProtocolError` when headers or data are cut short, or for more than
    `MAX_BLOCKS` blocks.
    """
    headers: list[tuple[int, int, int]] = []
    position = 0
    while True:
        if position >= len(payload):
            raise RemoteProtocolError("RED payload ends inside its headers")
        if not payload[position] & 0x80:
            break
        if len(headers) >= MAX_BLOCKS - 1:
            raise RemoteProtocolError(f"RED payload has more than {MAX_BLOCKS} blocks")
        if position + 4 > len(payload):
            raise RemoteProtocolError("RED payload ends inside a block header")
        word = int.from_bytes(payload[position : position + 4], "big")
        headers.append((word >> 24 & 0x7F, word >> 10 & MAX_TIMESTAMP_OFFSET, word & MAX_BLOCK_LENGTH))
        position += 4
    primary_payload_type = payload[position]
    position += 1
    blocks = []
    for payload_type, offset, length in headers:
        if position + length > len(payload):
            raise RemoteProtocolError("RED payload is shorter than its block lengths say")
        blocks.append(RedBlock(payload_type, offset, payload[position : position + length]))
        position += length
    blocks.append(RedBlock(primary_payload_type, 0, payload[position:]))
    return blocks
