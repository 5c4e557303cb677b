"""Strangers and vandals: nobody gets in, nothing goes down, the room goes on."""

import asyncio
import contextlib
import json
import socket
import time
from typing import Any

import aiohttp
import pytest
from room_fixtures import SDP, SECRET
from room_visitors import (
    StartRooms,
    Visitor,
    base,
    invite,
    invite_moderator,
    still_serves,
    until,
    visitor,
)

from softphone.rooms import Access, Invitation, RoomConfig, RoomServer, TokenSigner
from softphone.signaling.messages import MAX_MESSAGE_BYTES


async def refused(server: RoomServer, **members: Any) -> str:
    """The code with which somebody is turned away."""
    async with visitor(server) as stranger:
        answer = await stranger.join("Mallory", **members)
        assert answer["type"] == "error"
        assert await stranger.is_closed()
        return str(answer["code"])


async def test_tokens(start_rooms: StartRooms) -> None:
    server = await start_rooms(access=Access.INVITATION)
    forged = TokenSigner(SECRET[::-1]).invite(
        Invitation(room="standup", expires=time.time() + 60), time.time()
    )
    genuine = invite(server)
    head, body, signature = genuine.split(".")
    async with visitor(server) as alice:
        await alice.join("Alice", token=invite_moderator(server))
        for token, code in (
            ("", "unauthorized"),
            ("guess", "unauthorized"),
            (forged, "unauthorized"),
            (f"{head}.{body}.{signature[::-1]}", "unauthorized"),
            (f"{head}.{body[:-2]}AA.{signature}", "unauthorized"),
            (f"{head}.{body}.", "unauthorized"),
            (alice.resume, "unauthorized"),
            (invite(server, seconds=-5.0), "token-expired"),
            (invite(server, room="town-hall"), "wrong-room"),
            (invite(server, room="town-hall", seconds=-5.0), "wrong-room"),
        ):
            assert await refused(server, token=token) == code, token
        assert await refused(server, token="", resume=genuine) == "unauthorized"
        assert await refused(server, token="", resume="x.y.z") == "unauthorized"
        await alice.say("say", text="alone?")
        assert (await alice.hear())["type"] == "said"  # of the others she has heard nothing
    assert server.statistics.joined == 1
    assert server.connections.unauthorized == 9
    await still_serves(server)


async def test_an_error_tells_no_secrets(start_rooms: StartRooms) -> None:
    server = await start_rooms(access=Access.SECRET)
    texts = set()
    for token in ("", "guess", server.secret[:-1], invite(server) + "x"):
        async with visitor(server) as stranger:
            texts.add(json.dumps(await stranger.join("Mallory", token=token)))
    assert len(texts) == 1
    assert server.secret not in texts.pop()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", "bad-message"),
        ("[]", "bad-message"),
        ('{"type":"hello"}', "bad-message"),
        ("[" * 50_000, "bad-message"),
        ('{"type":"invite","sdp":"v=0\\r\\nm=audio"}', "bad-message"),
        ('{"type":"joined"}', "bad-message"),
        ('{"type":"join","room":"standup"}', "unexpected"),
        ('{"type":"end-room"}', "unexpected"),
        ('{"type":"hello","versions":[2,3]}', "version"),
    ],
)
async def test_bad_first_message(start_rooms: StartRooms, text: str, code: str) -> None:
    server = await start_rooms()
    async with visitor(server) as stranger:
        await stranger.socket.send_str(text)
        assert (await stranger.hear())["code"] == code
        assert await stranger.is_closed()
    await still_serves(server)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", "bad-message"),
        ('{"type":"say","text":"x","loud":true}', "bad-message"),
        ('{"type":"signal","peer":"x","kind":"offer"}', "bad-message"),
        ('{"type":"hello","versions":[1]}', "unexpected"),
        ('{"type":"join","room":"standup"}', "unexpected"),
    ],
)
async def test_who_breaks_the_protocol_inside_has_to_go(
    start_rooms: StartRooms, text: str, code: str
) -> None:
    server = await start_rooms()
    async with visitor(server) as alice, visitor(server) as vandal:
        await alice.join("Alice")
        await vandal.join("Vandal")
        await vandal.socket.send_str(text)
        assert (await vandal.hear("error"))["code"] == code
        assert await vandal.is_closed()
        assert await alice.hear("peer-left") == {"type": "peer-left", "peer": vandal.id, "reason": "gone"}
        await alice.say("say", text="still here")
        assert (await alice.hear("said"))["text"] == "still here"


