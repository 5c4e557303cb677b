"""The link that leads into a room, as the room server prints it: ``https://HOST/r/ROOM#TOKEN``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from yarl import URL

from softphone.errors import ConfigError
from softphone.rooms.values import MAX_TOKEN, ROOM_NAME

__all__ = ["RoomLink"]

_PATH: Final = re.compile(rf"/r/({ROOM_NAME})/?")
_HOW: Final = "write it as the room server printed it: https://HOST/r/ROOM#TOKEN, with quotes around it"


@dataclass(frozen=True, slots=True)
class RoomLink:
    """A room, and what lets one in."""

    host: str
    """Host name, IPv4 address, or IPv6 address without brackets."""
    port: int
    room: str
    """1 to 64 characters a-z, 0-9 and hyphen."""
    token: str = field(default="", repr=False)
    """Invitation, or the secret of the server; empty: none."""
    secure: bool = True
    """TLS (https://)."""
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """What stands behind the token, for this end alone; unknown ones are ignored."""

    @classmethod
    def parse(cls, text: str) -> "RoomLink":
        """Read a link. Raises `ConfigError`, whose message says what to write instead."""
        address, _, fragment = text.strip().partition("#")
        try:
            url = URL(address)
            host, port = url.host, url.port
        except ValueError as error:
            raise ConfigError(f"this is no link to a room: {_HOW}") from error
        if url.scheme not in ("http", "https") or not host or port is None:
            raise ConfigError(f"{address!r} is no link to a room: {_HOW}")
        if url.user is not None or url.query_string:
            raise ConfigError(f"a link to a room has neither a user name nor a query in it: {_HOW}")
        path = _PATH.fullmatch(url.path)
        if path is None:
            raise ConfigError(
                f"{url.path!r} names no room; it is /r/ and 1 to 64 letters a-z, digits or hyphens: {_HOW}"
            )
        token, *pairs = fragment.split("&")
        if len(token) > MAX_TOKEN or not token.isascii() or not all(map(str.isprintable, token)):
            raise ConfigError(f"the part behind # is no invitation: {_HOW}")
        options = dict(pair.partition("=")[::2] for pair in pairs if pair)
        return cls(host, port, path[1], token, url.scheme == "https", MappingProxyType(options))

    @property
    def url(self) -> URL:
        """The WebSocket to connect to; nothing secret is in it."""
        scheme = "wss" if self.secure else "ws"
        return URL.build(scheme=scheme, host=self.host, port=self.port, path="/ws")

    @property
    def address(self) -> str:
        """``HOST:PORT``, for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
