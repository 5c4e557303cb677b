"""The sockets of a call: which local addresses and ports, what comes in and when.

:class:`IceConnection` is aioice's connection with five differences: the user may choose
addresses (127.0.0.1 included, which aioice leaves out) and a range of UDP ports, every
datagram carries its arrival time, datagrams that would break the layers above are
dropped and counted, and what goes out may pass a hook (an emulated network).
"""

import asyncio
import ipaddress
import logging
import random
import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aioice
from aioice import stun
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import StunProtocol

from softphone.errors import ConfigError

from .arrival import ArrivalClock

__all__ = ["IceConfig", "IceConnection", "IceCounters", "IceServer", "OutgoingHook"]

logger = logging.getLogger(__name__)

OutgoingHook = Callable[[bytes, Callable[[bytes], None]], None]
"""``hook(datagram, transmit)``: called for everything that goes out; sends by calling `transmit`."""

MAX_DATAGRAM = 1500
"""Bytes; the SRTP library refuses longer ones with an error that would end the call."""
_RECEIVE_BUFFER = 262_144
_SERVER_URL = re.compile(r"stun:[^\s?@]+|turns?:[^\s?@]+(\?transport=(udp|tcp))?")


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server."""

    url: str
    """``stun:host[:port]``, ``turn:host[:port][?transport=tcp]`` or ``turns:...`` (RFC 7064, RFC 7065)."""
    username: str | None = None
    credential: str | None = None

    def __post_init__(self) -> None:
        if not _SERVER_URL.fullmatch(self.url):
            raise ConfigError(
                f"{self.url!r} is no STUN or TURN server; write stun:HOST, turn:HOST or turns:HOST"
            )


@dataclass(frozen=True, slots=True)
class IceConfig:
    """How a peer may be reached."""

    addresses: tuple[str, ...] | None = None
    """Local addresses to use, for instance ``("127.0.0.1",)``; None: all but loopback,
    or loopback on a machine that has nothing else."""
    ports: tuple[int, int] | None = None
    """First and last UDP port that may be used; None: any free one."""
    servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers, at most one of each is used; none by default."""
    relay_only: bool = False
    """Hide our addresses behind the TURN server."""

    def __post_init__(self) -> None:
        for address in self.addresses or ():
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise ConfigError(f"{address!r} is not an IP address; give one of this machine's") from None
        if self.relay_only and not any(server.url.startswith("turn") for server in self.servers):
            raise ConfigError("using only relayed paths needs a TURN server; name one")
        if self.ports is not None and not 1 <= self.ports[0] <= self.ports[1] <= 65_535:
            raise ConfigError("the UDP port range must be FIRST-LAST with 1 <= FIRST <= LAST <= 65535")


@dataclass(slots=True)
class IceCounters:
    """What came out of the sockets."""

    datagrams: int = 0
    """Everything that was not STUN."""
    srtp: int = 0
    """Datagrams that claim to be SRTP or SRTCP."""
    dropped_empty: int = 0
    dropped_oversized: int = 0
    dropped_unknown: int = 0
    """Neither DTLS nor SRTP by their first byte (RFC 7983)."""
    stun_errors: int = 0
    """STUN messages that could not be handled."""


class _Datagram(bytes):
    """A received datagram that remembers when it arrived."""

    arrival: float


