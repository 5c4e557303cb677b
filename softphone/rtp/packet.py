"""Value types for RTP as the rest of the phone sees it (RFC 3550, section 5.1)."""

from dataclasses import dataclass

__all__ = ["OPUS_CLOCK_RATE", "RtpPacket", "RtpPayload"]

OPUS_CLOCK_RATE = 48_000
"""RTP clock of Opus in Hz, whatever the audio bandwidth (RFC 7587, section 4.1)."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One received RTP packet, after SRTP."""

    payload_type: int
    """7-bit payload type, 0..127."""
    sequence_number: int
    """16-bit sequence number, 0..65535, wraps."""
    timestamp: int
    """32-bit RTP timestamp in units of the payload's clock, wraps."""
    ssrc: int
    """32-bit synchronisation source."""
    payload: bytes
    """Payload without header, extensions and padding."""
    marker: bool = False
    """Marker bit: first packet of a talk spurt (RFC 3551, section 4.1)."""
    audio_level: int | None = None
    """Level from the header extension of RFC 6464 in -dBov, 0..127; None when absent."""


@dataclass(frozen=True, slots=True)
class RtpPayload:
    """One payload ready to be sent; the sender adds sequence number, SSRC and extensions."""

    payload_type: int
    """7-bit payload type, 0..127."""
    timestamp: int
    """Media time in 48 kHz samples since the sender started; the sender adds its random offset."""
    payload: bytes
    """Opus packet, RED payload or telephone-event payload."""
    marker: bool = False
    """First packet after a pause."""
    audio_level: int | None = None
    """Level of the audio in -dBov, 0 (loudest)..127 (silence); None: do not send the extension."""
