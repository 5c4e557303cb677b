"""From a passphrase to the key of a room, and from there to the key of each sender.

Everyone in the room holds the same :class:`RoomKey`. A sender never encrypts with it
directly: key and salt are derived for its key identifier (RFC 9605, section 4.4.2), which it
draws at random each time it starts. So no two senders, and no two runs of one sender,
use the same nonce with the same key.
"""

import asyncio
import unicodedata
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from softphone.errors import ConfigError

from .suites import CIPHER_SUITES, DEFAULT_SUITE, NONCE_LENGTH, CipherSuite

__all__ = ["FrameKey", "RoomKey", "derive_room_key"]

_SCRYPT_N = 2**15
_SCRYPT_R = 8
_SCRYPT_P = 3
"""A guess takes 0.3 s of a core and 32 MiB; the page of a telephone must be able to pay it too."""
_SALT_PREFIX = b"softphone sframe 1\0"
_BASE_KEY_LENGTH = 32


@dataclass(frozen=True, slots=True)
class RoomKey:
    """What the participants of an encrypted room share."""

    base_key: bytes = field(repr=False)
    """``base_key`` of RFC 9605, at least 16 bytes."""
    suite: CipherSuite = CIPHER_SUITES[DEFAULT_SUITE]

    def __post_init__(self) -> None:
        if len(self.base_key) < 16:
            raise ConfigError("the key of a room must have at least 16 bytes")


async def derive_room_key(passphrase: str, room: str, suite: str = DEFAULT_SUITE) -> RoomKey:
    """Derive the key of `room` from what its participants agreed on, with scrypt (RFC 7914).

    Slow on purpose, because people choose short passphrases: 0.3 s in a thread. The
    salt is the room's name, so that one list of guesses does not serve for all rooms.
    Raises :class:`softphone.errors.ConfigError` for an empty passphrase or an unknown suite.
    """
    if suite not in CIPHER_SUITES:
        raise ConfigError(f"there is no cipher suite {suite!r}; choose one of: {', '.join(CIPHER_SUITES)}")
    if not passphrase:
        raise ConfigError("the passphrase of an encrypted room must not be empty")
    secret = unicodedata.normalize("NFC", passphrase).encode()
    salt = _SALT_PREFIX + unicodedata.normalize("NFC", room).encode()
    kdf = Scrypt(salt=salt, length=_BASE_KEY_LENGTH, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P)
    return RoomKey(await asyncio.to_thread(kdf.derive, secret), CIPHER_SUITES[suite])


class FrameKey:
    """Key and salt for one key identifier (RFC 9605, section 4.4.2)."""

    def __init__(self, room: RoomKey, kid: int) -> None:
        suite = room.suite
        tail = kid.to_bytes(8) + suite.number.to_bytes(2)
        key = _expand(room, b"SFrame 1.0 Secret key " + tail, suite.key_length)
        self._salt = int.from_bytes(_expand(room, b"SFrame 1.0 Secret salt " + tail, NONCE_LENGTH))
        self._aead = suite.aead(key)

    def encrypt(self, ctr: int, plaintext: bytes, aad: bytes) -> bytes:
        """Return ciphertext and tag (RFC 9605, section 4.4.3)."""
        return self._aead.encrypt(self._nonce(ctr), plaintext, aad)

    def decrypt(self, ctr: int, ciphertext: bytes, aad: bytes) -> bytes:
        """Return the plaintext. Raises :class:`cryptography.exceptions.InvalidTag`."""
        return self._aead.decrypt(self._nonce(ctr), ciphertext, aad)

    def _nonce(self, ctr: int) -> bytes:
        return (self._salt ^ ctr).to_bytes(NONCE_LENGTH)


def _expand(room: RoomKey, label: bytes, length: int) -> bytes:
    return HKDF(algorithm=room.suite.hash, length=length, salt=None, info=label).derive(room.base_key)