@pytest.mark.parametrize("stage", ["hello", "join", "inside"])
async def test_oversize(start_rooms: StartRooms, stage: str) -> None:
    server = await start_rooms()
    async with visitor(server) as alice, visitor(server) as vandal:
        await alice.join("Alice")
        if stage == "join":
            await vandal.greet()
        elif stage == "inside":
            await vandal.join("Vandal")
        await vandal.socket.send_str("x" * (MAX_MESSAGE_BYTES + 1))
        assert await vandal.is_closed()
        assert vandal.socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        await until(lambda: server.connections.messages_oversize == 1)
        await alice.say("say", text="still here")
        await alice.hear("said")


async def test_capabilities_that_would_burden_everybody(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    async with visitor(server) as vandal:
        await vandal.greet(capabilities={f"key-{n}": "x" * 100 for n in range(20)})
        await vandal.say("join", room="standup")
        assert (await vandal.hear())["code"] == "bad-message"


@pytest.mark.parametrize("kind", ["text", "ping", "signal"])
async def test_too_many_messages(start_rooms: StartRooms, kind: str) -> None:
    server = await start_rooms(message_rate=5.0, message_burst=50.0)
    async with visitor(server) as alice, visitor(server, autoping=False) as vandal:
        await alice.join("Alice")
        await vandal.join("Vandal")
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                if kind == "ping":
                    await vandal.socket.ping()
                elif kind == "signal":
                    await vandal.say("signal", peer=alice.id, kind="restart")
                else:
                    await vandal.say("say", text="spam")
        await until(lambda: server.connections.rate_exceeded == 1)
        assert (await alice.hear("peer-left"))["peer"] == vandal.id
        await alice.say("say", text="at last")
        assert (await alice.hear("said"))["text"] in ("at last", "spam")
    assert server.statistics.signals_relayed < 60
    assert server.statistics.lines_said < 20


async def test_chat_is_slowed_down_without_loss_of_the_room(start_rooms: StartRooms) -> None:
    server = await start_rooms(room=RoomConfig(request_rate=1.0, request_burst=3.0))
    async with visitor(server) as alice:
        await alice.join("Alice")
        for _ in range(6):
            await alice.say("say", text="hello")
        kinds = [(await alice.hear())["type"] for _ in range(6)]
        assert kinds == ["said"] * 3 + ["refused"] * 3
        await alice.say("signal", peer=alice.id, kind="restart")
        assert not alice.socket.closed


SCRIPTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"';--</textarea><svg/onload=alert(1)>",
    "{{constructor.constructor('alert(1)')()}}",
    "javascript:alert(1)",
    "&lt;script&gt;",
]


@pytest.mark.parametrize("script", SCRIPTS)
async def test_scripts_are_text(start_rooms: StartRooms, script: str) -> None:
    server = await start_rooms()
    async with visitor(server) as alice, visitor(server) as vandal:
        await alice.join("Alice")
        await vandal.join(script)
        newcomer = (await alice.hear("peer-joined"))["participant"]
        assert newcomer["name"] == script
        await vandal.say("say", text=script)
        line = await alice.hear("said")
        # Neither interpreted nor altered: a page shows it with textContent.
        assert (line["name"], line["text"]) == (script, script)


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        ("a\u202egpj.exe", "agpj.exe"),
        ("\x1b]0;owned\x07\x1b[2J", "]0;owned[2J"),
        ("two\r\nlines", "two lines"),
        ("nul\x00l", "null"),
    ],
)
async def test_text_that_would_fool_a_terminal(start_rooms: StartRooms, text: str, arrives: str) -> None:
    server = await start_rooms()
    async with visitor(server) as alice, visitor(server) as vandal:
        await alice.join("Alice")
        await vandal.join(text)
        assert (await alice.hear("peer-joined"))["participant"]["name"] == arrives
        await vandal.say("say", text=text)
        assert (await alice.hear("said"))["text"] == arrives


