"""The Opus codec: encoder, decoder, in-band FEC, DRED, concealment, packet inspection.

libopus itself is compiled into the extension module behind this package.
"""

from softphone.opus.capabilities import Capabilities, capabilities
from softphone.opus.decoder import DEEP_PLC_COMPLEXITY, Decoder
from softphone.opus.dred import DredState
from softphone.opus.encoder import MAX_DRED_MS, Application, Encoder, Signal
from softphone.opus.errors import (
    BadArgumentError,
    BufferTooSmallError,
    DredRangeError,
    ExtensionMissingError,
    InternalError,
    InvalidPacketError,
    InvalidStateError,
    MissingLbrrError,
    OpusError,
    OpusMemoryError,
    UnimplementedError,
)
from softphone.opus.library import SAMPLE_RATES, Bandwidth
from softphone.opus.packet import DTX_BYTES, Mode, Toc, has_lbrr, packet_samples, parse_toc, samples_and_lbrr

__all__ = [
    "DEEP_PLC_COMPLEXITY",
    "DTX_BYTES",
    "MAX_DRED_MS",
    "SAMPLE_RATES",
    "Application",
    "BadArgumentError",
    "Bandwidth",
    "BufferTooSmallError",
    "Capabilities",
    "Decoder",
    "DredRangeError",
    "DredState",
    "Encoder",
    "ExtensionMissingError",
    "InternalError",
    "InvalidPacketError",
    "InvalidStateError",
    "MissingLbrrError",
    "Mode",
    "OpusError",
    "OpusMemoryError",
    "Signal",
    "Toc",
    "UnimplementedError",
    "capabilities",
    "has_lbrr",
    "packet_samples",
    "parse_toc",
    "samples_and_lbrr",
]
