"""One Janus server as the room server sees it: its rooms, and a guard in each.

The guard hears of every feed that appears. One without the seal of the participant that
it names is thrown out: Janus itself lets whoever has a token choose any free name.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from yarl import URL

from softphone.errors import RemoteError

from .bulletins import GUARD, is_guard
from .cascade import CascadeSide, encrypts_cascades
from .errors import NO_SUCH_FEED, NO_SUCH_ROOM, JanusError, JanusLostError
from .protocol import HandleChanged, HandleEvent
from .session import JanusHandle, JanusSession
from .ticket import TicketOffice, api_token, participant_of
from .videoroom import PLUGIN, Feed, RoomAdministrator, RoomSettings, feeds, gone

__all__ = ["JanusServer", "ServerSettings"]

logger = logging.getLogger(__name__)

_RESTORE_INTERVAL = 1.0
"""Seconds between two tries to reach a server that was lost."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How to reach and use a server."""

    url: str
    """WebSocket for the room server."""
    client_url: str = ""
    """WebSocket for participants; empty: the same."""
    admin_key: str = ""
    """``admin_key`` of the VideoRoom, which creating rooms then needs."""
    auth_secret: str = ""
    """``token_auth_secret`` of Janus, when it authenticates requests."""
    token_seconds: int = 86_400
    """How long a participant's signed token is good for."""
    publishers: int = 100
    """Most who send in a room."""


