"""Local candidates: sockets of this machine, and what STUN and TURN servers make of them."""

import asyncio
import ipaddress
import logging
import random
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

import aioice
from aioice import stun, turn
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import get_host_addresses

from softphone.errors import ConfigError

from .ice_config import IceConfig, IceServer
from .ice_socket import IceSocket, Traffic

__all__ = [
    "ServerFailure",
    "ServerFailureError",
    "local_addresses",
    "machine_addresses",
    "open_socket",
    "reflexive_candidate",
    "relayed_socket",
]

logger = logging.getLogger(__name__)

_COMPONENT = 1
_RECEIVE_BUFFER = 262_144
_LOOPBACK = ("127.0.0.1",)
_RELAY_PREFERENCE = {(False, "udp"): 65_535, (False, "tcp"): 65_534, (True, "tcp"): 65_533}
"""Local preference (RFC 8445, section 5.1.2.1) by TLS and transport: TCP repeats what is lost, and late."""


@dataclass(frozen=True, slots=True)
class ServerFailure:
    """A STUN or TURN server that was of no help."""

    url: str
    reason: str
    """What to say after the name of the server: ``refused the credentials ...``."""

    def __str__(self) -> str:
        return f"{self.url} {self.reason}"


class ServerFailureError(Exception):
    """Carries a `ServerFailure` from a question to whoever asked."""

    def __init__(self, server: IceServer, reason: str) -> None:
        super().__init__(f"{server.url} {reason}")
        self.failure = ServerFailure(server.url, reason)


def machine_addresses(config: IceConfig) -> frozenset[str]:
    """Addresses that this machine has now, or those of them that the user chose; without loopback,
    unless that was chosen."""
    addresses = frozenset(get_host_addresses(use_ipv4=True, use_ipv6=True)) - set(_LOOPBACK)
    return addresses if config.addresses is None else frozenset(config.addresses)


def local_addresses(config: IceConfig) -> tuple[str, ...]:
    """Addresses to open sockets on, the best first; none when only relayed paths may be used."""
    if config.relay_only:
        return ()
    if config.addresses is not None:
        return config.addresses
    return tuple(get_host_addresses(use_ipv4=True, use_ipv6=True)) or _LOOPBACK


async def open_socket(
    connection: aioice.Connection, traffic: Traffic, config: IceConfig, address: str, preference: int
) -> IceSocket | None:
    """Bind one address; None when it can't be used and the user did not insist on it.

    `preference`: local preference (RFC 8445, section 5.1.2.1). Raises
    :class:`softphone.errors.ConfigError` when the user insisted, or no port of the range is free.
    """
    loop = asyncio.get_running_loop()
    error: OSError | None = None
    for port in _ports(config):
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: IceSocket(connection, traffic), local_addr=(address, port)
            )
        except OSError as exc:
            error = exc
            continue
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        host, port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=_COMPONENT,
            transport="udp",
            priority=candidate_priority(_COMPONENT, "host", preference),
            host=host,
            port=port,
            type="host",
        )
        return protocol
    if config.ports is not None:
        first, last = config.ports
        raise ConfigError(f"no UDP port from {first} to {last} is free on {address}; widen the range")
    if config.addresses is not None:
        raise ConfigError(f"cannot use the local address {address}: {error}; choose one of this machine's")
    logger.debug("cannot use the local address %s: %s", address, error)
    return None


def _ports(config: IceConfig) -> Sequence[int]:
    if config.ports is None:
        return (0,)
    first, last = config.ports
    # Start anywhere, so that two calls on one machine seldom try the same port.
    start = random.randrange(last - first + 1)
    return [first + (start + i) % (last - first + 1) for i in range(last - first + 1)]


async def reflexive_candidate(sock: IceSocket, server: IceServer) -> Candidate:
    """Ask a STUN server how it sees the socket.

    Raises `ServerFailureError`.
    """
    local = sock.local_candidate
    family = socket.AF_INET if ipaddress.ip_address(local.host).version == 4 else socket.AF_INET6
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            *server.address, family=family, type=socket.SOCK_DGRAM
        )
        response, _ = await sock.request(request, (str(found[0][4][0]), int(found[0][4][1])))
        host, port = response.attributes["XOR-MAPPED-ADDRESS"]
    except (OSError, stun.TransactionError, KeyError) as error:
        raise ServerFailureError(server, _reason(error)) from error
    return Candidate(
        foundation=candidate_foundation("srflx", "udp", local.host),
        component=local.component,
        transport=local.transport,
        priority=candidate_priority(local.component, "srflx", local.priority >> 8 & 0xFFFF),
        host=host,
        port=port,
        type="srflx",
        related_address=local.host,
        related_port=local.port,
    )


async def relayed_socket(
    connection: aioice.Connection, traffic: Traffic, server: IceServer, *, hide: bool
) -> IceSocket:
    """Get an address on a TURN server (RFC 8656).

    `hide`: say nothing of our own address in the candidate. Raises `ServerFailureError`.
    """
    try:
        transport, protocol = await turn.create_turn_endpoint(
            lambda: IceSocket(connection, traffic),
            server_addr=server.address,
            username=server.username,
            password=server.credential,
            ssl=server.tls,
            transport=server.transport,
        )
    except (OSError, stun.TransactionError) as error:
        raise ServerFailureError(server, _reason(error)) from error
    host, port = transport.get_extra_info("sockname")[:2]
    related = transport.get_extra_info("related_address")[:2]
    if hide:  # RFC 9429, section 3.5.3
        related = ("0.0.0.0" if ipaddress.ip_address(host).version == 4 else "::", 9)
    protocol.local_candidate = Candidate(
        foundation=candidate_foundation("relay", "udp", f"{host}|{server.url}"),
        component=_COMPONENT,
        transport="udp",
        priority=candidate_priority(_COMPONENT, "relay", _RELAY_PREFERENCE[server.tls, server.transport]),
        host=host,
        port=port,
        type="relay",
        related_address=related[0],
        related_port=related[1],
    )
    return protocol


def _reason(error: Exception) -> str:
    match error:
        case stun.TransactionFailed() if error.response.error_code == 401:
            return "refused the credentials: they are wrong or have expired; get new ones"
        case stun.TransactionFailed():
            _, text = error.response.attributes.get("ERROR-CODE", (0, ""))
            return f"refused to help ({error.response.error_code} {text})"
        case stun.TransactionTimeout():
            return "did not answer"
        case ssl.SSLCertVerificationError():
            return f"has no valid certificate: {error.verify_message}"
        case socket.gaierror():
            return "has a name that can't be resolved"
        case KeyError():
            return "sent an answer of no use"
        case _:
            return f"can't be reached: {error}"
