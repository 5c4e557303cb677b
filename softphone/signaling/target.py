"""Whom to call: what people type after ``softphone call`` and what a listener prints for them."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from softphone.errors import ConfigError

__all__ = ["DEFAULT_PORT", "PATH", "CallTarget", "is_loopback"]

DEFAULT_PORT: Final = 7638
"""SOFT on the keys of a telephone."""

PATH: Final = "/softphone"
"""Where the WebSocket of a listener is."""

_URL_PORTS: Final = {"ws": 80, "wss": 443}
_BRACKETED = re.compile(r"\[(?P<host>[^\[\]]*)\](?P<port>:.*)?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
_HOW: Final = "write HOST, HOST:PORT, [IPV6]:PORT or wss://HOST, followed by #SECRET if you were given one"


def is_loopback(host: str) -> bool:
    """True for an IP address that only this machine can reach; False for names."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class CallTarget:
    """A listener's address."""

    host: str
    """Host name, IPv4 address, or IPv6 address without brackets."""
    port: int = DEFAULT_PORT
    secret: str = field(default="", repr=False)
    """Token or one-time secret that the listener asks for."""
    secure: bool = False
    """TLS (wss://)."""
    path: str = PATH

    @classmethod
    def parse(cls, text: str) -> "CallTarget":
        """Read ``HOST[:PORT][#SECRET]`` or a ``ws://`` or ``wss://`` URL.

        A bare host gets `DEFAULT_PORT`, a URL the ports of the web (80, 443). An IPv6
        address stands in brackets when a port follows. Raises `ConfigError`, whose
        message says what to write instead.
        """
        address, _, secret = text.strip().partition("#")
        scheme, separator, rest = address.partition("://")
        path, secure, default_port = PATH, False, DEFAULT_PORT
        if separator:
            if scheme.lower() not in _URL_PORTS:
                raise ConfigError(f"can't call {scheme}://: {_HOW}")
            secure, default_port = scheme.lower() == "wss", _URL_PORTS[scheme.lower()]
            address, slash, tail = rest.partition("/")
            path = slash + tail if tail else PATH
        host, port = _split(address)
        return cls(_host(host), default_port if port is None else _port(port), secret, secure, path)

    @property
    def url(self) -> URL:
        """Where to connect to; the secret is not in it."""
        scheme = "wss" if self.secure else "ws"
        return URL.build(scheme=scheme, host=self.host, port=self.port, path=self.path)

    @property
    def address(self) -> str:
        """``HOST:PORT``, for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def argument(self) -> str:
        """What to type after ``softphone call``, secret included."""
        address = f"wss://{self.address}" if self.secure else self.address
        return f"{address}#{self.secret}" if self.secret else address


def _split(address: str) -> tuple[str, str | None]:
    if "@" in address:
        raise ConfigError(f"no user name belongs in front of the host: {_HOW}")
    if match := _BRACKETED.fullmatch(address):
        if match["port"] is None:
            return match["host"], None
        return match["host"], match["port"][1:]
    if address.count(":") > 1:
        if not _is_ip(address):
            raise ConfigError(
                f"{address!r} is neither an IPv6 address nor HOST:PORT; put an IPv6 address in brackets"
            )
        return address, None
    host, colon, port = address.partition(":")
    return host, port if colon else None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _host(host: str) -> str:
    if not host:
        raise ConfigError(f"no host to call: {_HOW}")
    if _is_ip(host):
        return host
    try:
        name = host.encode("idna").decode("ascii").removesuffix(".")
    except UnicodeError as error:
        raise ConfigError(f"{host!r} is no host name: {_HOW}") from error
    labels = name.split(".")
    # A last label of digits is an IPv4 address gone wrong (RFC 3696 section 2).
    if labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in labels):
        raise ConfigError(f"{host!r} is neither a host name nor an IP address: {_HOW}")
    return name


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65_535):
        raise ConfigError(f"{text!r} is no port; a port is a number from 1 to 65535")
    return int(text)
