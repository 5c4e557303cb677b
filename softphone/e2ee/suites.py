"""Cipher suites of SFrame (RFC 9605, section 4.5)."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["CIPHER_SUITES", "DEFAULT_SUITE", "NONCE_LENGTH", "Aead", "AesCtrHmac", "CipherSuite"]

NONCE_LENGTH = 12
"""Bytes, the same for every suite."""

_AES_128 = 16


class Aead(Protocol):
    """Authenticated encryption (RFC 5116); the tag is the end of the ciphertext."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return ciphertext and tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext. Raises :class:`cryptography.exceptions.InvalidTag`."""


class AesCtrHmac:
    """AES-128 in counter mode with a truncated HMAC-SHA-256 (RFC 9605, section 4.5.1)."""

    def __init__(self, key: bytes, tag_length: int) -> None:
        """`key`: 16 bytes for AES, then 32 for the HMAC. `tag_length` in bytes."""
        self._cipher = algorithms.AES(key[:_AES_128])
        self._auth_key = key[_AES_128:]
        self._tag_length = tag_length

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return ciphertext and tag."""
        ciphertext = self._crypt(nonce, data)
        return ciphertext + self._tag(nonce, associated_data, ciphertext)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext. Raises :class:`cryptography.exceptions.InvalidTag`."""
        split = len(data) - self._tag_length
        if split < 0:
            raise InvalidTag
        ciphertext = data[:split]
        if not hmac.compare_digest(data[split:], self._tag(nonce, associated_data, ciphertext)):
            raise InvalidTag
        return self._crypt(nonce, ciphertext)

    def _crypt(self, nonce: bytes, data: bytes) -> bytes:
        stream = Cipher(self._cipher, modes.CTR(nonce + bytes(4))).encryptor()
        return stream.update(data) + stream.finalize()

    def _tag(self, nonce: bytes, associated_data: bytes, ciphertext: bytes) -> bytes:
        lengths = (len(associated_data), len(ciphertext), self._tag_length)
        message = b"".join(n.to_bytes(8) for n in lengths) + nonce + associated_data + ciphertext
        return hmac.digest(self._auth_key, message, "sha256")[: self._tag_length]


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """One row of the IANA registry."""

    name: str
    number: int
    """16-bit identifier; part of the key derivation."""
    hash: hashes.HashAlgorithm
    """For the key derivation."""
    key_length: int
    """Bytes of the AEAD key."""
    tag_length: int
    """Bytes that authentication adds to each frame."""
    aead: Callable[[bytes], Aead]
    """Makes the cipher from a key."""


def _ctr_hmac(number: int, tag_bits: int) -> CipherSuite:
    name = f"AES_128_CTR_HMAC_SHA256_{tag_bits}"
    tag_length = tag_bits // 8
    return CipherSuite(name, number, hashes.SHA256(), 48, tag_length, lambda key: AesCtrHmac(key, tag_length))


CIPHER_SUITES: Mapping[str, CipherSuite] = {
    suite.name: suite
    for suite in (
        _ctr_hmac(1, 80),
        _ctr_hmac(2, 64),
        _ctr_hmac(3, 32),
        CipherSuite("AES_128_GCM_SHA256_128", 4, hashes.SHA256(), 16, 16, AESGCM),
        CipherSuite("AES_256_GCM_SHA512_128", 5, hashes.SHA512(), 32, 16, AESGCM),
    )
}
"""By name. Short tags save bytes; of frames that are made up, one in 2^32 passes a 32-bit tag."""

DEFAULT_SUITE = "AES_128_GCM_SHA256_128"
