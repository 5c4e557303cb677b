"""Two room servers with people in the same room, without a network between them."""

from itertools import count

import pytest

from softphone.errors import RemoteProtocolError
from softphone.rooms.effects import Closed, Departed, Effect, Sent
from softphone.rooms.errors import BarredError, RoomLockedError
from softphone.rooms.federation import NOBODY, forget, merge, snapshot
from softphone.rooms.people import Entry, Presence
from softphone.rooms.replies import (
    LobbyJoined,
    LobbyLeft,
    Muted,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    RoomChanged,
    Said,
)
from softphone.rooms.requesting import handle
from softphone.rooms.requests import Admit, EndRoom, Mute, Remove, RoomUpdate, Say, Update
from softphone.rooms.room import Room, RoomConfig
from softphone.rooms.statistics import RoomStatistics
from softphone.rooms.values import Leaving, RoomRole
from softphone.signaling.messages import Message, encode

_IDS = count()


class Two:
    """Servers "a" and "b"; what each does is told to the other at once, until nothing is new."""

    def __init__(self) -> None:
        config = RoomConfig(opener_moderates=True)
        self.rooms = {name: Room("test", config, RoomStatistics()) for name in "ab"}
        self.effects: dict[str, list[Effect]] = {"a": [], "b": []}
        self._tell()

    def enter(self, server: str, name: str, **entry: object) -> str:
        id = f"{next(_IDS):026}"
        self._do(server, self.rooms[server].enter(Entry(id=id, name=name, **entry), 0.0))  # type: ignore[arg-type]
        return id

    def ask(self, id: str, message: Message) -> None:
        server = next(n for n, room in self.rooms.items() if id in room.people and not room.people[id].server)
        self._do(server, handle(self.rooms[server], id, message, 0.0, 1_700_000_000.0))

    def do(self, server: str, effects: list[Effect]) -> None:
        self._do(server, effects)

    def told(self, server: str, kind: type[Message]) -> list[Message]:
        """What people of a server were told since the last time."""
        sent = [effect.message for effect in self.effects[server] if isinstance(effect, Sent)]
        return [message for message in sent if isinstance(message, kind)]

    def names(self, server: str) -> list[str]:
        return sorted(person.name for person in self.rooms[server].people.values())

    def _do(self, server: str, effects: list[Effect]) -> None:
        self.effects = {"a": [], "b": []}
        self.effects[server] += effects
        self._tell()

    def _tell(self) -> None:
        for _ in range(4):
            for one, other in ("ab", "ba"):
                self.effects[other] += merge(self.rooms[other], one, snapshot(self.rooms[one]))
        before = {name: snapshot(room) for name, room in self.rooms.items()}
        for one, other in ("ab", "ba"):
            assert not merge(self.rooms[other], one, before[one]), "they must come to rest"


def test_all_see_all_under_names_of_their_own() -> None:
    two = Two()
    alice = two.enter("a", "Alice")
    assert [message.participant.id for message in two.told("b", PeerJoined)] == [alice]  # type: ignore[attr-defined]
    second = two.enter("b", "alice")
    assert two.names("a") == two.names("b") == ["Alice", "alice (2)"]
    assert two.rooms["b"].people[second].role is RoomRole.PARTICIPANT, "the room was open already"
    two.ask(second, Update(hand=True))
    assert len(two.told("a", PeerChanged)) == 1
    assert two.rooms["a"].people[second].hand == 1
    two.do("b", two.rooms["b"].depart(second, Leaving.HUNG_UP))
    assert [message.peer for message in two.told("a", PeerLeft)] == [second]  # type: ignore[attr-defined]
    assert two.rooms["b"].empty
    assert not two.rooms["a"].empty


def test_what_is_said_is_heard_once_on_both() -> None:
    two = Two()
    alice, bob = two.enter("a", "Alice"), two.enter("b", "Bob")
    for number, (who, text) in enumerate([(alice, "Hello"), (bob, "Hi"), (alice, "Well")], 1):
        two.ask(who, Say(text=text))
        for server in "ab":
            (line,) = two.told(server, Said)
            assert isinstance(line, Said)
            assert (line.number, line.peer, line.text) == (number, who, text)


