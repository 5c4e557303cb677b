"""A room on the terminal: what happens, who is loud, keys."""

import asyncio
from typing import Final

from softphone.cli.room_keys import RoomKeys
from softphone.cli.terminal import StoppedError, Terminal
from softphone.conference import Conference, ConferenceStatistics, ParticipantStatistics
from softphone.conference.events import (
    Admitted,
    ChatLine,
    ConferenceEvent,
    InLobby,
    LobbyEntered,
    LobbyVacated,
    LocalTrouble,
    MutedByModerator,
    PairConnected,
    PairLost,
    PairUnverified,
    PairVerified,
    ParticipantCame,
    ParticipantChanged,
    ParticipantWent,
    RequestRefused,
    RoomRulesChanged,
    SignalingLost,
    SignalingRestored,
)
from softphone.conference.events import ConferenceOver as Over
from softphone.conference.pair import PairState
from softphone.rooms.values import Leaving, ParticipantInfo, RoomRole

__all__ = ["describe_event", "in_room", "room_status_line"]

_STATUS_INTERVAL: Final = 0.25
_BARS: Final = " ▁▂▃▄▅▆▇█"
_QUIETEST: Final = -60.0
_LOUDEST: Final = -15.0
_LONGEST_NAME: Final = 16


async def in_room(conference: Conference, duration: float | None, terminal: Terminal) -> Over:
    """Follow a conference that was joined to its end."""
    keys = RoomKeys(conference, terminal.say)
    helpers = [
        asyncio.create_task(helper)
        for helper in (
            _show_events(conference, terminal),
            _show_status(conference, keys, terminal),
            _obey_keys(keys, terminal),
        )
    ]
    try:
        return await terminal.unless_stopped(_until_over(conference, keys, duration))
    except StoppedError:
        return await conference.leave()
    finally:
        for helper in helpers[1:]:
            helper.cancel()
        # What happened last is still told.
        await asyncio.gather(*helpers, return_exceptions=True)
        terminal.end_status()


async def _until_over(conference: Conference, keys: RoomKeys, duration: float | None) -> Over:
    closed = asyncio.create_task(conference.closed())
    leaving = asyncio.create_task(keys.leaving.wait())
    try:
        await asyncio.wait({closed, leaving}, timeout=duration, return_when=asyncio.FIRST_COMPLETED)
        return closed.result() if closed.done() else await conference.leave()
    finally:
        closed.cancel()
        leaving.cancel()


async def _show_events(conference: Conference, terminal: Terminal) -> None:
    async for event in conference:
        text, style = describe_event(event)
        if text:
            terminal.say(text, style=style)


async def _show_status(conference: Conference, keys: RoomKeys, terminal: Terminal) -> None:
    warned: set[str] = set()
    while True:
        statistics = conference.statistics()
        terminal.status(keys.prompt or room_status_line(statistics))
        for warning in set(statistics.warnings) - warned:
            terminal.say(warning, style="yellow")
        warned = set(statistics.warnings)
        await asyncio.sleep(_STATUS_INTERVAL)


async def _obey_keys(keys: RoomKeys, terminal: Terminal) -> None:
    while True:
        keys.press(await terminal.keyboard.key())


