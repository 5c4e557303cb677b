"""What can go wrong in libopus, as types."""

from softphone.errors import ConfigError, LocalError, RemoteProtocolError, SoftphoneError

__all__ = [
    "BadArgumentError",
    "BufferTooSmallError",
    "DredRangeError",
    "ExtensionMissingError",
    "InternalError",
    "InvalidPacketError",
    "InvalidStateError",
    "MissingLbrrError",
    "OpusError",
    "OpusMemoryError",
    "UnimplementedError",
]


class OpusError(SoftphoneError):
    """Base class of everything the codec raises."""


class BadArgumentError(OpusError, ConfigError):
    """An argument is out of range (OPUS_BAD_ARG, or found before libopus was asked)."""


class BufferTooSmallError(OpusError):
    """The output does not fit (OPUS_BUFFER_TOO_SMALL)."""


class InternalError(OpusError):
    """libopus found itself inconsistent (OPUS_INTERNAL_ERROR)."""


class InvalidPacketError(OpusError, RemoteProtocolError):
    """The bytes are no Opus packet (OPUS_INVALID_PACKET)."""


class UnimplementedError(OpusError, LocalError):
    """This libopus was built without the feature (OPUS_UNIMPLEMENTED)."""


class InvalidStateError(OpusError):
    """The object can't do this now (OPUS_INVALID_STATE)."""


class OpusMemoryError(OpusError, MemoryError):
    """No memory for a codec state (OPUS_ALLOC_FAIL)."""


class DredRangeError(OpusError):
    """The DRED state holds nothing for the samples asked for."""


class MissingLbrrError(OpusError):
    """The packet carries no in-band FEC (LBRR) for the audio before it."""


class ExtensionMissingError(LocalError, ImportError):
    """The compiled part of softphone.opus is not there."""
