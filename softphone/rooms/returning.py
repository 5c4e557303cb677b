"""When and whether to come back into a room. No clocks, no I/O."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from softphone.rooms.values import Leaving

__all__ = ["CODES", "DELAYS", "REASONS", "Backoff", "Ending", "Return"]

DELAYS: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each attempt; the last one repeats."""

LATER: Final = 10.0
"""Least seconds before an attempt where a limit was met."""

STABLE: Final = 10.0
"""Seconds that a connection must have lasted for the next loss to count as the first."""

_SPREAD: Final = 0.2


class Return(StrEnum):
    """What to do once a connection has ended."""

    NEVER = "never"
    """It is over."""
    SOON = "soon"
    """Come back, with growing delays."""
    LATER = "later"
    """The same, not before `LATER` seconds."""


REASONS: Final[Mapping[str, Return]] = MappingProxyType({Leaving.STOPPING: Return.SOON})
"""What a ``bye`` of the server asks for, by its reason; never for all others."""

CODES: Final[Mapping[str, Return]] = MappingProxyType(
    dict.fromkeys(
        ("rate-limit", "room-full", "lobby-full", "locked", "server-full", "engine"),
        Return.LATER,
    )
)
"""What an ``error`` of the server asks for, by its code; never for all others."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one connection to the server ended."""

    reason: str
    """Of the server's ``bye``, code of its ``error``, or "lost"."""
    message: str
    """A sentence for people, perhaps empty."""
    comeback: Return

    @classmethod
    def by_bye(cls, reason: Leaving, message: str) -> "Ending":
        """The server said ``bye``."""
        return cls(reason, message, REASONS.get(reason, Return.NEVER))

    @classmethod
    def by_error(cls, code: str, message: str) -> "Ending":
        """The server said ``error``; an unknown code is "bad-message"."""
        return cls(code, message, CODES.get(code, Return.NEVER))

    @classmethod
    def by_loss(cls, message: str) -> "Ending":
        """The connection broke, or none could be made."""
        return cls("lost", message, Return.SOON)


class Backoff:
    """How long to wait before the next attempt."""

    def __init__(self, spread: Callable[[float, float], float] = random.uniform) -> None:
        self._spread = spread
        self._attempt = 0

    def on_ended(self, lasted: float) -> None:
        """A connection that had let us in ended after `lasted` seconds."""
        if lasted >= STABLE:
            self._attempt = 0

    def delay(self, comeback: Return) -> float:
        """Seconds to wait now; each call is one attempt more. Everybody waits a little differently."""
        base = DELAYS[min(self._attempt, len(DELAYS) - 1)]
        self._attempt += 1
        if comeback is Return.LATER:
            base = max(base, LATER)
        return base * self._spread(1.0 - _SPREAD, 1.0 + _SPREAD)
