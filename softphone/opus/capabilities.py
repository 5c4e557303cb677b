"""What the libopus in use can do, found out by trying."""

import functools
from dataclasses import dataclass

import numpy as np

from softphone.opus.decoder import DEEP_PLC_COMPLEXITY, Decoder
from softphone.opus.encoder import Encoder
from softphone.opus.errors import UnimplementedError
from softphone.opus.library import Request, ffi, lib, version

__all__ = ["Capabilities", "capabilities"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Optional features of a libopus build."""

    version: str
    """As libopus reports it, such as ``libopus 1.6.1``."""
    dred: bool
    """Deep redundancy, encoding and decoding."""
    deep_plc: bool
    """Neural concealment of lost frames (decoder complexity >= 5)."""
    osce: bool
    """Neural enhancement of decoded speech, LACE and NoLACE (decoder complexity >= 6)."""
    osce_bwe: bool
    """Blind bandwidth extension of decoded wideband speech."""


@functools.cache
def capabilities() -> Capabilities:
    """Probe libopus once; later calls cost nothing.

    DRED is asked of the encoder: making a DRED decoder succeeds even in builds without it.
    Deep PLC and OSCE have no switch to ask, so a short stream is decoded with and without.
    """
    packets = _speech_packets()
    plain, deep, enhanced = (
        _decode_with_loss(packets, complexity)
        for complexity in (0, DEEP_PLC_COMPLEXITY, DEEP_PLC_COMPLEXITY + 1)
    )
    received = 960 * (len(packets) - 1)
    return Capabilities(
        version=version(),
        dred=_encoder_has_dred(),
        deep_plc=not np.array_equal(plain[received:], deep[received:]),
        osce=not np.array_equal(deep[:received], enhanced[:received]),
        osce_bwe=_decoder_has_bandwidth_extension(),
    )


def _encoder_has_dred() -> bool:
    try:
        Encoder().dred_duration_ms = 100
    except UnimplementedError:
        return False
    return True


def _decoder_has_bandwidth_extension() -> bool:
    error = ffi.new("int *")
    decoder = ffi.gc(lib.opus_decoder_create(48_000, 1, error), lib.opus_decoder_destroy)
    return bool(error[0] == 0 and lib.softphone_decoder_set(decoder, Request.OSCE_BWE, 1) == 0)


def _speech_packets() -> list[bytes]:
    """A voiced-sounding 150 Hz pulse train in SILK packets of 20 ms."""
    encoder = Encoder()
    encoder.bitrate = 14_000
    pulses = np.zeros(960 * 12, np.float32)
    pulses[::320] = 0.5
    voice = np.convolve(pulses, 0.97 ** np.arange(300))[: len(pulses)].astype(np.float32)
    return [encoder.encode(frame) for frame in np.split(voice, 12)]


def _decode_with_loss(packets: list[bytes], complexity: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    decoder = Decoder(complexity=complexity)
    heard = [decoder.decode(packet) for packet in packets[:-1]]
    return np.concatenate([*heard, decoder.conceal(960)])
