"""Plain values for tests of rooms."""

from typing import Any

from softphone.rooms.effects import Admitted, Closed, Departed, Effect, Sent
from softphone.rooms.people import Entry
from softphone.rooms.room import Room, RoomConfig
from softphone.rooms.statistics import RoomStatistics
from softphone.rooms.values import RoomRole
from softphone.signaling.messages import Message

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
SECRET = b"0123456789abcdef0123456789abcdef"


def pid(number: int) -> str:
    """The id of the `number`-th who came in."""
    return f"{number:026d}"


A, B, C, D = (pid(number) for number in range(1, 5))


def entry(id: str, name: str = "", **members: Any) -> Entry:
    return Entry(id=id, name=name or f"Nr {int(id)}", **members)


def moderator(id: str, name: str = "", **members: Any) -> Entry:
    return entry(id, name, role=RoomRole.MODERATOR, **members)


def make_room(**settings: Any) -> Room:
    return Room("standup", RoomConfig(**settings), RoomStatistics())


def heard(effects: list[Effect], id: str) -> list[Message]:
    """What somebody is sent."""
    messages: list[Message] = []
    for effect in effects:
        match effect:
            case Sent(to=to, message=message) if id in to:
                messages.append(message)
            case Admitted(id=admitted, joined=joined) if admitted == id:
                messages.append(joined)
            case Closed(id=closed, bye=bye) if closed == id:
                messages.append(bye)
    return messages


def departed(effects: list[Effect]) -> list[str]:
    return [effect.id for effect in effects if isinstance(effect, Departed)]
