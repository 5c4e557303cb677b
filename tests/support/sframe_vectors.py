"""Known answers of RFC 9605, appendix C, for the Python and the JavaScript side."""

from dataclasses import dataclass

BASE_KEY = bytes(range(16))
KID = 0x123
CTR = 0x4567
HEADER = bytes.fromhex("9901234567")
METADATA = b"IETF SFrame WG"
PLAINTEXT = b"draft-ietf-sframe-enc"

HEADERS: list[tuple[int, int, str]] = [
    (0, 0, "00"),
    (0, 1, "01"),
    (0, 0xFF, "08ff"),
    (0, 0x100, "090100"),
    (0, 0xFFFF, "09ffff"),
    (0, 0x10000, "0a010000"),
    (0, 2**64 - 1, "0fffffffffffffffff"),
    (1, 0, "10"),
    (7, 7, "77"),
    (7, 8, "7808"),
    (8, 7, "8708"),
    (0xFF, 0, "80ff"),
    (0xFF, 0xFF, "88ffff"),
    (0x100, 1, "910100"),
    (0x123, 0x4567, "9901234567"),
    (0xFFFF, 0x1000000, "9bffff01000000"),
    (2**48 - 1, 2**32, "dcffffffffffff0100000000"),
    (2**64 - 1, 0, "f0ffffffffffffffff"),
    (2**64 - 1, 2**64 - 1, "ffffffffffffffffffffffffffffffffff"),
]
"""Key identifier, counter, header."""


@dataclass(frozen=True)
class SframeVector:
    """One frame; base key, header, metadata and plaintext are those above."""

    suite: str
    salt: str
    key: str
    ciphertext: str
    """Without the header."""


VECTORS = [
    SframeVector(
        "AES_128_CTR_HMAC_SHA256_80",
        "50b29329a04dc0f184ac3168",
        "3f7d9a7c83ae8e1c8a11ae695ab59314b367e359fadac7b9c46b2bc6f81f46e16b96f0811868d59402b7e870102720b3",
        "449408b6f490086165b9d6f62b24ae1a59a56486b4ae8ed036b88912e24f11",
    ),
    SframeVector(
        "AES_128_CTR_HMAC_SHA256_64",
        "e68ac8dd3d02fbcd368c5577",
        "e2ec5c797540310483b16bf6e7a570d2a27d192fe869c7ccd8584a8d9dab91549fbe553f5113461ec6aa83bf3865553e",
        "3f31438db4d09434e43afa0f8a2f00867a2be085046a9f5cb4f101d607",
    ),
    SframeVector(
        "AES_128_CTR_HMAC_SHA256_32",
        "38c16e4f5159700c00c7f350",
        "2c5703089cbb8c583475e4fc461d97d18809df79b6d550f78eb6d50ffa80d89211d57909934f46f5405e38cd583c69fe",
        "17fc8af28a5a695afcfc6c8df6358a17e26b2fcb3bae32e443",
    ),
    SframeVector(
        "AES_128_GCM_SHA256_128",
        "75234edefe07819026751816",
        "d34f547f4ca4f9a7447006fe7fcbf768",
        "b7412c2513a1b66dbb48841bbaf17f598751176ad847681a69c6d0b091c07018ce4adb34eb",
    ),
    SframeVector(
        "AES_256_GCM_SHA512_128",
        "84991c167b8cd23c93708ec7",
        "d3e27b0d4a5ae9e55df01a70e6d4d28d969b246e2936f4b7a5d9b494da6b9633",
        "94f509d36e9beacb0e261d99c7d1e972f1fed787d4049f17ca21353c1cc24d56ceabced279",
    ),
]

PASSPHRASE_KEYS = [
    (
        "correct horse battery staple",
        "team",
        "09d9b652054fb186d312ca06356ebceebca3468808de5792723f67bb575f1ce0",
    ),
    ("Grüße 🔑", "Büro", "8fcb4d49cfa8a34ebe61e673aee5d5a91514d5145c1f6176d32c612172ade9f7"),
]
"""Passphrase, room and the base key that our scrypt parameters give; not from the RFC."""
