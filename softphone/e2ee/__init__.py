"""End-to-end encryption of audio frames with SFrame (RFC 9605).

A server between the participants of a room sees packets, but not what is said. The
payload is encrypted whole, after the Opus encoder and before RTP::

    key = await derive_room_key("correct horse battery staple", room="team")
    sender, receiver = SframeSender(key), SframeReceiver(key)
    frame = sender.protect(opus_packet)
    opus_packet = receiver.unprotect(frame)      # raises SframeError

One sender for each outgoing stream, one receiver for each incoming one.
"""

from .errors import (
    FrameMalformedError,
    FrameRefusedError,
    FrameReplayedError,
    SframeError,
    TooManySendersError,
)
from .keys import RoomKey, derive_room_key
from .sframe import DecryptionState, SframeCounters, SframeReceiver, SframeSender
from .suites import CIPHER_SUITES, DEFAULT_SUITE, CipherSuite

__all__ = [
    "CIPHER_SUITES",
    "DEFAULT_SUITE",
    "CipherSuite",
    "DecryptionState",
    "FrameMalformedError",
    "FrameRefusedError",
    "FrameReplayedError",
    "RoomKey",
    "SframeCounters",
    "SframeError",
    "SframeReceiver",
    "SframeSender",
    "TooManySendersError",
    "derive_room_key",
]
