"""Short authentication string: eight digits that prove nobody sits between two phones.

aiortc checks that the certificate of the DTLS handshake matches the fingerprint in
the SDP, but the SDP came through signalling, and whoever carries signalling could
have put its own there, twice. So both phones derive the same digits from the two
fingerprints that their handshake really used, and the two people compare them by
voice. Both ends

1. send a commitment to a random nonce and to their own fingerprint,
2. reveal the nonce once the other's commitment has arrived,
3. check the commitment and hash role, fingerprints and nonces into the digits.

Without the commitment a man in the middle could try nonces or certificates until the
digits of both his calls agree, which takes seconds for any number that people are
willing to read out. With it he has one guess per call, right once in 10^8. The idea
is that of ZRTP (RFC 6189 section 4.3), made symmetric.
"""

import hashlib
import hmac
import re
import secrets

from softphone.errors import ConfigError
from softphone.signaling.errors import VerificationError
from softphone.signaling.messages import NONCE_BYTES
from softphone.signaling.states import Role

__all__ = ["SAS_DIGITS", "SasExchange", "certificate_fingerprint", "normalise_fingerprint"]

SAS_DIGITS = 8
"""Decimal digits of the string: 26.6 bits. Digits are the same in every language."""

_COMMIT = b"softphone sas commit v1"
_STRING = b"softphone sas string v1"
_FINGERPRINT = re.compile(r"(?:sha-256 )?([0-9a-f]{2}(?::[0-9a-f]{2}){31})", re.IGNORECASE)


def normalise_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as in SDP (RFC 8122), with or without its ``sha-256`` in front, in upper case.

    Raises `ConfigError` for anything else.
    """
    match = _FINGERPRINT.fullmatch(text.strip())
    if match is None:
        raise ConfigError("a DTLS fingerprint is 32 pairs of hexadecimal digits joined by colons (sha-256)")
    return match[1].upper()


def certificate_fingerprint(der: bytes) -> str:
    """The SHA-256 fingerprint of a certificate in DER form, as SDP writes it (RFC 8122)."""
    return hashlib.sha256(der).digest().hex(":").upper()


def _hash(label: bytes, *parts: bytes) -> bytes:
    digest = hashlib.sha256(label)
    for part in parts:
        # Lengths keep two different lists of parts from giving the same bytes.
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


def _commitment(role: Role, fingerprint: str, nonce: bytes) -> bytes:
    # The role keeps a man in the middle from handing our own commitment back to us.
    return _hash(_COMMIT, role.encode(), fingerprint.encode(), nonce)


class SasExchange:
    """One end of the exchange. Sans-I/O: the caller carries `commitment`, `reveal()` and what comes back."""

    def __init__(
        self, role: Role, local_fingerprint: str, remote_fingerprint: str, *, nonce: bytes | None = None
    ) -> None:
        """`local_fingerprint` and `remote_fingerprint` are those of the certificates that the DTLS
        handshake really used; `nonce` (32 bytes) is only for tests.

        Raises `ConfigError` when a fingerprint is malformed.
        """
        self.role = role
        self._local = normalise_fingerprint(local_fingerprint)
        self._remote = normalise_fingerprint(remote_fingerprint)
        self._nonce = secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce
        self._their_commitment: bytes | None = None
        self.commitment = _commitment(role, self._local, self._nonce)
        """What to send first."""

    def receive_commitment(self, commitment: bytes) -> None:
        """Take the other end's commitment. Raises `VerificationError` for a second one."""
        if self._their_commitment is not None:
            raise VerificationError("the peer committed twice")
        self._their_commitment = commitment

    def reveal(self) -> bytes:
        """Our nonce, to be sent once their commitment is here; before that `VerificationError`."""
        if self._their_commitment is None:
            raise VerificationError("our nonce must stay secret until the peer has committed to its own")
        return self._nonce

    def receive_reveal(self, nonce: bytes) -> str:
        """Take the other end's nonce and return the digits, such as "4821 0937".

        Raises `VerificationError` when the nonce, or the certificate that the peer
        says it used, is not what it committed to.
        """
        if self._their_commitment is None:
            raise VerificationError("the peer revealed its nonce before it committed to it")
        expected = _commitment(self.role.other, self._remote, nonce)
        if not hmac.compare_digest(expected, self._their_commitment):
            raise VerificationError(
                "the peer's commitment does not match: the connection may be intercepted, hang up"
            )
        ours, theirs = (self._local, self._nonce), (self._remote, nonce)
        caller, callee = (ours, theirs) if self.role is Role.CALLER else (theirs, ours)
        digest = _hash(_STRING, caller[0].encode(), callee[0].encode(), caller[1], callee[1])
        # 64 bits modulo 10^8: the bias is below 10^-11.
        number = int.from_bytes(digest[:8], "big") % 10**SAS_DIGITS
        digits = f"{number:0{SAS_DIGITS}d}"
        return f"{digits[:4]} {digits[4:]}"
