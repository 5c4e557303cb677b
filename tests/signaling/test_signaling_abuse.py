"""Strangers at the door: each is turned away and counted, and the phone goes on serving."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from aiohttp import web
from signaling_peers import (
    ANSWER,
    OFFER,
    RawClient,
    StartListener,
    call,
    next_call,
    raw_client,
    target,
    until,
)

from softphone.errors import PeerUnreachableError, RemoteProtocolError
from softphone.signaling import (
    CallRefusedError,
    CallTarget,
    EndReason,
    Listener,
    State,
    VersionMismatchError,
    dial,
)
from softphone.signaling.messages import MAX_MESSAGE_BYTES
from softphone.signaling.statistics import SignalingStatistics


async def still_serves(listener: Listener, secret: str = "") -> None:
    """A well-behaved caller gets through."""
    outgoing = await dial(target(listener, secret), name="Alice", capabilities={}, offer_sdp=OFFER)
    await (await next_call(listener)).accept(ANSWER, {})
    await outgoing.answered()
    await outgoing.hang_up()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", "bad-message"),
        ("[]", "bad-message"),
        ('{"type":"nonsense"}', "bad-message"),
        ('{"type":"hello"}', "bad-message"),
        ('{"type":"hello","versions":"1"}', "bad-message"),
        ("[" * 50_000, "bad-message"),
        ('{"type":"invite","sdp":"v=0\\r\\nm=audio"}', "unexpected"),
        ('{"type":"answer","sdp":"v=0\\r\\nm=audio"}', "unexpected"),
        ('{"type":"bye"}', "unexpected"),
        ('{"type":"hello","versions":[2,3]}', "version"),
    ],
)
async def test_bad_first_message(start_listener: StartListener, text: str, code: str) -> None:
    listener = await start_listener()
    async with raw_client(listener) as client:
        await client.socket.send_str(text)
        answer = await client.hear()
        assert (answer["type"], answer["code"]) == ("error", code)
        assert await client.is_closed()
    counts = listener.statistics
    counted = {
        "bad-message": counts.messages_malformed,
        "unexpected": counts.messages_unexpected,
        "version": counts.version_mismatches,
    }
    assert counted[code] == 1
    assert sum(counted.values()) == 1
    await still_serves(listener)


async def test_binary_frame(start_listener: StartListener) -> None:
    listener = await start_listener()
    async with raw_client(listener) as client:
        await client.socket.send_bytes(b"\x00\x01")
        assert (await client.hear())["code"] == "bad-message"
        assert await client.is_closed()
    assert listener.statistics.messages_malformed == 1


@pytest.mark.parametrize("stage", ["hello", "call"])
async def test_oversize(start_listener: StartListener, stage: str) -> None:
    listener = await start_listener()
    async with raw_client(listener) as client:
        if stage == "call":
            await client.invite()
            await next_call(listener)
        await client.socket.send_str("x" * (MAX_MESSAGE_BYTES + 1))
        assert await client.is_closed()
        assert client.socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    assert listener.statistics.messages_oversize == 1
    await still_serves(listener)


async def test_compression_is_not_offered(start_listener: StartListener) -> None:
    # A few kilobytes of deflate could become megabytes before any limit sees them.
    listener = await start_listener()
    async with raw_client(listener, compress=15) as client:
        assert not client.socket.compress


async def test_message_of_exactly_the_limit_is_read(start_listener: StartListener) -> None:
    listener = await start_listener()
    async with raw_client(listener) as client:
        hello = '{"type":"hello","versions":[1]}'
        await client.socket.send_str(hello + " " * (MAX_MESSAGE_BYTES - len(hello)))
        assert (await client.hear())["type"] == "welcome"


@pytest.mark.parametrize("kind", ["text", "ping"])
async def test_rapid_messages(start_listener: StartListener, kind: str) -> None:
    listener = await start_listener()
    async with raw_client(listener, autoping=False) as client:
        await client.invite()
        incoming = await next_call(listener)
        await incoming.accept(ANSWER, {})
        for number in range(200):
            if kind == "ping":
                await client.socket.ping()
            elif number == 0:
                await client.say("sas-commit", commitment="00" * 32)
            else:
                await client.socket.pong()
        end = await incoming.closed()
        assert end.reason is EndReason.ERROR
        assert await client.is_closed()
    assert listener.statistics.rate_exceeded == 1
    await still_serves(listener)


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        ({"kind": "invite", "sdp": OFFER}, "unexpected"),
        ({"kind": "hello", "versions": [1]}, "unexpected"),
        ({"kind": "welcome", "version": 1}, "unexpected"),
        ({"kind": "answer", "sdp": ANSWER}, "unexpected"),
        ({"kind": "ringing"}, "unexpected"),
        ({"kind": "busy"}, "unexpected"),
        ({"kind": "decline"}, "unexpected"),
        ({"kind": "sas-commit", "commitment": "00" * 32}, "unexpected"),
        ({"kind": "sas-reveal", "nonce": "00" * 32}, "unexpected"),
        ({"kind": "reoffer", "sdp": OFFER}, "unexpected"),
        ({"kind": "reanswer", "sdp": ANSWER}, "unexpected"),
        ({"kind": "restart"}, "unexpected"),
        ({"kind": "pick-up"}, "bad-message"),
        ({"kind": "gone"}, "bad-message"),
        ({"kind": "bye", "reason": "busy"}, "bad-message"),
    ],
)
async def test_forged_messages_of_a_caller(
    start_listener: StartListener, forged: dict[str, object], code: str
) -> None:
    listener = await start_listener()
    async with raw_client(listener) as client:
        await client.invite()
        incoming = await next_call(listener)
        await client.say(**forged)  # type: ignore[arg-type]
        assert (await client.hear())["code"] == code
        assert (await incoming.closed()).reason is EndReason.ERROR
    counts = listener.statistics
    assert (counts.messages_unexpected, counts.messages_malformed) == (
        (1, 0) if code == "unexpected" else (0, 1)
    )
    assert counts.ended_error == 1


@pytest.mark.parametrize(
    "forged",
    [
        [("sas-reveal", {"nonce": "00" * 32})],
        [("sas-commit", {"commitment": "00" * 32}), ("sas-commit", {"commitment": "00" * 32})],
        [("sas-commit", {"commitment": "00" * 32}), ("sas-reveal", {"nonce": "00" * 32})],
    ],
    ids=["reveal first", "commit twice", "reveal before our commitment"],
)
async def test_forged_verification(
    start_listener: StartListener, forged: list[tuple[str, dict[str, str]]]
) -> None:
    listener = await start_listener()
    async with raw_client(listener) as client:
        await client.invite()
        callee = await (await next_call(listener)).accept(ANSWER, {})
        for kind, members in forged:
            await client.say(kind, **members)
        assert (await callee.closed()).reason is EndReason.ERROR
    assert listener.statistics.messages_unexpected == 1


async def test_broken_commitment_on_the_wire(start_listener: StartListener) -> None:
    listener = await start_listener()
    fingerprint = ":".join(["00"] * 32)
    async with raw_client(listener) as client:
        await client.invite()
        callee = await (await next_call(listener)).accept(ANSWER, {})
        verification = asyncio.create_task(callee.verify(fingerprint, fingerprint))
        assert (await client.hear())["type"] == "answer"
        assert (await client.hear())["type"] == "sas-commit"
        await client.say("sas-commit", commitment="00" * 32)
        assert (await client.hear())["type"] == "sas-reveal"
        await client.say("sas-reveal", nonce="11" * 32)
        with pytest.raises(RemoteProtocolError, match="intercepted"):
            await verification
        assert (await client.hear())["code"] == "verification"
    assert listener.statistics.verifications_failed == 1


async def test_peer_that_ends_the_call_with_an_error(start_listener: StartListener) -> None:
    listener = await start_listener()
    async with raw_client(listener) as client:
        await client.invite()
        incoming = await next_call(listener)
        await client.say("error", code="some-future-code", message="\x1b[31moops")
        end = await incoming.closed()
    assert (end.reason, end.detail) == (EndReason.ERROR, "[31moops")


async def test_wrong_token(start_listener: StartListener) -> None:
    listener = await start_listener(token="correct horse")
    for secret in ("", "wrong horse", "correct horsf"):
        with pytest.raises(CallRefusedError, match="secret") as refusal:
            await dial(target(listener, secret), name="", capabilities={}, offer_sdp=OFFER)
        assert refusal.value.code == "unauthorized"
    assert listener.statistics.unauthorized == 3
    assert listener.statistics.invitations == 0
    await still_serves(listener, "correct horse")
    await still_serves(listener, "correct horse")


async def test_off_loopback_each_call_needs_a_fresh_secret(start_listener: StartListener) -> None:
    listener = await start_listener(host="0.0.0.0")
    first = listener.secret
    assert listener.secret_is_one_time
    assert CallTarget.parse(listener.invitation("192.0.2.7").argument).secret == first
    with pytest.raises(CallRefusedError):
        await call(listener)
    await still_serves(listener, first)
    with pytest.raises(CallRefusedError):
        await dial(target(listener, first), name="", capabilities={}, offer_sdp=OFFER)
    await until(lambda: not listener._answered)
    await still_serves(listener, listener.secret)


async def test_declined_call_does_not_use_the_secret_up(start_listener: StartListener) -> None:
    listener = await start_listener(host="0.0.0.0")
    outgoing = await dial(target(listener, listener.secret), name="", capabilities={}, offer_sdp=OFFER)
    await (await next_call(listener)).decline()
    await outgoing.closed()
    await still_serves(listener, listener.secret)


@pytest.mark.parametrize("settings", [{"host": "127.0.0.1"}, {"host": "0.0.0.0", "open": True}])
async def test_no_secret_on_loopback_or_when_open(
    start_listener: StartListener, settings: dict[str, object]
) -> None:
    listener = await start_listener(**settings)
    assert listener.secret == ""
    await still_serves(listener)


async def test_foreign_web_pages_are_refused(start_listener: StartListener) -> None:
    listener = await start_listener(allowed_origins=frozenset({"https://phone.example"}))
    port = listener.addresses[0][1]
    # The second is what DNS rebinding looks like: the page's host is ours, and still it is a page.
    for origin in ("https://evil.example", f"http://127.0.0.1:{port}", "null"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with raw_client(listener, origin=origin):
                pass
        assert refusal.value.status == 403
    assert listener.statistics.origins_refused == 3
    async with raw_client(listener, origin="https://phone.example") as client:
        await client.greet()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/softphone/", 404), ("POST", "/softphone", 405), ("GET", "/softphone", 426)],
)
async def test_plain_http(start_listener: StartListener, method: str, path: str, status: int) -> None:
    listener = await start_listener()
    url = f"http://127.0.0.1:{listener.addresses[0][1]}{path}"
    async with aiohttp.ClientSession() as http, http.request(method, url, data=b"x" * 10) as response:
        assert response.status == status
    assert listener.statistics.requests_refused == 1
    await still_serves(listener)


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"\xff" * 50_000, b"GET / HTTP/9.9\r\n\r\n", b"\r\n"]
)
async def test_bytes_that_are_not_http(start_listener: StartListener, junk: bytes) -> None:
    listener = await start_listener(hello_timeout=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.addresses[0][1])
    writer.write(junk)
    async with asyncio.timeout(2):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    writer.close()
    await until(lambda: listener._connection_caps.count == 0)
    await still_serves(listener)


async def test_broken_websocket_framing(start_listener: StartListener) -> None:
    listener = await start_listener()
    async with raw_client(listener) as client:
        await client.greet()
        connection = client.socket._response.connection
        assert connection is not None
        transport = connection.transport
        assert transport is not None
        transport.write(b"\xf7\xff\xff\xff")
        assert await client.is_closed()
    await until(lambda: listener.statistics.messages_malformed == 1)
    await still_serves(listener)


@pytest.mark.parametrize("stage", ["tcp", "headers", "websocket", "greeted"])
async def test_two_hundred_connections_that_say_nothing_more(
    start_listener: StartListener, stage: str
) -> None:
    listener = await start_listener(
        hello_timeout=1.0 if stage in ("tcp", "headers") else 2.0,
        max_connections=300,
        max_connections_per_address=250,
        connection_rate=1e6,
        connection_burst=1e6,
    )
    host, port = listener.addresses[0]
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        raw: list[socket.socket] = []
        clients: list[RawClient] = []
        for _ in range(200):
            if stage in ("tcp", "headers"):
                sock = socket.socket()
                sock.setblocking(False)
                await loop.sock_connect(sock, (host, port))
                if stage == "headers":
                    await loop.sock_sendall(sock, b"GET /softphone HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                raw.append(sock)
            else:
                clients.append(RawClient(await http.ws_connect(target(listener).url)))
        if stage == "greeted":
            for client in clients:
                await client.greet()
        await still_serves(listener)
        await until(lambda: listener.statistics.hello_timeouts == 200)
        await until(lambda: listener._connection_caps.count == 0)
        await still_serves(listener)
        for client in clients:
            assert await client.is_closed()
        for sock in raw:
            sock.close()


async def test_one_address_can_not_take_all_the_room(start_listener: StartListener) -> None:
    listener = await start_listener(max_connections=64, max_connections_per_address=8)
    host, port = listener.addresses[0]
    crowd = [await asyncio.open_connection(host, port) for _ in range(20)]
    await until(lambda: listener.statistics.connections == 20)
    assert listener.statistics.connections_refused == 12
    with pytest.raises(PeerUnreachableError):
        await call(listener)
    # Another address is served as if nothing were going on.
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.ws_connect(target(listener).url) as ws,
    ):
        await RawClient(ws).greet()
    for _, writer in crowd:
        writer.close()


async def test_reconnecting_too_often(start_listener: StartListener) -> None:
    listener = await start_listener(connection_rate=0.001, connection_burst=3)
    for _ in range(3):
        async with raw_client(listener):
            pass
    with pytest.raises(PeerUnreachableError, match="closed the connection"):
        await call(listener)
    assert listener.statistics.connections_refused >= 1  # aiohttp tries a GET twice


async def test_invitations_nobody_looks_at_are_not_kept(start_listener: StartListener) -> None:
    listener = await start_listener(connection_rate=1e6, connection_burst=1e6)
    for _ in range(50):
        async with raw_client(listener) as client:
            await client.invite()
        await until(lambda: not listener._pending)
    assert not listener._arrived
    assert listener.statistics.ended_remote_gone == 50


async def test_peer_that_does_not_read(start_listener: StartListener) -> None:
    listener = await start_listener(heartbeat=0.5)
    async with raw_client(listener, autoping=False) as client:
        await client.invite()
        incoming = await next_call(listener)
        # It answers no ping, because nothing here reads the socket any more.
        async with asyncio.timeout(3):
            assert (await incoming.closed()).reason is EndReason.REMOTE_GONE


class FakeListener:
    """A server that says to a caller whatever a test wants."""

    def __init__(self, *replies: str) -> None:
        self._replies = replies

    async def __aenter__(self) -> CallTarget:
        self._web = web.Server(self._serve)
        self._server = await asyncio.get_running_loop().create_server(self._web, "127.0.0.1", 0)
        return CallTarget("127.0.0.1", self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._web.shutdown(1)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        for reply in self._replies:
            await ws.receive()
            await ws.send_str(reply)
        await ws.receive()
        return ws


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("garbage", RemoteProtocolError),
        ('{"type":"ringing"}', RemoteProtocolError),
        ('{"type":"welcome","version":9}', VersionMismatchError),
        ('{"type":"error","code":"version","message":"too old"}', VersionMismatchError),
        ('{"type":"error","code":"unauthorized"}', CallRefusedError),
        ("x" * (MAX_MESSAGE_BYTES + 1), RemoteProtocolError),
    ],
)
async def test_listener_that_breaks_the_greeting(reply: str, error: type[Exception]) -> None:
    async with FakeListener(reply) as where:
        with pytest.raises(error):
            await dial(where, name="", capabilities={}, offer_sdp=OFFER)


@pytest.mark.parametrize(
    "reply", ["garbage", '{"type":"invite","sdp":"v=0\\nm="}', '{"type":"sas-reveal"}', "{}"]
)
async def test_listener_that_breaks_the_call(reply: str) -> None:
    counters = SignalingStatistics()
    async with FakeListener('{"type":"welcome","version":1}', reply) as where:
        outgoing = await dial(where, name="", capabilities={}, offer_sdp=OFFER, statistics=counters)
        assert (await outgoing.closed()).reason is EndReason.ERROR
        assert outgoing.state is State.ENDED
    assert counters.messages_malformed + counters.messages_unexpected == 1


async def test_web_server_that_is_no_softphone() -> None:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=404)

    server = await asyncio.get_running_loop().create_server(web.Server(serve), "127.0.0.1", 0)
    where = CallTarget("127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(PeerUnreachableError, match="not as a softphone"):
        await dial(where, name="", capabilities={}, offer_sdp=OFFER)
    server.close()


async def test_redirect_does_not_carry_the_secret_elsewhere(start_listener: StartListener) -> None:
    elsewhere = await start_listener()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        location = f"http://127.0.0.1:{elsewhere.addresses[0][1]}/softphone"
        return web.Response(status=307, headers={"Location": location})

    server = await asyncio.get_running_loop().create_server(web.Server(serve), "127.0.0.1", 0)
    where = CallTarget("127.0.0.1", server.sockets[0].getsockname()[1], "my secret")
    with pytest.raises(PeerUnreachableError):
        await dial(where, name="", capabilities={}, offer_sdp=OFFER)
    assert elsewhere.statistics.connections == 0
    server.close()
