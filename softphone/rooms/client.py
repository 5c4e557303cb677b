"""The end of a participant: into a room, and back into it whenever the connection is lost.

The client carries messages and knows nothing of media. It answers for the connection:
greeting, joining, noticing that the server is gone, returning with the same identity.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import aiohttp

from softphone.errors import PeerUnreachableError, RemoteError, RemoteProtocolError
from softphone.rooms.link import RoomLink
from softphone.rooms.replies import FROM_SERVER, Alive, Joined, Waiting
from softphone.rooms.requests import Join, RoomBye
from softphone.rooms.returning import Backoff, Ending, Return
from softphone.rooms.trust import ServerTrust, presented_fingerprint
from softphone.signaling.channel import MessageChannel
from softphone.signaling.errors import (
    CallRefusedError,
    ChannelClosedError,
    UnexpectedMessageError,
    VersionMismatchError,
)
from softphone.signaling.messages import VERSIONS, Error, Hello, Message, Welcome, encode
from softphone.signaling.text import MAX_NAME, clean_text
from softphone.signaling.wire import Capabilities

__all__ = ["ConnectionLost", "Over", "RoomClient", "RoomEvent"]

_LOG = logging.getLogger(__name__)

SILENCE: Final = 12.0
"""Seconds without any message after which the connection is taken for dead."""
CONNECT_TIMEOUT: Final = 10.0
_FAREWELL: Final = 1.0
_MAX_WAITING: Final = 1024
# Bounds on what the server may send us; rooms at their limits stay far below.
_RATE: Final = 200.0
_BURST: Final = 2000.0


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection to the server is gone; the client comes back by itself."""

    message: str
    """A sentence for people."""
    retry_in: float
    """Seconds until the next attempt."""


@dataclass(frozen=True, slots=True)
class Over:
    """We are out of the room, and nothing more comes."""

    reason: str
    """Reason of the server's ``bye`` or code of its ``error``."""
    message: str
    """From the server, perhaps empty."""


RoomEvent: TypeAlias = Message | ConnectionLost | Over
"""Messages of the server, except `Alive`; of ``bye`` and ``error`` only what they lead to."""


