"""What can go wrong in signalling, each with the code that travels in an ``error`` message."""

from typing import ClassVar

from softphone.errors import LocalError, PeerUnreachableError, RemoteError, RemoteProtocolError
from softphone.signaling.states import CallEnd

__all__ = [
    "CallEndedError",
    "CallRefusedError",
    "CallStateError",
    "ChannelClosedError",
    "MessageTooLargeError",
    "RateExceededError",
    "UnauthorizedError",
    "UnexpectedMessageError",
    "UnknownCallError",
    "VerificationError",
    "VersionMismatchError",
    "error_code",
]


class MessageTooLargeError(RemoteProtocolError):
    """A message is longer than `softphone.signaling.messages.MAX_MESSAGE_BYTES`."""

    code: ClassVar[str] = "too-large"


class RateExceededError(RemoteProtocolError):
    """The peer sends messages faster than the limit."""

    code: ClassVar[str] = "rate-limit"


class UnexpectedMessageError(RemoteProtocolError):
    """A well-formed message in a state that has no place for it, or from the wrong side."""

    code: ClassVar[str] = "unexpected"


class VersionMismatchError(RemoteProtocolError):
    """The two ends have no version of the protocol in common."""

    code: ClassVar[str] = "version"


class UnauthorizedError(RemoteProtocolError):
    """The caller's token is missing or wrong."""

    code: ClassVar[str] = "unauthorized"


class UnknownCallError(RemoteProtocolError):
    """Somebody wants to go on with a call that is over, or never was."""

    code: ClassVar[str] = "unknown-call"


class VerificationError(RemoteProtocolError):
    """The short authentication string can't be trusted: somebody may sit in between."""

    code: ClassVar[str] = "verification"


class ChannelClosedError(PeerUnreachableError):
    """The connection to the peer is gone."""


class CallRefusedError(RemoteError):
    """The far end refused the connection before the call began."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """Machine-readable code of the peer's ``error`` message, such as "unauthorized"."""


class CallEndedError(RemoteError):
    """The call was over before what was asked for could happen."""

    def __init__(self, end: CallEnd) -> None:
        super().__init__(str(end))
        self.end = end
        """How the call ended."""


class CallStateError(LocalError):
    """A method was called in a state of the call that has no place for it."""


def error_code(error: RemoteProtocolError) -> str:
    """The code that tells the peer what it did; "bad-message" when nothing more is known."""
    code = getattr(error, "code", "bad-message")
    return code if isinstance(code, str) else "bad-message"
