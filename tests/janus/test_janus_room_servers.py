"""Several room servers that share nothing but Janus and a secret."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from janus_listeners import SECRET

from softphone.conference.events import (
    ChatLine,
    ConferenceOver,
    MutedByModerator,
    ParticipantWent,
    SignalingRestored,
)
from softphone.rooms.access import Access
from softphone.rooms.janus.bulletins import BulletinBoard
from softphone.rooms.link import RoomLink
from softphone.rooms.tokens import Invitation
from softphone.rooms.values import Leaving, RoomRole
from tests.conference.rooms import Phone, Rooms, until, until_all_heard
from tests.support.janus_server import JanusProcess


class Servers:
    """Room servers on the same Janus servers."""

    def __init__(self, folder: Path, janus: tuple[JanusProcess, ...], stack: AsyncExitStack) -> None:
        self._folder = folder
        self._options = {
            "urls": ",".join(server.url for server in janus),
            "secret": SECRET,
            "admin-key": "key",
            "auth-secret": "auth",
            "plain-cascade": "yes",
        }
        self._stack = stack

    async def start(self) -> Rooms:
        rooms = Rooms(self._folder)
        self._stack.push_async_callback(rooms.close)
        await self.serve(rooms)
        return rooms

    async def serve(self, rooms: Rooms) -> None:
        """Start it, again on the same port; it never counts as just restarted."""
        settings = {"access": Access.INVITATION, "settle_time": 0.001}
        await rooms.serve(engine="janus", engine_options=self._options, **settings)


@pytest.fixture(params=[1, 2])
async def servers(
    request: pytest.FixtureRequest, tmp_path: Path, two_servers: tuple[JanusProcess, JanusProcess]
) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(tmp_path, two_servers[: request.param], stack)


def token(rooms: Rooms, role: RoomRole = RoomRole.PARTICIPANT) -> str:
    assert rooms.server is not None
    now = time.time()
    return rooms.server.invite(Invitation(room="test", role=role, expires=now + 600), now)


async def speaker(rooms: Rooms, name: str, turn: int, role: RoomRole = RoomRole.PARTICIPANT) -> Phone:
    return await rooms.speaker(name, turn=turn, addresses=None, token=token(rooms, role))


async def test_people_on_different_room_servers_are_in_one_room(servers: Servers) -> None:
    first, second = await servers.start(), await servers.start()
    alice = await speaker(first, "Alice", 0, RoomRole.MODERATOR)
    bob = await speaker(second, "Bob", 1)
    carol = await speaker(first, "Carol", 2)
    phones = (alice, bob, carol)
    await until(lambda: all(phone.connected(2) for phone in phones), what="connections")
    assert [phone.names() for phone in phones] == [["Bob", "Carol"], ["Alice", "Carol"], ["Alice", "Bob"]]
    await until_all_heard(phones, 0.5)
    assert bob.conference.room.say("Hello from the second")
    await until(lambda: alice.told(ChatLine) and carol.told(ChatLine), what="chat")
    alice.conference.room.mute(bob.id)
    await until(
        lambda: bob.told(MutedByModerator) and carol.conference.roster.people[bob.id].muted, what="mute"
    )
    alice.conference.room.remove(bob.id)
    await until(lambda: bob.told(ConferenceOver), what="removal")
    assert bob.told(ConferenceOver)[0].reason == "removed"
    await until(lambda: alice.names() == ["Carol"] and carol.names() == ["Alice"], what="Bob is gone")
    (went,) = carol.told(ParticipantWent)
    assert went.reason is Leaving.REMOVED


async def test_the_people_of_a_lost_room_server_go_on_at_another(servers: Servers) -> None:
    first, second = await servers.start(), await servers.start()
    bob = await speaker(second, "Bob", 1)
    alice = await speaker(first, "Alice", 0)
    await until(lambda: alice.connected(1) and bob.connected(1), what="connections")
    was = alice.id
    assert first.server is not None
    await first.server.close()
    # Another one takes over its address, as a balancer would do it.
    await servers.serve(first)
    await until(lambda: alice.told(SignalingRestored), what="Alice is back")
    assert alice.id == was
    await until(lambda: alice.names() == ["Bob"] and bob.names() == ["Alice"], what="one room")
    await until(lambda: alice.connected(1) and bob.connected(1), what="connections")
    assert not bob.told(ParticipantWent)
    # And a third way: to a server that knows her from the others.
    third = await servers.start()
    carol = await speaker(third, "Carol", 2)
    assert carol.names() == ["Alice", "Bob"]
    alice.conference._client.link = RoomLink.parse(third.server.link("127.0.0.1", "test"))  # type: ignore[union-attr]
    await first.server.close()
    await until(lambda: len(alice.told(SignalingRestored)) == 2, what="Alice is back again")
    await until(lambda: bob.names() == ["Alice", "Carol"] and carol.names() == ["Alice", "Bob"], what="all")
    await until(lambda: all(phone.connected(2) for phone in (alice, bob, carol)), what="connections")
    assert alice.id == was
    assert not bob.told(ParticipantWent)


def test_bulletins_are_read_by_those_who_have_the_key_only() -> None:
    board, other = BulletinBoard(b"k" * 16), BulletinBoard(b"l" * 16)
    state = {"people": [{"name": "Zoë"}] * 50}
    text = board.write("room", "guard.1", "run", 1, state)
    assert "people" not in text
    assert len(text) < 500
    bulletin = board.read("room", "guard.1", text)
    assert bulletin is not None
    assert (bulletin.server, bulletin.state) == ("run", state)
    assert board.read("room", "guard.2", text) is None, "repeated by somebody else"
    assert board.read("other", "guard.1", text) is None
    assert other.read("room", "guard.1", text) is None
    for broken in ("", "b1.", "b1.!", text[:-4], text[3:], "b1." + "A" * 40):
        assert board.read("room", "guard.1", broken) is None


def test_old_bulletins_and_repeated_ones_are_not_news() -> None:
    board = BulletinBoard(b"k" * 16)
    assert board.alone("room")
    board.meet("janus", "room", "guard.1")
    assert board.unread("room")
    old = board.write("room", "guard.1", "run", 1, {"line": 1})
    new = board.write("room", "guard.1", "run", 1, {"line": 2})
    assert board.take("janus", "room", "guard.1", new) is not None
    assert board.take("janus", "room", "guard.1", old) is None
    assert board.take("other", "room", "guard.2", board.write("room", "guard.2", "run", 1, {"line": 3}))
    assert board.states("room") == {"run": {"line": 3}}
    assert board.lose("janus", "room", "guard.1") is None, "it has another guard"
    assert board.lose("other", "room", "guard.2") == "run"
    assert board.alone("room")
    assert board.states("room") == {}
