"""Which feeds have to be passed from server to server, so that everybody hears everybody.

Every feed is at home on one server, and shall be on all others exactly as long as it is there.
What is wrong with that is set right by `Cascades.settle`, also after another room server that
did so is gone.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from softphone.errors import ConfigError, RemoteError

from .cascade import CascadeSide, mirror, unmirror
from .errors import FEED_EXISTS, NO_SUCH_FEED, JanusError
from .server import JanusServer
from .ticket import level_id_of, participant_of
from .videoroom import Feed

__all__ = ["Cascades"]

logger = logging.getLogger(__name__)

_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds until something that failed is tried again; twice as many each time."""


@dataclass
class _Shown:
    """A feed, and where it is."""

    feed: Feed
    servers: set[JanusServer] = field(default_factory=set)
    failures: int = 0
    """How often in a row something about it could not be changed."""
    refused: bool = False
    """It must not be passed on as things are."""


class Cascades:
    """Knows every feed on every server."""

    def __init__(
        self,
        servers: Sequence[JanusServer],
        home: Callable[[str, str], JanusServer],
        *,
        plain: bool,
    ) -> None:
        """`home`: where a participant of a room publishes; `plain`: as in `.cascade.mirror`."""
        self._servers = servers
        self._home = home
        self._plain = plain
        self._rooms: dict[str, dict[str, _Shown]] = {}
        self._busy: set[tuple[str, str, JanusServer]] = set()
        """Room, feed and server at which something is being changed, or will be tried again."""
        self._tasks: set[asyncio.Task[None]] = set()

    def show(self, server: JanusServer, room: str, feed: Feed) -> None:
        """A feed is on a server, at home or passed on."""
        self._rooms.setdefault(room, {}).setdefault(feed.id, _Shown(feed)).servers.add(server)

    def hide(self, server: JanusServer, room: str, feed: str) -> None:
        """It is not there any more."""
        feeds = self._rooms.get(room, {})
        shown = feeds.get(feed)
        if shown is not None:
            shown.servers.discard(server)
            if not shown.servers:
                del feeds[feed]

    def forget(self, server: JanusServer, room: str) -> None:
        """Nothing is known about a room on one server."""
        for feed in list(self._rooms.get(room, {})):
            self.hide(server, room, feed)

    def forget_room(self, room: str) -> None:
        """We have left the room."""
        self._rooms.pop(room, None)

    def settle(self, room: str) -> None:
        """Pass on what is missing somewhere, take back what is gone from its home."""
        sides = {server: server.side(room) for server in self._servers}
        if len(sides) < 2 or not all(sides.values()):
            return
        for shown in self._rooms.get(room, {}).values():
            if shown.refused:
                continue
            home = self._home(room, participant_of(shown.feed.id))
            at_home = home in shown.servers
            for server in self._servers:
                key = room, shown.feed.id, server
                if server is home or key in self._busy or (server in shown.servers) == at_home:
                    continue
                source, target = sides[home], sides[server]
                assert source is not None
                assert target is not None
                work = self._pass_on if at_home else self._take_back
                self._busy.add(key)
                task = asyncio.create_task(self._change(work(shown, server, source, target), shown, key))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Leave everything as it is."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _change(
        self, work: Coroutine[Any, Any, None], shown: _Shown, key: tuple[str, str, JanusServer]
    ) -> None:
        room, feed, _ = key
        try:
            await work
            shown.failures = 0
        except RemoteError as error:
            level = logging.INFO if shown.failures else logging.WARNING
            logger.log(level, "room %s: feed %s is not heard where it should be: %s", room, feed, error)
            await asyncio.sleep(min(_LONGEST_PAUSE, _PAUSE * 2**shown.failures))
            shown.failures += 1
        except ConfigError as error:
            logger.warning("room %s: feed %s is not heard everywhere: %s", room, feed, error)
            shown.refused = True
        finally:
            self._busy.discard(key)
        self.settle(room)  # meanwhile it may have come or gone

    async def _pass_on(
        self, shown: _Shown, server: JanusServer, source: CascadeSide, target: CascadeSide
    ) -> None:
        feed = shown.feed
        try:
            await mirror(feed, source, target, level_id=level_id_of(feed.display), plain=self._plain)
        except JanusError as error:
            if error.code == NO_SUCH_FEED:  # it has left, of which we are about to hear
                self.hide(self._home(source.room, participant_of(feed.id)), source.room, feed.id)
                return
            if error.code != FEED_EXISTS:
                raise
        shown.servers.add(server)

    async def _take_back(
        self, shown: _Shown, server: JanusServer, source: CascadeSide, target: CascadeSide
    ) -> None:
        await unmirror(shown.feed.id, source, target)
        self.hide(server, source.room, shown.feed.id)