def test_a_moderator_moderates_everywhere() -> None:
    two = Two()
    alice, bob = two.enter("a", "Alice"), two.enter("b", "Bob", invitation="f" * 64)
    two.ask(alice, Mute(peer=bob))
    assert [message.peer for message in two.told("b", Muted)] == [alice]  # type: ignore[attr-defined]
    assert two.rooms["a"].people[bob].muted
    two.ask(alice, Remove(peer=bob, message="go"))
    (bye,) = [effect.bye for effect in two.effects["b"] if isinstance(effect, Closed)]
    assert (bye.reason, bye.message) == (Leaving.REMOVED, "go")
    (left,) = two.told("a", PeerLeft)
    assert left == PeerLeft(peer=bob, reason=Leaving.REMOVED)
    for room in two.rooms.values():
        with pytest.raises(BarredError):
            room.enter(Entry(id=f"{next(_IDS):026}", name="Bob", invitation="f" * 64), 0.0)
        assert bob in room.barred


def test_only_moderators_moderate_elsewhere() -> None:
    two = Two()
    alice, bob = two.enter("a", "Alice"), two.enter("b", "Bob")
    two.ask(bob, Remove(peer=alice))
    assert alice in two.rooms["a"].people
    forged = {"number": 99, "asked": encode(Remove(peer=alice)), "by": bob}
    state = snapshot(two.rooms["b"])
    assert not merge(two.rooms["a"], "b", {**state, "news": [forged]})
    assert alice in two.rooms["a"].people


def test_rules_and_the_lobby_hold_everywhere() -> None:
    two = Two()
    alice = two.enter("a", "Alice")
    bob = two.enter("b", "Bob")
    two.ask(alice, RoomUpdate(locked=True))
    assert two.told("b", RoomChanged) == [RoomChanged(locked=True, lobby=False)]
    with pytest.raises(RoomLockedError):
        two.enter("b", "Carol")
    two.ask(alice, RoomUpdate(locked=False, lobby=True))
    carol = two.enter("b", "Carol")
    assert [message.id for message in two.told("a", LobbyJoined)] == [carol]  # type: ignore[attr-defined]
    two.ask(alice, Admit(peer=carol))
    assert two.told("a", LobbyLeft) == [LobbyLeft(id=carol)]
    assert [message.participant.id for message in two.told("a", PeerJoined)] == [carol]  # type: ignore[attr-defined]
    two.ask(alice, EndRoom())
    closed = {effect.id for effect in two.effects["b"] if isinstance(effect, Closed)}
    assert closed == {bob, carol}
    assert all(not room.people for room in two.rooms.values())


def test_who_comes_back_to_another_server_is_the_same() -> None:
    two = Two()
    alice, bob = two.enter("a", "Alice"), two.enter("b", "Bob")
    two.do("b", two.rooms["b"].come_back(alice, {}, {}))
    assert {effect.id: effect.stays for effect in two.effects["a"] if isinstance(effect, Departed)} == {
        alice: True
    }
    assert [effect.bye.reason for effect in two.effects["a"] if isinstance(effect, Closed)] == [
        Leaving.REPLACED
    ]
    assert not two.told("b", PeerLeft), "nobody has left"
    assert two.rooms["a"].people[alice].server == "b"
    assert {person.server for person in two.rooms["b"].people.values()} == {""}
    assert two.rooms["b"].people[alice].moderates
    assert two.names("a") == two.names("b") == ["Alice", "Bob"]
    assert bob in two.rooms["a"].people


def test_the_people_of_a_server_that_is_gone_may_come_back_for_a_while() -> None:
    two = Two()
    two.enter("a", "Alice")
    bob, carol = two.enter("b", "Bob"), two.enter("b", "Carol")
    room = two.rooms["a"]
    effects = forget(room, "b", 100.0)
    assert len(effects) == 2
    assert {room.people[id].presence for id in (bob, carol)} == {Presence.AWAY}
    assert {room.people[id].server for id in (bob, carol)} == {NOBODY}
    room.come_back(bob, {}, {})
    assert room.deadline == 100.0 + room.config.resume_window
    gone = [
        e.message.peer
        for e in room.advance(room.deadline)
        if isinstance(e, Sent) and isinstance(e.message, PeerLeft)
    ]
    assert gone == [carol]
    assert sorted(person.name for person in room.people.values()) == ["Alice", "Bob"]


def test_what_no_server_tells_is_refused() -> None:
    room = Room("test", RoomConfig(), RoomStatistics())
    people = [{"info": {"id": "x", "name": "y"}, "claim": 1, "waits": False}]
    with pytest.raises(RemoteProtocolError):
        merge(room, "b", {"people": people})
    assert not room.people
