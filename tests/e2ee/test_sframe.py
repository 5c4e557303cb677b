"""What goes through, what does not, and what is counted."""

import asyncio
import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.e2ee import (
    CIPHER_SUITES,
    DecryptionState,
    FrameMalformedError,
    FrameRefusedError,
    FrameReplayedError,
    RoomKey,
    SframeError,
    SframeReceiver,
    SframeSender,
    TooManySendersError,
    derive_room_key,
)
from softphone.e2ee import sframe as sframe_module
from softphone.e2ee.header import MAX_VALUE, SframeHeader
from softphone.e2ee.replay import ReplayWindow
from softphone.errors import ConfigError, RemoteProtocolError
from tests.support.sframe_vectors import PASSPHRASE_KEYS

KEY = RoomKey(bytes(range(32)))
OTHER = RoomKey(bytes(32))


def refuse(receiver: SframeReceiver, frame: bytes, error: type[SframeError]) -> None:
    with pytest.raises(error):
        receiver.unprotect(frame)


@pytest.mark.parametrize("suite", CIPHER_SUITES.values(), ids=lambda suite: suite.name)
def test_frames_of_several_senders_arrive_in_any_order(suite: object) -> None:
    key = RoomKey(KEY.base_key, suite)  # type: ignore[arg-type]
    senders = [SframeSender(key) for _ in range(3)]
    sent = [bytes([k, s]) * k for k in range(20) for s in range(3)]
    frames = [senders[i % 3].protect(payload) for i, payload in enumerate(sent)]
    receiver = SframeReceiver(key)
    assert [receiver.unprotect(frame) for frame in reversed(frames)] == sent[::-1]
    assert receiver.counters.accepted == 60
    assert receiver.state is DecryptionState.DECRYPTING


def test_a_payload_is_not_to_be_found_in_its_frame_and_grows_by_at_most_25_bytes() -> None:
    sender, payload = SframeSender(KEY, kid=2**48 - 1), bytes(range(200))
    frames = [sender.protect(payload) for _ in range(300)]
    assert all(payload[:8] not in frame for frame in frames)
    assert {len(frame) - len(payload) for frame in frames} == {23, 24, 25}
    assert len(set(frames)) == 300


def test_senders_draw_their_own_identifiers() -> None:
    assert len({SframeSender(KEY).kid for _ in range(50)}) == 50


def test_another_passphrase_is_refused_counted_and_told() -> None:
    sender, receiver = SframeSender(OTHER), SframeReceiver(KEY)
    states = []
    for _ in range(6):
        refuse(receiver, sender.protect(b"opus"), FrameRefusedError)
        states.append(receiver.state)
    assert states == [DecryptionState.WAITING] * 4 + [DecryptionState.FAILING] * 2
    assert receiver.counters.refused == 6
    receiver.unprotect(SframeSender(KEY).protect(b"opus"))
    assert receiver.state is DecryptionState.DECRYPTING


def test_frames_that_are_not_encrypted_are_never_passed_on() -> None:
    receiver = SframeReceiver(KEY)
    for first in range(256):
        with pytest.raises(SframeError):
            receiver.unprotect(bytes([first]) + bytes(range(60)))
    assert receiver.counters.accepted == 0
    assert receiver.state is DecryptionState.FAILING


def test_metadata_must_be_the_same_on_both_sides() -> None:
    frame = SframeSender(KEY, metadata=b"alice").protect(b"opus")
    refuse(SframeReceiver(KEY, metadata=b"bob"), frame, FrameRefusedError)
    assert SframeReceiver(KEY, metadata=b"alice").unprotect(frame) == b"opus"


def test_suites_do_not_understand_each_other() -> None:
    long, short = (RoomKey(KEY.base_key, CIPHER_SUITES[f"AES_128_CTR_HMAC_SHA256_{n}"]) for n in (80, 32))
    refuse(SframeReceiver(short), SframeSender(long).protect(b"opus"), FrameRefusedError)


def test_a_repeated_frame_is_refused_without_blaming_the_key() -> None:
    sender, receiver = SframeSender(KEY), SframeReceiver(KEY)
    frames = [sender.protect(b"opus") for _ in range(10)]
    for frame in frames:
        receiver.unprotect(frame)
    for frame in frames:
        refuse(receiver, frame, FrameReplayedError)
    assert receiver.counters.replayed == 10
    assert receiver.state is DecryptionState.DECRYPTING


