"""The door of a listener: who may open a TCP connection, and for how long without a call."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from softphone.signaling.limits import AddressCaps, KeyedBuckets, address_key
from softphone.signaling.statistics import SignalingStatistics

__all__ = ["GatedServer", "remote_host"]


@dataclass(slots=True)
class _Guest:
    key: str | None
    """Under which it is counted; None when it is not."""
    deadline: asyncio.TimerHandle | None


class GatedServer(web.Server):
    """An HTTP server that caps connections as they are made, before a byte of HTTP is read.

    A connection has `patience` seconds from its first byte to `admit`; so one that
    says nothing, one that sends headers drop by drop, and one that opens a WebSocket
    without a word all end the same way. aiohttp has no deadline for the last two.
    """

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        caps: AddressCaps,
        attempts: KeyedBuckets,
        patience: float,
        statistics: SignalingStatistics,
        proxies: frozenset[str] = frozenset(),
    ) -> None:
        """`patience` in seconds; `caps` and `attempts` are consulted per remote address.

        `proxies` are addresses of reverse proxies, behind which many people sit: only the
        total of `caps` holds for them.
        """
        super().__init__(handler, access_log=None, keepalive_timeout=patience, lingering_time=0.0)
        self._caps = caps
        self._attempts = attempts
        self._patience = patience
        self._statistics = statistics
        self._proxies = proxies
        self._guests: dict[asyncio.BaseTransport, _Guest] = {}
        self._transports: dict[RequestHandler, asyncio.Transport] = {}

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Called by aiohttp for each new TCP connection (after the TLS handshake, if any)."""
        super().connection_made(handler, transport)
        self._statistics.connections += 1
        host = remote_host(transport)
        proxied = host in self._proxies
        key = f"{host} {id(transport)}" if proxied else address_key(host)
        if not self._caps.acquire(key):
            self._refuse(transport)
            return
        if not proxied and not self._attempts.take(key, time.monotonic()):
            self._caps.release(key)
            self._refuse(transport)
            return
        deadline = asyncio.get_running_loop().call_later(self._patience, self._evict, transport)
        self._guests[transport] = _Guest(key, deadline)
        self._transports[handler] = transport

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Called by aiohttp when a connection is over."""
        super().connection_lost(handler, exc)
        transport = self._transports.pop(handler, None)
        guest = None if transport is None else self._guests.pop(transport, None)
        if guest is not None:
            if guest.key is not None:
                self._caps.release(guest.key)
            if guest.deadline is not None:
                guest.deadline.cancel()

    def admit(self, transport: asyncio.BaseTransport, *, uncounted: bool = False) -> None:
        """Lift the deadline of a connection that got as far as a call.

        With `uncounted` it does not count among the capped connections any more.
        """
        guest = self._guests.get(transport)
        if guest is None:
            return
        if guest.deadline is not None:
            guest.deadline.cancel()
            guest.deadline = None
        if uncounted and guest.key is not None:
            self._caps.release(guest.key)
            guest.key = None

    def extend(self, transport: asyncio.BaseTransport) -> None:
        """Give a connection that was not admitted its full time again, as after a request served."""
        guest = self._guests.get(transport)
        if guest is not None and guest.deadline is not None and isinstance(transport, asyncio.Transport):
            guest.deadline.cancel()
            loop = asyncio.get_running_loop()
            guest.deadline = loop.call_later(self._patience, self._evict, transport)

    def evict_strangers(self) -> None:
        """Drop every connection that was not admitted."""
        for transport, guest in list(self._guests.items()):
            if guest.deadline is not None and isinstance(transport, asyncio.Transport):
                transport.abort()

    def _refuse(self, transport: asyncio.Transport) -> None:
        self._statistics.connections_refused += 1
        # Not at once: aiohttp starts its handler after this callback and must find the connection alive.
        asyncio.get_running_loop().call_soon(transport.abort)

    def _evict(self, transport: asyncio.Transport) -> None:
        self._statistics.hello_timeouts += 1
        transport.abort()


def remote_host(transport: asyncio.BaseTransport | None) -> str:
    """The IP address at the other end of a transport; empty when it is gone already."""
    peer = transport.get_extra_info("peername") if transport is not None else None
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
