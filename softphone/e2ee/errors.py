"""Why a received frame was not decrypted."""

from softphone.errors import RemoteProtocolError

__all__ = [
    "FrameMalformedError",
    "FrameRefusedError",
    "FrameReplayedError",
    "SframeError",
    "TooManySendersError",
]


class SframeError(RemoteProtocolError):
    """A frame that must not be played."""


class FrameMalformedError(SframeError):
    """The bytes can't be an SFrame ciphertext."""


class FrameReplayedError(SframeError):
    """The frame was decrypted before, or is too old to tell; a network that duplicates packets does this."""


class FrameRefusedError(SframeError):
    """The frame is not authentic: another key, changed on the way, or not encrypted at all."""


class TooManySendersError(SframeError):
    """More key identifiers were used on one stream than a sender has reason to."""
