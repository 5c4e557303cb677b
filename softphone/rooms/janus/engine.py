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
from collections.abc import Awaitable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from yarl import URL

from softphone.errors import ConfigError, RemoteError
from softphone.rooms.engines import RoomEngine, Seat
from softphone.rooms.errors import EngineError

from .bulletins import GUARD, BulletinBoard, is_guard
from .cascades import Cascades
from .server import JanusServer, ServerSettings
from .ticket import JanusTicket, TicketOffice
from .videoroom import Feed

__all__ = ["JanusEngine"]

logger = logging.getLogger(__name__)

_PATIENCE = 1.0
"""Seconds for other room servers to tell what they know of a room."""
_NOTHING: Mapping[str, Any] = {}

_SECRETS = ("secret", "admin-key", "auth-secret")
_OPTIONS = frozenset(
    ("urls", "client-urls", "max-participants", "plain-cascade", *_SECRETS, *(f"{s}-file" for s in _SECRETS))
)


class JanusEngine(RoomEngine):
    """See the module."""

    shares_rooms = True

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
        self._cascades = Cascades(self._servers, self._home, plain=self._plain)
        self._board = BulletinBoard(self._office.bulletin_key())
        self._own: dict[str, Mapping[str, Any]] = {}
        """What this room server has to tell about its rooms."""
        self._since: dict[str, int] = {}
        """When it came into each room, ns since 1970."""
        self._posting: dict[str, asyncio.Task[None]] = {}
        self._read = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
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
        await asyncio.gather(*self._tasks, self._cascades.close(), return_exceptions=True)
        for server in self._servers:
            await server.close()

    async def join(self, seat: Seat) -> Mapping[str, object]:
        """Let a participant into the room on one of the servers."""
        server = self._home(seat.room, seat.participant)
        await self.look(seat.room)
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
        await self._ask(self._home(seat.room, seat.participant).dismiss(seat.room, seat.participant))

    async def close_room(self, room: str) -> None:
        """End the room on every server, unless another room server is in it."""
        if room in self._posting:
            await asyncio.wait({self._posting[room]})
        self._own.pop(room, None)
        self._since.pop(room, None)
        self._board.forget_room(room)
        self._cascades.forget_room(room)
        for server in self._servers:
            await self._ask(server.close_room(room))

    async def look(self, room: str) -> None:
        """Open the room on every server, and hear what other room servers know of it."""
        self._since.setdefault(room, time.time_ns())
        for server in self._servers:
            await self._ask(server.open_room(room))
        try:
            async with asyncio.timeout(_PATIENCE), self._read:
                await self._read.wait_for(lambda: not self._board.unread(room))
        except TimeoutError:
            self._board.give_up(room)
        self._cascade(room)

    def states(self, room: str) -> Mapping[str, Mapping[str, Any]]:
        """What other room servers tell."""
        return self._board.states(room)

    def publish(self, room: str, state: Mapping[str, Any]) -> None:
        """Tell the other room servers, where there are any in the room."""
        self._own[room] = state
        if not self._board.alone(room):
            self._post(room)

    def _home(self, room: str, participant: str) -> JanusServer:
        """Where a participant publishes: the same on every room server, without asking anybody."""
        digest = hashlib.sha256(f"{room}\0{participant}".encode()).digest()
        return self._servers[int.from_bytes(digest[:8]) % len(self._servers)]

    async def _ask(self, question: Awaitable[object]) -> None:
        try:
            await question
        except RemoteError as error:
            raise EngineError(f"the media server does not do its work: {error}") from error

    def _watch(self, server: JanusServer) -> None:
        server.on_bulletin = lambda room, guard, text: self._on_bulletin(server, room, guard, text)
        server.on_guards = lambda room, guards: self._on_guards(server, room, guards)
        server.on_entered = lambda room, feeds: self._on_entered(server, room, feeds)
        server.on_feed = lambda room, feed: self._on_feed(server, room, feed)
        server.on_feed_gone = lambda room, feed: self._on_feed_gone(server, room, feed)

    def _on_entered(self, server: JanusServer, room: str, feeds: Sequence[Feed]) -> None:
        self._cascades.forget(server, room)
        for feed in feeds:
            self._cascades.show(server, room, feed)
        # Only now: with half of them it would seem that the rest has left.
        self._cascade(room)

    def _on_feed(self, server: JanusServer, room: str, feed: Feed) -> None:
        self._cascades.show(server, room, feed)
        self._cascade(room)

    def _on_feed_gone(self, server: JanusServer, room: str, feed: str) -> None:
        if is_guard(feed):
            self._on_guard_gone(server, room, feed)
        else:
            self._cascades.hide(server, room, feed)
        self._cascade(room)

    def _cascade(self, room: str) -> None:
        # One room server does it: two at a time make Janus lose a feed.
        since = self._since.get(room)
        if since is not None and self._board.eldest(room, since):
            self._cascades.settle(room)

    def _on_guard_gone(self, server: JanusServer, room: str, guard: str) -> None:
        gone = self._board.lose(server.settings.url, room, guard)
        if self._board.alone(room):
            self._post(room)
        if gone is not None and self.on_published is not None:
            self.on_published(room, gone)

    def _on_guards(self, server: JanusServer, room: str, guards: Collection[str]) -> None:
        """Our guard has come in. The others do not see that until it shows something."""
        url = server.settings.url
        for guard in self._board.guards(url, room):
            if guard not in guards:
                self._on_feed_gone(server, room, guard)
        for guard in guards:
            self._board.meet(url, room, guard)
        if guards:
            self._post(room)

    def _on_bulletin(self, server: JanusServer, room: str, guard: str, display: str) -> None:
        url = server.settings.url
        met = guard in self._board.guards(url, room)
        bulletin = self._board.take(url, room, guard, display)
        self._spawn(self._tell_read())
        if bulletin is None:
            return
        if not met:
            self._post(room)
        self._cascade(room)
        if self.on_published is not None:
            self.on_published(room, bulletin.server)

    async def _tell_read(self) -> None:
        async with self._read:
            self._read.notify_all()

    def _post(self, room: str) -> None:
        """Show the latest state, once what is being shown at this moment has been."""
        posting = self._posting.get(room)
        if posting is None or posting.done():
            self._posting[room] = self._spawn(self._post_all(room))

    async def _post_all(self, room: str) -> None:
        def write(guard: str) -> str:
            # What nobody reads any more would be old when somebody does.
            return (
                GUARD
                if self._board.alone(room)
                else self._board.write(room, guard, self.server, since, state)
            )

        since = self._since.get(room, time.time_ns())
        shown: object = None
        while shown is not (state := self._own.get(room, _NOTHING)):
            shown = state
            for server in self._servers:
                try:
                    await server.post(room, write)
                except RemoteError as error:
                    logger.warning("room %s: the other room servers can't be told: %s", room, error)
        self._posting.pop(room, None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


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