def test_a_forged_counter_does_not_close_the_window() -> None:
    sender, receiver = SframeSender(KEY), SframeReceiver(KEY)
    receiver.unprotect(sender.protect(b"opus"))
    forged = SframeHeader(sender.kid, 2**40).pack() + bytes(30)
    refuse(receiver, forged, FrameRefusedError)
    assert receiver.unprotect(sender.protect(b"opus")) == b"opus"


def test_key_identifiers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sframe_module, "MAX_KIDS", 3)
    receiver = SframeReceiver(KEY)
    first = SframeSender(KEY, kid=0)
    for sender in (first, *(SframeSender(KEY, kid=kid) for kid in (1, 2))):
        receiver.unprotect(sender.protect(b"opus"))
    refuse(receiver, SframeSender(KEY, kid=3).protect(b"opus"), TooManySendersError)
    assert receiver.counters.surplus == 1
    assert receiver.unprotect(first.protect(b"opus")) == b"opus"


def test_a_counter_is_never_used_twice() -> None:
    sender = SframeSender(KEY, first_ctr=MAX_VALUE)
    sender.protect(b"opus")
    with pytest.raises(ConfigError):
        sender.protect(b"opus")


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_as_the_fault_of_the_peer(frame: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        SframeReceiver(KEY).unprotect(frame)


@given(st.integers(0, MAX_VALUE), st.integers(0, MAX_VALUE), st.binary(max_size=4))
def test_headers_survive_the_way(kid: int, ctr: int, rest: bytes) -> None:
    packed = SframeHeader(kid, ctr).pack()
    assert SframeHeader.parse(packed + rest) == (SframeHeader(kid, ctr), len(packed))


@given(st.binary(min_size=1, max_size=20))
def test_a_header_has_one_form_only(data: bytes) -> None:
    try:
        header, length = SframeHeader.parse(data)
    except FrameMalformedError:
        return
    assert header.pack() == data[:length]


@given(st.integers(0, MAX_VALUE), st.integers(0, MAX_VALUE), st.binary(max_size=100), st.data())
def test_a_flipped_bit_is_noticed(kid: int, ctr: int, payload: bytes, data: st.DataObject) -> None:
    frame = bytearray(SframeSender(KEY, kid=kid, first_ctr=ctr).protect(payload))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SframeError):
        SframeReceiver(KEY).unprotect(bytes(frame))


@given(st.lists(st.integers(0, 40), max_size=80))
def test_the_window_is_a_set_that_forgets_the_old(counters: list[int]) -> None:
    window, seen = ReplayWindow(16), set[int]()
    for counter in counters:
        expected = counter not in seen and counter > max(seen, default=-1) - 16
        assert window.accepts(counter) is expected
        if expected:
            window.add(counter)
            seen.add(counter)


def test_a_jump_of_the_counter_costs_no_memory() -> None:
    window = ReplayWindow()
    for counter in (0, 2**63, MAX_VALUE):
        assert window.accepts(counter)
        window.add(counter)
    assert not window.accepts(2**63)


async def test_a_passphrase_gives_one_key_for_each_room() -> None:
    team, again, other_room, other_word = [
        (await derive_room_key(word, room)).base_key
        for word, room in [("café", "team"), ("cafe\u0301", "team"), ("café", "x"), ("cafe", "team")]
    ]
    assert team == again
    assert len({team, other_room, other_word}) == 3
    assert team.hex() not in repr(RoomKey(team))


@pytest.mark.parametrize(("passphrase", "room", "key"), PASSPHRASE_KEYS)
async def test_a_passphrase_goes_through_scrypt(passphrase: str, room: str, key: str) -> None:
    assert (await derive_room_key(passphrase, room)).base_key.hex() == key
    salt = b"softphone sframe 1\0" + room.encode()
    derived = hashlib.scrypt(passphrase.encode(), salt=salt, n=2**15, r=8, p=3, maxmem=2**26, dklen=32)
    assert derived.hex() == key


async def test_deriving_a_key_does_not_hold_up_the_event_loop() -> None:
    deriving = asyncio.create_task(derive_room_key("passphrase", "team"))
    worst, last = 0.0, time.monotonic()
    began = last
    while not deriving.done():
        await asyncio.sleep(0.001)
        now = time.monotonic()
        worst, last = max(worst, now - last), now
    assert last - began > 0.05, "this is too cheap to guess"
    assert worst < 0.05


@pytest.mark.parametrize(("passphrase", "suite"), [("", "AES_128_GCM_SHA256_128"), ("word", "ROT13")])
async def test_settings_that_protect_nothing_are_refused(passphrase: str, suite: str) -> None:
    with pytest.raises(ConfigError):
        await derive_room_key(passphrase, "team", suite)
