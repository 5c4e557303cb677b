"""A session on a Janus server over its WebSocket (sub-protocol ``janus-protocol``)."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from types import TracebackType

import aiohttp

from softphone.errors import PeerUnreachableError, RemoteError, RemoteProtocolError

from .errors import JanusError, JanusLostError, JanusTimeoutError
from .protocol import (
    Answered,
    Failed,
    HandleChanged,
    HandleEvent,
    HandleSignal,
    JanusProtocol,
    Json,
    SessionEnded,
)

__all__ = ["JanusHandle", "JanusSession"]

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds to wait for an answer."""
_RECONNECT_DELAYS = (0.0, 0.5, 1.0, 2.0)
_CONNECT_TIMEOUT = 5.0


class JanusHandle:
    """A handle of a plug-in: one peer connection, or one administrator."""

    def __init__(self, session: "JanusSession", number: int) -> None:
        self._session = session
        self.number = number
        self.on_event: Callable[[HandleEvent | HandleChanged], None] | None = None
        """Called with what Janus tells on its own."""

    async def message(self, body: Json, jsep: Json | None = None) -> Answered:
        """Ask the plug-in something and wait for its answer.

        Raises :class:`.errors.JanusError` when it refuses, `JanusTimeoutError`, and
        `JanusLostError` when the session has ended or the answer was lost with a connection.
        """
        return await self._session.request(lambda p, now: p.message(self.number, body, jsep, now))

    async def detach(self) -> None:
        """Give the handle back, if Janus can be told; errors do not matter any more."""
        self._session.drop(self)
        if not self._session.connected:
            return
        with contextlib.suppress(RemoteError):
            await self._session.request(lambda p, now: p.detach(self.number, now))


