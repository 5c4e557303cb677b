"""The life of a direct call, as data.

    event        who causes it    leads from ... to ...
    -----------  ---------------  ---------------------------------------------------
    connect      caller           idle -> connecting
    invite       caller           connecting -> inviting
    ringing      callee           inviting -> ringing
    pick-up      callee           inviting, ringing -> answering      (not sent)
    answer       callee           inviting, ringing, answering -> connected
    decline      callee           inviting, ringing, answering -> ended (declined)
    busy         callee           inviting, ringing, answering -> ended (busy)
    sas-commit   either           connected -> connected
    sas-reveal   either           connected -> connected
    restart      callee           connected -> connected
    reoffer      caller           connected -> connected
    reanswer     callee           connected -> connected
    bye          either           any live state -> ended (hung-up or timeout)
    error        either           any live state -> ended (error)
    timeout      either           any live state -> ended (timeout)   (sent as bye)
    gone         either           any live state -> ended (remote-gone)   (never sent)

Both ends walk the same table: what one end does as an event, the other receives as
the message of that name. `CallMachine` keeps no time and does no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from softphone.errors import SoftphoneError

__all__ = [
    "SENDERS",
    "TRANSITIONS",
    "CallEnd",
    "CallMachine",
    "EndReason",
    "Event",
    "ForbiddenTransitionError",
    "Role",
    "Side",
    "State",
]


class Role(StrEnum):
    """Which end of the call this is."""

    CALLER = "caller"
    CALLEE = "callee"

    @property
    def other(self) -> "Role":
        """The role of the far end."""
        return Role.CALLEE if self is Role.CALLER else Role.CALLER


class Side(StrEnum):
    """Who ended a call."""

    LOCAL = "local"
    REMOTE = "remote"


class State(StrEnum):
    """Where a call stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    INVITING = "inviting"
    """The invitation is out; the callee's phone has not rung yet."""
    RINGING = "ringing"
    ANSWERING = "answering"
    """The callee has picked up and prepares its media."""
    CONNECTED = "connected"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a call is over."""

    HUNG_UP = "hung-up"
    DECLINED = "declined"
    BUSY = "busy"
    TIMEOUT = "timeout"
    REMOTE_GONE = "remote-gone"
    ERROR = "error"


class Event(StrEnum):
    """What moves a call on; the values that are sent equal the ``type`` of their message."""

    CONNECT = "connect"
    INVITE = "invite"
    RINGING = "ringing"
    PICK_UP = "pick-up"
    ANSWER = "answer"
    DECLINE = "decline"
    BUSY = "busy"
    SAS_COMMIT = "sas-commit"
    SAS_REVEAL = "sas-reveal"
    RESTART = "restart"
    REOFFER = "reoffer"
    REANSWER = "reanswer"
    BYE = "bye"
    ERROR = "error"
    TIMEOUT = "timeout"
    GONE = "gone"


_FROM_ANYWHERE: Final = {
    Event.BYE: State.ENDED,
    Event.ERROR: State.ENDED,
    Event.TIMEOUT: State.ENDED,
    Event.GONE: State.ENDED,
}

_UNANSWERED: Final = {Event.DECLINE: State.ENDED, Event.BUSY: State.ENDED, Event.ANSWER: State.CONNECTED}

TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        State.IDLE: {Event.CONNECT: State.CONNECTING, **_FROM_ANYWHERE},
        State.CONNECTING: {Event.INVITE: State.INVITING, **_FROM_ANYWHERE},
        State.INVITING: {
            Event.RINGING: State.RINGING,
            Event.PICK_UP: State.ANSWERING,
            **_UNANSWERED,
            **_FROM_ANYWHERE,
        },
        State.RINGING: {Event.PICK_UP: State.ANSWERING, **_UNANSWERED, **_FROM_ANYWHERE},
        State.ANSWERING: {**_UNANSWERED, **_FROM_ANYWHERE},
        State.CONNECTED: {
            Event.SAS_COMMIT: State.CONNECTED,
            Event.SAS_REVEAL: State.CONNECTED,
            Event.RESTART: State.CONNECTED,
            Event.REOFFER: State.CONNECTED,
            Event.REANSWER: State.CONNECTED,
            **_FROM_ANYWHERE,
        },
        State.ENDED: {},
    }
)

_BOTH: Final = frozenset(Role)
_CALLER: Final = frozenset({Role.CALLER})
_CALLEE: Final = frozenset({Role.CALLEE})

SENDERS: Final[Mapping[Event, frozenset[Role]]] = MappingProxyType(
    {
        Event.CONNECT: _CALLER,
        Event.INVITE: _CALLER,
        Event.RINGING: _CALLEE,
        Event.PICK_UP: _CALLEE,
        Event.ANSWER: _CALLEE,
        Event.DECLINE: _CALLEE,
        Event.BUSY: _CALLEE,
        Event.SAS_COMMIT: _BOTH,
        Event.SAS_REVEAL: _BOTH,
        Event.RESTART: _CALLEE,
        Event.REOFFER: _CALLER,
        Event.REANSWER: _CALLEE,
        Event.BYE: _BOTH,
        Event.ERROR: _BOTH,
        Event.TIMEOUT: _BOTH,
        Event.GONE: _BOTH,
    }
)


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended."""

    reason: EndReason
    by: Side
    """Which side ended it."""
    detail: str = ""
    """A sentence for people; from the peer when `by` is remote, already stripped of control characters."""

    def __str__(self) -> str:
        text = f"{self.reason} ({self.by})"
        return f"{text}: {self.detail}" if self.detail else text


class ForbiddenTransitionError(SoftphoneError):
    """The table has no row for this event here. The caller turns it into a local or a remote error."""


class CallMachine:
    """The state of one call, moved by events of either role."""

    def __init__(self) -> None:
        self.state = State.IDLE

    def advance(self, event: Event, by: Role) -> State:
        """Move on and return the new state.

        Raises `ForbiddenTransitionError`, with the state unchanged, when the table
        has no such row or `by` is not a role that may cause `event`.
        """
        if by not in SENDERS[event]:
            raise ForbiddenTransitionError(f"{event} is not for the {by} to send")
        following = TRANSITIONS[self.state].get(event)
        if following is None:
            raise ForbiddenTransitionError(f"{event} has no place in a call that is {self.state}")
        self.state = following
        return following
