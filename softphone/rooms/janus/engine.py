"""Rooms on Janus: one server, or several that pass each other's feeds on.

Options (all text):

========================  ========================================================================
``urls``                  WebSockets of the servers for the room server, separated by commas
``client-urls``           the same for participants, in the same order; default: as ``urls``
``secret``                at least 16 characters, the same on every room server
``admin-key``             ``admin_key`` in Janus's ``janus.plugin.videoroom.jcfg``, if there is one
``auth-secret``           ``token_auth_secret`` in ``janus.jcfg``, if there is one
``max-participants``      most participants of a room, default 100
``plain-cascade``         ``yes``: servers older than Janus 1.3.0 may send each other unencrypted RTP
========================  ========================================================================

``secret``, ``admin-key`` and ``auth-secret`` can be read from files: ``secret-file=PATH`` and so on.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from yarl import URL

from softphone.errors import ConfigError, RemoteError
from softphone.rooms.engines import RoomEngine, Seat
from softphone.rooms.errors import EngineError

from .cascade import mirror, unmirror
from .server import JanusServer, ServerSettings
from .ticket import JanusTicket, TicketOffice, level_id_of
from .videoroom import Feed

__all__ = ["JanusEngine"]

logger = logging.getLogger(__name__)

_SECRETS = ("secret", "admin-key", "auth-secret")
_OPTIONS = frozenset(
    ("urls", "client-urls", "max-participants", "plain-cascade", *_SECRETS, *(f"{s}-file" for s in _SECRETS))
)


class JanusEngine(RoomEngine):
    """See the module."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """Raises :class:`softphone.errors.ConfigError` for options that can't be used."""
        super().__init__(options)
        if unknown := set(options) - _OPTIONS:
            raise ConfigError(
                f"the Janus engine has no option {sorted(unknown)[0]!r}; it has {', '.join(sorted(_OPTIONS))}"
            )
        options = _with_files(options)
        self.max_participants = _number(options.get("max-participants", "100"))
        self._plain = options.get("plain-cascade", "no") == "yes"
        self._office = TicketOffice(options.get("secret", ""))
        self._servers = [JanusServer(settings, self._office, time.time) for settings in _settings(options)]
        settings = [server.settings for server in self._servers]
        self.page_origins = tuple({_origin(each.client_url or each.url): None for each in settings})
        self._mirrored: dict[tuple[str, str], JanusServer] = {}
        """Room and feed to the server where it publishes."""
        self._tasks: set[asyncio.Task[None]] = set()
        if len(self._servers) > 1:
            for server in self._servers:
                self._watch(server)

    async def start(self) -> None:
        """Connect to every server, so that a mistake shows before anybody comes."""
        for server in self._servers:
            await self._ask(server.administrator())

    async def stop(self) -> None:
        """Let go of the servers; the rooms go on."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.close()

    async def join(self, seat: Seat) -> Mapping[str, object]:
        """Let a participant into the room on one of the servers."""
        server = self._server_of(seat)
        for other in self._servers:
            if other is not server:
                await self._ask(other.open_room(seat.room))
        await self._ask(server.admit(seat.room, seat.participant))
        return JanusTicket(
            url=server.settings.client_url or server.settings.url,
            room=seat.room,
            participant=seat.participant,
            token=self._office.token(seat.room, seat.participant),
            seal=self._office.seal(seat.room, seat.participant),
            auth=server.auth(),
        ).to_connection()

    async def leave(self, seat: Seat) -> None:
        """Close the room to a participant and end what it sends and hears."""
        await self._ask(self._server_of(seat).dismiss(seat.room, seat.participant))

    async def close_room(self, room: str) -> None:
        """End the room on every server, unless another room server has somebody in it."""
        for server in self._servers:
            await self._ask(server.close_room(room))

    def _server_of(self, seat: Seat) -> JanusServer:
        """The same on every room server, without asking anybody."""
        digest = hashlib.sha256(f"{seat.room}\0{seat.participant}".encode()).digest()
        return self._servers[int.from_bytes(digest[:8]) % len(self._servers)]

    async def _ask(self, question: Awaitable[object]) -> None:
        try:
            await question
        except RemoteError as error:
            raise EngineError(f"the media server does not do its work: {error}") from error

    def _watch(self, server: JanusServer) -> None:
        server.on_feed = lambda room, feed: self._on_feed(server, room, feed)
        server.on_feed_gone = lambda room, feed: self._on_feed_gone(server, room, feed)

    def _on_feed(self, server: JanusServer, room: str, feed: Feed) -> None:
        # What a server shows because it was mirrored there comes by here, too.
        if (room, feed.id) not in self._mirrored:
            self._mirrored[room, feed.id] = server
            self._spawn(self._mirror(server, room, feed))

    def _on_feed_gone(self, server: JanusServer, room: str, feed: str) -> None:
        if self._mirrored.get((room, feed)) is server:
            del self._mirrored[room, feed]
            self._spawn(self._unmirror(server, room, feed))

    async def _mirror(self, server: JanusServer, room: str, feed: Feed) -> None:
        source = server.side(room)
        for other in self._servers:
            target = other.side(room)
            if other is server or source is None or target is None:
                continue
            try:
                level_id = level_id_of(feed.display)
                await mirror(feed, source, target, level_id=level_id, plain=self._plain)
            except (RemoteError, ConfigError) as error:
                logger.warning("room %s: feed %s is not heard everywhere: %s", room, feed.id, error)

    async def _unmirror(self, server: JanusServer, room: str, feed: str) -> None:
        for other in self._servers:
            target = other.side(room)
            if other is server or target is None:
                continue
            try:
                await unmirror(feed, None, target)
            except RemoteError as error:
                logger.info("room %s: feed %s can't be taken back: %s", room, feed, error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _with_files(options: Mapping[str, str]) -> dict[str, str]:
    """The options, with the secrets that are kept in files."""
    read = dict(options)
    for name in _SECRETS:
        path = options.get(f"{name}-file")
        if path is not None:
            try:
                read[name] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise ConfigError(f"{path}, which should hold {name!r}, can't be read: {error}") from error
    return read


def _settings(options: Mapping[str, str]) -> list[ServerSettings]:
    urls = _list(options.get("urls", ""))
    client_urls = _list(options.get("client-urls", "")) or urls
    if not urls or len(client_urls) != len(urls):
        raise ConfigError(
            "name the WebSocket of each Janus server in 'urls', and as many 'client-urls' or none"
        )
    for url in (*urls, *client_urls):
        if not url.startswith(("ws://", "wss://")):
            raise ConfigError(f"{url!r} is no WebSocket; write ws://HOST:8188 or wss://HOST")
    return [
        ServerSettings(
            url,
            client_url,
            admin_key=options.get("admin-key", ""),
            auth_secret=options.get("auth-secret", ""),
            publishers=_number(options.get("max-participants", "100")),
        )
        for url, client_url in zip(urls, client_urls, strict=True)
    ]


def _origin(url: str) -> str:
    return str(URL(url).with_path("/")).rstrip("/")


def _list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 10_000):
        raise ConfigError(f"'max-participants' is {text!r}; it must be a number from 1 to 10000")
    return int(text)
