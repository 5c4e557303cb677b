"""The end that calls."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import aiohttp

from softphone.errors import PeerUnreachableError, RemoteProtocolError
from softphone.signaling.channel import SOCKET_LIMIT, MessageChannel
from softphone.signaling.errors import (
    CallEndedError,
    CallRefusedError,
    ChannelClosedError,
    UnexpectedMessageError,
    VersionMismatchError,
)
from softphone.signaling.messages import (
    DIRECT_CALL,
    VERSIONS,
    Answer,
    Error,
    Hello,
    Invite,
    Message,
    RingingNotice,
    Welcome,
    encode,
)
from softphone.signaling.resumption import RESUME_TIMEOUT, ResumableChannel
from softphone.signaling.session import CallSession, RemoteParty
from softphone.signaling.states import CallEnd, Event, Role, State
from softphone.signaling.statistics import SignalingStatistics
from softphone.signaling.target import CallTarget
from softphone.signaling.text import MAX_NAME, clean_text
from softphone.signaling.wire import Capabilities

__all__ = ["Accepted", "CallEvent", "Ended", "OutgoingCall", "Ringing", "dial"]

_REDIAL_TIMEOUT: Final = 5.0
"""Seconds for each attempt to go on with a call; more are to follow."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """The callee's phone rings."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The callee picked up."""

    session: CallSession
    answer_sdp: str
    """The callee's complete answer; only its outer shape has been checked."""
    name: str
    """Its display name: safe to print, proven by nothing, perhaps empty."""
    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class Ended:
    """The call ended without an answer."""

    end: CallEnd


CallEvent: TypeAlias = Ringing | Accepted | Ended
Observer: TypeAlias = Callable[[RingingNotice | Answer | CallEnd], None]


class OutgoingCall:
    """A call on its way: ``async for event in call`` ends after `Accepted` or `Ended`."""

    def __init__(self, make_session: Callable[[Observer], CallSession]) -> None:
        self._events: asyncio.Queue[CallEvent] = asyncio.Queue()
        self._outcome: Accepted | Ended | None = None
        self._session = make_session(self._observe)
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """Where the call stands."""
        return self._session.state

    def __aiter__(self) -> "OutgoingCall":
        return self

    async def __anext__(self) -> CallEvent:
        if self._outcome is not None:
            raise StopAsyncIteration
        event = await self._events.get()
        if not isinstance(event, Ringing):
            self._outcome = event
        return event

    async def answered(self) -> Accepted:
        """Wait for the answer, past any ringing. Raises `CallEndedError` when there is none."""
        async for _ in self:
            pass
        if isinstance(self._outcome, Accepted):
            return self._outcome
        assert self._outcome is not None
        raise CallEndedError(self._outcome.end)

    async def hang_up(self, detail: str = "") -> CallEnd:
        """Give up, or end the answered call. Idempotent."""
        return await self._session.hang_up(detail)

    async def closed(self) -> CallEnd:
        """Wait until the call is over and return how it ended."""
        return await self._session.closed()

    def _start(self, http: aiohttp.ClientSession) -> None:
        self._task = asyncio.create_task(self._run(http))

    async def _run(self, http: aiohttp.ClientSession) -> None:
        async with http:
            await self._session.run()

    def _observe(self, news: RingingNotice | Answer | CallEnd) -> None:
        match news:
            case RingingNotice():
                event: CallEvent = Ringing()
            case Answer():
                event = Accepted(self._session, news.sdp, news.name, news.capabilities)
            case CallEnd():
                event = Ended(news)
        self._events.put_nowait(event)