class _Protocol(StunProtocol):
    """One UDP socket: stamps what comes in, lets the hook handle what goes out."""

    receiver: "IceConnection"

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        connection = self.receiver
        connection.last_arrival = connection.clock.stamp(self.transport.get_extra_info("socket"))
        try:
            super().datagram_received(data, addr)
        except Exception:
            connection.counters.stun_errors += 1
            logger.debug("dropped a STUN message from %s", addr, exc_info=True)

    async def request(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, tuple[str, int]]:
        """Time the checks of the path to the peer, which are those with an integrity key."""
        began = time.monotonic()
        answer = await super().request(request, addr, integrity_key, retransmissions)
        if integrity_key is not None:
            self.receiver.on_check(time.monotonic() - began)
        return answer

    async def send_data(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transmit(data, addr)

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        self._transmit(bytes(message), addr)

    def _transmit(self, data: bytes, addr: tuple[str, int]) -> None:
        hook = self.receiver.outgoing
        if hook is None:
            self.transport.sendto(data, addr)
        else:
            hook(data, lambda later: self._send_later(later, addr))

    def _send_later(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.transport.is_closing():
            self.transport.sendto(data, addr)


class IceConnection(aioice.Connection):
    """See the module."""

    def __init__(self, config: IceConfig, **kwargs: Any) -> None:
        if config.relay_only:
            kwargs["transport_policy"] = aioice.TransportPolicy.RELAY
        super().__init__(**kwargs)
        self.config = config
        self.clock = ArrivalClock()
        self.counters = IceCounters()
        self.outgoing: OutgoingHook | None = None
        self.last_arrival = 0.0
        """Arrival of the datagram last read from a socket."""
        self.arrival = 0.0
        """Arrival of the datagram last returned by `recv`, seconds on ``time.monotonic``."""
        self.round_trip: float | None = None
        """Shortest connectivity or consent check so far, seconds (RFC 8445, RFC 7675)."""

    def on_check(self, seconds: float) -> None:
        """A check of the path to the peer was answered; a repeated one took longer than the path."""
        self.round_trip = seconds if self.round_trip is None else min(self.round_trip, seconds)

    @classmethod
    def replacing(cls, other: aioice.Connection, config: IceConfig) -> "IceConnection":
        """Make a connection with the credentials and servers of one that has not been used yet."""
        return cls(
            config,
            ice_controlling=other.ice_controlling,
            stun_server=other.stun_server,
            turn_server=other.turn_server,
            turn_username=other.turn_username,
            turn_password=other.turn_password,
            turn_ssl=other.turn_ssl,
            turn_transport=other.turn_transport,
            local_username=other.local_username,
            local_password=other.local_password,
        )

    @property
    def selected_pair(self) -> tuple[tuple[str, int], tuple[str, int]] | None:
        """Local and remote address in use, or None before a path was found."""
        pair = self._nominated.get(1)
        return None if pair is None else (pair.local_addr, pair.remote_addr)

    async def recv(self) -> bytes:
        """Return the next datagram that the layers above can digest."""
        while True:
            data: bytes = await super().recv()
            if self._acceptable(data):
                self.arrival = data.arrival if isinstance(data, _Datagram) else self.clock.stamp(None)
                return data

    def data_received(self, data: bytes | None, component: int) -> None:
        """Queue a datagram with its arrival; older releases of aioice report a lost socket as None."""
        if data is not None:
            datagram = _Datagram(data)
            datagram.arrival = self.last_arrival or self.clock.stamp(None)
            self.last_arrival = 0.0
            data = datagram
        super().data_received(data, component)  # type: ignore[arg-type]

    def _acceptable(self, data: bytes) -> bool:
        counters = self.counters
        counters.datagrams += 1
        if not data:
            counters.dropped_empty += 1
        elif len(data) > MAX_DATAGRAM:
            counters.dropped_oversized += 1
        elif 128 <= data[0] <= 191:
            counters.srtp += 1
            return True
        elif 20 <= data[0] <= 63:
            return True
        else:
            counters.dropped_unknown += 1
        return False

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109
    ) -> list[Candidate]:
        """Open the sockets and find our candidates: host, server-reflexive and relayed."""
        if self.config.relay_only:
            addresses = []
        elif self.config.addresses is not None:
            addresses = list(self.config.addresses)
        elif not addresses:
            addresses = ["127.0.0.1"]
        protocols = [await self._open_socket(component, address) for address in addresses]
        opened = [protocol for protocol in protocols if protocol is not None]
        self._protocols += opened
        candidates: list[Candidate] = [protocol.local_candidate for protocol in opened]
        # Without addresses the base class only asks the TURN server.
        relayed = asyncio.ensure_future(super().get_component_candidates(component, [], timeout))
        reflexive = await asyncio.gather(*(self._reflexive_candidate(p, timeout) for p in opened))
        candidates += [candidate for candidate in reflexive if candidate is not None]
        return candidates + await relayed

    async def _open_socket(self, component: int, address: str) -> _Protocol | None:
        """Bind one address; None when it can't be used and the user did not insist on it."""
        loop = asyncio.get_running_loop()
        error: OSError | None = None
        for port in self._ports():
            try:
                transport, protocol = await loop.create_datagram_endpoint(
                    lambda: _Protocol(self), local_addr=(address, port)
                )
            except OSError as exc:
                error = exc
                continue
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            host, port = transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = Candidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host"),
                host=host,
                port=port,
                type="host",
            )
            return protocol
        if self.config.ports is not None:
            first, last = self.config.ports
            raise ConfigError(f"no UDP port from {first} to {last} is free on {address}; widen the range")
        if self.config.addresses is not None:
            raise ConfigError(
                f"cannot use the local address {address}: {error}; choose one of this machine's"
            )
        logger.debug("cannot use the local address %s: %s", address, error)
        return None

    def _ports(self) -> Sequence[int]:
        if self.config.ports is None:
            return (0,)
        first, last = self.config.ports
        # Start anywhere, so that two calls on one machine seldom try the same port.
        start = random.randrange(last - first + 1)
        return [first + (start + i) % (last - first + 1) for i in range(last - first + 1)]

    async def _reflexive_candidate(self, protocol: _Protocol, patience: float) -> Candidate | None:
        """Ask the STUN server how it sees the socket (IPv4); None when it doesn't answer."""
        local = protocol.local_candidate
        if self.stun_server is None or ipaddress.ip_address(local.host).version != 4:
            return None
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        try:
            async with asyncio.timeout(patience):
                found = await asyncio.get_running_loop().getaddrinfo(
                    *self.stun_server, family=socket.AF_INET, type=socket.SOCK_DGRAM
                )
                response, _ = await protocol.request(request, (str(found[0][4][0]), int(found[0][4][1])))
            host, port = response.attributes["XOR-MAPPED-ADDRESS"]
        except (OSError, TimeoutError, stun.TransactionError, KeyError) as error:
            logger.info("the STUN server %s gave no answer: %s", self.stun_server[0], error)
            return None
        return Candidate(
            foundation=candidate_foundation("srflx", "udp", local.host),
            component=local.component,
            transport=local.transport,
            priority=candidate_priority(local.component, "srflx"),
            host=host,
            port=port,
            type="srflx",
            related_address=local.host,
            related_port=local.port,
        )
