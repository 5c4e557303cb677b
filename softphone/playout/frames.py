"""Words of the playout core: where a frame's audio came from, and what was done with it."""

from dataclasses import dataclass
from enum import StrEnum

from softphone.opus import DTX_BYTES

__all__ = ["Action", "BufferedFrame", "Source"]


class Source(StrEnum):
    """What a frame of audio was made of, best first."""

    REGULAR = "regular"
    """The packet itself."""
    RED = "red"
    """A whole copy that travelled in a later packet (RFC 2198)."""
    LBRR = "lbrr"
    """Opus in-band FEC: a coarser copy inside the next packet (RFC 6716, section 2.1.7)."""
    DRED = "dred"
    """Deep redundancy: the neural description of up to a second of past speech in a later
    packet, or its word that the sender was silent then."""
    PLC = "plc"
    """Packet loss concealment: a guess from what was heard before."""
    CNG = "cng"
    """Comfort noise: silence of the sender (DTX), or a loss too long to guess on."""

    @property
    def is_concealment(self) -> bool:
        """True when nothing the sender said is in the audio."""
        return self in (Source.PLC, Source.CNG)


class Action(StrEnum):
    """What happened to the play position in one step."""

    PLAY = "play"
    """One frame of media gave one frame of audio."""
    WAIT = "wait"
    """Audio was concealed without consuming media: the delay grew."""
    STRETCH = "stretch"
    """A frame of media gave more audio than it holds: the delay grew a little."""
    COMPRESS = "compress"
    """A frame of media gave less audio than it holds: the delay shrank a little."""
    SKIP = "skip"
    """Media was passed over without audio: the delay shrank by a frame."""
    RECOVER = "recover"
    """Back to media that was concealed and can be heard after all: the delay grew at once."""


@dataclass(frozen=True, slots=True)
class BufferedFrame:
    """One Opus packet waiting to be played."""

    timestamp: int
    """Extended RTP timestamp of its first sample, 48 kHz."""
    sequence: int
    """Extended RTP sequence number of its own packet; for a copy, counted back from the carrier."""
    samples: int
    """Duration in samples at 48 kHz, 120..5760."""
    payload: bytes
    """The Opus packet."""
    arrival: float
    """When the carrying packet arrived, seconds."""
    redundancy: int = 0
    """0 for a primary payload, n for the n-th copy back in a RED packet."""
    lbrr: bool = False
    """The packet holds in-band FEC for the frame before it."""
    dred_reach: int = 0
    """Samples before `timestamp` that its DRED describes; 0 without DRED."""
    dred_end: int = 0
    """Samples directly before `timestamp` that its DRED leaves out as silence."""
    copies: tuple[int, ...] = ()
    """How much older than `timestamp` the frames are of which copies came with it, samples."""

    @property
    def end(self) -> int:
        """Extended timestamp of the first sample after the frame."""
        return self.timestamp + self.samples

    @property
    def is_dtx(self) -> bool:
        """True for the 1-2 byte packets that mean silence (RFC 6716, section 2.1.9)."""
        return len(self.payload) <= DTX_BYTES
