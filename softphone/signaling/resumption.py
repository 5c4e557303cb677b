"""The connection of a call, and those that take its place when it is lost.

A call is tied to its first connection until the answer has brought a token. From then on the
end that called may open another connection and prove by the token that it is the same one.
"""

import asyncio
import hmac
import random
import secrets
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from softphone.errors import PeerUnreachableError, RemoteError
from softphone.signaling.channel import MessageChannel
from softphone.signaling.errors import ChannelClosedError
from softphone.signaling.messages import RESUME_BYTES, Message, encode

__all__ = ["DELAYS", "RESUME_TIMEOUT", "Redial", "ResumableChannel", "new_token"]

RESUME_TIMEOUT: Final = 60.0
"""Seconds in which another connection must stand, unless told otherwise."""

DELAYS: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt; the last one repeats."""

_ANSWER_TIMEOUT: Final = 1.5
"""Seconds until a connection that is asked for a sign is taken for dead."""
_SPREAD: Final = 0.2
_STABLE: Final = 10.0
"""Seconds that a connection must have lasted for the next loss to count as the first."""

Redial: TypeAlias = Callable[[bytes], Awaitable[MessageChannel]]
"""Makes another connection, given the token; raises `PeerUnreachableError` where a later attempt may
succeed and another `RemoteError` where none will."""


def new_token() -> bytes:
    """A token that nobody guesses."""
    return secrets.token_bytes(RESUME_BYTES)


class ResumableChannel:
    """Has the methods of `MessageChannel`. Without a `token` it lives as long as its connection."""

    def __init__(
        self, channel: MessageChannel, *, timeout: float = RESUME_TIMEOUT, redial: Redial | None = None
    ) -> None:
        """`timeout`: seconds that a lost connection is waited for; `redial`: for the end that called."""
        self.token = b""
        """By which the end that called is known again; empty while the call can't be resumed."""
        self.on_change: Callable[[str | None], None] | None = None
        """Called with the reason when the connection is lost for now, and with None once another stands."""
        self._channel: MessageChannel | None = channel
        self._timeout = timeout
        self._redial = redial
        self._replaced = asyncio.Event()
        self._repeated: list[str] = []
        self._attempt = 0
        self._since = asyncio.get_running_loop().time()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    def admits(self, token: bytes) -> bool:
        """True when `token` is the one of this call, and it can be resumed."""
        return bool(self.token) and not self._closed and hmac.compare_digest(token, self.token)

    async def attach(self, channel: MessageChannel) -> None:
        """Go on over `channel`, whether or not the former connection is known to be lost.

        Raises `ChannelClosedError`, with `channel` closed, when this one is closed.
        """
        if self._closed:
            await channel.close()
            raise ChannelClosedError("the call is over")
        if self._channel is not None:
            self._leave(self._channel)
        self._channel = channel
        self._since = asyncio.get_running_loop().time()
        self._replaced.set()
        for text in self._repeated:
            await self.send_text(text)
        if channel is self._channel:
            self._tell(None)

    async def receive(self) -> Message:
        """The next message, of whichever connection.

        Raises as `MessageChannel.receive` does; `ChannelClosedError` when the connection is lost and no
        other one came in time.
        """
        while True:
            channel = self._channel
            if channel is None:
                await self._wait_for_another()
                continue
            try:
                return await channel.receive()
            except ChannelClosedError as error:
                self._lose(channel, error)

    async def send(self, message: Message) -> None:
        """As `send_text`."""
        await self.send_text(encode(message))

    async def send_text(self, text: str, *, repeat: bool = False) -> None:
        """Send one message; what is sent while there is no connection is lost.

        With `repeat` it is sent again on each further connection: it may have been lost with the one
        before. Raises `ChannelClosedError` when the connection is lost and the call can't be resumed.
        """
        if repeat:
            self._repeated.append(text)
        if (channel := self._channel) is None:
            return
        try:
            await channel.send_text(text)
        except ChannelClosedError as error:
            self._lose(channel, error)

    async def check(self) -> None:
        """Look whether the connection still works, where that can be helped: at the end that called.

        A dead one shows by itself only after some seconds, when its heartbeat is missed.
        """
        channel = self._channel
        if channel is None or not self.token or self._redial is None:
            return
        if not await channel.answers(_ANSWER_TIMEOUT) and not self._closed:
            self._lose(channel, ChannelClosedError("the connection does not answer"))

    async def close(self) -> None:
        """Close for good. Idempotent."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()
        await asyncio.gather(*self._leaving)

    def _lose(self, channel: MessageChannel, error: ChannelClosedError) -> None:
        if not self.token or self._closed:
            raise error
        if channel is self._channel:
            self._channel = None
            self._replaced.clear()
            self._leave(channel)
            self._tell(str(error))

    async def _wait_for_another(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                if self._redial is None:
                    await self._replaced.wait()
                    return
                channel = await self._reach(self._redial)
        except TimeoutError as error:
            raise ChannelClosedError("the signalling connection did not come back in time") from error
        await self.attach(channel)

    async def _reach(self, redial: Redial) -> MessageChannel:
        if asyncio.get_running_loop().time() - self._since >= _STABLE:
            self._attempt = 0
        while True:
            delay = DELAYS[min(self._attempt, len(DELAYS) - 1)]
            self._attempt += 1
            await asyncio.sleep(delay * random.uniform(1.0 - _SPREAD, 1.0 + _SPREAD))
            try:
                return await redial(self.token)
            except PeerUnreachableError:
                continue
            except RemoteError as error:
                raise ChannelClosedError(str(error)) from error

    def _leave(self, channel: MessageChannel) -> None:
        task = asyncio.create_task(channel.close())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _tell(self, loss: str | None) -> None:
        if self.on_change is not None:
            self.on_change(loss)