class RoomClient:
    """One participant's connection to a room server. Use it on a running event loop.

    ``connect`` once, then ``async for event in client``, which ends after `Over` and after
    `leave`. A `Joined` that comes later says that the client was away and is back.
    """

    def __init__(
        self,
        link: RoomLink,
        *,
        name: str = "",
        capabilities: Capabilities | None = None,
        trust: ServerTrust | None = None,
    ) -> None:
        """`name` is what the others shall see, `capabilities` what they shall know."""
        self.link = link
        self._trust = trust or ServerTrust()
        self._hello = Hello(
            versions=VERSIONS, name=clean_text(name, MAX_NAME), capabilities=capabilities or {}
        )
        self._resume = ""
        self._events: asyncio.Queue[RoomEvent | None] = asyncio.Queue()
        self._outgoing: asyncio.Queue[str] | None = None
        self._http: aiohttp.ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._admitted_at: float | None = None

    @property
    def connected(self) -> bool:
        """Whether what is sent now has a chance to arrive."""
        return self._outgoing is not None

    async def connect(self) -> Joined | Waiting:
        """Enter; returns once we are in the room or in its lobby (then `Joined` comes as an event).

        Raises `PeerUnreachableError` when no room server answers there, `CallRefusedError`
        with the server's code when it does not let us in, `RemoteProtocolError` when it
        breaks the protocol and `ConfigError` for values that break its limits.
        """
        encode(self._hello)  # mistakes of ours show before the network is touched
        self._http = aiohttp.ClientSession(trace_configs=[_no_redirects()])
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                channel = await self._open(self._http)
                reply = await channel.receive()
            match reply:
                case Joined():
                    self._on_joined(reply, asyncio.Queue())
                case Waiting():
                    pass
                case Error(code=code, message=message):
                    raise CallRefusedError(code, message or code)
                case Message(TYPE=kind):
                    raise UnexpectedMessageError(f"{kind} came in place of an answer to join")
        except BaseException as error:
            await self._http.close()
            raise await self._explained(error) from error
        self._task = asyncio.create_task(self._run(channel))
        assert isinstance(reply, Joined | Waiting)
        return reply

    def send(self, message: Message) -> bool:
        """Send a message; False when there is no connection to send it over.

        Raises `ConfigError` for a message that breaks the protocol.
        """
        text = encode(message)
        if self._outgoing is None or self._outgoing.qsize() >= _MAX_WAITING:
            return False
        self._outgoing.put_nowait(text)
        return True

    async def leave(self, message: str = "") -> None:
        """Say goodbye and close, within seconds. Idempotent."""
        if self._outgoing is not None and self.send(RoomBye(message=message)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    await self._outgoing.join()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        self._events.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[RoomEvent]:
        while (event := await self._events.get()) is not None:
            yield event
            if isinstance(event, Over):
                return

    # -- the life of the connection

    async def _run(self, channel: MessageChannel | None) -> None:
        backoff = Backoff()
        while True:
            ending = await self._serve(channel) if channel else await self._come_back()
            channel = None
            if self._admitted_at is not None:
                backoff.on_ended(time.monotonic() - self._admitted_at)
                self._admitted_at = None
            if ending.comeback is Return.NEVER:
                self._events.put_nowait(Over(ending.reason, ending.message))
                return
            delay = backoff.delay(ending.comeback)
            self._events.put_nowait(ConnectionLost(ending.message or ending.reason, delay))
            await asyncio.sleep(delay)

    async def _come_back(self) -> Ending:
        """One attempt to return, and what follows if it succeeds."""
        assert self._http is not None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                channel = await self._open(self._http)
        except CallRefusedError as error:
            return Ending.by_error(error.code, str(error))
        except VersionMismatchError as error:
            return Ending.by_error(error.code, str(error))
        except (RemoteError, OSError, TimeoutError, aiohttp.ClientError) as error:
            return Ending.by_loss(str(await self._explained(error)))
        return await self._serve(channel)

    async def _open(self, http: aiohttp.ClientSession) -> MessageChannel:
        """Connect, greet and ask to be let in."""
        socket = await http.ws_connect(
            self.link.url, autoping=False, max_msg_size=FROM_SERVER.max_bytes + 1, ssl=self._trust.ssl
        )
        channel = MessageChannel(socket, FROM_SERVER, rate=_RATE, burst=_BURST)
        await channel.send(self._hello)
        match await channel.receive():
            case Welcome(version=version) if version in self._hello.versions:
                pass
            case Welcome():
                raise VersionMismatchError("the server chose a version of the protocol that was not offered")
            case Error(code=VersionMismatchError.code, message=message):
                raise VersionMismatchError(f"the server speaks another version of the protocol: {message}")
            case Error(code=code, message=message):
                raise CallRefusedError(code, message or code)
            case Message(TYPE=kind):
                raise UnexpectedMessageError(f"{kind} came in place of a welcome")
        await channel.send(Join(room=self.link.room, token=self.link.token, resume=self._resume))
        return channel

    async def _serve(self, channel: MessageChannel) -> Ending:
        """Read until the connection ends."""
        outgoing: asyncio.Queue[str] = self._outgoing or asyncio.Queue()
        writer = asyncio.create_task(self._write(channel, outgoing))
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    message = await channel.receive()
                match message:
                    case Alive():
                        pass
                    case RoomBye(reason=reason, message=text):
                        return Ending.by_bye(reason, text)
                    case Error(code=code, message=text):
                        return Ending.by_error(code, text)
                    case _:
                        if isinstance(message, Joined):
                            self._on_joined(message, outgoing)
                        self._events.put_nowait(message)
        except TimeoutError:
            return Ending.by_loss(f"the room server said nothing for {SILENCE:g} s")
        except ChannelClosedError as error:
            return Ending.by_loss(str(error))
        except RemoteProtocolError as error:
            _LOG.warning("the room server breaks the protocol: %s", error)
            return Ending.by_loss("the room server sent something unintelligible")
        finally:
            writer.cancel()
            self._outgoing = None
            await asyncio.gather(writer, return_exceptions=True)
            await channel.close()

    async def _write(self, channel: MessageChannel, outgoing: "asyncio.Queue[str]") -> None:
        while True:
            text = await outgoing.get()
            with contextlib.suppress(ChannelClosedError):  # the reader will notice too
                await channel.send_text(text)
            outgoing.task_done()

    def _on_joined(self, message: Joined, outgoing: "asyncio.Queue[str]") -> None:
        # Only now: whatever is said before is an error.
        self._outgoing = outgoing
        self._resume = message.resume
        self._admitted_at = time.monotonic()

    async def _explained(self, error: BaseException) -> BaseException:
        """What to tell people in place of an error of the network."""
        where = self.link.address
        match error:
            case TimeoutError():
                text = f"{where} did not answer within {CONNECT_TIMEOUT:g} s: check the link and any firewall"
            case aiohttp.ServerFingerprintMismatch():
                text = (
                    f"{where} shows another certificate, with the fingerprint "
                    f"{error.got.hex(':').upper()}: somebody may be in between"
                )
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
                text = await self._distrusted()
            case aiohttp.ClientConnectorError():
                cause = error.os_error.strerror or error.os_error
                text = f"can't connect to {where} ({cause}): does a room server run there?"
            case aiohttp.WSServerHandshakeError():
                text = f"{where} answers, but not as a room server (HTTP status {error.status})"
            case ChannelClosedError() | OSError() | aiohttp.ClientError():
                text = f"{where} closed the connection: it may be overloaded, or no room server"
            case _:
                return error
        return PeerUnreachableError(text)

    async def _distrusted(self) -> str:
        link = self.link
        shown = await presented_fingerprint(link.host, link.port)
        if shown is None:
            return f"{link.address} does not speak TLS: try the link with http:// if the server is yours"
        return (
            f"nobody whom this machine trusts vouches for the certificate of {link.address}. "
            "If the server made its certificate itself, compare this fingerprint with the one that it "
            f"printed, and if they are equal add --fingerprint {shown}"
        )


def _no_redirects() -> aiohttp.TraceConfig:
    # A redirect would carry the token to a host that the user did not name.
    async def refuse(*_: object) -> None:
        raise aiohttp.ClientError("redirected")

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    return config
