"""Messages over one WebSocket, the same for the end that listens and the end that dials."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import aiohttp

from softphone.errors import RemoteProtocolError
from softphone.signaling.errors import ChannelClosedError, MessageTooLargeError, RateExceededError
from softphone.signaling.limits import TokenBucket
from softphone.signaling.messages import MAX_MESSAGE_BYTES, Message, Vocabulary, encode

__all__ = ["CLOSE_TIMEOUT", "SOCKET_LIMIT", "MessageChannel", "WebSocket"]

SOCKET_LIMIT: Final = MAX_MESSAGE_BYTES + 1
"""aiohttp's ``max_msg_size``, which refuses frames of that size already."""

CLOSE_TIMEOUT: Final = 1.0
"""Seconds to wait for the peer's closing frame."""

SEND_TIMEOUT: Final = 5.0
"""Seconds after which a peer that does not read is taken for gone."""

MESSAGES_PER_SECOND: Final = 10.0
MESSAGES_BURST: Final = 40.0


class WebSocket(Protocol):
    """What `aiohttp.ClientWebSocketResponse` and `aiohttp.web.WebSocketResponse` share."""

    @property
    def closed(self) -> bool: ...
    async def receive(self) -> Any: ...
    async def send_str(self, data: str) -> None: ...
    async def ping(self, message: bytes = ...) -> None: ...
    async def pong(self, message: bytes = ...) -> None: ...
    async def close(self, *, code: int = ...) -> bool: ...


class MessageChannel:
    """Sends and receives `Message` objects; refuses what is malformed, too large or too fast.

    The socket must have been made with ``autoping=False`` and `SOCKET_LIMIT`, so that
    pings count against the rate limit too.
    """

    def __init__(
        self,
        socket: WebSocket,
        vocabulary: Vocabulary,
        *,
        abort: Callable[[], None] | None = None,
        rate: float = MESSAGES_PER_SECOND,
        burst: float = MESSAGES_BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`abort` drops the transport, where its owner does not; `rate` and `burst` limit received frames."""
        self._socket = socket
        self._vocabulary = vocabulary
        self._abort = abort
        self._bucket = TokenBucket(rate, burst)
        self._clock = clock
        self._heard = asyncio.Event()
        self._left = asyncio.Event()

    async def receive(self) -> Message:
        """The next message.

        Raises `ChannelClosedError` when the peer closed or vanished and
        `RemoteProtocolError` when it sent something that is not a message; the
        channel is to be closed after either.
        """
        while True:
            frame = await self._socket.receive()
            self._heard.set()
            match frame.type:
                case aiohttp.WSMsgType.TEXT:
                    self._charge()
                    return self._vocabulary.parse(frame.data)
                case aiohttp.WSMsgType.PING:
                    self._charge()
                    await self._pong(frame.data)
                case aiohttp.WSMsgType.PONG:
                    self._charge()
                case aiohttp.WSMsgType.BINARY:
                    raise RemoteProtocolError("a message is a text frame")
                case aiohttp.WSMsgType.ERROR:
                    raise _socket_error(frame.data)
                case _:
                    raise ChannelClosedError("the connection was closed")

    async def send(self, message: Message) -> None:
        """Send one message.

        Raises `ConfigError` for a message that breaks the protocol and
        `ChannelClosedError` when the peer is gone or does not read.
        """
        await self.send_text(encode(message))

    async def send_text(self, text: str) -> None:
        """Send one message that `encode` has written. Raises `ChannelClosedError` as `send` does."""
        if self._socket.closed:
            raise ChannelClosedError("the connection is closed")
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await self._socket.send_str(text)
        except TimeoutError as error:
            self._drop()
            raise ChannelClosedError("the peer does not read what it is sent") from error
        except (OSError, aiohttp.ClientError) as error:
            raise ChannelClosedError("the connection was closed") from error

    async def answers(self, within: float) -> bool:
        """Ask the peer for a sign; False when none came `within` so many seconds, True when one did.

        Somebody else must `receive` meanwhile.
        """
        self._heard.clear()
        try:
            async with asyncio.timeout(within):
                await self._socket.ping()
                await self._heard.wait()
        except (TimeoutError, OSError, aiohttp.ClientError):
            return False
        return True

    async def close(self, code: int = aiohttp.WSCloseCode.OK) -> None:
        """Close, waiting at most about `CLOSE_TIMEOUT` for the peer to agree. Idempotent."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._socket.close(code=code)
        except (TimeoutError, OSError, aiohttp.ClientError):
            self._drop()
        finally:
            self._left.set()

    async def left(self) -> None:
        """Wait until `close` is done."""
        await self._left.wait()

    async def _pong(self, payload: bytes) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await self._socket.pong(payload)
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            self._drop()
            raise ChannelClosedError("the peer does not read what it is sent") from error

    def _drop(self) -> None:
        if self._abort is not None:
            self._abort()

    def _charge(self) -> None:
        if not self._bucket.take(self._clock()):
            raise RateExceededError("too many messages in too short a time")


def _socket_error(error: object) -> Exception:
    if isinstance(error, aiohttp.WebSocketError):
        if error.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            return MessageTooLargeError(f"a message has at most {MAX_MESSAGE_BYTES} bytes")
        return RemoteProtocolError("broken WebSocket framing")
    return ChannelClosedError("the connection was lost")
