"""What the bytes of an Opus packet tell without decoding it (RFC 6716, section 3)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from softphone.opus.errors import BadArgumentError, InvalidPacketError
from softphone.opus.library import SAMPLE_RATES, Bandwidth, check, lib, packet_bytes

__all__ = ["DTX_BYTES", "Mode", "Toc", "has_lbrr", "packet_samples", "parse_toc", "samples_and_lbrr"]

DTX_BYTES: Final = 2
"""A packet of this size or less only announces silence (RFC 6716, section 2.1.9)."""


class Mode(StrEnum):
    """Which of the two codecs inside Opus made the packet."""

    SILK = "silk"
    HYBRID = "hybrid"
    CELT = "celt"


@dataclass(frozen=True, slots=True)
class Toc:
    """The table-of-contents byte, and the number of frames."""

    mode: Mode
    bandwidth: Bandwidth
    frame_ms: float
    """Length of one frame: 2.5, 5, 10, 20, 40 or 60 ms."""
    stereo: bool
    frames: int
    """Frames in the packet, 1..48."""


def parse_toc(packet: bytes) -> Toc:
    """Read mode, bandwidth, frame length, channels and frame count (RFC 6716, section 3.1).

    Raises :class:`InvalidPacketError` when ``packet`` is no Opus packet.
    """
    data = packet_bytes(packet)
    configuration = data[0] >> 3
    mode = Mode.SILK if configuration < 12 else Mode.HYBRID if configuration < 16 else Mode.CELT
    return Toc(
        mode=mode,
        bandwidth=Bandwidth.from_code(lib.opus_packet_get_bandwidth(data)),
        frame_ms=lib.opus_packet_get_samples_per_frame(data, 48_000) / 48,
        stereo=lib.opus_packet_get_nb_channels(data) == 2,
        frames=check(lib.opus_packet_get_nb_frames(data, len(data)), "count the frames"),
    )


def packet_samples(packet: bytes, sample_rate: int = 48_000) -> int:
    """Samples per channel in a packet, 2.5 to 120 ms at ``sample_rate`` (Hz).

    Raises :class:`InvalidPacketError` when ``packet`` is no Opus packet.
    """
    if sample_rate not in SAMPLE_RATES:
        raise BadArgumentError(f"the sample rate must be one of {SAMPLE_RATES} Hz, not {sample_rate}")
    data = packet_bytes(packet)
    samples = check(lib.opus_packet_get_nb_samples(data, len(data), sample_rate), "measure the packet")
    if samples == 0:
        raise InvalidPacketError("the packet holds no audio")
    return samples


def samples_and_lbrr(packet: bytes) -> tuple[int, bool]:
    """`packet_samples` at 48 kHz and `has_lbrr` in one go, for who needs both of every packet.

    Raises :class:`InvalidPacketError` when ``packet`` is no Opus packet.
    """
    data = packet_bytes(packet)
    samples = check(lib.opus_packet_get_nb_samples(data, len(data), 48_000), "measure the packet")
    if samples == 0:
        raise InvalidPacketError("the packet holds no audio")
    return samples, check(lib.opus_packet_has_lbrr(data, len(data)), "look for in-band FEC") == 1


def has_lbrr(packet: bytes) -> bool:
    """Whether a packet carries in-band FEC (LBRR) for the audio just before it.

    Raises :class:`InvalidPacketError` when ``packet`` is no Opus packet.
    """
    data = packet_bytes(packet)
    return check(lib.opus_packet_has_lbrr(data, len(data)), "look for in-band FEC") == 1
