"""Real listeners, real callers, loopback only."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from softphone.signaling import CallTarget, IncomingCall, Listener, OutgoingCall, dial

OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=offer\r\n"
ANSWER = OFFER.replace("a=offer", "a=answer")

StartListener = Callable[..., Awaitable[Listener]]


class RawClient:
    """A WebSocket to a listener that says whatever a test wants."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, kind: str, **members: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **members}))

    async def hear(self) -> dict[str, Any]:
        frame = await self.socket.receive(timeout=5)
        assert frame.type is aiohttp.WSMsgType.TEXT, frame
        message: dict[str, Any] = json.loads(frame.data)
        return message

    async def greet(self, **members: Any) -> None:
        await self.say("hello", **{"versions": [1], **members})
        assert (await self.hear())["type"] == "welcome"

    async def invite(self) -> None:
        await self.greet()
        await self.say("invite", sdp=OFFER)

    async def is_closed(self) -> bool:
        """True once the far end has closed, whatever it said before."""
        async with asyncio.timeout(5):
            while not self.socket.closed:
                await self.socket.receive()
        return True


def target(listener: Listener, secret: str = "") -> CallTarget:
    return CallTarget("127.0.0.1", listener.addresses[0][1], secret)


async def call(listener: Listener, **settings: Any) -> OutgoingCall:
    defaults: dict[str, Any] = {"name": "Alice", "capabilities": {"red": True}, "offer_sdp": OFFER}
    return await dial(target(listener), **{**defaults, **settings})


async def next_call(listener: Listener) -> IncomingCall:
    async with asyncio.timeout(5):
        return await anext(listener)


@asynccontextmanager
async def raw_client(listener: Listener, **settings: Any) -> AsyncIterator[RawClient]:
    url = target(listener).url
    async with aiohttp.ClientSession() as http, http.ws_connect(url, **settings) as socket:
        yield RawClient(socket)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something that no event announces."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
