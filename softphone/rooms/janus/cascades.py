"""Which feeds have to be passed from server to server, so that everybody hears everybody.

Every feed is at home on one server, and shall be on all others exactly as long as it is there.
What is wrong with that is set right by `Cascades.settle`, also after another room server that
did so is gone.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from softphone.errors import ConfigError, RemoteError

from .cascade import CascadeSide, mirror, unmirror
from .errors import FEED_EXISTS, NO_SUCH_FEED, JanusError
from .server import JanusServer
from .ticket import level_id_of, participant_of
from .videoroom import Feed

__all__ = ["Cascades"]

logger = logging.getLogger(__name__)


@dataclass
class _Shown:
    """A feed, and where it is."""

    feed: Feed
    servers: set[JanusServer] = field(default_factory=set)
    tried: set[JanusServer] = field(default_factory=set)
    """Where something is being changed, or could not be."""


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
            shown.tried.discard(server)
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
            home = self._home(room, participant_of(shown.feed.id))
            for server in self._servers:
                at_home = home in shown.servers
                if server is home or server in shown.tried or (server in shown.servers) == at_home:
                    continue
                source, target = sides[home], sides[server]
                assert source is not None
                assert target is not None
                shown.tried.add(server)
                work = self._pass_on if at_home else self._take_back
                task = asyncio.create_task(work(shown, server, source, target))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Leave everything as it is."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass_on(
        self, shown: _Shown, server: JanusServer, source: CascadeSide, target: CascadeSide
    ) -> None:
        feed = shown.feed
        try:
            await mirror(feed, source, target, level_id=level_id_of(feed.display), plain=self._plain)
        except (RemoteError, ConfigError) as error:
            if not (isinstance(error, JanusError) and error.code == FEED_EXISTS):
                logger.warning("room %s: feed %s is not heard everywhere: %s", source.room, feed.id, error)
                return
        shown.servers.add(server)
        shown.tried.discard(server)

    async def _take_back(
        self, shown: _Shown, server: JanusServer, source: CascadeSide, target: CascadeSide
    ) -> None:
        try:
            await unmirror(shown.feed.id, None, target)
        except RemoteError as error:
            if not (isinstance(error, JanusError) and error.code == NO_SUCH_FEED):
                logger.info("room %s: feed %s can't be taken back: %s", source.room, shown.feed.id, error)
        self.hide(server, source.room, shown.feed.id)
