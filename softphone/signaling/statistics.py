"""What a listener or a caller has seen, counted."""

from dataclasses import asdict, dataclass

from softphone.errors import RemoteProtocolError
from softphone.signaling.errors import (
    MessageTooLargeError,
    RateExceededError,
    UnauthorizedError,
    UnexpectedMessageError,
    UnknownCallError,
    VerificationError,
    VersionMismatchError,
)
from softphone.signaling.states import EndReason

__all__ = ["SignalingStatistics"]


@dataclass(slots=True)
class SignalingStatistics:
    """Cumulative counters; each bad thing from the network increments exactly one of the refusals."""

    connections: int = 0
    """TCP connections accepted, refused ones included."""
    connections_refused: int = 0
    """Closed at once: too many at the same time or too often from one address."""
    hello_timeouts: int = 0
    """Closed because they did not get as far as an invitation in time."""
    requests_refused: int = 0
    """HTTP requests to another path, with another method or without a WebSocket upgrade."""
    origins_refused: int = 0
    """WebSocket requests that a web page of a foreign origin made."""
    unauthorized: int = 0
    """Wrong or missing tokens."""
    version_mismatches: int = 0
    messages_malformed: int = 0
    """Not JSON, unknown type or member, a value out of range, a binary frame, broken WebSocket framing."""
    messages_oversize: int = 0
    messages_unexpected: int = 0
    """Well-formed, but in the wrong state or from the wrong side."""
    rate_exceeded: int = 0
    """Connections closed because they sent too fast."""
    verifications_failed: int = 0
    """Short authentication strings whose commitment was broken."""
    resumptions_refused: int = 0
    """Tokens that belong to no call that goes on."""
    resumed: int = 0
    """Times that a call went on over another connection."""
    invitations: int = 0
    """Calls that reached this phone or left it."""
    pending_refused: int = 0
    """Invitations answered with busy because too many waited."""
    answered: int = 0
    ended_hung_up: int = 0
    ended_declined: int = 0
    ended_busy: int = 0
    ended_timeout: int = 0
    ended_remote_gone: int = 0
    ended_error: int = 0

    def to_dict(self) -> dict[str, int]:
        """The counters by name."""
        return asdict(self)

    def count_error(self, error: RemoteProtocolError) -> None:
        """Count one offence of the peer."""
        for kind, name in _COUNTERS.items():
            if isinstance(error, kind):
                setattr(self, name, getattr(self, name) + 1)
                return
        self.messages_malformed += 1

    def count_end(self, reason: EndReason) -> None:
        """Count one call that is over."""
        name = f"ended_{reason.name.lower()}"
        setattr(self, name, getattr(self, name) + 1)


_COUNTERS: dict[type[RemoteProtocolError], str] = {
    MessageTooLargeError: "messages_oversize",
    RateExceededError: "rate_exceeded",
    UnauthorizedError: "unauthorized",
    UnexpectedMessageError: "messages_unexpected",
    UnknownCallError: "resumptions_refused",
    VerificationError: "verifications_failed",
    VersionMismatchError: "version_mismatches",
}
