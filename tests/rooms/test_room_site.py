"""The page over HTTP, and who may open a WebSocket."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from room_visitors import StartRooms, base, still_serves, visitor

from softphone.rooms import Access
from softphone.rooms.config import PAGE_FOLDER
from softphone.rooms.site import Site


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/", 200, "text/html"),
        ("/r/standup", 200, "text/html"),
        ("/r/stand-up-2", 200, "text/html"),
        ("/static/main.js", 200, "text/javascript"),
        ("/static/parts/deep.js", 200, "text/javascript"),
        ("/health", 200, "application/json"),
        ("/static/notes.txt", 404, "text/plain"),
        ("/static/index.html", 404, "text/plain"),
        ("/static/nothing.js", 404, "text/plain"),
        ("/static/%2e%2e/outside.js", 404, "text/plain"),
        ("/static/..%2foutside.js", 404, "text/plain"),
        ("/static//etc/passwd", 404, "text/plain"),
        ("/main.js", 404, "text/plain"),
        ("/r/", 404, "text/plain"),
        ("/r/no_such_name", 404, "text/plain"),
        ("/r/a/b", 404, "text/plain"),
        ("/softphone", 404, "text/plain"),
        ("/ws", 426, "text/plain"),
    ],
)
async def test_paths(start_rooms: StartRooms, path: str, status: int, kind: str) -> None:
    server = await start_rooms()
    async with aiohttp.ClientSession() as http, http.get(base(server) + path) as answer:
        assert (answer.status, answer.content_type) == (status, kind)
        assert "Python" not in answer.headers["Server"]
        assert "not to be served" not in await answer.text()


async def test_headers_keep_foreign_code_out(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    async with aiohttp.ClientSession() as http:
        for path in ("/", "/r/standup", "/static/main.js", "/nothing"):
            async with http.get(base(server) + path) as answer:
                rules = dict(
                    rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; ")
                )
                assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
                assert rules["script-src"] == rules["connect-src"] == "'self'"
                assert "unsafe" not in str(rules)
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert answer.headers["Cache-Control"] == "no-cache"


async def test_the_page_is_asked_for_again_but_not_sent_again(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{base(server)}/r/one") as answer:
            etag = answer.headers["ETag"]
        async with http.get(f"{base(server)}/r/two", headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304
            assert await answer.read() == b""
        async with http.head(f"{base(server)}/r/one") as answer:
            assert answer.status == 200
        async with http.post(f"{base(server)}/r/one") as answer:
            assert answer.status == 405


async def test_room_names_in_capitals_are_redirected(start_rooms: StartRooms) -> None:
    server = await start_rooms()
    url = f"{base(server)}/r/StandUp"
    async with aiohttp.ClientSession() as http, http.get(url, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (308, "/r/standup")


def test_other_origins_that_the_page_must_reach(page: Path) -> None:
    site = Site(page, connect_to=["wss://media.example.org"])
    assert "connect-src 'self' wss://media.example.org" in site._headers["Content-Security-Policy"]


def test_the_page_of_softphone_is_servable() -> None:
    names = Site(PAGE_FOLDER)._files
    if "index.html" not in names:
        pytest.skip("the page is not there")
    index = (PAGE_FOLDER / "index.html").read_text()
    assert "<style" not in index  # would need a weaker policy
    assert " style=" not in index
    assert " on" + "click=" not in index
    for name in names:
        assert not name.startswith(("/", "."))


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://HOST", True),
        ("https://HOST", False),  # another default port; see below for a proxy
        ("http://evil.example", False),
        ("http://HOST.evil.example", False),
        ("http://localhost", False),
        ("http://127.0.0.1", False),
        ("null", False),
        ("file://", False),
        ("chrome-extension://abc", False),
        ("http://[", False),
        ("", False),
        ("https://friend.example", True),
        ("https://public.example", True),
    ],
)
async def test_origins(start_rooms: StartRooms, origin: str | None, allowed: bool) -> None:
    server = await start_rooms(
        allowed_origins=frozenset({"https://friend.example"}),
        public_url="https://public.example",
        access=Access.OPEN,
    )
    host = f"127.0.0.1:{server.addresses[0][1]}"
    headers = {} if origin is None else {"Origin": origin.replace("HOST", host)}
    if origin == "https://HOST":
        headers["Host"] = "127.0.0.1"
        headers["Origin"] = "https://127.0.0.1:8443"
    if allowed:
        async with visitor(server, headers=headers) as bob:
            assert (await bob.join("Bob"))["type"] == "joined"
    else:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with visitor(server, headers=headers):
                pass
        assert refused.value.status == 403
        assert server.connections.origins_refused == 1
        await still_serves(server)


async def test_a_proxy_that_does_tls_is_the_same_origin(start_rooms: StartRooms) -> None:
    server = await start_rooms(allowed_hosts=frozenset({"meet.example.org"}))
    headers = {"Host": "meet.example.org", "Origin": "https://meet.example.org"}
    async with visitor(server, headers=headers) as bob:
        assert (await bob.join("Bob"))["type"] == "joined"


@pytest.mark.parametrize(
    ("host", "settings", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("[::1]:7640", {}, 200),
        ("localhost:7640", {}, 200),
        ("rebound.evil.example", {}, 421),
        ("rebound.evil.example", {"access": Access.SECRET}, 200),  # a page does not know the secret
        ("rooms.example", {"allowed_hosts": frozenset({"rooms.example"})}, 200),
        ("public.example", {"public_url": "https://public.example", "access": Access.OPEN}, 200),
        ("a b", {}, 421),
        ("", {}, 421),
    ],
)
async def test_host_names(start_rooms: StartRooms, host: str, settings: dict[str, Any], status: int) -> None:
    server = await start_rooms(**settings)
    url, headers = f"{base(server)}/", {"Host": host}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        assert answer.status == status


async def test_no_host_name_at_all(start_rooms: StartRooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getfqdn", lambda: pytest.fail("must not ask the DNS"))
    server = await start_rooms()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.addresses[0][1])
    writer.write(b"GET /r/standup HTTP/1.0\r\n\r\n")
    assert b" 421 " in await reader.readline()
    writer.close()


async def test_exposed_servers_ask_for_a_secret(start_rooms: StartRooms) -> None:
    for settings, access in (
        ({}, Access.OPEN),
        ({"host": "0.0.0.0"}, Access.SECRET),
        ({"proxies": frozenset({"127.0.0.1"})}, Access.SECRET),
        ({"public_url": "https://public.example"}, Access.SECRET),
        ({"host": "0.0.0.0", "access": Access.OPEN}, Access.OPEN),
    ):
        server = await start_rooms(**settings)
        assert server.access is access
        assert bool(server.secret) == (access is Access.SECRET)
        if access is Access.SECRET:
            async with visitor(server) as bob, visitor(server) as carol:
                assert (await bob.join("Bob"))["code"] == "unauthorized"
                assert (await carol.join("Carol", token=server.secret))["type"] == "joined"
