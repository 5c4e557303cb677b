"""The SFrame header: key identifier and counter (RFC 9605, section 4.3)."""

from dataclasses import dataclass

from .errors import FrameMalformedError

__all__ = ["MAX_VALUE", "SframeHeader"]

MAX_VALUE = 2**64 - 1
"""Largest key identifier and counter."""

_EXTENDED = 0x8
_MASK = 0x7


@dataclass(frozen=True, slots=True)
class SframeHeader:
    """Which key and which nonce a frame was encrypted with."""

    kid: int
    """Key identifier, 0..2^64-1."""
    ctr: int
    """Counter, 0..2^64-1; used once with each key identifier."""

    def pack(self) -> bytes:
        """Return the 1 to 17 bytes of the header. Values out of range raise ValueError."""
        kid_nibble, kid_bytes = _pack(self.kid)
        ctr_nibble, ctr_bytes = _pack(self.ctr)
        return bytes((kid_nibble << 4 | ctr_nibble,)) + kid_bytes + ctr_bytes

    @classmethod
    def parse(cls, frame: bytes) -> tuple["SframeHeader", int]:
        """Read the header at the front of `frame`; return it and its length in bytes.

        Raises :class:`.errors.FrameMalformedError` when the frame is too short, or a value
        takes more bytes than it needs, which the RFC forbids.
        """
        if not frame:
            raise FrameMalformedError("an empty frame has no SFrame header")
        kid, offset = _parse(frame, frame[0] >> 4, 1)
        ctr, offset = _parse(frame, frame[0] & 0xF, offset)
        return cls(kid, ctr), offset


def _pack(value: int) -> tuple[int, bytes]:
    """Return the half of the first byte, and the bytes that follow."""
    if not 0 <= value <= MAX_VALUE:
        raise ValueError(f"{value} does not fit into an SFrame header")
    if value <= _MASK:
        return value, b""
    length = (value.bit_length() + 7) // 8
    return _EXTENDED | (length - 1), value.to_bytes(length)


def _parse(frame: bytes, nibble: int, offset: int) -> tuple[int, int]:
    """Return the value that belongs to one half of the first byte, and where the next one starts."""
    if not nibble & _EXTENDED:
        return nibble & _MASK, offset
    end = offset + (nibble & _MASK) + 1
    if end > len(frame):
        raise FrameMalformedError("the frame ends within its SFrame header")
    value = int.from_bytes(frame[offset:end])
    if frame[offset] == 0 or value <= _MASK:
        raise FrameMalformedError("a value of the SFrame header is not in its shortest form")
    return value, end
