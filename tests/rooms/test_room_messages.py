"""The messages of rooms: what is one, and that nothing else is."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from room_fixtures import SDP, A, B

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.rooms.replies import (
    FROM_SERVER,
    MAX_REPLY_BYTES,
    Alive,
    IceServers,
    Joined,
    LobbyJoined,
    LobbyLeft,
    Muted,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    Refused,
    RoomChanged,
    Said,
    Waiting,
)
from softphone.rooms.requests import (
    FROM_PARTICIPANT,
    Admit,
    Deny,
    EndRoom,
    Join,
    Mute,
    Remove,
    RoomBye,
    RoomUpdate,
    Say,
    Signal,
    Update,
)
from softphone.rooms.values import (
    MAX_PEOPLE,
    IceServerInfo,
    Leaving,
    ParticipantInfo,
    RoomRole,
    SignalKind,
    WaitingInfo,
)
from softphone.signaling.errors import MessageTooLargeError
from softphone.signaling.messages import (
    MAX_MESSAGE_BYTES,
    Error,
    Hello,
    Message,
    Vocabulary,
    Welcome,
    encode,
)

CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.7 51234 typ host"

ALICE = ParticipantInfo(
    id=A,
    name="Alice",
    role=RoomRole.MODERATOR,
    verified=True,
    capabilities={"dred_version": 12, "red": True},
    muted=True,
    hand=3,
    recording=True,
    away=True,
)

SIGNALS = [
    Signal(peer=A, kind=SignalKind.OFFER, session="k3Jx", round=1, sdp=SDP),
    Signal(peer=A, kind=SignalKind.ANSWER, session="k3Jx", round=1, sdp=SDP),
    Signal(
        peer=A, kind=SignalKind.CANDIDATE, session="k3Jx", round=2, candidate=CANDIDATE, mid="0", ufrag="x1/+"
    ),
    Signal(peer=A, kind=SignalKind.CANDIDATE, session="k3Jx", round=2, candidate=""),
    Signal(peer=A, kind=SignalKind.RESTART),
    Signal(peer=A, kind=SignalKind.RESTART, session="k3Jx"),
    Signal(peer=A, kind=SignalKind.SAS_COMMIT, session="k3Jx", value=bytes(32)),
    Signal(peer=A, kind=SignalKind.SAS_REVEAL, session="k3Jx", value=bytes(range(32))),
]

REQUESTS: list[Message] = [
    Hello(versions=(1,), name="Alice"),
    Join(room="stand-up", token="t.o.k", resume="r"),
    *SIGNALS,
    Say(text="<b>Hello</b>"),
    Update(name="Zoë", muted=False, hand=True, recording=False),
    Update(),
    Mute(peer=B),
    Remove(peer=B, message="enough"),
    Admit(peer=B),
    Deny(peer=B, message="sorry"),
    RoomUpdate(locked=True),
    RoomUpdate(lobby=False),
    EndRoom(),
    RoomBye(reason=Leaving.REMOVED, message="enough"),
    Error(code="bad-message"),
]

REPLIES: list[Message] = [
    Welcome(version=1),
    Waiting(message="a moderator will let you in"),
    Joined(
        id=B,
        room="stand-up",
        name="Bob",
        role=RoomRole.PARTICIPANT,
        participants=(ALICE,),
        waiting=(WaitingInfo(id=A, name="Zoë"),),
        locked=True,
        lobby=True,
        max_participants=8,
        engine="janus",
        connection={"url": "wss://example.org", "token": "x" * 1000},
        ice_servers=(
            IceServerInfo(urls=("stun:example.org",)),
            IceServerInfo(urls=("turn:h", "turns:h:443?transport=tcp"), username="u", credential="c"),
        ),
        ice_ttl=3600,
        relay_only=True,
        resume="r",
        resume_seconds=30,
        resumed=True,
        settle_seconds=60,
    ),
    PeerJoined(participant=ALICE),
    PeerChanged(participant=ParticipantInfo(id=A, name="Alice")),
    PeerLeft(peer=A, reason=Leaving.GONE),
    *SIGNALS,
    Said(number=1, peer=A, name="Alice", text="hi", time=1_795_316_885),
    Muted(peer=A),
    RoomChanged(locked=True, lobby=False),
    LobbyJoined(id=A, name="Alice"),
    LobbyLeft(id=A),
    IceServers(ice_servers=(IceServerInfo(urls=("stun:example.org",)),), ice_ttl=0),
    Refused(code="forbidden", message="no"),
    Alive(),
    RoomBye(reason=Leaving.STOPPING),
    Error(code="room-full", message="8 of 8"),
]

BOTH = [(FROM_PARTICIPANT, REQUESTS), (FROM_SERVER, REPLIES)]
SPOKEN = [(vocabulary, message) for vocabulary, messages in BOTH for message in messages]
VALID: dict[str, dict[str, Any]] = {
    message.TYPE: json.loads(encode(message)) for message in [*REQUESTS, *REPLIES]
}
OFFER, RESTART = json.loads(encode(SIGNALS[0])), json.loads(encode(SIGNALS[4]))


@pytest.mark.parametrize(("vocabulary", "message"), SPOKEN)
def test_round_trip(vocabulary: Vocabulary, message: Message) -> None:
    assert vocabulary.parse(encode(message)) == message


@pytest.mark.parametrize(("vocabulary", "messages"), BOTH)
def test_every_type_has_an_example(vocabulary: Vocabulary, messages: list[Message]) -> None:
    assert {message.TYPE for message in messages} == set(vocabulary.kinds)


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("join", {"room": "Stand Up"}, "room"),
        ("join", {"room": ""}, "room"),
        ("join", {"room": "-x"}, "room"),
        ("join", {"room": "x" * 65}, "room"),
        ("join", {"room": "a/../b"}, "room"),
        ("join", {"token": "x" * 2049}, "token"),
        ("join", {"token": None}, "token"),
        ("join", {"nonsense": 1}, "unknown member"),
        ("say", {"text": ""}, "text"),
        ("say", {"text": "\u200b\x00 "}, "text"),
        ("say", {"text": 5}, "text"),
        ("say", {"text": "x" * 4001}, "text"),
        ("update", {"muted": 1}, "muted"),
        ("update", {"hand": None}, "hand"),
        ("update", {"hand": 1}, "hand"),
        ("mute", {"peer": "x"}, "peer"),
        ("mute", {"peer": A.upper() + "A"}, "peer"),
        ("room-update", {"locked": "yes"}, "locked"),
        ("bye", {"reason": "gone"}, "reason"),
    ],
)
def test_bad_requests_are_refused(kind: str, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        FROM_PARTICIPANT.parse(json.dumps({**VALID[kind], **change}))


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("joined", {"participants": [{"id": A}]}, "participant lacks"),
        ("joined", {"participants": [{"id": A, "name": "x", "shoe": 1}]}, "unknown member"),
        ("joined", {"participants": {}}, "list"),
        ("joined", {"participants": [7]}, "object"),
        ("joined", {"participants": [VALID["peer-changed"]["participant"]] * (MAX_PEOPLE + 1)}, "list"),
        ("joined", {"role": "king"}, "role"),
        ("joined", {"max_participants": 0}, "max_participants"),
        ("joined", {"ice_ttl": -1}, "ice_ttl"),
        ("joined", {"ice_servers": [{"urls": ["http://x"]}]}, "STUN"),
        ("joined", {"connection": {"a": {"b": 1}}}, "connection"),
        ("peer-joined", {"participant": {"id": A, "name": "x", "hand": True}}, "hand"),
        ("peer-left", {"reason": "stopping"}, "reason"),
        ("said", {"number": 0}, "number"),
        ("alive", {"x": 1}, "unknown member"),
    ],
)
def test_bad_replies_are_refused(kind: str, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        FROM_SERVER.parse(json.dumps({**VALID[kind], **change}))


@pytest.mark.parametrize(
    "members",
    [
        {**OFFER, "sdp": "hello"},
        {**OFFER, "session": ""},
        {**OFFER, "session": "no spaces"},
        {**OFFER, "round": 0},
        {**OFFER, "round": True},
        {**OFFER, "candidate": ""},
        {**OFFER, "kind": "pranswer"},
        {name: value for name, value in OFFER.items() if name != "sdp"},
        {name: value for name, value in OFFER.items() if name != "round"},
        {**RESTART, "round": 1},
        {**RESTART, "kind": "candidate", "session": "s", "round": 1},
        {**RESTART, "kind": "candidate", "session": "s", "round": 1, "candidate": "not one"},
        {**RESTART, "kind": "candidate", "session": "s", "round": 1, "candidate": "candidate:1\r\na=x"},
        {**RESTART, "kind": "candidate", "session": "s", "round": 1, "candidate": "candidate:" + "x" * 1015},
        {**RESTART, "kind": "sas-commit", "session": "s", "value": "00"},
        {**RESTART, "kind": "sas-commit", "session": "s"},
    ],
    ids=range(16),
)
def test_signals_have_the_members_of_their_kind(members: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError):
        FROM_PARTICIPANT.parse(json.dumps(members))


def test_neither_side_says_what_the_other_may() -> None:
    for vocabulary, others in ((FROM_PARTICIPANT, REPLIES), (FROM_SERVER, REQUESTS)):
        for message in others:
            if message.TYPE not in vocabulary.kinds:
                with pytest.raises(RemoteProtocolError, match="unknown message type"):
                    vocabulary.parse(encode(message))


def test_only_the_state_of_a_room_is_long() -> None:
    line = {"type": "peer-left", "peer": A, "reason": "gone"}
    assert FROM_SERVER.max_bytes == MAX_REPLY_BYTES
    assert FROM_PARTICIPANT.max_bytes == MAX_MESSAGE_BYTES
    with pytest.raises(MessageTooLargeError):
        FROM_SERVER.parse(json.dumps(line) + " " * MAX_MESSAGE_BYTES)
    joined = json.dumps(VALID["joined"])
    FROM_SERVER.parse(joined + " " * MAX_MESSAGE_BYTES)
    with pytest.raises(MessageTooLargeError):
        FROM_SERVER.parse(joined + " " * MAX_REPLY_BYTES)


def test_a_full_room_of_the_worst_kind_fits() -> None:
    worst = ParticipantInfo(
        id=A,
        name="\U0001f600" * 64,
        role=RoomRole.MODERATOR,
        capabilities={f"key-{n}": "x" * 100 for n in range(9)},  # about the 1,024 bytes that are allowed
        verified=True,
        muted=True,
        hand=10**9,
        recording=True,
        away=True,
    )
    encode(
        Joined(
            id=A,
            room="x",
            name="x",
            role=RoomRole.PARTICIPANT,
            participants=(worst,) * MAX_PEOPLE,
            max_participants=MAX_PEOPLE,
            resume="x",
            resume_seconds=1,
        )
    )


def test_our_own_mistakes_are_local_errors() -> None:
    with pytest.raises(ConfigError, match="can't send"):
        encode(Signal(peer=A, kind=SignalKind.OFFER, session="s", round=1))


def test_secrets_stay_out_of_logs() -> None:
    joined = REPLIES[2]
    shown = f"{Join(room='x', token='hunter2', resume='hunter2')!r}{joined!r}"
    assert "hunter2" not in shown
    assert "credential" not in shown
    assert "resume='r'" not in shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(A),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


def parse_or_refuse(vocabulary: Vocabulary, text: str) -> None:
    try:
        message = vocabulary.parse(text)
    except RemoteProtocolError:
        return
    # What was accepted can be said again, and means the same.
    assert vocabulary.parse(encode(message)) == message


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(BOTH))
def test_any_members(data: st.DataObject, spoken: tuple[Vocabulary, list[Message]]) -> None:
    vocabulary, messages = spoken
    members = json.loads(encode(data.draw(st.sampled_from(messages))))
    known = st.sampled_from(sorted({"peer", "kind", "session", "round", "sdp", "participant", *members}))
    changes = data.draw(st.dictionaries(known | st.text(), json_values, max_size=3))
    parse_or_refuse(vocabulary, json.dumps({**members, **changes, "type": members["type"]}))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SPOKEN), st.integers(0, 4000), st.integers(0, 3), st.text(max_size=3))
def test_mutated_messages(spoken: tuple[Vocabulary, Message], at: int, cut: int, insert: str) -> None:
    vocabulary, message = spoken
    text = encode(message)
    at %= len(text) + 1
    parse_or_refuse(vocabulary, text[:at] + insert + text[at + cut :])
