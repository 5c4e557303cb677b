"""What the keys do in a room."""

import asyncio
from collections.abc import Callable
from typing import Final

from softphone.cli.room_outcome import describe_quality
from softphone.conference import Conference
from softphone.errors import SoftphoneError
from softphone.rooms.values import ParticipantInfo, RoomRole

__all__ = ["RoomKeys"]

_ENTER: Final = "\r\n"
_ESCAPE: Final = "\x1b"
_BACKSPACE: Final = "\x7f\b"
_LOUDER: Final = 1.25
_MAX_LINE: Final = 1_000


class RoomKeys:
    """One key after the other.

    A key means something else while a line is typed, and after somebody was chosen by number.
    """

    def __init__(self, conference: Conference, say: Callable[[str], None]) -> None:
        """`say` prints a line."""
        self.leaving = asyncio.Event()
        """Set when the user wants to leave."""
        self._conference = conference
        self._say = say
        self._line: str | None = None
        self._chosen: str | None = None

    @property
    def prompt(self) -> str:
        """What to show in place of the status line; empty while keys have their usual meaning."""
        if self._line is not None:
            return f"to all: {self._line}_   (Enter sends, Esc drops it)"
        person = self._person
        if person is None:
            return ""
        more = ", m mute, x remove" if self._conference.roster.moderates else ""
        return f"{person.name}: + louder, - softer{more}, Esc back"

    def press(self, key: str) -> None:
        """Do what a key asks for; what can't be done is said."""
        try:
            if self._line is not None:
                self._type(key)
            elif self._person is not None:
                self._act_on(self._person, key)
            else:
                self._act(key.lower())
        except SoftphoneError as error:
            self._say(str(error))

    @property
    def _person(self) -> ParticipantInfo | None:
        return self._conference.roster.people.get(self._chosen or "")

    def _act(self, key: str) -> None:
        conference = self._conference
        roster = conference.roster
        if key == "q":
            self.leaving.set()
        elif key == "m":
            conference.muted = not conference.muted
            self._say("Muted." if conference.muted else "The others hear you again.")
        elif key == "h":
            conference.room.raise_hand(not roster.own.hand)
        elif key == "t":
            self._line = ""
        elif key in ("w", "s"):
            self._list(with_quality=key == "s")
        elif key.isdecimal() and key != "0":
            people = list(roster.people)
            self._chosen = people[int(key) - 1] if int(key) <= len(people) else None
        elif key in ("l", "b", "a", "d"):
            self._moderate(key)

    def _moderate(self, key: str) -> None:
        room, roster = self._conference.room, self._conference.roster
        waiting = next(iter(roster.waiting.items()), None)
        if not roster.moderates:
            self._say("Only moderators can do that.")
        elif key == "l":
            room.set_rules(locked=not roster.locked)
        elif key == "b":
            room.set_rules(lobby=not roster.lobby)
        elif waiting is None:
            self._say("Nobody waits in the lobby.")
        elif key == "a":
            room.admit(waiting[0])
        else:
            room.deny(waiting[0])

    def _act_on(self, person: ParticipantInfo, key: str) -> None:
        conference = self._conference
        if key in ("+", "-"):
            volume = next(
                one.volume for one in conference.statistics().participants if one.person.id == person.id
            )
            wanted = volume * _LOUDER if key == "+" else volume / _LOUDER
            conference.set_volume(person.id, min(4.0, wanted))
            self._say(f"{person.name} at {100 * min(4.0, wanted):.0f} %.")
            return
        self._chosen = None
        if key == "m":
            conference.room.mute(person.id)
        elif key == "x":
            conference.room.remove(person.id)

    def _type(self, key: str) -> None:
        assert self._line is not None
        if key == _ESCAPE:
            self._line = None
        elif key in _ENTER:
            text, self._line = self._line.strip(), None
            if text and not self._conference.room.say(text):
                self._say("Not sent: the room server is not connected at this moment.")
        elif key in _BACKSPACE:
            self._line = self._line[:-1]
        elif key.isprintable() and len(self._line) < _MAX_LINE:
            self._line += key

    def _list(self, *, with_quality: bool) -> None:
        statistics = self._conference.statistics()
        if not statistics.participants:
            self._say("Nobody else is here.")
        for number, one in enumerate(statistics.participants, 1):
            person = one.person
            marks = [
                text
                for text, holds in (
                    ("moderator", person.role is RoomRole.MODERATOR),
                    ("name by invitation", person.verified),
                    ("muted", person.muted),
                    ("hand raised", bool(person.hand)),
                    ("records", person.recording),
                    ("away", person.away),
                )
                if holds
            ]
            text = describe_quality(one) if with_quality else ", ".join([*marks, str(one.state)])
            self._say(f"  {number}  {person.name}: {text}")
        for name in self._conference.roster.waiting.values():
            self._say(f"  waits: {name}")
