"""One room on several room servers: what each tells the others, and what it makes of that.

Every participant belongs to one server, the one that it is connected to. A server tells the
others, through the media engine, the whole of what it knows for certain (`snapshot`): its own
people, and the latest of what was said and asked for. The others take that over (`merge`). A
participant that comes back to another server is claimed by that one with a higher number, and
the former one lets go of it. No clocks, no I/O.
"""

from collections.abc import Mapping
from typing import Any, Final

from softphone.errors import RemoteProtocolError
from softphone.rooms.effects import Closed, Departed, Effect, Sent
from softphone.rooms.people import Person, Presence
from softphone.rooms.replies import (
    LobbyJoined,
    LobbyLeft,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    RoomChanged,
    Said,
)
from softphone.rooms.requesting import obey
from softphone.rooms.requests import FROM_PARTICIPANT, RoomBye
from softphone.rooms.room import Room
from softphone.rooms.values import Leaving, ParticipantInfo
from softphone.signaling.limits import TokenBucket
from softphone.signaling.record import read_record, write_record

__all__ = ["NOBODY", "State", "forget", "merge", "snapshot"]

State = Mapping[str, Any]
"""What a server tells of a room; JSON."""

NOBODY: Final = "?"
"""Server of those whose server is gone: whoever they come back to may claim them."""

_MOST_BARRED: Final = 256


def snapshot(room: Room) -> State:
    """What the other servers have to know."""
    own = [person for person in room.people.values() if not person.server]
    return {
        "people": [
            {"info": write_record(person.info()), "claim": person.claim, "waits": not person.inside}
            for person in own
        ],
        "rules": [room.rules_version, room.locked, room.lobby],
        "line": room.line_number,
        "barred": sorted(room.barred)[:_MOST_BARRED],
        "news": list(room.news),
    }


def merge(room: Room, server: str, state: State) -> list[Effect]:
    """Take over what another server tells.

    Raises `RemoteProtocolError` for what no server of ours would tell; what came before it holds.
    """
    room.barred.update(state.get("barred", ()))
    effects = _take_rules(room, *state.get("rules", (0, False, False)))
    told = set()
    for item in state.get("people", ()):
        info = read_record(ParticipantInfo, item["info"], "a participant")
        told.add(info.id)
        effects += _take_person(room, server, info, int(item["claim"]), waits=bool(item["waits"]))
    for person in [p for p in room.people.values() if p.server == server and p.id not in told]:
        effects += _take_leave(room, person)
    effects += _take_news(room, server, state.get("news", ()))
    room.line_number = max(room.line_number, int(state.get("line", 0)))
    return effects + room.succession()


def forget(room: Room, server: str, now: float) -> list[Effect]:
    """A server is gone. Its people may come back to another one for a while; who waited may not."""
    room.heard.pop(server, None)
    effects: list[Effect] = []
    for person in [p for p in room.people.values() if p.server == server]:
        if not person.inside:
            effects += _take_leave(room, person)
            continue
        person.server = NOBODY
        person.presence = Presence.AWAY
        person.deadline = now + room.config.resume_window
        effects += room.changed(person)
    return effects + room.succession()


def _take_rules(room: Room, version: int, locked: bool, lobby: bool) -> list[Effect]:
    if version <= room.rules_version:
        return []
    room.rules_version = version
    before = room.locked, room.lobby
    room.locked, room.lobby = locked, lobby
    return (
        [Sent(room.present(), RoomChanged(locked=locked, lobby=lobby))] if before != (locked, lobby) else []
    )


def _take_person(room: Room, server: str, info: ParticipantInfo, claim: int, *, waits: bool) -> list[Effect]:
    effects: list[Effect] = []
    person = room.people.get(info.id)
    if person is not None and claim < person.claim:
        return []
    if person is not None and not person.server:
        if claim == person.claim:
            return []
        # It is connected to that server now. Its media goes on.
        bye = RoomBye(reason=Leaving.REPLACED, message="you came in from elsewhere")
        effects += (Closed(person.id, bye), Departed(person.id, stays=True))
    before = (person.info(), person.inside) if person is not None else None
    if person is None:
        person = room.people[info.id] = Person(
            id=info.id,
            name=info.name,
            verified=info.verified,
            role=info.role,
            capabilities=info.capabilities,
            connection={},
            invitation="",
            requests=TokenBucket(room.config.request_rate, room.config.request_burst),
        )
    person.server, person.claim, person.deadline = server, claim, None
    person.name, person.verified, person.role = info.name, info.verified, info.role
    person.capabilities, person.muted, person.recording = info.capabilities, info.muted, info.recording
    person.hand = info.hand
    room.hand_number = max(room.hand_number, info.hand)
    person.presence = Presence.WAITING if waits else Presence.AWAY if info.away else Presence.PRESENT
    if before == (person.info(), person.inside):
        return effects
    moderators = room.present(moderators=True)
    if waits:
        return [*effects, Sent(moderators, LobbyJoined(id=person.id, name=person.name))]
    if before is not None and not before[1]:
        effects.append(Sent(moderators, LobbyLeft(id=person.id)))
        before = None
    tell = PeerJoined if before is None else PeerChanged
    return [*effects, Sent(room.present(without=person.id), tell(participant=person.info()))]


def _take_leave(room: Room, person: Person) -> list[Effect]:
    del room.people[person.id]
    if not person.inside:
        return [Sent(room.present(moderators=True), LobbyLeft(id=person.id))]
    reason = Leaving.REMOVED if person.id in room.barred else Leaving.HUNG_UP
    return [Sent(room.present(), PeerLeft(peer=person.id, reason=reason))]


def _take_news(room: Room, server: str, news: Any) -> list[Effect]:
    effects: list[Effect] = []
    known = room.heard.get(server)
    for item in news:
        number = int(item["number"])
        # What was news before we knew the server concerns us no more.
        if known is not None and number > known:
            effects += _take_item(room, item)
    room.heard[server] = max([known or 0, *(int(item["number"]) for item in news)])
    return effects


def _take_item(room: Room, item: Mapping[str, Any]) -> list[Effect]:
    if "said" in item:
        line = read_record(Said, item["said"], "a line of chat")
        return room.take_line(line)
    if "ended" in item:
        return room.close(Leaving.ROOM_CLOSED, str(item["ended"]))
    if "asked" in item:
        return obey(room, str(item["by"]), FROM_PARTICIPANT.parse(item["asked"]))
    raise RemoteProtocolError("news of a kind that is not known here")