def describe_event(event: ConferenceEvent) -> tuple[str, str]:
    """A line about an event and its style; an empty one about what needs no words."""
    match event:
        case InLobby(message=message):
            return message or "You wait until a moderator lets you in ...", ""
        case Admitted(name=name, role=role):
            moderator = ", as a moderator" if role is RoomRole.MODERATOR else ""
            return f"You are in the room as {name}{moderator}.", "bold"
        case ParticipantCame(person=person):
            return f"{person.name} is here{_extras(person)}.", ""
        case ParticipantWent(person=person, reason=reason):
            return f"{person.name} {_went(reason)}.", ""
        case ParticipantChanged(person=person, before=before):
            return _describe_change(person, before), ""
        case ChatLine(name=name, text=text):
            return f"<{name}> {text}", "cyan"
        case MutedByModerator(name=name):
            return f"{name or 'A moderator'} turned your microphone off; press m to turn it on.", "yellow"
        case RoomRulesChanged(locked=locked, lobby=lobby):
            door = "locked" if locked else "open to newcomers by the lobby" if lobby else "open"
            return f"The room is {door}.", ""
        case LobbyEntered(name=name):
            return f"{name} waits in the lobby: press a to let in, d to turn away.", "bold"
        case LobbyVacated(name=name):
            return f"{name} waits no longer.", ""
        case RequestRefused(message=message, code=code):
            return f"Not done: {message or code}.", "yellow"
        case SignalingLost(message=message):
            return f"The connection to the room server is lost ({message}); audio goes on.", "yellow"
        case SignalingRestored(same=same):
            return "Back at the room server." if same else "Back at the room server, as a newcomer.", ""
        case PairConnected(person=person):
            return f"You hear each other: {person.name} and you.", ""
        case PairLost(person=person):
            return f"The connection with {person.name} is dead; looking for another one ...", "yellow"
        case PairVerified(person=person, digits=digits):
            return f"Compare with {person.name} by voice: {digits}.", ""
        case PairUnverified(person=person, reason=reason):
            return f"{person.name} is cut off, somebody may be in between: {reason}.", "bold red"
        case LocalTrouble(message=message):
            return message, "yellow"
    return "", ""


def room_status_line(statistics: ConferenceStatistics) -> str:
    """Who is loud at this moment, in one line."""
    if not statistics.duration:
        return "waiting ..."
    minutes, seconds = divmod(int(statistics.duration), 60)
    me = "MUTED" if statistics.muted else f"you {_bar(statistics.level)}"
    parts = [f"{minutes:02}:{seconds:02}", me]
    parts += [_describe(number, one) for number, one in enumerate(statistics.participants, 1)]
    if statistics.signaling_lost:
        parts.append("no room server")
    return " | ".join(parts)


def _describe(number: int, one: ParticipantStatistics) -> str:
    person = one.person
    name = person.name if len(person.name) <= _LONGEST_NAME else person.name[: _LONGEST_NAME - 1] + "…"
    name = f"{number} *{name}*" if one.speaking else f"{number} {name}"
    if one.state is not PairState.CONNECTED:
        return f"{name} ({'reconnecting' if one.state is PairState.RESTARTING else 'connecting'})"
    if person.muted:
        return f"{name} muted"
    hand = " ✋" if person.hand else ""
    loss = f" {100 * one.fraction_lost:.0f} % loss" if one.fraction_lost >= 0.005 else ""
    return f"{name} {_bar(one.level)}{hand}{loss}"


def _bar(level: float) -> str:
    share = (level - _QUIETEST) / (_LOUDEST - _QUIETEST)
    return _BARS[round(max(0.0, min(1.0, share)) * (len(_BARS) - 1))]


def _extras(person: ParticipantInfo) -> str:
    extras = [
        text
        for text, holds in (
            ("moderator", person.role is RoomRole.MODERATOR),
            ("muted", person.muted),
            ("records the room", person.recording),
        )
        if holds
    ]
    return f" ({', '.join(extras)})" if extras else ""


def _went(reason: Leaving) -> str:
    return {Leaving.REMOVED: "was removed", Leaving.GONE: "is gone"}.get(reason, "left")


def _describe_change(person: ParticipantInfo, before: ParticipantInfo) -> str:
    if person.name != before.name:
        return f"{before.name} is now called {person.name}."
    for is_so, was_so, yes, no in (
        (person.recording, before.recording, "records the room", "records no more"),
        (bool(person.hand), bool(before.hand), "raises a hand", "lowers the hand"),
        (person.muted, before.muted, "is muted", "is not muted any more"),
        (person.away, before.away, "has lost the room server", "is back at the room server"),
    ):
        if is_so != was_so:
            return f"{person.name} {yes if is_so else no}."
    return ""
