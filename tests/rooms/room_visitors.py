"""Real room servers, real WebSockets, loopback only."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from softphone.rooms import Invitation, RoomRole, RoomServer
from softphone.rooms.replies import FROM_SERVER
from softphone.signaling.messages import Message, encode

StartRooms = Callable[..., Awaitable[RoomServer]]


class Visitor:
    """A WebSocket to a room server that says whatever a test wants, and checks what it hears."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.id = ""
        self.resume = ""

    async def say(self, type_: str, /, **members: Any) -> None:
        await self.socket.send_str(json.dumps({"type": type_, **members}))

    async def send(self, message: Message) -> None:
        await self.socket.send_str(encode(message))

    async def hear(self, kind: str | None = None) -> dict[str, Any]:
        """The next message that is not a sign of life, or the next of `kind`."""
        async with asyncio.timeout(5):
            while True:
                frame = await self.socket.receive()
                assert frame.type is aiohttp.WSMsgType.TEXT, (frame, f"waiting for {kind}")
                FROM_SERVER.parse(frame.data)
                message: dict[str, Any] = json.loads(frame.data)
                if message["type"] == kind or (kind is None and message["type"] != "alive"):
                    return message

    async def greet(self, name: str = "", **members: Any) -> None:
        await self.say("hello", **{"versions": [1], "name": name, **members})
        assert (await self.hear())["type"] == "welcome"

    async def join(self, name: str = "", room: str = "standup", **members: Any) -> dict[str, Any]:
        """Ask to come in, and return the answer."""
        await self.greet(name)
        await self.say("join", room=room, **members)
        answer = await self.hear()
        if answer["type"] == "joined":
            self.id, self.resume = answer["id"], answer["resume"]
        return answer

    async def is_closed(self) -> bool:
        """True once the far end has closed, whatever it said before."""
        async with asyncio.timeout(10):
            while not self.socket.closed:
                await self.socket.receive()
        return True

    def cut(self) -> None:
        """Lose the connection without a word."""
        transport = self.socket.get_extra_info("socket")
        assert transport is not None
        self.socket._response.connection.transport.abort()  # type: ignore[union-attr]


def base(server: RoomServer, host: str = "127.0.0.1") -> str:
    scheme = "http" if server.config.tls is None else "https"
    return f"{scheme}://{host}:{server.addresses[0][1]}"


@asynccontextmanager
async def visitor(server: RoomServer, address: str = "127.0.0.1", **settings: Any) -> AsyncIterator[Visitor]:
    """Somebody at the door, who comes from `address`."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        options = {"max_msg_size": 1 << 20, **settings}
        async with http.ws_connect(f"{base(server)}/ws", **options) as socket:
            yield Visitor(socket)


def invite(server: RoomServer, *, room: str = "standup", seconds: float = 60.0, **members: Any) -> str:
    now = time.time() if seconds > 0 else time.time() + 2 * seconds
    return server.hub.signer.invite(Invitation(room=room, expires=now + abs(seconds), **members), now)


def invite_moderator(server: RoomServer, name: str = "") -> str:
    return invite(server, name=name, role=RoomRole.MODERATOR)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something that no event announces."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def still_serves(server: RoomServer, address: str = "127.0.0.9", room: str = "still-serving") -> None:
    """Two well-behaved people meet."""
    async with visitor(server, address) as one, visitor(server, address) as two:
        assert (await one.join("One", room, token=invite(server, room=room)))["type"] == "joined"
        answer = await two.join("Two", room, token=invite(server, room=room))
        assert [p["name"] for p in answer["participants"]] == ["One"]
        await two.say("say", text="hello")
        assert (await one.hear("said"))["text"] == "hello"