class JanusSession:
    """One session. Use it on a running event loop, and close it.

    A lost connection is replaced and the session claimed on the new one, which works where
    Janus has ``reclaim_session_timeout``; else the session is lost with it.
    """

    def __init__(self, url: str, *, token: str = "") -> None:
        """`url`: ``ws://`` or ``wss://``; `token` for servers that authenticate requests."""
        self.url = url
        self.on_lost: Callable[[], None] | None = None
        """Called once when the session has ended without `close`."""
        self._protocol = JanusProtocol(token)
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[str, asyncio.Future[Answered]] = {}
        self._handles: dict[int, JanusHandle] = {}
        self._ended = False
        self._connected = asyncio.Event()
        self.malformed = 0
        """Messages of Janus that could not be read."""

    async def __aenter__(self) -> "JanusSession":
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def alive(self) -> bool:
        """Whether requests can be made, now or as soon as the connection is back."""
        return self._protocol.session is not None and not self._ended

    @property
    def connected(self) -> bool:
        """Whether requests would leave at once."""
        return self.alive and self._connected.is_set()

    async def connect(self) -> None:
        """Open the connection and the session.

        Raises :class:`softphone.errors.PeerUnreachableError`, :class:`.errors.JanusError`.
        """
        self._http = aiohttp.ClientSession()
        try:
            self._socket = await self._open()
            self._connected.set()
            self._tasks.append(asyncio.create_task(self._read(self._socket)))
            await self.request(lambda p, now: p.create(now))
        except BaseException:
            await self.close()
            raise
        self._tasks.append(asyncio.create_task(self._keep_alive()))

    async def info(self) -> Json:
        """What the server says about itself: ``version_string``, ``version``, plug-ins."""
        return (await self.request(lambda p, now: p.info(now))).data

    async def attach(self, plugin: str) -> JanusHandle:
        """Get a handle of `plugin`, for instance ``janus.plugin.videoroom``."""
        answer = await self.request(lambda p, now: p.attach(plugin, now))
        handle = JanusHandle(self, answer.data["id"])
        self._handles[handle.number] = handle
        return handle

    def drop(self, handle: JanusHandle) -> None:
        """Pass nothing more on to a handle."""
        self._handles.pop(handle.number, None)

    async def close(self) -> None:
        """End the session and free everything. Idempotent."""
        if self.connected and self._socket is not None:
            _, text = self._protocol.destroy(time.monotonic())
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._socket.send_str(text)
        self._end(tell=False)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(
            *(task for task in self._tasks if task is not asyncio.current_task()), return_exceptions=True
        )
        self._tasks = []
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()
        self._socket = self._http = None

    async def request(self, make: Callable[[JanusProtocol, float], tuple[str, str]]) -> Answered:
        """Send what `make` asks the protocol for, and wait for the answer; also for a connection first."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._request(make)
        except TimeoutError:
            raise JanusTimeoutError(f"Janus did not answer within {PATIENCE:g} s") from None

    async def _request(self, make: Callable[[JanusProtocol, float], tuple[str, str]]) -> Answered:
        while True:
            await self._connected.wait()
            if self._ended or self._socket is None:
                raise JanusLostError("the session with Janus has ended")
            transaction, text = make(self._protocol, time.monotonic())
            answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
            self._waiting[transaction] = answer
            try:
                await self._socket.send_str(text)
                return await answer
            except ConnectionError:
                # It did not leave; the reader is about to notice, too.
                self._connected.clear()
            finally:
                self._waiting.pop(transaction, None)
                self._protocol.forget(transaction)

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        assert self._http is not None
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                return await self._http.ws_connect(self.url, protocols=("janus-protocol",), heartbeat=5.0)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise PeerUnreachableError(f"Janus can't be reached at {self.url}: {error}") from error

    async def _keep_alive(self) -> None:
        while not self._ended:
            delay = self._protocol.keepalive_due() - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
                continue
            try:
                await self.request(lambda p, now: p.keepalive(now))
            except RemoteError as error:
                logger.info("keeping the session with Janus alive: %s", error)
                await asyncio.sleep(1.0)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._receive(message.data)
            if self._ended:
                return
            self._connected.clear()
            # What was asked on the old connection may or may not have been done.
            self._fail_waiting(JanusLostError("the connection to Janus was lost before the answer"))
            replacement = await self._replace()
            if replacement is None:
                self._end(tell=True)
                return
            socket = self._socket = replacement
            self._connected.set()

    async def _replace(self) -> aiohttp.ClientWebSocketResponse | None:
        """Connect again and claim the session; None: it is lost."""
        for delay in _RECONNECT_DELAYS:
            await asyncio.sleep(delay)
            try:
                socket = await self._open()
            except PeerUnreachableError as error:
                logger.info("%s", error)
                continue
            transaction, text = self._protocol.claim(time.monotonic())
            try:
                await socket.send_str(text)
                reply = await socket.receive_str(timeout=PATIENCE)
                event = self._protocol.receive(reply)
            except (ConnectionError, TypeError, TimeoutError, RemoteProtocolError):
                continue
            finally:
                self._protocol.forget(transaction)
            if isinstance(event, Answered):
                logger.info("the session with Janus goes on over a new connection")
                return socket
            await socket.close()
            return None
        return None

    def _receive(self, text: str) -> None:
        try:
            event = self._protocol.receive(text)
        except RemoteProtocolError as error:
            self.malformed += 1
            logger.debug("dropped a message of Janus: %s", error)
            return
        if isinstance(event, Answered | Failed):
            waiting = self._waiting.get(event.transaction)
            if waiting is None or waiting.done():
                return
            if isinstance(event, Failed):
                waiting.set_exception(event.error)
            else:
                waiting.set_result(event)
        elif isinstance(event, SessionEnded):
            self._end(tell=True)
        elif event is not None:
            self._tell(event)

    def _tell(self, event: HandleEvent | HandleChanged) -> None:
        handle = self._handles.get(event.handle)
        if handle is None or handle.on_event is None:
            return
        try:
            handle.on_event(event)
        except Exception:
            logger.exception("a callback of a Janus handle failed")

    def _end(self, *, tell: bool) -> None:
        if self._ended:
            return
        self._ended = True
        self._connected.set()
        self._fail_waiting(JanusLostError("the session with Janus has ended"))
        for number, handle in list(self._handles.items()):
            if tell and handle.on_event is not None:
                self._tell(HandleChanged(number, HandleSignal.DETACHED, "session ended"))
        self._handles.clear()
        if tell and self.on_lost is not None:
            self.on_lost()

    def _fail_waiting(self, error: JanusError | JanusLostError) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
