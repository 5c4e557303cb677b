"""What moderators may do, and nobody else."""

import pytest
from room_fixtures import A, B, C, D, departed, entry, heard, make_room, moderator

from softphone.rooms.errors import BarredError
from softphone.rooms.replies import Muted, PeerChanged, PeerLeft, Refused, RoomChanged
from softphone.rooms.requesting import handle
from softphone.rooms.requests import (
    Admit,
    Deny,
    EndRoom,
    Join,
    Mute,
    Remove,
    RoomBye,
    RoomUpdate,
    Update,
)
from softphone.rooms.room import Room
from softphone.rooms.values import Leaving
from softphone.signaling.errors import UnexpectedMessageError
from softphone.signaling.messages import Hello, Message


@pytest.fixture
def room() -> Room:
    """A moderates, B and C are in, D waits."""
    room = make_room(lobby=True)
    room.enter(moderator(A, "Alice"), 0.0)
    for id in (B, C):
        room.enter(entry(id, invitation=f"invitation of {int(id)}"), 0.0)
        handle(room, A, Admit(peer=id), 0.0, 0.0)
    room.enter(entry(D), 0.0)
    return room


@pytest.mark.parametrize(
    "request_",
    [Mute(peer=A), Remove(peer=C), Admit(peer=D), Deny(peer=D), RoomUpdate(locked=True), EndRoom()],
    ids=lambda message: message.TYPE,
)
def test_others_may_not(room: Room, request_: Message) -> None:
    before = {id: person.info() for id, person in room.people.items()}
    effects = handle(room, B, request_, 0.0, 0.0)
    [refused] = heard(effects, B)
    assert isinstance(refused, Refused)
    assert refused.code == "forbidden"
    assert len(effects) == 1
    assert {id: person.info() for id, person in room.people.items()} == before
    assert not room.locked


def test_mute_and_unmute(room: Room) -> None:
    effects = handle(room, A, Mute(peer=B), 0.0, 0.0)
    changed, muted = heard(effects, B)
    assert isinstance(changed, PeerChanged)
    assert changed.participant.muted
    assert muted == Muted(peer=A)
    assert heard(effects, C) == [changed]
    [changed] = heard(handle(room, B, Update(muted=False), 0.0, 0.0), C)
    assert isinstance(changed, PeerChanged)
    assert not changed.participant.muted


def test_mute_somebody_away(room: Room) -> None:
    room.lost(B, 0.0)
    assert heard(handle(room, A, Mute(peer=B), 0.0, 0.0), B) == []
    assert room.people[B].muted


def test_remove(room: Room) -> None:
    effects = handle(room, A, Remove(peer=B, message="enough"), 0.0, 0.0)
    assert heard(effects, B) == [RoomBye(reason=Leaving.REMOVED, message="enough")]
    assert heard(effects, C) == [PeerLeft(peer=B, reason=Leaving.REMOVED)]
    assert departed(effects) == [B]
    assert not room.knows(B)
    with pytest.raises(BarredError):
        room.enter(entry(B, invitation="invitation of 2"), 0.0)
    room.enter(entry(B, invitation="another"), 0.0)


def test_remove_somebody_without_an_invitation_bars_nobody(room: Room) -> None:
    handle(room, A, Admit(peer=D), 0.0, 0.0)
    handle(room, A, Remove(peer=D), 0.0, 0.0)
    room.enter(entry(D), 0.0)


@pytest.mark.parametrize("peer", [A, D, "0" * 25 + "9"], ids=["oneself", "in the lobby", "unknown"])
def test_remove_nobody(room: Room, peer: str) -> None:
    assert handle(room, A, Remove(peer=peer), 0.0, 0.0) == []


@pytest.mark.parametrize("request_", [Mute(peer=D), Admit(peer=B), Deny(peer=B)])
def test_of_the_wrong_place(room: Room, request_: Message) -> None:
    assert handle(room, A, request_, 0.0, 0.0) == []


def test_admitting_into_a_full_room(room: Room) -> None:
    full = make_room(lobby=True, max_participants=1)
    full.enter(moderator(A), 0.0)
    with pytest.raises(Exception, match="1 of 1"):
        full.enter(entry(B), 0.0)
    full = make_room(lobby=True, max_participants=2)
    full.enter(moderator(A), 0.0)
    full.enter(entry(B), 0.0)
    full.enter(entry(C), 0.0)
    handle(full, A, Admit(peer=B), 0.0, 0.0)
    [refused] = heard(handle(full, A, Admit(peer=C), 0.0, 0.0), A)
    assert isinstance(refused, Refused)
    assert refused.code == "room-full"


def test_everybody_hears_how_the_room_is(room: Room) -> None:
    effects = handle(room, A, RoomUpdate(locked=True), 0.0, 0.0)
    assert heard(effects, A) == heard(effects, C) == [RoomChanged(locked=True, lobby=True)]
    assert heard(effects, D) == []


def test_end_of_the_room(room: Room) -> None:
    effects = handle(room, A, EndRoom(), 0.0, 0.0)
    for id in (A, B, C, D):
        [bye] = heard(effects, id)
        assert bye == RoomBye(reason=Leaving.ROOM_CLOSED, message="Alice ended the room")
    assert set(departed(effects)) == {A, B, C, D}
    assert room.empty


@pytest.mark.parametrize("message", [Hello(versions=(1,)), Join(room="x")])
def test_out_of_place(room: Room, message: Message) -> None:
    with pytest.raises(UnexpectedMessageError):
        handle(room, B, message, 0.0, 0.0)
