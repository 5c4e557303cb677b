"""What those inside a room may ask for: signals, chat, updates, moderating. No clocks, no I/O."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from softphone.rooms.effects import Closed, Effect, Sent
from softphone.rooms.errors import RoomFullError
from softphone.rooms.names import BadNameError, clean_name, unique_name
from softphone.rooms.people import Person, Presence
from softphone.rooms.replies import LobbyLeft, Muted, Refused, RoomChanged, Said
from softphone.rooms.requests import (
    Admit,
    Deny,
    EndRoom,
    Mute,
    Remove,
    RoomBye,
    RoomUpdate,
    Say,
    Signal,
    Update,
)
from softphone.rooms.room import Room
from softphone.rooms.values import Leaving, SignalKind
from softphone.signaling.errors import UnexpectedMessageError
from softphone.signaling.messages import Message, encode
from softphone.signaling.record import write_record

__all__ = ["handle", "obey"]


def handle(room: Room, id: str, message: Message, now: float, unix_time: float) -> list[Effect]:
    """Do what somebody who is in the room asks for.

    `now` is monotonic, `unix_time` seconds since 1970. Raises `UnexpectedMessageError`
    for what has no place here; whoever sent it is to be disconnected.
    """
    person = room.people.get(id)
    if person is None:
        return []
    if person.presence is not Presence.PRESENT:
        raise UnexpectedMessageError(f"{message.TYPE} has no place in the lobby")
    if isinstance(message, Signal):
        return _signal(room, person, message)
    request = _REQUESTS.get(type(message))
    if request is None and type(message) not in _MODERATING and not isinstance(message, Say):
        raise UnexpectedMessageError(f"{message.TYPE} has no place in a room")
    if not person.requests.take(now):
        return _refuse(room, person, "rate-limit", "slow down: this was not done")
    if isinstance(message, Say):
        return _say(room, person, message, unix_time)
    if request is not None:
        return request(room, person, message)
    if not person.moderates:
        return _refuse(room, person, "forbidden", "only a moderator can do this")
    return _MODERATING[type(message)](room, person, message)


def obey(room: Room, id: str, message: Message) -> list[Effect]:
    """Do what a moderator asked another room server for, if it is about somebody of ours."""
    person, peer = room.people.get(id), room.people.get(getattr(message, "peer", ""))
    if person is None or not person.moderates or peer is None or peer.server:
        return []
    return _MODERATING[type(message)](room, person, message)


def _refuse(room: Room, person: Person, code: str, why: str) -> list[Effect]:
    room.statistics.requests_refused += 1
    return [Sent((person.id,), Refused(code=code, message=why))]


def _signal(room: Room, person: Person, message: Signal) -> list[Effect]:
    if message.kind is SignalKind.OFFER and person.id < message.peer:
        raise UnexpectedMessageError("an offer comes from the participant with the greater id")
    peer = room.people.get(message.peer)
    if peer is None or peer is person or peer.presence is not Presence.PRESENT:
        # Nobody's fault: it may just have left.
        room.statistics.signals_dropped += 1
        return []
    room.statistics.signals_relayed += 1
    return [Sent((peer.id,), replace(message, peer=person.id))]


def _say(room: Room, person: Person, message: Say, unix_time: float) -> list[Effect]:
    room.statistics.lines_said += 1
    line = Said(
        number=room.line_number + 1,
        peer=person.id,
        name=person.name,
        text=message.text,
        time=max(0, int(unix_time)),
    )
    room.share(said=write_record(line))
    return room.take_line(line)


def _update(room: Room, person: Person, message: Update) -> list[Effect]:
    if message.name is not None:
        if person.verified:
            return _refuse(room, person, "bad-name", "your name stands in your invitation")
        try:
            name = clean_name(message.name)
        except BadNameError as error:
            return _refuse(room, person, "bad-name", str(error))
        person.name = unique_name(name, room.taken_names(without=person.id))
    if message.muted is not None:
        person.muted = message.muted
    if message.recording is not None:
        person.recording = message.recording
    if message.hand is not None and message.hand != bool(person.hand):
        room.hand_number += 1
        person.hand = room.hand_number if message.hand else 0
    return room.changed(person)


def _mute(room: Room, person: Person, message: Mute) -> list[Effect]:
    peer = room.people.get(message.peer)
    if peer is None or not peer.inside or _elsewhere(room, person, peer, message):
        return []
    peer.muted = True
    effects = room.changed(peer)
    if peer.presence is Presence.PRESENT:
        effects.append(Sent((peer.id,), Muted(peer=person.id)))
    return effects


def _remove(room: Room, person: Person, message: Remove) -> list[Effect]:
    peer = room.people.get(message.peer)
    if peer is None or not peer.inside or peer is person or _elsewhere(room, person, peer, message):
        return []
    room.barred.add(peer.id)
    if peer.invitation:
        room.barred.add(peer.invitation)
    room.statistics.removed += 1
    bye = RoomBye(reason=Leaving.REMOVED, message=message.message)
    return [Closed(peer.id, bye), *room.depart(peer.id, Leaving.REMOVED)]


def _admit(room: Room, person: Person, message: Admit) -> list[Effect]:
    peer = room.people.get(message.peer)
    if peer is None or peer.inside or _elsewhere(room, person, peer, message):
        return []
    inside = sum(each.inside for each in room.people.values())
    if inside >= room.config.max_participants:
        return _refuse(room, person, RoomFullError.code, f"the room is full: {inside} are in")
    return [*room.admit(peer), Sent(room.present(moderators=True), LobbyLeft(id=peer.id))]


def _deny(room: Room, person: Person, message: Deny) -> list[Effect]:
    peer = room.people.get(message.peer)
    if peer is None or peer.inside or _elsewhere(room, person, peer, message):
        return []
    bye = RoomBye(reason=Leaving.DENIED, message=message.message)
    return [Closed(peer.id, bye), *room.depart(peer.id, Leaving.GONE)]


def _room_update(room: Room, person: Person, message: RoomUpdate) -> list[Effect]:
    if message.locked is not None:
        room.locked = message.locked
    if message.lobby is not None:
        room.lobby = message.lobby
    room.rules_version += 1
    return [Sent(room.present(), RoomChanged(locked=room.locked, lobby=room.lobby))]


def _end_room(room: Room, person: Person, message: EndRoom) -> list[Effect]:
    farewell = f"{person.name} ended the room"
    room.share(ended=farewell)
    return room.close(Leaving.ROOM_CLOSED, farewell)


def _elsewhere(room: Room, person: Person, peer: Person, message: Message) -> bool:
    """Whether another room server has to do it, which hears of it then."""
    if peer.server:
        room.share(asked=encode(message), by=person.id)
    return bool(peer.server)


_Request = Callable[[Room, Person, Any], list[Effect]]
_REQUESTS: Final[dict[type[Message], _Request]] = {Update: _update}
_MODERATING: Final[dict[type[Message], _Request]] = {
    Mute: _mute,
    Remove: _remove,
    Admit: _admit,
    Deny: _deny,
    RoomUpdate: _room_update,
    EndRoom: _end_room,
}
