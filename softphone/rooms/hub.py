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
from softphone.rooms.federation import State, forget, merge, snapshot
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
        self._settled = time.monotonic() + config.settle_time
        self._caps = AddressCaps(config.max_people, config.max_people_per_address)
        self._addresses: dict[str, str] = {}
        self._places: dict[str, Place] = {}
        self._room_timers: dict[str, asyncio.TimerHandle] = {}
        self._ice_timers: dict[str, asyncio.TimerHandle] = {}
        self._published: dict[str, State] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        engine.server, engine.on_published = self._run, self._on_published

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
        if self._engine.shares_rooms and join.room not in self.rooms:
            await self._look(join.room)
        room = self._room(join.room)
        if room.knows(was.id):
            connection = await self._connect(Seat(was.room, was.id, was.name))
            # The engine took its time: it may be too late now.
            if self.rooms.get(join.room, room) is not room or not room.knows(was.id):
                return None
            if was.id not in self._addresses:
                self._take_address(was.id, address)
                room.people[was.id].invitation = was.invitation
            self._open(room)
            self._replace(was.id)
            place = self._occupy(Place(room.name, was.id, line))
            self._apply(room, room.come_back(was.id, hello.capabilities, connection))
            return place
        if was.server == self._run or was.server in self._engine.states(join.room) or was.id in room.barred:
            return None  # that server would know
        if self._settling() <= 0:
            if not self._engine.shares_rooms:
                return None
            # Another server is gone, whose other people may be on their way too.
            self._settled = time.monotonic() + self.config.settle_time
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
        self._take_address(entry.id, address)
        seat = Seat(name, entry.id, entry.name)
        try:
            connection = await self._connect(seat)
            room = self._room(name)
            effects = room.enter(replace(entry, connection=connection), time.monotonic())
        except BaseException as error:
            self._caps.release(self._addresses.pop(entry.id))
            if not isinstance(error, EngineError):
                self._spawn(self._engine.leave(seat))
            raise
        self._open(room)
        place = self._occupy(Place(name, entry.id, line))
        self._apply(room, effects)
        return place

    def _room(self, name: str) -> Room:
        """The room; one that nobody of ours is in yet, as other servers know it."""
        room = self.rooms.get(name)
        if room is None:
            room = Room(name, self._room_config, self.statistics)
            for server, state in self._engine.states(name).items():
                merge(room, server, state)
        return room

    def _open(self, room: Room) -> None:
        if room.name not in self.rooms:
            self.rooms[room.name] = room
            self.statistics.rooms_opened += 1

    def _take_address(self, id: str, address: str) -> None:
        if not self._caps.acquire(address):
            raise ServerFullError("too many people, here or from your address: try again later")
        self._addresses[id] = address

    async def _look(self, name: str) -> None:
        try:
            await self._engine.look(name)
        except EngineError as error:
            raise self._engine_failed(error) from error

    def _engine_failed(self, error: Exception) -> EngineError:
        _LOG.warning("the room engine %s failed: %s", self.config.engine, error)
        return EngineError("the media server does not answer: try again later")

    async def _connect(self, seat: Seat) -> Capabilities:
        try:
            return _connection(await self._engine.join(seat))
        except (EngineError, RemoteProtocolError) as error:
            raise self._engine_failed(error) from error

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
                case Departed(id=id, stays=stays):
                    if id in self._addresses:
                        self._caps.release(self._addresses.pop(id))
                    if not stays:
                        self._spawn(self._engine.leave(Seat(room.name, id)))
        self._publish(room)
        if room.empty and self.rooms.get(room.name) is room:
            self._published.pop(room.name, None)
            del self.rooms[room.name]
            self._spawn(self._engine.close_room(room.name))
        self._arm(room)

    def _publish(self, room: Room) -> None:
        if not self._engine.shares_rooms or self.rooms.get(room.name) is not room:
            return
        state = snapshot(room)
        if state != self._published.get(room.name):
            self._published[room.name] = state
            self._engine.publish(room.name, state)

    def _on_published(self, name: str, server: str) -> None:
        """Another room server tells something new, or is gone."""
        room = self.rooms.get(name)
        if room is None:
            return
        state = self._engine.states(name).get(server)
        try:
            effects = forget(room, server, time.monotonic()) if state is None else merge(room, server, state)
        except (RemoteProtocolError, KeyError, TypeError, ValueError):
            _LOG.exception("room %s: what another room server tells can't be used", name)
            return
        self._apply(room, effects)

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
        """For how many seconds more those may come back who were here before, or on another server."""
        return self._settled - time.monotonic()

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
