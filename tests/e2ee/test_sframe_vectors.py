"""The known answers of RFC 9605."""

import pytest

from softphone.e2ee import CIPHER_SUITES, RoomKey, SframeReceiver, SframeSender
from softphone.e2ee.header import SframeHeader
from softphone.e2ee.suites import AesCtrHmac
from tests.support.sframe_vectors import (
    BASE_KEY,
    CTR,
    HEADER,
    HEADERS,
    KID,
    METADATA,
    PLAINTEXT,
    VECTORS,
    SframeVector,
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.suite)
def test_a_frame_has_the_bytes_that_the_standard_prints(vector: SframeVector) -> None:
    key = RoomKey(BASE_KEY, CIPHER_SUITES[vector.suite])
    frame = SframeSender(key, metadata=METADATA, kid=KID, first_ctr=CTR).protect(PLAINTEXT)
    assert frame == HEADER + bytes.fromhex(vector.ciphertext)
    assert SframeReceiver(key, metadata=METADATA).unprotect(frame) == PLAINTEXT


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.suite)
def test_key_and_salt_of_the_standard_give_its_ciphertext(vector: SframeVector) -> None:
    aead = CIPHER_SUITES[vector.suite].aead(bytes.fromhex(vector.key))
    nonce = (int(vector.salt, 16) ^ CTR).to_bytes(12)
    assert aead.encrypt(nonce, PLAINTEXT, HEADER + METADATA) == bytes.fromhex(vector.ciphertext)


@pytest.mark.parametrize(("kid", "ctr", "packed"), HEADERS)
def test_a_header_has_the_bytes_that_the_standard_prints(kid: int, ctr: int, packed: str) -> None:
    header = bytes.fromhex(packed)
    assert SframeHeader(kid, ctr).pack() == header
    assert SframeHeader.parse(header + b"payload") == (SframeHeader(kid, ctr), len(header))


@pytest.mark.parametrize(
    ("tag_bits", "ciphertext"),
    [
        (80, "6339af04ada1d064688a442b8dc69d5b6bfa40f4bef0583e8081069cc60705"),
        (64, "6339af04ada1d064688a442b8dc69d5b6bfa40f4be6e93b7da076927bb"),
        (32, "6339af04ada1d064688a442b8dc69d5b6bfa40f4be09480509"),
    ],
)
def test_counter_mode_with_a_short_tag(tag_bits: int, ciphertext: str) -> None:
    aead = AesCtrHmac(bytes(range(48)), tag_bits // 8)
    nonce = bytes(range(0x10, 0x1C))
    assert aead.encrypt(nonce, PLAINTEXT, METADATA).hex() == ciphertext
    assert aead.decrypt(nonce, bytes.fromhex(ciphertext), METADATA) == PLAINTEXT
