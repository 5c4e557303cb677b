"""The room server: one port for the page, its files, and the WebSocket of every participant."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from aiohttp import web
from yarl import URL

from softphone.errors import ConfigError
from softphone.rooms.access import Access
from softphone.rooms.config import RoomServerConfig
from softphone.rooms.connection import Backlog, RoomConnection
from softphone.rooms.engines import load_engine
from softphone.rooms.hub import RoomHub
from softphone.rooms.requests import FROM_PARTICIPANT
from softphone.rooms.site import Site
from softphone.rooms.statistics import RoomStatistics
from softphone.rooms.tokens import Invitation, TokenSigner
from softphone.signaling.channel import CLOSE_TIMEOUT, SOCKET_LIMIT, MessageChannel
from softphone.signaling.gate import GatedServer, remote_host
from softphone.signaling.limits import AddressCaps, KeyedBuckets, address_key
from softphone.signaling.statistics import SignalingStatistics
from softphone.signaling.target import is_loopback

__all__ = ["SOCKET_PATH", "Handler", "RoomServer"]

SOCKET_PATH: Final = "/ws"
HEALTH_PATH: Final = "/health"

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class RoomServer:
    """Serves rooms until it is closed."""

    def __init__(self, config: RoomServerConfig) -> None:
        """Check the settings; raises `ConfigError`. Needs no running loop."""
        self.engine = load_engine(config.engine, config.engine_options)
        TokenSigner(config.token_secret)  # checks it here rather than at start
        most, wanted = self.engine.max_participants, config.max_participants
        if wanted is not None and wanted > most and config.engine != "mesh":
            raise ConfigError(f"the engine {config.engine} takes at most {most} in a room")
        self._rooms = replace(config.room, max_participants=most if wanted is None else wanted)
        self.config = config
        self.connections = SignalingStatistics()
        """What came over the network."""
        self.addresses: list[tuple[str, int]] = []
        """(host, port) of each listening socket, once started."""
        self._machine = socket.gethostname().lower()
        self._handlers: dict[str, Handler] = {}
        self._backlog = Backlog(messages=config.max_backlog_messages, bytes=config.max_backlog_bytes)
        self._site = Site(config.page, connect_to=self.engine.page_origins)
        self._hub: RoomHub | None = None
        self._web: GatedServer | None = None
        self._server: asyncio.Server | None = None

    @property
    def hub(self) -> RoomHub:
        """The rooms; once started."""
        assert self._hub is not None
        return self._hub

    @property
    def statistics(self) -> RoomStatistics:
        """What happened in the rooms; once started."""
        return self.hub.statistics

    @property
    def access(self) -> Access:
        """What people need to come in; once started."""
        return self.hub.door.access

    @property
    def secret(self) -> str:
        """What opens every room until the server stops; empty where there is no such thing."""
        return self.hub.door.secret

    def mount(self, prefix: str, handler: Handler) -> None:
        """Have `handler` answer all requests whose path begins with `prefix`, such as ``"/whip/"``."""
        self._handlers[prefix] = handler

    async def start(self) -> list[tuple[str, int]]:
        """Listen, and return the (host, port) of each socket.

        Raises `ConfigError` when the address can't be had, and
        `softphone.rooms.errors.EngineError` when the engine does not start.
        """
        config = self.config
        loop = asyncio.get_running_loop()
        self._web = GatedServer(
            self._serve,
            caps=AddressCaps(config.max_strangers, config.max_strangers_per_address),
            attempts=KeyedBuckets(config.connection_rate, config.connection_burst),
            patience=config.join_timeout,
            statistics=self.connections,
            proxies=config.proxies,
        )
        try:
            # Bound but not serving yet: what must be asked of people depends on the addresses.
            self._server = await loop.create_server(
                self._web,
                config.host,
                config.port,
                ssl=config.tls,
                ssl_handshake_timeout=config.join_timeout if config.tls is not None else None,
                start_serving=False,
                backlog=512,
            )
        except OSError as error:
            raise ConfigError(
                f"can't listen on {config.host} port {config.port} ({error.strerror or error}): "
                "choose another address or port"
            ) from error
        self.addresses = [sock.getsockname()[:2] for sock in self._server.sockets]
        exposed = not all(is_loopback(host) for host, _ in self.addresses)
        exposed |= bool(config.public_url or config.proxies)
        access = config.access or (Access.SECRET if exposed else Access.OPEN)
        try:
            await self.engine.start()
        except BaseException:
            self._server.close()
            self._server = None
            raise
        self._hub = RoomHub(replace(config, room=self._rooms), access, self.engine)
        await self._server.start_serving()
        return self.addresses

    def link(self, host: str, room: str, token: str = "") -> str:
        """The address of `room` for people who reach this machine as `host`."""
        if self.config.public_url:
            base = URL(self.config.public_url)
        else:
            port = self.addresses[0][1] if self.addresses else self.config.port
            scheme = "http" if self.config.tls is None else "https"
            base = URL.build(scheme=scheme, host=host, port=port)
        link = base / "r" / room
        return str(link.with_fragment(token) if token else link)

    def invite(self, invitation: Invitation, now: float) -> str:
        """A token for `invitation`; `now` is Unix time. Raises `ConfigError`."""
        return self.hub.signer.invite(invitation, now)

    async def close(self) -> None:
        """Tell everybody, close every connection and stop listening. Idempotent."""
        if self._server is None or self._web is None:
            return
        self._server.close()
        await self.hub.close()
        self._web.evict_strangers()
        await self._web.shutdown(4 * CLOSE_TIMEOUT)
        await self._server.wait_closed()
        self._server = self._web = None
        await self.engine.stop()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._respond(request)
        if not response.prepared:
            response.headers.setdefault("Server", "softphone")  # in place of the versions of our libraries
        return response

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            refusal.force_close()
            return refusal
        if request.path == SOCKET_PATH:
            return await self._serve_socket(request)
        response: web.StreamResponse
        handler = next((h for p, h in self._handlers.items() if request.path.startswith(p)), None)
        if handler is not None:
            response = await handler(request)
        elif request.path == HEALTH_PATH:
            response = web.json_response({"status": "ok"})
        else:
            response = self._site.respond(request)
        if request.transport is not None and self._web is not None:
            self._web.extend(request.transport)
        return response

    async def _serve_socket(self, request: web.BaseRequest) -> web.StreamResponse:
        transport, config = request.transport, self.config
        if transport is None or self._web is None:  # gone already
            return web.Response(status=400)
        gate = self._web
        websocket = web.WebSocketResponse(
            heartbeat=config.heartbeat, autoping=False, compress=False, max_msg_size=SOCKET_LIMIT
        )
        await websocket.prepare(request)
        channel = MessageChannel(
            websocket,
            FROM_PARTICIPANT,
            abort=transport.abort,
            rate=config.message_rate,
            burst=config.message_burst,
        )
        connection = RoomConnection(
            channel,
            self.hub,
            self.connections,
            abort=transport.abort,
            backlog=self._backlog,
            alive_every=config.heartbeat,
        )
        address = address_key(self.client_address(request))
        await connection.run(address, lambda: gate.admit(transport, uncounted=True))
        return websocket

    def _refusal(self, request: web.BaseRequest) -> web.Response | None:
        if not self._is_our_host(request):
            self.statistics.hosts_refused += 1
            return web.Response(status=421, text="unknown host name; see --public-url\n")
        if request.path != SOCKET_PATH:
            return None
        origin = request.headers.get("Origin")
        if origin is not None and not self._is_our_origin(origin, _host(request)):
            self.connections.origins_refused += 1
            return web.Response(status=403, text="no page of another origin may connect\n")
        if request.method != "GET" or not web.WebSocketResponse().can_prepare(request):
            self.connections.requests_refused += 1
            return web.Response(status=426, text="rooms want a WebSocket\n", headers={"Upgrade": "websocket"})
        return None

    def _is_our_origin(self, origin: str, host: str) -> bool:
        if origin in self.config.allowed_origins or (
            self.config.public_url and origin == str(URL(self.config.public_url).origin())
        ):
            return True
        try:
            theirs = URL(origin)
            # Not the scheme: a proxy in front may have taken TLS off.
            ours = URL(f"{theirs.scheme}://{host}")
            return theirs.scheme in ("http", "https") and (theirs.host, theirs.port) == (ours.host, ours.port)
        except ValueError:
            return False

    def _is_our_host(self, request: web.BaseRequest) -> bool:
        """Whether the name by which we were reached can't be one that a foreign page made point here."""
        if self.access is not Access.OPEN:
            return True
        try:
            host = URL(f"http://{_host(request)}").host or ""
        except ValueError:
            return False
        public = URL(self.config.public_url).host if self.config.public_url else None
        ours = {"localhost", self._machine, f"{self._machine}.local", public, *self.config.allowed_hosts}
        return _is_ip(host) or host in ours

    def client_address(self, request: web.BaseRequest) -> str:
        """The address of the client, as a trusted proxy tells it or as we see it."""
        host = remote_host(request.transport)
        if host in self.config.proxies:
            told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
            return told if _is_ip(told) else host
        return host


def _host(request: web.BaseRequest) -> str:
    # Not request.host, which asks the DNS, and waits for it, when there is no such header.
    return request.headers.get("Host", "")


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
