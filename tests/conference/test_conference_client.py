"""The connection of a participant to a real room server: in, lost, back, out."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from softphone.errors import PeerUnreachableError
from softphone.rooms.access import Access
from softphone.rooms.certificate import self_made_certificate
from softphone.rooms.client import ConnectionLost, Over, RoomClient, RoomEvent
from softphone.rooms.config import RoomServerConfig
from softphone.rooms.link import RoomLink
from softphone.rooms.replies import Joined, LobbyJoined, PeerJoined, PeerLeft, Said, Waiting
from softphone.rooms.requests import Admit, EndRoom, Remove, RoomUpdate, Say
from softphone.rooms.returning import DELAYS, LATER, Backoff, Ending, Return
from softphone.rooms.server import RoomServer
from softphone.rooms.trust import ServerTrust
from softphone.rooms.values import Leaving
from softphone.signaling.errors import CallRefusedError

LOOPBACK = "127.0.0.1"
PATIENCE = 10.0
E = TypeVar("E", bound=RoomEvent)


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


async def serve(stack: AsyncExitStack, **settings: Any) -> RoomServer:
    server = RoomServer(RoomServerConfig(**{"port": 0, "token_secret": b"s" * 32, **settings}))
    await server.start()
    stack.push_async_callback(server.close)
    return server


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def enter(
    stack: AsyncExitStack, server: RoomServer, name: str, token: str = "", room: str = "room"
) -> tuple[RoomClient, Joined | Waiting]:
    client = RoomClient(RoomLink.parse(server.link(LOOPBACK, room, token)), name=name)
    stack.push_async_callback(client.leave)
    return client, await client.connect()


async def event_of(client: RoomClient, kind: type[E]) -> E:
    """The next event of a kind; what comes before it is passed over."""
    async with asyncio.timeout(PATIENCE):
        async for event in client:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind.__name__} came")


async def test_two_come_in_talk_and_go(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    alice, first = await enter(stack, server, "Alice")
    bob, second = await enter(stack, server, "Bob")
    assert isinstance(first, Joined)
    assert isinstance(second, Joined)
    assert [person.name for person in second.participants] == ["Alice"]
    assert (await event_of(alice, PeerJoined)).participant.id == second.id
    assert bob.send(Say(text="good morning"))
    said = await event_of(alice, Said)
    assert (said.peer, said.text) == (second.id, "good morning")
    await bob.leave()
    left = await event_of(alice, PeerLeft)
    assert (left.peer, left.reason) == (second.id, Leaving.HUNG_UP)
    assert not bob.send(Say(text="too late"))


async def test_whoever_waits_in_the_lobby_gets_in_when_admitted(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    alice, _ = await enter(stack, server, "Alice")
    alice.send(RoomUpdate(lobby=True))
    await asyncio.sleep(0.1)
    bob, reply = await enter(stack, server, "Bob")
    assert isinstance(reply, Waiting)
    alice.send(Admit(peer=(await event_of(alice, LobbyJoined)).id))
    assert (await event_of(bob, Joined)).name == "Bob"


async def test_a_restart_of_the_server_brings_everybody_back_as_they_were(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    alice, first = await enter(stack, server, "Alice")
    assert isinstance(first, Joined)
    port = server.addresses[0][1]
    await server.close()
    lost = await event_of(alice, ConnectionLost)
    assert lost.retry_in < 0.1
    again = RoomServer(RoomServerConfig(port=port, token_secret=b"s" * 32))
    await again.start()
    stack.push_async_callback(again.close)
    back = await event_of(alice, Joined)
    assert back.resumed
    assert back.id == first.id
    assert back.settle_seconds > 0


async def test_a_connection_that_breaks_is_made_again(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    alice, first = await enter(stack, server, "Alice")
    bob, second = await enter(stack, server, "Bob")
    assert isinstance(first, Joined)
    assert isinstance(second, Joined)
    # As a network would do it: without a word.
    assert bob._http is not None
    assert bob._http.connector is not None
    await bob._http.connector.close()
    bob._http = type(bob._http)()
    assert (await event_of(bob, Joined)).resumed
    assert bob.connected
    bob.send(Say(text="back"))
    assert (await event_of(alice, Said)).text == "back"


async def test_the_removed_stay_out(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    alice, _ = await enter(stack, server, "Alice")
    bob, second = await enter(stack, server, "Bob")
    assert isinstance(second, Joined)
    alice.send(Remove(peer=second.id, message="wrong room"))
    assert await event_of(bob, Over) == Over("removed", "wrong room")
    alice.send(EndRoom())
    assert (await event_of(alice, Over)).reason == "room-closed"


async def test_who_is_not_let_in_hears_why(stack: AsyncExitStack) -> None:
    server = await serve(stack, access=Access.SECRET, max_participants=1)
    with pytest.raises(CallRefusedError) as refused:
        await enter(stack, server, "Mallory", token="guess")
    assert refused.value.code == "unauthorized"
    await enter(stack, server, "Alice", token=server.secret)
    with pytest.raises(CallRefusedError) as full:
        await enter(stack, server, "Bob", token=server.secret)
    assert full.value.code == "room-full"


async def test_a_certificate_of_the_server_itself_is_believed_when_pinned(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    certificate = self_made_certificate([LOOPBACK], tmp_path)
    server = await serve(stack, tls=certificate.context, access=Access.SECRET)
    link = RoomLink.parse(server.link(LOOPBACK, "room", server.secret))
    assert link.secure

    async def join(trust: ServerTrust) -> Joined | Waiting:
        client = RoomClient(link, trust=trust)
        stack.push_async_callback(client.leave)
        return await client.connect()

    with pytest.raises(PeerUnreachableError, match=f"--fingerprint {certificate.fingerprint}"):
        await join(ServerTrust())
    with pytest.raises(PeerUnreachableError, match="somebody may be in between"):
        await join(ServerTrust(fingerprint="ab" * 32))
    assert isinstance(await join(ServerTrust(fingerprint=certificate.fingerprint)), Joined)
    assert isinstance(await join(ServerTrust(insecure=True)), Joined)


async def test_something_else_than_a_room_server_is_named_as_such(
    stack: AsyncExitStack, free_port: int
) -> None:
    link = RoomLink.parse(f"http://{LOOPBACK}:{free_port}/r/room#token")
    with pytest.raises(PeerUnreachableError, match="does a room server run there"):
        await RoomClient(link).connect()
    requests: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        requests.append(request.path)
        raise web.HTTPFound(f"http://{LOOPBACK}:{free_port}/stolen")

    app = web.Application()
    app.router.add_get("/{path:.*}", redirect)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, LOOPBACK, free_port).start()
    with pytest.raises(PeerUnreachableError, match="no room server"):
        await RoomClient(link).connect()
    assert requests == ["/ws"], "a redirect must not lead anywhere"


@pytest.mark.parametrize(
    ("ending", "comeback"),
    [
        (Ending.by_bye(Leaving.STOPPING, ""), Return.SOON),
        (Ending.by_bye(Leaving.REMOVED, ""), Return.NEVER),
        (Ending.by_bye(Leaving.REPLACED, ""), Return.NEVER),
        (Ending.by_bye(Leaving.TIMEOUT, ""), Return.NEVER),
        (Ending.by_error("rate-limit", ""), Return.LATER),
        (Ending.by_error("room-full", ""), Return.LATER),
        (Ending.by_error("token-expired", ""), Return.NEVER),
        (Ending.by_error("from-the-future", ""), Return.NEVER),
        (Ending.by_loss("cable"), Return.SOON),
    ],
)
def test_who_comes_back(ending: Ending, comeback: Return) -> None:
    assert ending.comeback is comeback


def test_delays_grow_and_start_anew_after_a_good_while() -> None:
    backoff = Backoff(spread=lambda low, high: 1.0)
    assert [backoff.delay(Return.SOON) for _ in range(7)] == [*DELAYS, DELAYS[-1]]
    backoff.on_ended(1.0)
    assert backoff.delay(Return.SOON) == DELAYS[-1]
    backoff.on_ended(60.0)
    assert backoff.delay(Return.LATER) == LATER
    assert backoff.delay(Return.SOON) == DELAYS[1]
    spread = Backoff()
    spread.delay(Return.SOON)
    assert 0.4 <= spread.delay(Return.SOON) <= 0.6
