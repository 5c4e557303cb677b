"""The short authentication string of one pair and session, whichever message comes first.

Sans-I/O; `softphone.signaling.sas` has the exchange and why it is what it is. The offerer
of the pair has the role of the caller.
"""

from dataclasses import dataclass

from softphone.rooms.values import SignalKind
from softphone.signaling.errors import VerificationError
from softphone.signaling.sas import SasExchange
from softphone.signaling.states import Role

__all__ = ["PairVerification", "SasMessage"]


@dataclass(frozen=True, slots=True)
class SasMessage:
    """What travels in a ``signal``."""

    kind: SignalKind
    """``sas-commit`` or ``sas-reveal``."""
    value: bytes
    """32 bytes."""


class PairVerification:
    """This end of the exchange. The peer may commit before our handshake is over."""

    def __init__(self, role: Role) -> None:
        self.digits: str | None = None
        """Such as "4821 0937", once known."""
        self._role = role
        self._exchange: SasExchange | None = None
        self._waiting: list[SasMessage] = []

    def start(self, local_fingerprint: str, remote_fingerprint: str) -> list[SasMessage]:
        """The DTLS handshake is over; what to send now. Fingerprints are those of the certificates used.

        Raises as `receive` does; later calls do nothing.
        """
        if self._exchange is not None:
            return []
        self._exchange = SasExchange(self._role, local_fingerprint, remote_fingerprint)
        messages = [SasMessage(SignalKind.SAS_COMMIT, self._exchange.commitment)]
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            messages += self.receive(message)
        return messages

    def receive(self, message: SasMessage) -> list[SasMessage]:
        """Take a message of the peer; what to send now.

        Raises `VerificationError` when the peer breaks its commitment, or the rules.
        """
        if self._exchange is None:
            if len(self._waiting) >= 2:
                raise VerificationError("the peer said more than the verification takes")
            self._waiting.append(message)
            return []
        if message.kind is SignalKind.SAS_COMMIT:
            self._exchange.receive_commitment(message.value)
            return [SasMessage(SignalKind.SAS_REVEAL, self._exchange.reveal())]
        if self.digits is not None:
            raise VerificationError("the peer revealed twice")
        self.digits = self._exchange.receive_reveal(message.value)
        return []
