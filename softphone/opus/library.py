"""The door to libopus: its functions, its control requests, its errors as exceptions.

Every call through ``lib`` releases the GIL.
"""

from enum import IntEnum, StrEnum
from typing import Any, Final

from softphone.opus.errors import (
    BadArgumentError,
    BufferTooSmallError,
    ExtensionMissingError,
    InternalError,
    InvalidPacketError,
    InvalidStateError,
    OpusError,
    OpusMemoryError,
    UnimplementedError,
)

try:
    from softphone.opus._opus import ffi, lib
except ImportError as error:
    raise ExtensionMissingError(
        f"softphone's codec is not built for this Python ({error}): install the package with 'pip install .'"
    ) from error

__all__ = [
    "SAMPLE_RATES",
    "Bandwidth",
    "Request",
    "check",
    "check_rate_and_channels",
    "ffi",
    "lib",
    "packet_bytes",
    "version",
]

SAMPLE_RATES: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Hz; the rates libopus encodes from and decodes to."""

_ERRORS: Final[dict[int, tuple[type[OpusError], str]]] = {
    -1: (BadArgumentError, "an argument is out of range"),
    -2: (BufferTooSmallError, "the output buffer is too small"),
    -3: (InternalError, "internal error"),
    -4: (InvalidPacketError, "the packet is damaged"),
    -5: (UnimplementedError, "this libopus was built without the feature"),
    -6: (InvalidStateError, "the codec state is invalid"),
    -7: (OpusMemoryError, "out of memory"),
}


class Request(IntEnum):
    """Control requests of libopus (opus_defines.h); a getter is its setter + 1 unless named here."""

    BITRATE = 4002
    MAX_BANDWIDTH = 4004
    VBR = 4006
    COMPLEXITY = 4010
    INBAND_FEC = 4012
    PACKET_LOSS_PERC = 4014
    DTX = 4016
    VBR_CONSTRAINT = 4020
    SIGNAL = 4024
    GET_LOOKAHEAD = 4027
    LSB_DEPTH = 4036
    GET_LAST_PACKET_DURATION = 4039
    GET_IN_DTX = 4049
    DRED_DURATION = 4050
    OSCE_BWE = 4054


class Bandwidth(StrEnum):
    """Audio bandwidth (RFC 6716, section 2)."""

    NARROWBAND = "narrowband"
    """4 kHz"""
    MEDIUMBAND = "mediumband"
    """6 kHz"""
    WIDEBAND = "wideband"
    """8 kHz"""
    SUPERWIDEBAND = "superwideband"
    """12 kHz"""
    FULLBAND = "fullband"
    """20 kHz"""

    @property
    def code(self) -> int:
        """libopus's number for it, 1101..1105."""
        return 1101 + list(Bandwidth).index(self)

    @classmethod
    def from_code(cls, code: int) -> "Bandwidth":
        """The bandwidth behind libopus's number 1101..1105."""
        return list(cls)[code - 1101]


def check(result: int, action: str) -> int:
    """Return ``result`` of a libopus call, or raise what its negative value stands for."""
    if result >= 0:
        return result
    kind, reason = _ERRORS.get(result, (OpusError, f"unknown error {result}"))
    raise kind(f"libopus can't {action}: {reason}")


def check_rate_and_channels(sample_rate: int, channels: int) -> None:
    """Raise :class:`BadArgumentError` unless libopus knows this rate and number of channels."""
    if sample_rate not in SAMPLE_RATES:
        raise BadArgumentError(f"the sample rate must be one of {SAMPLE_RATES} Hz, not {sample_rate}")
    if channels not in (1, 2):
        raise BadArgumentError(f"Opus streams have 1 or 2 channels, not {channels}")


def packet_bytes(packet: bytes | bytearray | memoryview) -> Any:
    """View a packet as ``unsigned char[]`` without copying it.

    Raises :class:`InvalidPacketError` when it is empty or its frame lengths do not add
    up (RFC 6716, section 3.4); libopus would take no bytes for a lost packet.
    """
    if len(packet) == 0:
        raise InvalidPacketError("an Opus packet has at least one byte")
    data = ffi.from_buffer("unsigned char[]", packet)
    if lib.softphone_packet_check(data, len(data)) <= 0:
        raise InvalidPacketError("the frame lengths in the packet do not add up")
    return data


def version() -> str:
    """Version of libopus as it reports it, such as ``libopus 1.6.1``."""
    return str(ffi.string(lib.opus_get_version_string()).decode("ascii", "replace"))
