"""Invitations: what opens a room, and what does not."""

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from room_fixtures import SECRET, A

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.rooms.access import Access, Door
from softphone.rooms.errors import TokenExpiredError, WrongRoomError
from softphone.rooms.identity import IdSource
from softphone.rooms.tokens import Invitation, Resumption, TokenSigner
from softphone.rooms.values import RoomRole, a_peer
from softphone.signaling.errors import UnauthorizedError

NOW = 1_800_000_000.0
SIGNER = TokenSigner(SECRET)
CLAIMS: dict[str, Any] = {"aud": "softphone-room", "room": "standup", "exp": NOW + 60, "name": "Al"}


def sign(claims: dict[str, Any], secret: bytes = SECRET) -> str:
    return jwt.encode(claims, secret, algorithm="HS256")


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def hs512(claims: dict[str, Any]) -> str:
    """Signed with the right secret in another way."""
    text = f"{part({'alg': 'HS512', 'typ': 'JWT'})}.{part(claims)}"
    signature = hmac.digest(SECRET, text.encode(), "sha512")
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_round_trip() -> None:
    wanted = Invitation(room="standup", name="Alice", role=RoomRole.MODERATOR, expires=NOW + 60)
    token = SIGNER.invite(wanted, NOW)
    read = SIGNER.read_invitation(token, "standup", NOW)
    assert (read.name, read.role, read.expires) == ("Alice", RoomRole.MODERATOR, NOW + 60)
    other = SIGNER.read_invitation(SIGNER.invite(wanted, NOW + 1), "standup", NOW)
    assert read.fingerprint != other.fingerprint


def test_expiry() -> None:
    token = sign(CLAIMS)
    SIGNER.read_invitation(token, "standup", NOW + 59.9)
    with pytest.raises(TokenExpiredError):
        SIGNER.read_invitation(token, "standup", NOW + 60)


def test_another_room() -> None:
    with pytest.raises(WrongRoomError):
        SIGNER.read_invitation(sign(CLAIMS), "town-hall", NOW)
    with pytest.raises(WrongRoomError):
        SIGNER.read_invitation(sign({**CLAIMS, "room": ["standup"]}), "standup", NOW)


WAS = Resumption(
    room="standup", id=A, name="Alice", role=RoomRole.MODERATOR, verified=True, server="run-1", invitation="f"
)
GENUINE = sign(CLAIMS)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "é.é.é",
        sign(CLAIMS, b"another secret of thirty-two byte"),
        hs512(CLAIMS),
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(CLAIMS)}.",
        f"{part({'alg': 'None'})}.{part(CLAIMS)}.{GENUINE.rpartition('.')[2]}",
        f"{GENUINE.partition('.')[0]}.{part({**CLAIMS, 'role': 'moderator'})}.{GENUINE.rpartition('.')[2]}",
        GENUINE[:-1],
        GENUINE + "A",
        sign({name: value for name, value in CLAIMS.items() if name != "exp"}),
        sign({name: value for name, value in CLAIMS.items() if name != "aud"}),
        sign({name: value for name, value in CLAIMS.items() if name != "room"}),
        sign({**CLAIMS, "aud": "softphone-resume"}),
        sign({**CLAIMS, "role": "king"}),
        sign({**CLAIMS, "name": 7}),
        sign({**CLAIMS, "exp": True}),
        sign({**CLAIMS, "exp": "never"}),
        sign({**CLAIMS, "exp": float("nan")}),
        sign({**CLAIMS, "exp": 10**400}),
        sign({**CLAIMS, "name": "x" * 3000}),
        SIGNER.resumption(
            Resumption(room="standup", id=A, name="x", role=RoomRole.MODERATOR, verified=True, server="s"),
            NOW,
        ),
    ],
    ids=range(23),
)
@pytest.mark.parametrize("room", ["standup", "town-hall"])
def test_what_is_not_genuine_tells_nothing_more(token: str, room: str) -> None:
    with pytest.raises(UnauthorizedError):
        SIGNER.read_invitation(token, room, NOW)
    with pytest.raises(UnauthorizedError):  # nor whether it would have expired
        SIGNER.read_invitation(token, room, NOW + 1e6)


