"""The life of an answered call as data: its states and what it tells.

state        what goes on                                leads to
-----------  ------------------------------------------  -------------------
connecting   ICE and DTLS look for a path                talking, ending
talking      audio flows both ways                       ending
ending       everything is being closed, within seconds  ended
ended        nothing is left
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from softphone.signaling import CallEnd

__all__ = [
    "TRANSITIONS",
    "CallEvent",
    "CallOver",
    "CallState",
    "Connected",
    "DigitReceived",
    "Reconnected",
    "Reconnecting",
    "SignalingLost",
    "SignalingRestored",
    "Unverified",
    "Verified",
]


class CallState(StrEnum):
    """Where an answered call stands; it only ever moves down this list."""

    CONNECTING = "connecting"
    TALKING = "talking"
    ENDING = "ending"
    ENDED = "ended"


TRANSITIONS: Final[Mapping[CallState, frozenset[CallState]]] = MappingProxyType(
    {
        CallState.CONNECTING: frozenset({CallState.TALKING, CallState.ENDING}),
        CallState.TALKING: frozenset({CallState.ENDING}),
        CallState.ENDING: frozenset({CallState.ENDED}),
        CallState.ENDED: frozenset(),
    }
)


@dataclass(frozen=True, slots=True)
class Connected:
    """Audio flows."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The digits that both people should see; if they differ, somebody sits in between."""

    digits: str
    """Such as "4821 0937"."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """There will be no digits: nobody knows whether somebody sits in between."""

    reason: str


@dataclass(frozen=True, slots=True)
class SignalingLost:
    """The signalling connection broke; the call goes on while the peer can be heard."""

    detail: str


@dataclass(frozen=True, slots=True)
class SignalingRestored:
    """Another signalling connection has taken the place of the one that was lost."""


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The path to the peer is dead; another one is looked for, and the call goes on meanwhile."""


@dataclass(frozen=True, slots=True)
class Reconnected:
    """Audio flows again."""


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """The peer pressed a key."""

    digit: str
    """One of ``0123456789*#ABCD``."""


@dataclass(frozen=True, slots=True)
class CallOver:
    """The call is over and everything is closed; no event follows."""

    end: CallEnd


CallEvent: TypeAlias = (
    Connected
    | Verified
    | Unverified
    | SignalingLost
    | SignalingRestored
    | Reconnecting
    | Reconnected
    | DigitReceived
    | CallOver
)
