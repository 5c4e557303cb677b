"""Rooms on real Janus servers: what is said arrives, byte for byte, and only by those who may."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from janus_listeners import SECRET, Listener, MakeEngine, MakeRoom, warm_up

from softphone.errors import ConfigError
from softphone.opus import DredState
from softphone.rooms.engines import Seat, load_engine
from softphone.rooms.errors import EngineError
from softphone.rooms.janus import JanusEngine, JanusError, JanusTicket
from softphone.rooms.janus.session import JanusSession
from softphone.rooms.janus.videoroom import PLUGIN
from tests.support.janus_server import JanusProcess
from tests.support.stream import opus_packets
from tests.support.webrtc_calls import until

Servers = tuple[JanusProcess, JanusProcess]
WORDS = opus_packets(dred_ms=1000, bitrate=48_000, fec=False)[:100]
KEYS = {"admin_key": "key", "auth_secret": "auth"}


def dred_samples(payloads: list[bytes]) -> int:
    """How much DRED there is in all of them, in samples at 48 kHz."""
    state = DredState()
    return sum(state.parse(payload, 48_000) for payload in payloads)


async def entered(make_room: MakeRoom, engine: JanusEngine, room: str, *ids: str) -> list[Listener]:
    """Let participants in, one after the other."""
    listeners = []
    for participant in ids:
        listener = Listener(make_room(await engine.join(Seat(room, participant))))
        await listener.enter()
        listeners.append(listener)
    for listener, own in zip(listeners, ids, strict=True):
        await listener.hears(*(other for other in ids if other != own))
    for speaker in listeners:
        await warm_up(speaker, *(listener for listener in listeners if listener is not speaker))
    return listeners


async def test_every_payload_passes_untouched_with_its_dred(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    engine = make_engine(two_servers[0], **KEYS)
    alice, bob = await entered(make_room, engine, "one", "alice", "bob")
    await asyncio.gather(alice.say(WORDS), bob.say(WORDS[::-1]))
    await until(lambda: len(bob.payloads("alice")) == len(alice.payloads("bob")) == len(WORDS))
    assert tuple(bob.payloads("alice")) == WORDS
    assert tuple(alice.payloads("bob")) == WORDS[::-1]
    assert dred_samples(bob.payloads("alice")) == dred_samples(list(WORDS)) > 100 * 4_800
    assert [packet.audio_level for packet in bob.heard["alice"]] == list(range(100))
    times = [packet.timestamp for packet in bob.heard["alice"]]
    assert [b - a for a, b in pairwise(times)] == [960] * 99
    assert bob.peers["alice"].negotiated is not None
    assert bob.peers["alice"].negotiated.direction == "recvonly"


async def test_what_is_said_on_one_of_two_servers_is_heard_on_the_other(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    engine = make_engine(*two_servers, plain_cascade="yes", **KEYS)
    alice, bob, carol = await entered(make_room, engine, "two", "alice", "bob", "carol")
    urls = [listener.room.ticket.url for listener in (alice, bob, carol)]
    assert len(set(urls)) == 2, "the three must be spread over both servers"
    await asyncio.gather(alice.say(WORDS), bob.say(WORDS[::-1]), carol.say(WORDS[1:]))
    for listener in (alice, bob, carol):
        for who, words in (("alice", WORDS), ("bob", WORDS[::-1]), ("carol", WORDS[1:])):
            if listener.room.ticket.participant == who:
                continue
            await until(lambda: len(listener.payloads(who)) == len(words))  # noqa: B023
            assert tuple(listener.payloads(who)) == words
            levels = [packet.audio_level for packet in listener.heard[who]]
            assert levels == list(range(len(words)))
    await alice.room.leave()
    await until(lambda: bob.gone == carol.gone == ["alice"])


async def test_servers_that_cannot_encrypt_between_them_are_not_cascaded_unasked(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_engine(*two_servers, **KEYS)
    await engine.start()
    if all(server.srtp for server in engine._servers):
        pytest.skip("these servers encrypt what they send to each other")
    alice = Listener(make_room(await engine.join(Seat("plain", "alice"))))
    await alice.enter()
    await until(lambda: "without encryption" in caplog.text)


async def test_people_come_late_leave_and_come_back(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    engine = make_engine(two_servers[1])
    alice, bob = await entered(make_room, engine, "three", "alice", "bob")
    await bob.room.leave()
    await until(lambda: alice.gone == ["bob"])
    del alice.peers["bob"]
    again = Listener(make_room(await engine.join(Seat("three", "bob"))))
    await again.enter()
    await again.hears("alice")
    await alice.hears("bob")
    await warm_up(again, alice)
    await again.say(WORDS[:10])
    await until(lambda: alice.payloads("bob") == list(WORDS[:10]))


async def test_who_is_removed_is_out_and_stays_out(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    engine = make_engine(two_servers[0], **KEYS)
    alice, bob = await entered(make_room, engine, "four", "alice", "bob")
    await engine.leave(Seat("four", "bob"))
    await until(lambda: bob.lost == 1 and alice.gone == ["bob"])
    again = make_room(bob.room.ticket.to_connection())
    with pytest.raises(JanusError, match="nauthorized"):
        await again.enter()
    assert alice.lost == 0


async def test_nobody_comes_in_without_a_token_or_listens_without_having_come_in(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    engine = make_engine(two_servers[0], **KEYS)
    (alice,) = await entered(make_room, engine, "five", "alice")
    mallory = make_room({**alice.room.ticket.to_connection(), "participant": "mallory", "token": "guess"})
    with pytest.raises(JanusError, match="nauthorized"):
        await mallory.enter()
    no_signature = make_room({**alice.room.ticket.to_connection(), "auth": ""})
    with pytest.raises(JanusError):
        await no_signature.enter()
    async with JanusSession(alice.room.ticket.url, token=alice.room.ticket.auth) as session:
        handle = await session.attach(PLUGIN)
        body = {
            "request": "join",
            "ptype": "subscriber",
            "room": "five",
            "streams": [{"feed": alice.room._feed}],
        }
        with pytest.raises(JanusError):
            await handle.message(body)
        with pytest.raises(JanusError):
            await handle.message({"request": "create", "room": "mine"})
        with pytest.raises(JanusError):
            await handle.message({"request": "kick", "room": "five", "id": alice.room._feed, "secret": "x"})


async def test_who_speaks_in_the_name_of_another_is_thrown_out(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    engine = make_engine(two_servers[1])
    (alice,) = await entered(make_room, engine, "six", "alice")
    own = await engine.join(Seat("six", "mallory"))
    mallory = Listener(make_room({**own, "participant": "alice"}))
    await mallory.enter()
    await until(lambda: mallory.lost == 1)
    assert alice.lost == 0


async def test_another_room_server_with_the_secret_takes_over(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    first, second = make_engine(two_servers[1]), make_engine(two_servers[1])
    alice = Listener(make_room(await first.join(Seat("seven", "alice"))))
    await alice.enter()
    await first.stop()
    bob = Listener(make_room(await second.join(Seat("seven", "bob"))))
    await bob.enter()
    await alice.hears("bob")
    await warm_up(bob, alice)
    await bob.say(WORDS[:5])
    await until(lambda: alice.payloads("bob") == list(WORDS[:5]))
    await second.leave(Seat("seven", "alice"))
    await until(lambda: alice.lost == 1)


async def test_a_room_server_that_restarts_takes_nobody_off_the_air(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    options = {"plain_cascade": "yes", **KEYS}
    first = make_engine(*two_servers, **options)
    listeners = await entered(make_room, first, "nine", "alice", "bob", "carol")
    await first.stop()
    second = make_engine(*two_servers, **options)
    # All of them come back at once, while it is getting to know what there is.
    await asyncio.gather(*(second.join(Seat("nine", who)) for who in ("alice", "bob", "carol")))
    await asyncio.sleep(1.0)
    for speaker in listeners:
        await warm_up(speaker, *(listener for listener in listeners if listener is not speaker))
    assert [listener.gone for listener in listeners] == [[], [], []]


async def test_a_feed_is_passed_on_again_where_that_was_interrupted(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    engine = make_engine(*two_servers, plain_cascade="yes", **KEYS)
    listeners = await entered(make_room, engine, "ten", "alice", "bob", "carol")
    alice = listeners[0]
    (away,) = (server for server in engine._servers if server is not engine._home("ten", "alice"))
    side = away.side("ten")
    assert side is not None
    await side.handle.message(side.body("remove_remote_publisher", id=alice.room._feed))
    others = [other for other in listeners[1:] if other.room.ticket.url != alice.room.ticket.url]
    assert others
    for other in others:
        peer = other.peers["alice"]
        await until(lambda: other.gone == ["alice"] and other.peers["alice"] is not peer, 10)  # noqa: B023
        await other.hears("alice")
    await warm_up(alice, *others)


async def test_a_room_ends_with_its_last_participant(
    two_servers: Servers, make_engine: MakeEngine, make_room: MakeRoom
) -> None:
    engine = make_engine(two_servers[1])
    (alice,) = await entered(make_room, engine, "eight", "alice")
    await engine.close_room("eight")
    assert alice.lost == 0, "somebody is still in"
    await alice.room.leave()
    await engine.close_room("eight")
    administrator = await engine._servers[0].administrator()
    with pytest.raises(JanusError):
        await administrator.participants("eight")
    await engine.leave(Seat("eight", "alice"))
    await engine.close_room("eight")


async def test_a_server_that_restarts_is_used_again() -> None:
    with JanusProcess() as server:
        engine = load_engine("janus", {"urls": server.url, "secret": SECRET})
        try:
            connection = await engine.join(Seat("nine", "alice"))
            server.stop()
            with pytest.raises(EngineError):
                await engine.join(Seat("nine", "alice"))
            server.start()
            assert await engine.join(Seat("nine", "alice")) == connection
        finally:
            await engine.stop()


@pytest.mark.parametrize("reclaim", [0, 10])
async def test_a_lost_connection_is_told_or_replaced(make_room: MakeRoom, reclaim: int) -> None:
    with JanusProcess(reclaim=reclaim) as server:
        engine = load_engine("janus", {"urls": server.url, "secret": SECRET})
        assert isinstance(engine, JanusEngine)
        try:
            alice, bob = await entered(make_room, engine, "ten", "alice", "bob")
            session = bob.room._session
            assert session is not None
            assert session._socket is not None
            transport = session._socket.get_extra_info("socket")
            transport.shutdown(2)
            if not reclaim:
                await until(lambda: bob.lost == 1 and alice.gone == ["bob"])
                return
            await asyncio.sleep(0.5)
            await alice.say(WORDS[:20])
            await until(lambda: bob.payloads("alice") == list(WORDS[:20]))
            carol = Listener(make_room(await engine.join(Seat("ten", "carol"))))
            await carol.enter()
            await bob.hears("carol")
            assert bob.lost == 0
        finally:
            await engine.stop()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"urls": "ws://127.0.0.1:1", "secret": "short"},
        {"urls": "http://127.0.0.1:1", "secret": SECRET},
        {"urls": "ws://a,ws://b", "client-urls": "wss://a", "secret": SECRET},
        {"urls": "ws://a", "secret": SECRET, "colour": "red"},
        {"urls": "ws://a", "secret": SECRET, "max-participants": "many"},
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        load_engine("janus", options)


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n", encoding="utf-8")
    load_engine("janus", {"urls": "ws://a", "secret-file": str(tmp_path / "secret")})
    with pytest.raises(ConfigError, match="can't be read"):
        load_engine("janus", {"urls": "ws://a", "secret-file": str(tmp_path / "nothing")})


async def test_a_server_that_is_not_there_is_an_error_of_the_engine() -> None:
    engine = load_engine("janus", {"urls": "ws://127.0.0.1:9", "secret": SECRET})
    with pytest.raises(EngineError):
        await engine.start()
    await engine.stop()


def test_a_ticket_goes_through_the_signalling() -> None:
    ticket = JanusTicket("wss://janus.example/janus", "team", "alice", "token", "seal", "auth")
    assert JanusTicket.from_connection({**ticket.to_connection(), "new": 1}) == ticket
    assert "token" not in repr(ticket)
    assert "seal" not in repr(ticket)
    for broken in ({}, {"url": "ftp://x"}, {**ticket.to_connection(), "room": 5}):
        with pytest.raises(ValueError, match="engine"):
            JanusTicket.from_connection(broken)