@pytest.mark.parametrize("name", ["Alice", "alice", "A1ice", "Ａｌｉｃｅ", "Ali\u200bce", "Al\u0131ce"])
async def test_nobody_is_taken_for_somebody_else(start_rooms: StartRooms, name: str) -> None:
    server = await start_rooms()
    async with visitor(server) as alice, visitor(server) as vandal:
        await alice.join("Alice", token=invite(server, name="Alice"))
        assert (await vandal.join(name))["name"].endswith(" (2)")
        await vandal.say("update", name="Alice")
        assert (await vandal.hear("peer-changed"))["participant"]["name"] == "Alice (2)"


async def test_a_name_of_mixed_letters(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    async with visitor(server) as vandal:
        assert (await vandal.join("Аlice"))["code"] == "bad-name"


async def test_who_does_not_read_is_dropped(start_rooms: StartRooms) -> None:
    server = await start_rooms(max_backlog_messages=20, message_rate=1000.0, message_burst=5000.0)
    async with visitor(server) as alice, visitor(server) as bob:
        await alice.join("Alice")
        # Somebody whose receive window closes: a raw socket that is never read.
        reader, writer = await asyncio.open_connection("127.0.0.1", server.addresses[0][1], limit=1024)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await upgrade(reader, writer)
        write_frame(writer, {"type": "hello", "versions": [1], "name": "Slow"})
        write_frame(writer, {"type": "join", "room": "standup"})
        slow = (await alice.hear("peer-joined"))["participant"]["id"]
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await bob.join("Bob")
        offer = {"kind": "offer", "session": "s", "round": 1, "sdp": SDP + "a=x\r\n" * 6000}
        started = time.monotonic()
        for _ in range(400):
            await bob.say("signal", peer=slow, **offer)
            if server.statistics.slow_dropped:
                break
            await asyncio.sleep(0)
        await until(lambda: server.statistics.slow_dropped == 1)
        changed = await alice.hear("peer-changed")
        assert changed["participant"]["away"]
        assert time.monotonic() - started < 5.0
        await bob.say("say", text="not held up")
        assert (await alice.hear("said"))["text"] == "not held up"
        writer.close()


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b"101" in await reader.readline()


def write_frame(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """A masked text frame (RFC 6455 section 5.2), the mask being zero."""
    payload = json.dumps(message).encode()
    assert len(payload) < 126
    writer.write(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)


async def test_a_thousand_connections_that_never_join(start_rooms: StartRooms) -> None:
    server = await start_rooms(
        join_timeout=1.5, max_strangers_per_address=100, connection_burst=2000.0, access=Access.INVITATION
    )
    port = server.addresses[0][1]
    async with visitor(server, "127.0.0.2") as alice:
        await alice.join("Alice", token=invite(server))
        loop = asyncio.get_running_loop()
        crowd: list[socket.socket] = []
        try:
            for number in range(1000):
                stranger = socket.socket()
                stranger.setblocking(False)
                stranger.bind((f"127.0.1.{number % 20}", 0))
                crowd.append(stranger)
                await loop.sock_connect(stranger, ("127.0.0.1", port))
                if number % 3 == 0:
                    with contextlib.suppress(OSError):
                        await loop.sock_sendall(stranger, b"GET /ws HTTP/1.1\r\nHost: x\r\n")
            await until(lambda: server.connections.connections >= 1001)
            # As many as there may be, the others were closed at once.
            assert server.connections.connections_refused >= 700
            await alice.say("say", text="go on")
            started = time.monotonic()
            assert (await alice.hear("said"))["text"] == "go on"
            assert time.monotonic() - started < 0.5
            await until(lambda: server.connections.hello_timeouts >= 256)
            async with visitor(server, "127.0.0.3") as bob:
                answer = await bob.join("Bob", token=invite(server))
                assert [p["name"] for p in answer["participants"]] == ["Alice"]
        finally:
            for stranger in crowd:
                stranger.close()
    assert server.statistics.joined == 2


async def test_one_address_does_not_keep_the_others_out(start_rooms: StartRooms) -> None:
    server = await start_rooms(max_strangers_per_address=5)
    strangers = [await asyncio.open_connection("127.0.0.1", server.addresses[0][1]) for _ in range(20)]
    await until(lambda: server.connections.connections_refused >= 15)
    await still_serves(server, "127.0.0.2")
    for _, writer in strangers:
        writer.close()


async def test_who_is_in_is_no_stranger(start_rooms: StartRooms) -> None:
    server = await start_rooms(max_strangers_per_address=2)
    async with contextlib.AsyncExitStack() as stack:
        for number in range(5):
            guest = await stack.enter_async_context(visitor(server))
            assert (await guest.join(f"Guest {number}"))["type"] == "joined"


async def test_drip_by_drip(start_rooms: StartRooms) -> None:
    server = await start_rooms(join_timeout=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.addresses[0][1])
    heard = b""
    with contextlib.suppress(ConnectionError):
        for byte in b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)
        heard = await reader.read()
    assert heard == b""
    assert server.connections.hello_timeouts == 1
    writer.close()


@pytest.mark.parametrize("stage", ["silent", "hello"])
async def test_who_does_not_join_in_time(start_rooms: StartRooms, stage: str) -> None:
    server = await start_rooms(join_timeout=0.2)
    async with visitor(server) as stranger:
        if stage == "hello":
            await stranger.greet("Hesitant")
        assert await stranger.is_closed()
    assert server.connections.hello_timeouts == 1


async def test_who_is_in_stays_in(start_rooms: StartRooms) -> None:
    server = await start_rooms(join_timeout=0.2)
    async with visitor(server) as alice:
        await alice.join("Alice")
        await asyncio.sleep(0.4)
        await alice.say("say", text="still here")
        await alice.hear("said")


async def test_a_browser_that_looks_around_is_not_thrown_out(start_rooms: StartRooms) -> None:
    server = await start_rooms(join_timeout=0.4)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        for _ in range(6):
            async with http.get(f"{base(server)}/r/standup") as answer:
                assert answer.status == 200
            await asyncio.sleep(0.1)
    assert server.connections.connections == 1
    assert server.connections.hello_timeouts == 0


@pytest.mark.parametrize(
    ("settings", "second_room"),
    [
        ({"max_rooms": 1}, "another"),
        ({"max_people": 1}, "standup"),
        ({"max_people_per_address": 1}, "standup"),
    ],
)
async def test_a_full_server(start_rooms: StartRooms, settings: dict[str, int], second_room: str) -> None:
    server = await start_rooms(**settings)
    async with visitor(server) as alice:
        await alice.join("Alice")
        assert await refused(server, room=second_room) == "server-full"
        await alice.say("bye")
        assert await alice.is_closed()
    async with visitor(server) as bob:
        assert (await bob.join("Bob", second_room))["type"] == "joined"


async def test_seats_come_back(start_rooms: StartRooms) -> None:
    server = await start_rooms(max_people=2, room=RoomConfig(resume_window=0.05), max_rooms=2)
    for number in range(6):
        async with visitor(server) as guest:
            answer = await guest.join("Guest", f"room-{number}")
            assert answer["type"] == "joined"
            if number % 2:
                await guest.say("bye")
                await guest.is_closed()
            else:
                guest.cut()
        await until(lambda: not server.hub.rooms)


async def test_a_proxy_tells_addresses_and_others_do_not(start_rooms: StartRooms) -> None:
    settings = {"max_people_per_address": 1, "max_strangers_per_address": 1, "access": Access.OPEN}
    async with contextlib.AsyncExitStack() as stack:

        async def come(server: RoomServer, told: str) -> dict[str, Any]:
            guest: Visitor = await stack.enter_async_context(
                visitor(server, headers={"X-Forwarded-For": told})
            )
            return await guest.join("Guest")

        server = await start_rooms(**settings, proxies=frozenset({"127.0.0.1"}))
        assert (await come(server, "192.0.2.1"))["type"] == "joined"
        assert (await come(server, "192.0.2.1, 192.0.2.2"))["type"] == "joined"
        assert (await come(server, "192.0.2.9, 192.0.2.2"))["code"] == "server-full"
        server = await start_rooms(**settings)
        assert (await come(server, "192.0.2.1"))["type"] == "joined"
        assert (await come(server, "192.0.2.2"))["code"] == "server-full"


async def test_compression_is_not_offered(start_rooms: StartRooms) -> None:
    # A few kilobytes of deflate could become megabytes before any limit sees them.
    server = await start_rooms()
    async with visitor(server, compress=15) as stranger:
        assert not stranger.socket.compress


async def test_noise(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    for noise in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"\x00" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 99,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", server.addresses[0][1])
        writer.write(noise)
        writer.close()
    await still_serves(server)
