"""All rooms of a server, and who is connected to them: the shell around `softphone.rooms.room`."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Final, Protocol

from softphone.errors import RemoteProtocolError
from softphone.rooms.access import Access, Door
from softphone.rooms.config import RoomServerConfig
from softphone.rooms.effects import Admitted, Closed, Departed, Effect, Sent
from softphone.rooms.engines import RoomEngine, Seat
from softphone.rooms.errors import EngineError, NotAdmittedError, ServerFullError
from softphone.rooms.identity import IdSource
from softphone.rooms.people import Entry
from softphone.rooms.replies import IceServers, Joined
from softphone.rooms.requesting import handle
from softphone.rooms.requests import Join, RoomBye
from softphone.rooms.room import Room
from softphone.rooms.statistics import RoomStatistics
from softphone.rooms.tokens import Resumption, TokenSigner
from softphone.rooms.values import Leaving
from softphone.signaling.limits import AddressCaps
from softphone.signaling.messages import Hello, Message, encode
from softphone.signaling.wire import Capabilities, flat_map

__all__ = ["Line", "Place", "RoomHub"]

_LOG = logging.getLogger(__name__)

_MAX_CAPABILITIES: Final = 1024
"""Bytes of the capabilities of one participant as JSON: everybody who comes in hears all of them."""

_connection: Final = flat_map(2048)


class Line(Protocol):
    """A participant's connection; neither method blocks or fails."""

    def deliver(self, text: str) -> None:
        """Send an encoded message."""

    def end(self, message: Message) -> None:
        """Send a last message and close."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Somebody's place in a room, or in its lobby, for the life of one connection."""

    room: str
    id: str
    line: Line


