"""How many bytes of an Opus packet are redundancy, and the packet without them.

DRED is exact: it is an extension in the padding of the packet (RFC 6716, section 3.2.5,
and draft-ietf-mlcodec-opus-extension). LBRR has no boundary that could be seen without
decoding, so its share is estimated from measured means.
"""

from typing import Final

from softphone.errors import RemoteError
from softphone.opus import has_lbrr

__all__ = ["dred_bytes", "lbrr_bytes", "without_padding"]

_DRED_EXTENSION: Final = 126
_FRAME_COUNT_MASK: Final = 0x3F
_PADDING_FLAG: Final = 0x40
_FIRST_LONG: Final = 32

# LBRR's share of the speech bytes in packets that carry it, for 20 ms frames: it grows
# with the expected loss because its quantiser becomes finer.
_LBRR_SHARE: Final = 0.23
_LBRR_SHARE_PER_PERCENT: Final = 0.0035
_LBRR_FINEST_PERCENT: Final = 30


def dred_bytes(packet: bytes) -> int:
    """Bytes that an Opus packet would lack without its DRED, its padding header included.

    0 for a packet without DRED and for anything that is no well-formed packet.
    """
    header, padding = _padding(packet)
    if padding == 0 or _dred_extension(packet[len(packet) - padding :]) == 0:
        return 0
    # A single frame needs its frame count byte only because of the padding.
    single = packet[1] & _FRAME_COUNT_MASK == 1
    return header + padding + int(single)


def without_padding(packet: bytes) -> bytes:
    """The same speech without padding and what is in it, DRED for example.

    A packet that has none, and anything that is no well-formed packet, comes back as it is.
    """
    header, padding = _padding(packet)
    if padding == 0:
        return packet
    frames = packet[2 + header : len(packet) - padding]
    if packet[1] & _FRAME_COUNT_MASK == 1:
        return bytes((packet[0] & ~3,)) + frames
    return bytes((packet[0], packet[1] & ~_PADDING_FLAG)) + frames


def lbrr_bytes(packet: bytes, loss_perc: int, frame_ms: int) -> int:
    """Estimated bytes of LBRR in an Opus packet; 0 when it has none.

    `loss_perc` is the loss the encoder was told to expect, `frame_ms` the packet length.
    Right within a tenth on the mean of many speech packets, not for a single one.
    """
    try:
        if not has_lbrr(packet):
            return 0
    except RemoteError:
        return 0
    share = _LBRR_SHARE + _LBRR_SHARE_PER_PERCENT * min(loss_perc, _LBRR_FINEST_PERCENT)
    return round((len(packet) - dred_bytes(packet)) * share * min(1.0, 20 / frame_ms))


def _padding(packet: bytes) -> tuple[int, int]:
    """Bytes that tell how much padding there is, and bytes of padding; 0, 0 for none."""
    if len(packet) < 3 or packet[0] & 3 != 3 or not packet[1] & _PADDING_FLAG:
        return 0, 0
    padding = 0
    position = 2
    while position < len(packet):
        length = packet[position]
        position += 1
        padding += min(length, 254)
        if length != 255:
            break
    if padding == 0 or padding > len(packet) - position:
        return 0, 0
    return position - 2, padding


def _dred_extension(padding: bytes) -> int:
    """Length of the DRED extension in `padding`, its ID byte included; 0 when absent."""
    position = 0
    while position < len(padding):
        identifier, flag = padding[position] >> 1, padding[position] & 1
        begin = position
        position += 1
        if identifier == 0 and flag == 0:
            # The rest is plain padding.
            return 0
        if identifier < _FIRST_LONG:
            # One byte of data, or the frame number of a separator, when the flag is set.
            position += flag
            continue
        size = len(padding) - position
        if flag:
            size = 0
            while position < len(padding):
                lace = padding[position]
                position += 1
                size += lace
                if lace != 255:
                    break
        if size > len(padding) - position:
            return 0
        position += size
        if identifier == _DRED_EXTENSION:
            return position - begin
    return 0
