"""People in rooms over real sockets."""

import asyncio
from typing import Any

import aiohttp
import aiohttp.web
import pytest
from room_fixtures import SDP, SECRET
from room_visitors import StartRooms, base, invite, invite_moderator, until, visitor

from softphone.errors import ConfigError
from softphone.rooms import Access, IceProvider, RoomConfig, RoomRole, RoomServer, RoomServerConfig
from softphone.rooms.certificate import self_made_certificate
from softphone.rooms.engines import RoomEngine, Seat
from softphone.rooms.errors import EngineError


async def test_two_people(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    async with visitor(server) as bob, visitor(server) as carol:
        first = await bob.join("Bob")
        assert first["role"] == "moderator"  # who opens a room for which no invitation is asked
        joined = await carol.join("Carol")
        assert joined["participants"] == [{"id": bob.id, "name": "Bob", "role": "moderator"}]
        assert (joined["max_participants"], joined["resume_seconds"]) == (8, 30)
        assert bob.id < carol.id
        assert (await bob.hear())["participant"] == {"id": carol.id, "name": "Carol"}
        offer: dict[str, Any] = {"kind": "offer", "session": "k3Jx", "round": 1, "sdp": SDP}
        await carol.say("signal", peer=bob.id, **offer)
        assert await bob.hear() == {"type": "signal", "peer": carol.id, **offer}
        candidate: dict[str, Any] = {"kind": "candidate", "session": "k3Jx", "round": 1, "candidate": ""}
        await bob.say("signal", peer=carol.id, **candidate)
        assert await carol.hear() == {"type": "signal", "peer": bob.id, **candidate}
        await carol.say("bye")
        assert await bob.hear() == {"type": "peer-left", "peer": carol.id, "reason": "hung-up"}
        assert await carol.is_closed()
        await bob.say("bye")
    await until(lambda: not server.hub.rooms)
    assert server.statistics.joined == 2


async def test_rooms_are_separate(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    async with visitor(server) as bob, visitor(server) as carol:
        await bob.join("Bob", "one")
        assert "participants" not in await carol.join("Carol", "two")
        await carol.say("signal", peer=bob.id, kind="restart")
        await carol.say("say", text="hello?")
        await carol.hear("said")
        assert server.statistics.signals_dropped == 1


async def test_coming_back(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    async with visitor(server) as bob:
        await bob.join("Bob")
        async with visitor(server) as carol:
            await carol.join("Carol")
            carol.cut()
            await bob.hear("peer-joined")
            assert (await bob.hear("peer-changed"))["participant"]["away"]
        await bob.say("say", text="while you were away")
        async with visitor(server) as again:
            answer = await again.join("Mallory", resume=carol.resume)
            assert (answer["id"], answer["name"], answer["resumed"]) == (carol.id, "Carol", True)
            assert (await again.hear())["text"] == "while you were away"
            await bob.hear("said")
            assert (await bob.hear())["participant"] == {"id": carol.id, "name": "Carol"}
            async with visitor(server) as newest:
                assert (await newest.join(resume=again.resume))["id"] == carol.id
                assert (await again.hear())["reason"] == "replaced"
                assert await again.is_closed()
                await newest.say("say", text="I am here")
                assert (await bob.hear("said"))["text"] == "I am here"
    assert server.statistics.resumed == 2


async def test_coming_back_too_late_is_coming_in(start_rooms: StartRooms) -> None:
    server = await start_rooms(room=RoomConfig(resume_window=0.05))
    async with visitor(server) as bob, visitor(server) as carol:
        await bob.join("Bob")
        await carol.join("Carol")
        carol.cut()
        assert (await bob.hear("peer-left"))["reason"] == "gone"
        async with visitor(server) as again:
            answer = await again.join("Carol", resume=carol.resume)
            assert "resumed" not in answer
            assert answer["id"] > carol.id


@pytest.mark.parametrize("same_secret", [True, False])
async def test_the_server_restarts(start_rooms: StartRooms, same_secret: bool) -> None:
    first = await start_rooms()
    async with visitor(first) as bob, visitor(first) as carol:
        await bob.join("Bob")
        await carol.join("Carol")
        await first.close()
        for each in (bob, carol):
            assert (await each.hear("bye"))["reason"] == "stopping"
            assert await each.is_closed()
    second = await start_rooms(port=first.addresses[0][1], token_secret=SECRET if same_secret else SECRET * 2)
    async with visitor(second) as bob_again, visitor(second) as carol_again:
        answer = await carol_again.join("Carol", resume=carol.resume)
        assert answer.get("resumed", False) == same_secret
        assert (answer["id"] == carol.id) == same_secret
        if not same_secret:
            return
        assert 50 <= answer["settle_seconds"] <= 60
        assert answer["role"] == "participant"
        answer = await bob_again.join("Bob", resume=bob.resume)
        assert (answer["id"], answer["role"]) == (bob.id, "moderator")
        assert [p["id"] for p in answer["participants"]] == [carol.id]
        assert (await carol_again.hear())["participant"]["id"] == bob.id
        async with visitor(second) as newcomer:
            await newcomer.join("Dora")
            assert newcomer.id > carol.id
    assert second.statistics.restored == 2


async def test_long_after_a_restart_nobody_is_restored(start_rooms: StartRooms) -> None:
    first = await start_rooms()
    async with visitor(first) as bob:
        await bob.join("Bob")
    second = await start_rooms(settle_time=0.0)
    async with visitor(second) as again:
        answer = await again.join("Bob", resume=bob.resume)
        assert "resumed" not in answer
        assert answer["id"] != bob.id


async def test_moderating(start_rooms: StartRooms) -> None:
    server = await start_rooms(access=Access.INVITATION, room=RoomConfig(lobby=True))
    for_bob = invite(server)
    async with visitor(server) as alice, visitor(server) as bob, visitor(server) as carol:
        joined = await alice.join("Ignored", token=invite_moderator(server, "Alice"))
        assert (joined["name"], joined["role"], joined["lobby"]) == ("Alice", "moderator", True)
        assert (await bob.join("Bob", token=for_bob))["type"] == "waiting"
        knock = await alice.hear("lobby-joined")
        await alice.say("admit", peer=knock["id"])
        bob.id = (await bob.hear("joined"))["id"]
        assert bob.id == knock["id"]
        await carol.join("Carol", token=invite(server))
        await alice.say("deny", peer=(await alice.hear("lobby-joined"))["id"], message="another time")
        assert (await carol.hear("bye"))["reason"] == "denied"
        assert await carol.is_closed()
        await alice.say("mute", peer=bob.id)
        assert await bob.hear("muted") == {"type": "muted", "peer": alice.id}
        await alice.say("remove", peer=bob.id, message="enough")
        assert await bob.hear("bye") == {"type": "bye", "reason": "removed", "message": "enough"}
        assert await bob.is_closed()
        async with visitor(server) as again:
            assert (await again.join("Bob", token=for_bob))["code"] == "barred"
        await alice.say("end-room")
        assert (await alice.hear("bye"))["reason"] == "room-closed"
    assert not server.hub.rooms


async def test_a_full_room(start_rooms: StartRooms) -> None:
    server = await start_rooms(max_participants=1)
    async with visitor(server) as bob, visitor(server) as carol:
        await bob.join("Bob")
        answer = await carol.join("Carol")
        assert (answer["type"], answer["code"]) == ("error", "room-full")
        assert "1 of 1" in answer["message"]
        assert await carol.is_closed()
    assert server.statistics.not_admitted == {"room-full": 1}


async def test_ice_servers_are_renewed(start_rooms: StartRooms) -> None:
    ice = IceProvider(stun=("stun:192.0.2.1",), turn=("turn:192.0.2.1",), secret="north", lifetime=60)
    object.__setattr__(ice, "lifetime", 1)  # a minute would be long for a test
    server = await start_rooms(ice=ice, relay_only=True)
    async with visitor(server) as bob:
        joined = await bob.join("Bob")
        stun, turn = joined["ice_servers"]
        assert stun == {"urls": ["stun:192.0.2.1"]}
        assert turn["username"].endswith(f":{bob.id}")
        assert (joined["ice_ttl"], joined["relay_only"]) == (1, True)
        renewed = await bob.hear("ice-servers")
        assert renewed["ice_servers"][1]["urls"] == ["turn:192.0.2.1"]
        assert renewed["ice_ttl"] == 1


async def test_signs_of_life(start_rooms: StartRooms) -> None:
    server = await start_rooms(heartbeat=0.05)
    async with visitor(server) as bob:
        await bob.join("Bob")
        for _ in range(2):
            await bob.hear("alive")


async def test_who_answers_no_pings_is_away(start_rooms: StartRooms) -> None:
    server = await start_rooms(heartbeat=0.1)
    async with visitor(server) as bob, visitor(server, autoping=False) as silent:
        await bob.join("Bob")
        await silent.join("Silent")
        assert (await bob.hear("peer-changed"))["participant"]["away"]


async def test_https(start_rooms: StartRooms, tmp_path: Any) -> None:
    certificate = self_made_certificate(["127.0.0.1"], tmp_path / "keys")
    server = await start_rooms(tls=certificate.context)
    trust = aiohttp.Fingerprint(bytes.fromhex(certificate.fingerprint.replace(":", "")))
    assert server.link("127.0.0.1", "standup", "t").startswith("https://127.0.0.1:")
    async with visitor(server, ssl=trust) as bob:
        assert (await bob.join("Bob"))["type"] == "joined"


def test_links() -> None:
    server = RoomServer(RoomServerConfig(token_secret=SECRET, port=7640))
    assert server.link("192.0.2.7", "standup", "t.o-k_") == "http://192.0.2.7:7640/r/standup#t.o-k_"
    assert server.link("2001:db8::7", "standup") == "http://[2001:db8::7]:7640/r/standup"
    server = RoomServer(RoomServerConfig(token_secret=SECRET, public_url="https://meet.example.org"))
    assert server.link("192.0.2.7", "standup") == "https://meet.example.org/r/standup"


@pytest.mark.parametrize(
    "settings",
    [
        {"port": 70_000},
        {"heartbeat": 0.0},
        {"max_rooms": 0},
        {"relay_only": True},
        {"public_url": "meet.example.org"},
        {"public_url": "https://meet.example.org/rooms"},
        {"public_url": "ftp://meet.example.org"},
        {"allowed_hosts": frozenset({"a b"})},
        {"token_secret": b"short"},
        {"engine": "carrier-pigeon"},
    ],
)
async def test_impossible_settings(start_rooms: StartRooms, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        await start_rooms(**settings)


@pytest.mark.parametrize(
    "settings", [{"max_participants": 0}, {"max_participants": 201}, {"max_waiting": 65}]
)
def test_impossible_rooms(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RoomConfig(**settings)


async def test_an_address_in_use(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    with pytest.raises(ConfigError, match="choose another address or port"):
        await start_rooms(port=server.addresses[0][1])


class FakeMediaServer(RoomEngine):
    """An engine that can fail, and notes what it is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.broken = False
        self.told: list[tuple[str, str]] = []

    async def join(self, seat: Seat) -> dict[str, object]:
        await asyncio.sleep(0.01)
        if self.broken:
            raise EngineError("secret details")
        self.told.append(("join", seat.name))
        return {"url": "wss://media.example.org", "ticket": "x" * 500}

    async def leave(self, seat: Seat) -> None:
        self.told.append(("leave", seat.room))

    async def close_room(self, room: str) -> None:
        self.told.append(("close", room))
        raise EngineError("too late to matter")


async def test_an_engine_is_told(start_rooms: StartRooms, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeMediaServer()
    monkeypatch.setattr("softphone.rooms.server.load_engine", lambda name, options: engine)
    server = await start_rooms(engine="media")
    async with visitor(server) as bob, visitor(server) as carol:
        joined = await bob.join("Bob")
        assert joined["engine"] == "media"
        assert joined["connection"] == {"url": "wss://media.example.org", "ticket": "x" * 500}
        engine.broken = True
        answer = await carol.join("Carol")
        assert (answer["type"], answer["code"]) == ("error", "engine")
        assert "secret details" not in answer["message"]
        await bob.say("bye")
    await until(lambda: len(engine.told) == 3)
    assert engine.told == [("join", "Bob"), ("leave", "standup"), ("close", "standup")]


async def test_an_engine_that_does_not_start(
    start_rooms: StartRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(RoomEngine):
        async def start(self) -> None:
            raise EngineError("no media server there")

    monkeypatch.setattr("softphone.rooms.server.load_engine", lambda name, options: Broken({}))
    with pytest.raises(EngineError):
        await start_rooms(engine="media")


async def test_a_handler_for_more(start_rooms: StartRooms) -> None:
    async def hello(request: aiohttp.web.BaseRequest) -> aiohttp.web.Response:
        return aiohttp.web.Response(text=f"{request.method} {request.path}")

    server = await start_rooms()
    server.mount("/more/", hello)
    async with aiohttp.ClientSession() as http, http.post(f"{base(server)}/more/here") as answer:
        assert await answer.text() == "POST /more/here"


async def test_roles_come_from_invitations_only(start_rooms: StartRooms) -> None:
    server = await start_rooms(access=Access.INVITATION)
    async with visitor(server) as bob:
        joined = await bob.join("Bob", token=invite(server, role=RoomRole.PARTICIPANT))
        assert joined["role"] == "participant"  # though he opened the room
        await bob.say("room-update", locked=True)
        assert (await bob.hear())["code"] == "forbidden"


async def test_thinking_better_of_it(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    async with visitor(server) as bob:
        await bob.greet()
        await bob.say("bye")
        assert await bob.is_closed()
    assert server.statistics.joined == 0