class RoomHub:
    """Lets people into rooms, carries out what the rooms want done, and keeps their time."""

    def __init__(self, config: RoomServerConfig, access: Access, engine: RoomEngine) -> None:
        """Needs no running loop yet."""
        self.config = config
        self.statistics = RoomStatistics()
        self.signer = TokenSigner(config.token_secret)
        self.door = Door(access, self.signer)
        self.rooms: dict[str, Room] = {}
        self._engine = engine
        self._room_config = replace(config.room, opener_moderates=access is not Access.INVITATION)
        self._ids = IdSource()
        self._run = secrets.token_hex(8)
        self._started = time.monotonic()
        self._caps = AddressCaps(config.max_people, config.max_people_per_address)
        self._addresses: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        self._room_timers: dict[str, asyncio.TimerHandle] = {}
        self._ice_timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def enter(self, hello: Hello, join: Join, address: str, line: Line) -> Place:
        """Let somebody in, or into the lobby; what it has to hear goes to `line`.

        `address` is the key under which its address is limited. Raises
        `RemoteProtocolError` and its kin, each with a code, when it is not let in.
        """
        try:
            _check_capabilities(hello.capabilities)
            return await self._come_back(hello, join, address, line) or await self._come_in(
                hello, join, address, line
            )
        except NotAdmittedError as error:
            self.statistics.not_admitted[error.code] += 1
            raise

    def handle(self, place: Place, message: Message) -> None:
        """Do what somebody asks for. Raises `UnexpectedMessageError` for what has no place here."""
        if self._places.get(place.id) is place:
            room = self.rooms[place.room]
            self._apply(room, handle(room, place.id, message, time.monotonic(), time.time()))

    def lost(self, place: Place) -> None:
        """The connection broke."""
        if self._forget(place):
            room = self.rooms[place.room]
            self._apply(room, room.lost(place.id, time.monotonic()))

    def leave(self, place: Place, reason: Leaving = Leaving.HUNG_UP) -> None:
        """Somebody said farewell, or has to go."""
        if self._forget(place):
            room = self.rooms[place.room]
            self._apply(room, room.depart(place.id, reason))

    async def close(self) -> None:
        """Tell everybody that the server stops. They may come back to its next run."""
        for place in list(self._places.values()):
            place.line.end(RoomBye(reason=Leaving.STOPPING, message="the server stops"))
        self._places.clear()
        self.rooms.clear()
        for timer in (*self._room_timers.values(), *self._ice_timers.values()):
            timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)

    async def _come_back(self, hello: Hello, join: Join, address: str, line: Line) -> Place | None:
        """Somebody who was here, or None when `join` does not prove that."""
        was = self.signer.read_resumption(join.resume, join.room, time.time()) if join.resume else None
        if was is None:
            return None
        seat = Seat(was.room, was.id, was.name)
        room = self.rooms.get(join.room)
        if room is not None and room.knows(was.id):
            connection = await self._connect(seat)
            # The engine took its time: it may be too late now.
            if self.rooms.get(join.room) is not room or not room.knows(was.id):
                return None
            self._replace(was.id)
            place = self._occupy(Place(room.name, was.id, line))
            self._apply(room, room.come_back(was.id, hello.capabilities, connection))
            return place
        if was.server == self._run or self._settling() <= 0:
            return None
        entry = Entry(
            id=was.id,
            name=was.name,
            verified=was.verified,
            role=was.role,
            capabilities=hello.capabilities,
            invitation=was.invitation,
            restored=True,
        )
        place = await self._place(entry, join.room, address, line)
        self.statistics.restored += 1
        return place

    async def _come_in(self, hello: Hello, join: Join, address: str, line: Line) -> Place:
        grant = self.door.grant(join.room, join.token, hello.name, time.time())
        entry = Entry(
            id=self._ids.make(time.time()),
            name=grant.name,
            verified=grant.verified,
            role=grant.role,
            capabilities=hello.capabilities,
            invitation=grant.invitation,
        )
        return await self._place(entry, join.room, address, line)

    async def _place(self, entry: Entry, name: str, address: str, line: Line) -> Place:
        if name not in self.rooms and len(self.rooms) >= self.config.max_rooms:
            raise ServerFullError("this server has as many rooms as it may have: try again later")
        existing = self.rooms.get(name)
        if existing is not None:
            existing.check_door(entry)
        if not self._caps.acquire(address):
            raise ServerFullError("too many people, here or from your address: try again later")
        seat = Seat(name, entry.id, entry.name)
        try:
            connection = await self._connect(seat)
            room = self.rooms.get(name) or Room(name, self._room_config, self.statistics)
            effects = room.enter(replace(entry, connection=connection), time.monotonic())
        except BaseException as error:
            self._caps.release(address)
            if not isinstance(error, EngineError):
                self._spawn(self._engine.leave(seat))
            raise
        if name not in self.rooms:
            self.rooms[name] = room
            self.statistics.rooms_opened += 1
        self._addresses[entry.id] = address
        place = self._occupy(Place(name, entry.id, line))
        self._apply(room, effects)
        return place

    async def _connect(self, seat: Seat) -> Capabilities:
        try:
            return _connection(await self._engine.join(seat))
        except (EngineError, RemoteProtocolError) as error:
            _LOG.warning("the room engine %s failed: %s", self.config.engine, error)
            raise EngineError("the media server does not answer: try again later") from error

    def _occupy(self, place: Place) -> Place:
        self._places[place.id] = place
        return place

    def _forget(self, place: Place) -> bool:
        """The connection is no more that of its participant; False when it was not any more before."""
        if self._places.get(place.id) is not place:
            return False
        del self._places[place.id]
        self._stop_timer(self._ice_timers, place.id)
        return True

    def _replace(self, id: str) -> None:
        older = self._places.get(id)
        if older is not None:
            self._forget(older)
            older.line.end(RoomBye(reason=Leaving.REPLACED, message="you came in from elsewhere"))

    def _apply(self, room: Room, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Sent(to=to, message=message):
                    self._send(to, message)
                case Admitted(id=id, joined=joined):
                    self._send((id,), self._complete(room, joined))
                case Closed(id=id, bye=bye):
                    place = self._places.get(id)
                    if place is not None:
                        self._forget(place)
                        place.line.end(bye)
                case Departed(id=id):
                    self._caps.release(self._addresses.pop(id))
                    self._spawn(self._engine.leave(Seat(room.name, id)))
        if room.empty and self.rooms.get(room.name) is room:
            del self.rooms[room.name]
            self._spawn(self._engine.close_room(room.name))
        self._arm(room)

    def _send(self, to: tuple[str, ...], message: Message) -> None:
        lines = [self._places[id].line for id in to if id in self._places]
        if lines:
            text = encode(message)
            for line in lines:
                line.deliver(text)

    def _complete(self, room: Room, joined: Joined) -> Joined:
        person = room.people[joined.id]
        was = Resumption(
            room=room.name,
            id=person.id,
            name=person.name,
            role=person.role,
            verified=person.verified,
            server=self._run,
            invitation=person.invitation,
        )
        servers, lifetime = self.config.ice.servers(person.id, time.time())
        self._refresh_ice_later(person.id, lifetime)
        return replace(
            joined,
            engine=self.config.engine,
            ice_servers=servers,
            ice_ttl=lifetime,
            relay_only=self.config.relay_only,
            resume=self.signer.resumption(was, time.time()),
            settle_seconds=max(0, round(self._settling())) if joined.resumed else 0,
        )

    def _settling(self) -> float:
        """For how many seconds more those may come back who were here before the server started."""
        return self.config.settle_time - (time.monotonic() - self._started)

    def _refresh_ice_later(self, id: str, lifetime: int) -> None:
        self._stop_timer(self._ice_timers, id)
        if lifetime:
            loop = asyncio.get_running_loop()
            self._ice_timers[id] = loop.call_later(lifetime / 2.0, self._refresh_ice, id)

    def _refresh_ice(self, id: str) -> None:
        servers, lifetime = self.config.ice.servers(id, time.time())
        self._send((id,), IceServers(ice_servers=servers, ice_ttl=lifetime))
        self._refresh_ice_later(id, lifetime)

    def _arm(self, room: Room) -> None:
        self._stop_timer(self._room_timers, room.name)
        if room.deadline is not None:
            delay = room.deadline - time.monotonic()
            loop = asyncio.get_running_loop()
            self._room_timers[room.name] = loop.call_later(max(0.0, delay), self._advance, room)

    def _advance(self, room: Room) -> None:
        if self.rooms.get(room.name) is room:
            self._apply(room, room.advance(time.monotonic()))

    def _stop_timer(self, timers: dict[str, asyncio.TimerHandle], key: str) -> None:
        timer = timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        async def attempt() -> None:
            try:
                await work
            except EngineError as error:
                _LOG.warning("the room engine %s failed: %s", self.config.engine, error)

        task = asyncio.get_running_loop().create_task(attempt())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _check_capabilities(capabilities: Capabilities) -> None:
    if len(json.dumps(dict(capabilities))) > _MAX_CAPABILITIES:
        raise RemoteProtocolError(f"hello: capabilities have more than {_MAX_CAPABILITIES} bytes")
