"""The short authentication string: honest peers agree, a man in the middle is caught."""

import re

import pytest
from aiortc import RTCCertificate

from softphone.errors import ConfigError
from softphone.signaling.errors import VerificationError
from softphone.signaling.sas import SasExchange, certificate_fingerprint, normalise_fingerprint
from softphone.signaling.states import Role

ALICE, BOB, MALLORY = (":".join([byte] * 32) for byte in ("A1", "B0", "66"))


def run(caller: SasExchange, callee: SasExchange) -> tuple[str, str]:
    """An exchange over an honest line."""
    caller.receive_commitment(callee.commitment)
    callee.receive_commitment(caller.commitment)
    return caller.receive_reveal(callee.reveal()), callee.receive_reveal(caller.reveal())


def test_honest_peers_read_the_same_digits() -> None:
    ours, theirs = run(SasExchange(Role.CALLER, ALICE, BOB), SasExchange(Role.CALLEE, BOB, ALICE))
    assert ours == theirs
    assert re.fullmatch(r"\d{4} \d{4}", ours)


def test_digits_change_with_every_call() -> None:
    strings = {
        run(SasExchange(Role.CALLER, ALICE, BOB), SasExchange(Role.CALLEE, BOB, ALICE))[0] for _ in range(100)
    }
    assert len(strings) == 100


def test_digits_are_stable_across_releases() -> None:
    caller = SasExchange(Role.CALLER, ALICE, BOB, nonce=bytes(32))
    callee = SasExchange(Role.CALLEE, BOB, ALICE, nonce=bytes(range(32)))
    assert run(caller, callee) == ("0522 1126", "0522 1126")


def test_every_input_matters() -> None:
    def digits(caller_print: str, callee_print: str, caller_nonce: int, callee_nonce: int) -> str:
        caller = SasExchange(Role.CALLER, caller_print, callee_print, nonce=bytes([caller_nonce] * 32))
        callee = SasExchange(Role.CALLEE, callee_print, caller_print, nonce=bytes([callee_nonce] * 32))
        return run(caller, callee)[0]

    variants = [
        digits(ALICE, BOB, 1, 2),
        digits(MALLORY, BOB, 1, 2),
        digits(ALICE, MALLORY, 1, 2),
        digits(ALICE, BOB, 3, 2),
        digits(ALICE, BOB, 1, 3),
        digits(BOB, ALICE, 2, 1),
    ]
    assert len(set(variants)) == len(variants)


def test_man_in_the_middle_with_his_own_nonces_makes_the_digits_differ() -> None:
    agreements = 0
    for _ in range(500):
        alice, bob = SasExchange(Role.CALLER, ALICE, MALLORY), SasExchange(Role.CALLEE, BOB, MALLORY)
        to_alice, to_bob = SasExchange(Role.CALLEE, MALLORY, ALICE), SasExchange(Role.CALLER, MALLORY, BOB)
        agreements += run(alice, to_alice)[0] == run(to_bob, bob)[1]
    assert agreements == 0


def test_man_in_the_middle_who_relays_the_exchange_is_caught_by_the_phones() -> None:
    # He terminates DTLS with his own certificate and forwards signalling untouched.
    alice, bob = SasExchange(Role.CALLER, ALICE, MALLORY), SasExchange(Role.CALLEE, BOB, MALLORY)
    with pytest.raises(VerificationError, match="intercepted"):
        run(alice, bob)


def test_reflected_commitment_is_caught() -> None:
    alice = SasExchange(Role.CALLER, ALICE, ALICE)
    alice.receive_commitment(alice.commitment)
    with pytest.raises(VerificationError):
        alice.receive_reveal(alice.reveal())


@pytest.mark.parametrize("position", [0, 15, 31])
def test_nonce_chosen_after_the_commitment_is_caught(position: int) -> None:
    caller, callee = SasExchange(Role.CALLER, ALICE, BOB), SasExchange(Role.CALLEE, BOB, ALICE)
    caller.receive_commitment(callee.commitment)
    callee.receive_commitment(caller.commitment)
    nonce = bytearray(callee.reveal())
    nonce[position] ^= 1
    with pytest.raises(VerificationError, match="intercepted"):
        caller.receive_reveal(bytes(nonce))


def test_order_is_enforced() -> None:
    caller = SasExchange(Role.CALLER, ALICE, BOB)
    with pytest.raises(VerificationError, match="secret"):
        caller.reveal()
    with pytest.raises(VerificationError, match="before"):
        caller.receive_reveal(bytes(32))
    caller.receive_commitment(bytes(32))
    with pytest.raises(VerificationError, match="twice"):
        caller.receive_commitment(bytes(32))


def test_commitment_hides_and_binds_the_nonce() -> None:
    exchange = SasExchange(Role.CALLER, ALICE, BOB, nonce=bytes(32))
    same_nonce_other_role = SasExchange(Role.CALLEE, ALICE, BOB, nonce=bytes(32))
    same_nonce_other_print = SasExchange(Role.CALLER, BOB, ALICE, nonce=bytes(32))
    other_nonce = SasExchange(Role.CALLER, ALICE, BOB, nonce=bytes(31) + b"\1")
    exchanges = [exchange, same_nonce_other_role, same_nonce_other_print, other_nonce]
    assert len({each.commitment for each in exchanges}) == 4


@pytest.mark.parametrize("text", [ALICE, ALICE.lower(), f"sha-256 {ALICE}", f" SHA-256 {ALICE.lower()} "])
def test_fingerprints_are_normalised(text: str) -> None:
    assert normalise_fingerprint(text) == ALICE


@pytest.mark.parametrize(
    "text", ["", ALICE[:-3], ALICE + ":00", ALICE.replace(":", ""), f"sha-1 {ALICE}", "é" * 95]
)
def test_malformed_fingerprints(text: str) -> None:
    with pytest.raises(ConfigError, match="fingerprint"):
        SasExchange(Role.CALLER, text, BOB)


def test_fingerprint_of_a_certificate_is_what_aiortc_writes_into_sdp() -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    certificate = RTCCertificate.generateCertificate()
    der = certificate._cert.public_bytes(Encoding.DER)
    written = {each.algorithm: each.value for each in certificate.getFingerprints()}
    assert certificate_fingerprint(der) == written["sha-256"].upper()
