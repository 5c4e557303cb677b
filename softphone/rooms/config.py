"""The settings of a room server."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yarl import URL

from softphone.errors import ConfigError
from softphone.rooms.access import Access
from softphone.rooms.room import RoomConfig
from softphone.rooms.turn import IceProvider

__all__ = ["DEFAULT_ROOM_PORT", "PAGE_FOLDER", "RoomServerConfig"]

DEFAULT_ROOM_PORT = 7640

PAGE_FOLDER = Path(__file__).parent / "page"

_HOST_NAME = re.compile(r"[A-Za-z0-9.-]{1,253}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomServerConfig:
    """Settings of a `softphone.rooms.RoomServer`. Times in seconds."""

    host: str = "127.0.0.1"
    """Address to listen on; "0.0.0.0" and "::" are every address of the machine."""
    port: int = DEFAULT_ROOM_PORT
    """0 lets the system choose."""
    tls: ssl.SSLContext | None = None
    """Server-side context for HTTPS."""
    token_secret: bytes = field(repr=False)
    """Signs invitations; those made with it are good on every server that has it."""
    access: Access | None = None
    """None: open where only this machine can come, anywhere else a secret made at start."""
    room: RoomConfig = field(default_factory=RoomConfig)
    """Of every room; `opener_moderates` follows from the access, `max_participants` from the next."""
    max_participants: int | None = None
    """Of a room; None: what suits the engine."""
    engine: str = "mesh"
    engine_options: Mapping[str, str] = field(default_factory=dict)
    ice: IceProvider = field(default_factory=IceProvider)
    relay_only: bool = False
    """Ask participants to hide their addresses behind the TURN server."""
    public_url: str = ""
    """``https://HOST[:PORT]`` under which people reach the server, where a proxy stands in front."""
    allowed_origins: frozenset[str] = frozenset()
    """Web pages of other origins that may connect."""
    allowed_hosts: frozenset[str] = frozenset()
    """Host names of this server besides the machine's own, for when it asks for no token. Any other
    could be one that a foreign page has let point here (DNS rebinding)."""
    proxies: frozenset[str] = frozenset()
    """Addresses of reverse proxies, whose ``X-Forwarded-For`` is believed."""
    page: Path = PAGE_FOLDER
    """Folder of the web page."""
    join_timeout: float = 10.0
    """From the TCP connection to the request to join."""
    heartbeat: float = 5.0
    """Between pings, and between signs of life in the absence of anything else."""
    settle_time: float = 60.0
    """After the start, how long those may come back who were in a room before."""
    max_rooms: int = 100
    max_people: int = 1000
    """In all rooms and lobbies."""
    max_people_per_address: int = 32
    max_strangers: int = 256
    """Connections that have not joined."""
    max_strangers_per_address: int = 32
    connection_rate: float = 10.0
    """New connections per second from one address, in the long run."""
    connection_burst: float = 60.0
    message_rate: float = 30.0
    """Messages and control frames per second from one connection, in the long run."""
    message_burst: float = 300.0
    max_backlog_messages: int = 256
    """Waiting for one connection to be read; then it is dropped."""
    max_backlog_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        """Raises `ConfigError` for values out of range or that contradict each other."""
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"{self.port} is no port; a port is a number from 0 to 65535")
        for name in ("join_timeout", "heartbeat"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0 seconds")
        if self.max_rooms < 1:
            raise ConfigError("max_rooms must be at least 1")
        if self.relay_only and not self.ice.turn:
            raise ConfigError("using only relayed paths needs a TURN server; name one")
        if self.public_url:
            url = URL(self.public_url)
            if url.scheme not in ("http", "https") or not url.host or url != url.origin():
                raise ConfigError(
                    f"{self.public_url!r} is no public URL; write https://HOST or https://HOST:PORT"
                )
        for host in self.allowed_hosts:
            if not _HOST_NAME.fullmatch(host):
                raise ConfigError(f"{host!r} is no host name")
