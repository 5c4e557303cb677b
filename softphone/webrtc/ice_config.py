"""How a peer may be reached: addresses, ports, and servers that help behind a NAT."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

from softphone.errors import ConfigError

__all__ = ["IceConfig", "IceServer"]

_SERVER_URL = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s?@:\[\]]+)(:(?P<port>\d{1,5}))?"
    r"(\?transport=(?P<transport>udp|tcp))?",
    re.ASCII,
)
_PLAIN_PORT = 3478
_TLS_PORT = 5349


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server.

    Raises :class:`softphone.errors.ConfigError` for anything else.
    """

    url: str
    """``stun:host[:port]``, ``turn:host[:port][?transport=tcp]`` or ``turns:...`` (RFC 7064, RFC 7065)."""
    username: str | None = None
    """For TURN. Short-lived credentials are given like any other ones."""
    credential: str | None = None
    """Password that belongs to `username`."""

    def __post_init__(self) -> None:
        match = _SERVER_URL.fullmatch(self.url)
        port = match["port"] if match is not None else None
        if (
            match is None
            or (match["scheme"] == "stun" and match["transport"])
            or (port is not None and not 1 <= int(port) <= 65_535)
        ):
            raise ConfigError(
                f"{self.url!r} is no STUN or TURN server; write stun:HOST, turn:HOST or turns:HOST"
            )

    def __repr__(self) -> str:
        return f"IceServer({self.url!r})"  # the password stays out of logs

    @property
    def relays(self) -> bool:
        """Whether it is a TURN server."""
        return not self.url.startswith("stun:")

    @property
    def tls(self) -> bool:
        """Whether the way to it is encrypted."""
        return self.url.startswith("turns:")

    @property
    def transport(self) -> Literal["udp", "tcp"]:
        """How it is spoken to; TLS runs over TCP."""
        match = _SERVER_URL.fullmatch(self.url)
        assert match is not None
        return "tcp" if self.tls or match["transport"] == "tcp" else "udp"

    @property
    def address(self) -> tuple[str, int]:
        """Host name or address, and port."""
        match = _SERVER_URL.fullmatch(self.url)
        assert match is not None
        return match["host"].strip("[]"), int(match["port"] or (_TLS_PORT if self.tls else _PLAIN_PORT))


@dataclass(frozen=True, slots=True)
class IceConfig:
    """How a peer may be reached.

    Raises :class:`softphone.errors.ConfigError` for settings that make no sense.
    """

    addresses: tuple[str, ...] | None = None
    """Local addresses to use, for instance ``("127.0.0.1",)``; None: all but loopback,
    or loopback on a machine that has nothing else."""
    ports: tuple[int, int] | None = None
    """First and last UDP port that may be used; None: any free one. A call needs a second
    one for a moment when ICE is restarted."""
    servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers, all asked at the same time; none by default."""
    relay_only: bool = False
    """Hide our addresses behind the TURN server."""

    def __post_init__(self) -> None:
        for address in self.addresses or ():
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise ConfigError(f"{address!r} is not an IP address; give one of this machine's") from None
        if self.relay_only and not any(server.relays for server in self.servers):
            raise ConfigError("using only relayed paths needs a TURN server; name one")
        if self.ports is not None and not 1 <= self.ports[0] <= self.ports[1] <= 65_535:
            raise ConfigError("the UDP port range must be FIRST-LAST with 1 <= FIRST <= LAST <= 65535")