class JanusServer:
    """A connection to one server, made when it is first needed and again when it was lost."""

    def __init__(self, settings: ServerSettings, office: TicketOffice, clock: Callable[[], float]) -> None:
        """`clock`: Unix time in seconds, for the expiry of signed tokens."""
        self.settings = settings
        self.on_feed: Callable[[str, Feed], None] | None = None
        """Called with room and each genuine feed that comes."""
        self.on_feed_gone: Callable[[str, str], None] | None = None
        """Called with room and feed id."""
        self.on_entered: Callable[[str, Sequence[Feed]], None] | None = None
        """Called with a room and all genuine feeds in it whenever our guard has come in."""
        self.on_bulletin: Callable[[str, str, str], None] | None = None
        """Called with room, another room server's guard, and its display name."""
        self.on_guards: Callable[[str, Collection[str]], None] | None = None
        """Called with room and all guards of other room servers in it, whenever ours has come in."""
        self._office = office
        self._clock = clock
        self._session: JanusSession | None = None
        self._administrator: RoomAdministrator | None = None
        self._guards: dict[str, JanusHandle] = {}
        self._names: dict[str, str] = {}
        """Of our guards, by room."""
        self._admitted: dict[str, set[str]] = {}
        """Who may be in which room, to say it again to a server that has forgotten."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting = asyncio.Lock()
        self._opening = asyncio.Lock()
        """Held while a guard comes in or goes: until it is in, nobody knows what the room holds."""
        self.srtp = False
        """Whether it encrypts what it sends to other servers; known once connected."""

    def auth(self) -> str:
        """A signed token for Janus's API; empty when it wants none."""
        settings = self.settings
        if not settings.auth_secret:
            return ""
        return api_token(settings.auth_secret, int(self._clock()) + settings.token_seconds)

    async def administrator(self) -> RoomAdministrator:
        """Connect, if need be. Raises :class:`softphone.errors.RemoteError`."""
        async with self._connecting:
            if self._session is not None and self._session.alive and self._administrator is not None:
                return self._administrator
            await self._close_session()
            session = self._session = JanusSession(self.settings.url, token=self.auth())
            session.on_lost = self._on_lost
            await session.connect()
            self.srtp = encrypts_cascades(await session.info())
            self._administrator = await RoomAdministrator.attach(session)
            return self._administrator

    async def open_room(self, room: str) -> None:
        """Make a room, unless there is one, and put a guard into it."""
        async with self._opening:
            try:
                await self._open_room(room)
            except JanusLostError:  # nobody had noticed yet that the session was over
                await self._open_room(room)

    async def _open_room(self, room: str) -> None:
        administrator = await self.administrator()
        settings = RoomSettings(
            room,
            self._office.room_secret(room),
            publishers=self.settings.publishers,
            admin_key=self.settings.admin_key,
        )
        if await administrator.create(settings):
            self._guards.pop(room, None)
        if room not in self._guards:
            await self._post_guard(room, administrator)

    async def admit(self, room: str, participant: str) -> None:
        """Let a participant come in."""
        self._admitted.setdefault(room, set()).add(participant)
        try:
            await self._admit(room, participant)
        except JanusLostError:
            await self._admit(room, participant)

    async def _admit(self, room: str, participant: str) -> None:
        await self.open_room(room)
        administrator = await self.administrator()
        token = self._office.token(room, participant)
        await administrator.allow(room, self._office.room_secret(room), [token])

    async def dismiss(self, room: str, participant: str) -> None:
        """Take a participant's token back and end its feeds."""
        self._admitted.get(room, set()).discard(participant)
        administrator = await self.administrator()
        secret = self._office.room_secret(room)
        try:
            await administrator.disallow(room, secret, [self._office.token(room, participant)])
            inside = await administrator.participants(room)
        except JanusError as error:
            if error.code != NO_SUCH_ROOM:
                raise
            return
        for feed in inside:
            if participant_of(feed) == participant:
                await self._kick(administrator, room, feed)

    async def close_room(self, room: str) -> None:
        """End a room, unless somebody is in it who was let in by another room server."""
        self._admitted.pop(room, None)
        administrator = await self.administrator()
        async with self._opening:
            guard = self._guards.pop(room, None)
            self._names.pop(room, None)
            if guard is not None:
                await guard.detach()
            try:
                inside = await administrator.participants(room)
                if not inside:
                    await administrator.destroy(room, self._office.room_secret(room))
            except JanusError as error:
                if error.code != NO_SUCH_ROOM:
                    raise

    async def post(self, room: str, write: Callable[[str], str]) -> None:
        """Have our guard, if there is one, show what `write` makes of its name."""
        guard = self._guards.get(room)
        if guard is not None:
            display = write(self._names[room])
            await guard.message({"request": "configure", "display": display})

    def side(self, room: str) -> CascadeSide | None:
        """The room for cascading; None when there is no guard in it."""
        guard = self._guards.get(room)
        if guard is None:
            return None
        host = URL(self.settings.url).host or ""
        return CascadeSide(guard, room, self._office.room_secret(room), host, self.srtp)

    async def close(self) -> None:
        """Let go of the server; the rooms and who is in them stay."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close_session()

    def _on_lost(self) -> None:
        self._guards.clear()
        self._spawn(self._restore())

    async def _restore(self) -> None:
        """Open every room again, so that the participants' tickets are good once more."""
        while self._admitted:
            await asyncio.sleep(_RESTORE_INTERVAL)
            try:
                for room, participants in list(self._admitted.items()):
                    for participant in list(participants):
                        await self._admit(room, participant)
                return
            except RemoteError as error:
                logger.info("the rooms on %s can't be opened yet: %s", self.settings.url, error)

    async def _close_session(self) -> None:
        self._guards.clear()
        session, self._session = self._session, None
        if session is not None:
            session.on_lost = None
            await session.close()

    async def _post_guard(self, room: str, administrator: RoomAdministrator) -> None:
        assert self._session is not None
        name = f"{GUARD}.{secrets.token_hex(4)}"
        token = self._office.token(room, name)
        await administrator.allow(room, self._office.room_secret(room), [token])
        guard = await self._session.attach(PLUGIN)
        guard.on_event = lambda event: self._on_guard_event(room, event)
        body = {"request": "join", "ptype": "publisher", "room": room, "id": name, "token": token}
        # Janus tells nobody of a first display name.
        body["display"] = GUARD
        joined = await guard.message(body)
        self._guards[room] = guard
        self._names[room] = name
        present = self._genuine(room, feeds(joined.data))
        if self.on_entered is not None:
            self.on_entered(room, present)
        inside = await administrator.participants(room)
        others = {feed: display for feed, display in inside.items() if is_guard(feed) and feed != name}
        if self.on_guards is not None:
            self.on_guards(room, others)
        for feed, display in others.items():
            self._tell_bulletin(room, feed, display)

    def _on_guard_event(self, room: str, event: HandleEvent | HandleChanged) -> None:
        if isinstance(event, HandleChanged):
            return
        for feed in self._genuine(room, feeds(event.data)):
            if self.on_feed is not None:
                self.on_feed(room, feed)
        speaker, display = event.data.get("id"), event.data.get("display")
        if isinstance(speaker, str) and isinstance(display, str) and is_guard(speaker):
            self._tell_bulletin(room, speaker, display)
        left = gone(event.data)
        if left is not None and self.on_feed_gone is not None:
            self.on_feed_gone(room, left)

    def _genuine(self, room: str, present: Iterable[Feed]) -> list[Feed]:
        """Those of whom they say they are; the others are thrown out."""
        genuine = []
        for feed in present:
            if self._office.sealed(room, feed.id, feed.display):
                genuine.append(feed)
            else:
                logger.warning("room %s: a feed claims to be %s, who it is not", room, feed.id)
                self._spawn(self._expel(room, feed.id))
        return genuine

    def _tell_bulletin(self, room: str, guard: str, display: str) -> None:
        if self.on_bulletin is not None:
            self.on_bulletin(room, guard, display)

    async def _expel(self, room: str, feed: str) -> None:
        try:
            await self._kick(await self.administrator(), room, feed)
        except RemoteError as error:
            logger.info("room %s: feed %s can't be thrown out: %s", room, feed, error)

    async def _kick(self, administrator: RoomAdministrator, room: str, feed: str) -> None:
        try:
            await administrator.kick(room, self._office.room_secret(room), feed)
        except JanusError as error:
            # Who leaves by itself may be quicker.
            if error.code not in (NO_SUCH_ROOM, NO_SUCH_FEED):
                raise

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