def test_a_genuine_but_odd_token_is_refused_like_the_others() -> None:
    for claims in ({**CLAIMS, "role": ["moderator"]}, {**CLAIMS, "role": None}, {**CLAIMS, "name": None}):
        with pytest.raises(UnauthorizedError):
            SIGNER.read_invitation(sign(claims), "standup", NOW)


@settings(max_examples=100, deadline=None)
@given(st.text() | st.text(alphabet="eyJhbGciOi.-_=A0"), st.integers(0, 200), st.integers(0, 3))
def test_any_token(text: str, at: int, cut: int) -> None:
    for token in (text, GENUINE[:at] + text + GENUINE[at + cut :]):
        try:
            SIGNER.read_invitation(token, "standup", NOW)
        except UnauthorizedError:
            assert token != GENUINE
        else:
            # base64 has several spellings of the last, incomplete group, and no more.
            assert token.rpartition(".")[0] == GENUINE.rpartition(".")[0]
        assert SIGNER.read_resumption(token, "standup", NOW) is None


def test_the_same_secret_elsewhere_opens_too() -> None:
    other = TokenSigner(bytes(SECRET))
    assert other.read_invitation(sign(CLAIMS), "standup", NOW).name == "Al"


@pytest.mark.parametrize(
    ("room", "expires"), [("Stand Up", NOW + 1), ("", NOW + 1), ("standup", NOW), ("standup", NOW - 1)]
)
def test_impossible_invitations(room: str, expires: float) -> None:
    with pytest.raises(ConfigError):
        SIGNER.invite(Invitation(room=room, expires=expires), NOW)


def test_short_secrets() -> None:
    with pytest.raises(ConfigError, match="32 bytes"):
        TokenSigner(b"x" * 31)


def test_resumption() -> None:
    token = SIGNER.resumption(WAS, NOW)
    assert len(token) < 1024
    assert SIGNER.read_resumption(token, "standup", NOW + 3600) == WAS
    assert SIGNER.read_resumption(token, "town-hall", NOW) is None
    assert SIGNER.read_resumption(token, "standup", NOW + 25 * 3600) is None
    assert SIGNER.read_resumption(GENUINE, "standup", NOW) is None
    assert TokenSigner(b"x" * 32).read_resumption(token, "standup", NOW) is None


def test_doors() -> None:
    moderating = SIGNER.invite(Invitation(room="standup", role=RoomRole.MODERATOR, expires=NOW + 9), NOW)
    named = SIGNER.invite(Invitation(room="standup", name="Alice", expires=NOW + 9), NOW)
    for access in Access:
        door = Door(access, SIGNER)
        grant = door.grant("standup", moderating, "Bob", NOW)
        assert (grant.name, grant.verified, grant.role) == ("Bob", False, RoomRole.MODERATOR)
        grant = door.grant("standup", named, "Bob", NOW)
        assert (grant.name, grant.verified, grant.role) == ("Alice", True, RoomRole.PARTICIPANT)
        # A wrong token is wrong even where none is asked for.
        with pytest.raises(UnauthorizedError):
            door.grant("standup", "wrong", "Bob", NOW)
    assert Door(Access.OPEN, SIGNER).grant("standup", "", "Bob", NOW).name == "Bob"
    secret = Door(Access.SECRET, SIGNER)
    assert secret.grant("any", secret.secret, "Bob", NOW).invitation == ""
    for door in (secret, Door(Access.INVITATION, SIGNER)):
        with pytest.raises(UnauthorizedError):
            door.grant("standup", "", "Bob", NOW)
    with pytest.raises(UnauthorizedError):
        Door(Access.INVITATION, SIGNER).grant("standup", secret.secret, "Bob", NOW)


def test_ids_ascend_even_when_the_clock_steps_back() -> None:
    source = IdSource()
    ids = [source.make(at) for at in (NOW, NOW, NOW + 0.001, NOW - 3600, 0.0, -5.0, NOW + 1)]
    assert ids == sorted(set(ids))
    assert all(a_peer(id) for id in ids)
    assert IdSource().make(NOW) < IdSource().make(NOW + 0.002)  # also of two servers
    with pytest.raises(RemoteProtocolError):
        a_peer(ids[0] + "0")
    assert time.time() < 2**48 / 1000
