"""What goes wrong with a Janus server."""

from softphone.errors import RemoteError, RemoteProtocolError

__all__ = [
    "FEED_EXISTS",
    "NO_SUCH_FEED",
    "NO_SUCH_ROOM",
    "ROOM_EXISTS",
    "JanusError",
    "JanusLostError",
    "JanusProtocolError",
    "JanusTimeoutError",
]

NO_SUCH_ROOM = 426
NO_SUCH_FEED = 428
ROOM_EXISTS = 427
FEED_EXISTS = 436


class JanusError(RemoteError):
    """Janus, or its plug-in, refuses a request."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"Janus: {reason} (error {code})")
        self.code = code
        """Number of the error: 403..490 of the core, 421..499 of the VideoRoom."""
        self.reason = reason


class JanusTimeoutError(RemoteError):
    """Janus did not answer in time."""


class JanusLostError(RemoteError):
    """The connection to Janus, or the session on it, is no more."""


class JanusProtocolError(RemoteProtocolError):
    """Janus sent something that its API does not know."""
