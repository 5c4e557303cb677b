"""One stream's Opus decoder, with its DRED state at hand."""

import numpy as np
from numpy.typing import NDArray

from softphone.opus import DEEP_PLC_COMPLEXITY, Decoder, DredState
from softphone.playout.frames import BufferedFrame

__all__ = ["FrameDecoder"]

Pcm = NDArray[np.float32]

_DRED_MARGIN = 1920
"""libopus parses DRED in steps of 40 ms and rounds down: ask for that much more."""

_ENHANCE_AFTER = 96_000
"""The enhancer stays for 2 s of media after the last redundancy: not every packet has some."""


class FrameDecoder:
    """Decodes frames from whatever source; mono float32 at 48 kHz.

    The calls raise :class:`softphone.opus.OpusError` for a packet that can't be decoded.
    """

    def __init__(self, complexity: int) -> None:
        """``complexity`` is the decoder's while the sender spends bits on redundancy."""
        self.enhances = True
        """Whether there is time to mend speech that gave bits to redundancy."""
        self._complexity = complexity
        self._plain_complexity = min(complexity, DEEP_PLC_COMPLEXITY)
        self._decoder = Decoder(complexity=self._plain_complexity)
        self._enhanced = False
        self._redundant_until = 0
        self._dred = DredState()
        self._dred_packet: tuple[int, int] | None = None
        self._end: int | None = None
        self._guessing = False

    def decode(self, frame: BufferedFrame) -> Pcm:
        """The frame itself.

        Redundancy takes its bits from the speech; the enhancer gives the quality back, at
        more than twice the cost. Without redundancy it has nothing to mend.
        """
        if frame.lbrr or frame.dred_reach:
            self._redundant_until = frame.end + _ENHANCE_AFTER
        enhance = self.enhances and frame.timestamp < self._redundant_until
        if enhance is not self._enhanced:
            self._enhanced = enhance
            self._decoder.complexity = self._complexity if enhance else self._plain_complexity
        pcm = self._decoder.decode(frame.payload)
        self._heard_until(frame.end)
        return pcm

    def decode_lbrr(self, following: BufferedFrame, samples: int) -> Pcm:
        """The ``samples`` samples before ``following``, from its in-band FEC."""
        pcm = self._decoder.decode_fec(following.payload, samples)
        self._heard_until(following.timestamp)
        return pcm

    def decode_dred(self, later: BufferedFrame, timestamp: int, samples: int) -> Pcm:
        """The ``samples`` samples from ``timestamp`` on, from the DRED of a later packet."""
        offset = later.timestamp - timestamp
        packet = (later.timestamp, later.redundancy)
        if self._dred_packet != packet or not self._dred.covers(offset, samples):
            self._dred_packet = None
            self._dred.parse(later.payload, max(offset, later.dred_reach) + _DRED_MARGIN)
            self._dred_packet = packet
        pcm = self._decoder.decode_dred(self._dred, offset, samples)
        self._heard_until(timestamp + samples)
        return pcm

    def conceal(self, samples: int) -> Pcm:
        """A guess at the next ``samples`` samples, a multiple of 120."""
        if not self._guessing:
            self._decoder.mark()
            self._guessing = True
        return self._decoder.conceal(samples)

    @property
    def guessed_from(self) -> int | None:
        """Timestamp of the media that the present guesses began with; None while nothing is guessed."""
        return self._end if self._guessing else None

    def rewind(self) -> None:
        """Forget the present guesses: what they began with has come and is decoded as if in time."""
        self._guessing = False
        self._decoder.rewind()

    def reset(self) -> None:
        """Begin anew, for another stream."""
        self._decoder.reset()
        self._end = None
        self._guessing = False
        self._dred_packet = None
        self._redundant_until = 0

    def _heard_until(self, timestamp: int) -> None:
        self._end = timestamp
        self._guessing = False
