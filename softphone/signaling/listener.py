"""The end that is called: a WebSocket server inside the phone."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field

from aiohttp import web

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.signaling.access import AccessPolicy
from softphone.signaling.channel import CLOSE_TIMEOUT, SOCKET_LIMIT, MessageChannel
from softphone.signaling.errors import (
    CallEndedError,
    ChannelClosedError,
    UnauthorizedError,
    UnexpectedMessageError,
    UnknownCallError,
    error_code,
)
from softphone.signaling.gate import GatedServer, remote_host
from softphone.signaling.incoming import IncomingCall
from softphone.signaling.limits import AddressCaps, KeyedBuckets, address_key
from softphone.signaling.messages import DIRECT_CALL, Bye, Error, Hello, Invite, Welcome, choose_version
from softphone.signaling.resumption import RESUME_TIMEOUT, ResumableChannel
from softphone.signaling.session import CallSession, RemoteParty
from softphone.signaling.states import CallEnd, Role
from softphone.signaling.statistics import SignalingStatistics
from softphone.signaling.target import DEFAULT_PORT, PATH, CallTarget, is_loopback

__all__ = ["ListenConfig", "Listener"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenConfig:
    """Settings of a `Listener`. Times in seconds."""

    host: str = "127.0.0.1"
    """Address to listen on; "0.0.0.0" and "::" are every address of the machine."""
    port: int = DEFAULT_PORT
    """0 lets the system choose."""
    name: str = ""
    """Display name that callers see once the call is answered."""
    token: str = field(default="", repr=False)
    """What callers must present. Without one, and off loopback, each call needs a one-time secret."""
    open: bool = False
    """Off loopback, let anybody ring without a secret."""
    tls: ssl.SSLContext | None = None
    """Server-side context for wss://."""
    allowed_origins: frozenset[str] = frozenset()
    """Values of the Origin header that may connect. Phones send none; any web page sends its own, and
    no page has business here, whichever host name it reached us by."""
    hello_timeout: float = 10.0
    """From the TCP connection to the invitation."""
    ring_timeout: float = 45.0
    """From the invitation until somebody picks up."""
    setup_timeout: float = 30.0
    """From picking up until the answer is ready."""
    heartbeat: float = 5.0
    """Between pings; a silent peer is gone after at most 1.5 of these."""
    resume_timeout: float = RESUME_TIMEOUT
    """From the loss of an answered call's connection until the caller must have opened another one."""
    max_calls: int = 1
    """Answered calls at the same time; further callers hear that the phone is busy."""
    max_pending: int = 4
    """Unanswered calls at the same time."""
    max_pending_per_address: int = 2
    max_connections: int = 256
    max_connections_per_address: int = 16
    connection_rate: float = 2.0
    """New connections per second from one address, in the long run."""
    connection_burst: float = 20.0
    """New connections from one address at once."""

    def __post_init__(self) -> None:
        """Raises `ConfigError` for values out of range or that contradict each other."""
        if self.token and self.open:
            raise ConfigError("an open listener asks for no token: give either a token or open")
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"{self.port} is no port; a port is a number from 0 to 65535")
        for name in ("hello_timeout", "ring_timeout", "setup_timeout", "heartbeat", "resume_timeout"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0 seconds")
        if self.max_calls < 1:
            raise ConfigError("max_calls must be at least 1")


class Listener:
    """Waits for calls: ``async for call in listener``.

    The iteration gives each call whose invitation has arrived, and ends with `close`.
    """

    def __init__(self, config: ListenConfig) -> None:
        """Check the settings; raises `ConfigError`. Needs no running loop."""
        self.config = config
        self.statistics = SignalingStatistics()
        self.busy = False
        """Set by the owner while its user is in a call that this listener knows nothing of."""
        self.addresses: list[tuple[str, int]] = []
        """(host, port) of each listening socket, once started."""
        self._access = AccessPolicy(config.token)
        self._pending_caps = AddressCaps(config.max_pending, config.max_pending_per_address)
        self._connection_caps = AddressCaps(config.max_connections, config.max_connections_per_address)
        self._attempts = KeyedBuckets(config.connection_rate, config.connection_burst)
        self._pending: dict[CallSession, str] = {}
        self._answered: set[CallSession] = set()
        self._arrived: dict[CallSession, IncomingCall] = {}
        self._running: set[asyncio.Task[CallEnd]] = set()
        self._news = asyncio.Event()
        self._closed = False
        self._web: GatedServer | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> list[tuple[str, int]]:
        """Listen, and return the (host, port) of each socket.

        Raises `ConfigError` when the address can't be had.
        """
        config = self.config
        loop = asyncio.get_running_loop()
        self._web = GatedServer(
            self._serve,
            caps=self._connection_caps,
            attempts=self._attempts,
            patience=config.hello_timeout,
            statistics=self.statistics,
        )
        try:
            # Bound but not serving yet: what must be asked of callers depends on the addresses.
            self._server = await loop.create_server(
                self._web,
                config.host,
                config.port,
                ssl=config.tls,
                ssl_handshake_timeout=config.hello_timeout if config.tls is not None else None,
                start_serving=False,
            )
        except OSError as error:
            raise ConfigError(
                f"can't listen on {config.host} port {config.port} ({error.strerror or error}): "
                "choose another address or port"
            ) from error
        self.addresses = [sock.getsockname()[:2] for sock in self._server.sockets]
        exposed = not all(is_loopback(host) for host, _ in self.addresses)
        if exposed and not config.token and not config.open:
            self._access = AccessPolicy(one_time=True)
        await self._server.start_serving()
        return self.addresses

    @property
    def secret(self) -> str:
        """What a caller must present now; empty when anybody may ring.

        A one-time secret changes with each answered call.
        """
        return self._access.secret

    @property
    def secret_is_one_time(self) -> bool:
        """True when `secret` is good for one answered call."""
        return self._access.one_time

    def invitation(self, host: str, port: int | None = None) -> CallTarget:
        """What to give to a caller who reaches this machine as `host`."""
        listening = self.addresses[0][1] if self.addresses else self.config.port
        secure = self.config.tls is not None
        return CallTarget(host, listening if port is None else port, self.secret, secure)

    def __aiter__(self) -> "Listener":
        return self

    async def __anext__(self) -> IncomingCall:
        while not self._closed:
            if self._arrived:
                return self._arrived.pop(next(iter(self._arrived)))
            self._news.clear()
            await self._news.wait()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Hang up every call, close every connection and end the iteration. Idempotent."""
        self._closed = True
        self._news.set()
        if self._server is None or self._web is None:
            return
        self._server.close()
        for session in [*self._pending, *self._answered]:
            session.say_bye("the phone was switched off")
        self._web.evict_strangers()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=4 * CLOSE_TIMEOUT)
            for task in late:
                task.cancel()
        await self._web.shutdown(CLOSE_TIMEOUT)
        await self._server.wait_closed()
        self._server = self._web = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        refusal = self._refusal(request)
        transport = request.transport
        if refusal is not None:
            return refusal
        if transport is None:  # gone already
            return web.Response(status=400)
        socket = web.WebSocketResponse(
            heartbeat=self.config.heartbeat,
            autoping=False,
            compress=False,
            max_msg_size=SOCKET_LIMIT,
        )
        await socket.prepare(request)
        channel = MessageChannel(socket, DIRECT_CALL, abort=transport.abort)
        try:
            greeting = await self._greet(channel)
        except ChannelClosedError:
            return socket
        except RemoteProtocolError as error:
            self.statistics.count_error(error)
            await _turn_away(channel, error)
            return socket
        if greeting is None:
            await channel.close()
            return socket
        assert self._web is not None
        self._web.admit(transport)
        match greeting:
            case CallSession():
                with contextlib.suppress(CallEndedError):
                    await greeting.resume(channel)
            case hello, invite:
                self._take_call(hello, invite, channel, remote_host(transport))
        await channel.left()
        return socket

    def _refusal(self, request: web.BaseRequest) -> web.Response | None:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self.config.allowed_origins:
            self.statistics.origins_refused += 1
            return web.Response(status=403, text="no web page may call this phone\n")
        if request.path != PATH:
            status, text = 404, f"a softphone listens at {PATH}\n"
        elif request.method != "GET":
            status, text = 405, "a softphone wants a WebSocket\n"
        elif not web.WebSocketResponse().can_prepare(request):
            status, text = 426, "a softphone wants a WebSocket\n"
        else:
            return None
        self.statistics.requests_refused += 1
        response = web.Response(status=status, text=text)
        response.force_close()
        return response

    async def _greet(self, channel: MessageChannel) -> tuple[Hello, Invite] | CallSession | None:
        """Hello, version, token, invitation; None when the caller thinks better of it.

        Of somebody who comes back, hello, version and token; then the call to go on with.
        """
        hello = await channel.receive()
        if not isinstance(hello, Hello):
            raise UnexpectedMessageError("the first message must be hello")
        version = choose_version(hello.versions)
        if hello.resume:
            session = next((each for each in self._answered if each.resumes(hello.resume)), None)
            if session is None:
                raise UnknownCallError("there is no such call any more")
            await channel.send(Welcome(version=version))
            return session
        if not self._access.admits(hello.token):
            raise UnauthorizedError("this phone asks for a secret that you did not give")
        await channel.send(Welcome(version=version))
        invite = await channel.receive()
        if isinstance(invite, Bye):
            return None
        if not isinstance(invite, Invite):
            raise UnexpectedMessageError("an invitation must follow")
        return hello, invite

    def _take_call(self, hello: Hello, invite: Invite, channel: MessageChannel, address: str) -> None:
        party = RemoteParty(address, hello.name, hello.capabilities)
        resumable = ResumableChannel(channel, timeout=self.config.resume_timeout)
        session = CallSession(Role.CALLEE, resumable, party, self.statistics)
        key = address_key(address)
        session.receive_invite()
        self.statistics.invitations += 1
        if self.busy or len(self._answered) >= self.config.max_calls:
            session.refuse_as_busy()
        elif not self._pending_caps.acquire(key):
            self.statistics.pending_refused += 1
            session.refuse_as_busy()
        else:
            self._pending[session] = key
            session.arm(self.config.ring_timeout)
            self._arrived[session] = IncomingCall(
                session, invite.sdp, self.config, self._on_answered, resumable=hello.resumable
            )
            self._news.set()
        # Not in the task that serves the connection: an answered call may go on over another one.
        task = asyncio.create_task(session.run())
        self._running.add(task)
        task.add_done_callback(lambda task: self._forget(session, task))

    def _on_answered(self, session: CallSession) -> None:
        """The user took one call: the others hear that the phone is busy."""
        self._no_longer_pending(session)
        self._answered.add(session)
        self._access.spend()
        if len(self._answered) >= self.config.max_calls:
            for other in list(self._pending):
                if other.end is None:
                    other.refuse_as_busy()

    def _no_longer_pending(self, session: CallSession) -> None:
        key = self._pending.pop(session, None)
        if key is not None:
            self._pending_caps.release(key)

    def _forget(self, session: CallSession, task: asyncio.Task[CallEnd]) -> None:
        self._running.discard(task)
        self._arrived.pop(session, None)
        self._no_longer_pending(session)
        self._answered.discard(session)


async def _turn_away(channel: MessageChannel, error: RemoteProtocolError) -> None:
    try:
        await channel.send(Error(code=error_code(error), message=str(error)))
    except ChannelClosedError:
        return
    finally:
        await channel.close()
