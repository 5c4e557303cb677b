"""What a room wants done: its shell carries these out in order."""

from dataclasses import dataclass
from typing import TypeAlias

from softphone.rooms.replies import Joined
from softphone.rooms.requests import RoomBye
from softphone.signaling.messages import Message

__all__ = ["Admitted", "Closed", "Departed", "Effect", "Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to those who are connected."""

    to: tuple[str, ...]
    message: Message


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody is in; the shell adds to `joined` what it knows of ICE servers, engine and coming back."""

    id: str
    joined: Joined


@dataclass(frozen=True, slots=True)
class Closed:
    """Say farewell to somebody and close its connection."""

    id: str
    bye: RoomBye


@dataclass(frozen=True, slots=True)
class Departed:
    """Somebody is gone for good, from the room or the lobby."""

    id: str
    stays: bool = False
    """It is connected to another room server now, and its media goes on."""


Effect: TypeAlias = Sent | Admitted | Closed | Departed
