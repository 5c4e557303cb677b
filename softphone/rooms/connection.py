"""One participant's WebSocket, from hello to farewell."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from softphone.errors import RemoteProtocolError
from softphone.rooms.hub import Place, RoomHub
from softphone.rooms.replies import Alive
from softphone.rooms.requests import Join, RoomBye
from softphone.rooms.values import Leaving
from softphone.signaling.channel import MessageChannel
from softphone.signaling.errors import ChannelClosedError, UnexpectedMessageError, error_code
from softphone.signaling.messages import Error, Hello, Message, Welcome, choose_version, encode
from softphone.signaling.statistics import SignalingStatistics

__all__ = ["Backlog", "RoomConnection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What may wait for a connection that is not read."""

    messages: int
    bytes: int


class RoomConnection:
    """Speaks the protocol of rooms on one channel; the `softphone.rooms.hub.Line` of its participant.

    Sending never waits: what the other end does not read is kept up to a limit, beyond
    which the connection is dropped, so that nobody is held up by the slowest.
    """

    def __init__(
        self,
        channel: MessageChannel,
        hub: RoomHub,
        statistics: SignalingStatistics,
        *,
        abort: Callable[[], None],
        backlog: Backlog,
        alive_every: float,
    ) -> None:
        """`abort` drops the transport; `alive_every` in seconds."""
        self._channel = channel
        self._hub = hub
        self._statistics = statistics
        self._abort = abort
        self._limit = backlog
        self._alive_every = alive_every
        self._waiting: deque[str] = deque()
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._ended = False
        self._dropped = False

    async def run(self, address: str, on_entered: Callable[[], None]) -> None:
        """Speak until either end has had enough. `on_entered` is called once its owner is let in."""
        try:
            hello, join = await self._greet()
            place = await self._hub.enter(hello, join, address, self)
        except ChannelClosedError:
            return
        except RemoteProtocolError as error:
            self._statistics.count_error(error)
            await self._turn_away(error)
            return
        on_entered()
        writer = asyncio.create_task(self._write())
        try:
            await self._read(place)
        finally:
            self._hub.lost(place)
            self._ended = True
            self._news.set()
            await writer

    def deliver(self, text: str) -> None:
        """Send an encoded message, or drop the connection when too much waits already."""
        if self._ended or self._dropped:
            return
        if len(self._waiting) >= self._limit.messages or self._waiting_bytes + len(text) > self._limit.bytes:
            self._dropped = True
            self._hub.statistics.slow_dropped += 1
            self._abort()
            return
        self._waiting.append(text)
        self._waiting_bytes += len(text)
        self._news.set()

    def end(self, message: Message) -> None:
        """Send a last message and close."""
        self.deliver(encode(message))
        self._ended = True
        self._news.set()

    async def _greet(self) -> tuple[Hello, Join]:
        hello = await self._channel.receive()
        if not isinstance(hello, Hello):
            raise UnexpectedMessageError("the first message must be hello")
        await self._channel.send(Welcome(version=choose_version(hello.versions)))
        join = await self._channel.receive()
        if isinstance(join, RoomBye | Error):
            await self._channel.close()
            raise ChannelClosedError("thought better of it")
        if not isinstance(join, Join):
            raise UnexpectedMessageError("a request to join must follow")
        return hello, join

    async def _read(self, place: Place) -> None:
        try:
            while True:
                message = await self._channel.receive()
                if isinstance(message, RoomBye | Error):
                    self._hub.leave(place)
                    return
                self._hub.handle(place, message)
        except ChannelClosedError:
            return
        except RemoteProtocolError as error:
            self._statistics.count_error(error)
            self._hub.leave(place, Leaving.GONE)
            self.end(Error(code=error_code(error), message=str(error)))

    async def _write(self) -> None:
        """Send what waits, a sign of life when nothing does, and close after the last message."""
        try:
            while self._waiting or not self._ended:
                if not self._waiting:
                    await self._pause()
                    continue
                text = self._waiting.popleft()
                self._waiting_bytes -= len(text)
                await self._channel.send_text(text)
        except ChannelClosedError:
            pass
        await self._channel.close()

    async def _pause(self) -> None:
        """Wait for something to send, or make something up."""
        self._news.clear()
        try:
            async with asyncio.timeout(self._alive_every):
                await self._news.wait()
        except TimeoutError:
            self.deliver(encode(Alive()))

    async def _turn_away(self, error: RemoteProtocolError) -> None:
        with contextlib.suppress(ChannelClosedError):
            await self._channel.send(Error(code=error_code(error), message=str(error)))
        await self._channel.close()