async def dial(
    target: CallTarget,
    *,
    name: str,
    capabilities: Capabilities,
    offer_sdp: str,
    connect_timeout: float = 10.0,
    answer_timeout: float = 60.0,
    heartbeat: float = 5.0,
    resume_timeout: float = RESUME_TIMEOUT,
    tls: ssl.SSLContext | None = None,
    statistics: SignalingStatistics | None = None,
) -> OutgoingCall:
    """Connect to a listener, greet it and send the invitation.

    Returns with the call in state "inviting"; what follows comes as events. Give up
    before that by cancelling, afterwards with `OutgoingCall.hang_up`. `name` is what
    the callee sees; times are in seconds: `connect_timeout` until the listener has
    greeted back, `answer_timeout` until somebody picks up, `heartbeat` between pings, and
    `resume_timeout` in which a lost connection of an answered call must have been replaced.
    `tls` is used for wss:// in place of the system's certificate authorities.

    Raises `PeerUnreachableError` when nobody, or something else than a softphone,
    answers there, `CallRefusedError` when the listener does not let us ring,
    `VersionMismatchError`, `RemoteProtocolError` when the far end breaks the protocol,
    and `softphone.errors.ConfigError` when the offer or the capabilities break its limits.
    """
    counters = SignalingStatistics() if statistics is None else statistics
    hello = Hello(
        versions=VERSIONS,
        name=clean_text(name, MAX_NAME),
        capabilities=capabilities,
        token=target.secret,
        resumable=True,
    )
    invite = Invite(sdp=offer_sdp)
    # Mistakes of ours show before the network is touched.
    encode(hello), encode(invite)
    http = aiohttp.ClientSession(trace_configs=[_no_redirects()])

    async def connect(hello: Hello) -> tuple[MessageChannel, RemoteParty]:
        socket = await http.ws_connect(
            target.url,
            autoping=False,
            heartbeat=heartbeat,
            max_msg_size=SOCKET_LIMIT,
            ssl=True if tls is None else tls,
        )
        channel = MessageChannel(socket, DIRECT_CALL)
        try:
            await _greet(channel, hello)
        except BaseException:
            await channel.close()
            raise
        return channel, RemoteParty(_peer_host(socket, target))

    async def redial(token: bytes) -> MessageChannel:
        patience = min(connect_timeout, _REDIAL_TIMEOUT)
        with _explained(target, patience, counters):
            async with asyncio.timeout(patience):
                channel, _ = await connect(Hello(versions=VERSIONS, resume=token))
                return channel

    try:
        with _explained(target, connect_timeout, counters):
            async with asyncio.timeout(connect_timeout):
                channel, party = await connect(hello)
                resumable = ResumableChannel(channel, timeout=resume_timeout, redial=redial)
                call = OutgoingCall(
                    lambda observer: CallSession(Role.CALLER, resumable, party, counters, observer=observer)
                )
                await call._session.send(Event.INVITE, invite)
    except BaseException:
        await http.close()
        raise
    counters.invitations += 1
    call._session.arm(answer_timeout)
    call._start(http)
    return call


@contextlib.contextmanager
def _explained(target: CallTarget, seconds: float, counters: SignalingStatistics) -> Iterator[None]:
    """Count what the far end did wrong, and say in words for people what failed on the way to it."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, RemoteProtocolError):
            counters.count_error(error)
        explained = _explain(error, target, seconds)
        if explained is None:
            raise
        raise explained from error


async def _greet(channel: MessageChannel, hello: Hello) -> None:
    await channel.send(hello)
    match await channel.receive():
        case Welcome(version=version) if version in hello.versions:
            return
        case Welcome():
            raise VersionMismatchError("the far end chose a version of the protocol that was not offered")
        case Error(code=VersionMismatchError.code, message=message):
            raise VersionMismatchError(f"the far end speaks another version of the protocol: {message}")
        case Error(code=code, message=message):
            raise CallRefusedError(code, message or code)
        case Message(TYPE=kind):
            raise UnexpectedMessageError(f"{kind} came in place of a welcome")


def _explain(error: BaseException, target: CallTarget, seconds: float) -> PeerUnreachableError | None:
    """What to tell people; None for what speaks for itself."""
    where = target.address
    match error:
        case TimeoutError():
            text = f"{where} did not answer within {seconds:g} s: check the address and any firewall between"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            text = f"no secure connection to {where}: {error}"
        case aiohttp.ClientConnectorError():
            cause = error.os_error.strerror or error.os_error
            text = f"can't connect to {where} ({cause}): is a softphone listening there?"
        case aiohttp.WSServerHandshakeError():
            text = f"{where} answers, but not as a softphone (HTTP status {error.status})"
        case ChannelClosedError() | CallEndedError() | OSError() | aiohttp.ClientError():
            text = f"{where} closed the connection: it may be overloaded, or not be a softphone"
        case _:
            return None
    return PeerUnreachableError(text)


def _no_redirects() -> aiohttp.TraceConfig:
    # A redirect would carry the secret to a host that the user did not name.
    async def refuse(*_: object) -> None:
        raise aiohttp.ClientError("redirected")

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    return config


def _peer_host(socket: aiohttp.ClientWebSocketResponse, target: CallTarget) -> str:
    peer = socket.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else target.host
