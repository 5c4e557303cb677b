"""Who is loud, and who speaks: from the level that stands in every RTP packet (RFC 6464).

Nothing is decoded for it. Levels are dBov: 0 is the loudest there is, -127 silence.
"""

from collections.abc import Mapping
from typing import Final

__all__ = ["SILENCE", "ActiveSpeaker", "LevelMeter"]

SILENCE: Final = -127.0

_SPEECH: Final = -50.0
"""A quieter voice is never the active speaker."""
_FALL: Final = 40.0
"""dB per second by which the shown level sinks; it rises at once."""
_STALE: Final = 0.5
"""Seconds without a packet after which somebody is silent: between talk spurts none are sent (DTX)."""
_LOUDER: Final = 6.0
"""dB by which somebody must be louder than the active speaker to become it."""
_TAKEOVER: Final = 0.4
"""Seconds for which somebody must be so: a cough takes nothing over."""


class LevelMeter:
    """The level of one voice, as a meter shows it."""

    def __init__(self) -> None:
        self._level = SILENCE
        self._at = float("-inf")

    def update(self, level: float, now: float) -> None:
        """A packet of that level, dBov, came at `now`, seconds."""
        self._level = max(level, self.level(now))
        self._at = now

    def level(self, now: float) -> float:
        """What to show, dBov."""
        elapsed = now - self._at
        if elapsed > _STALE:
            return SILENCE
        return max(SILENCE, self._level - _FALL * max(0.0, elapsed))


class ActiveSpeaker:
    """Chooses whom people should look at: the loudest, but without jumping to and fro."""

    def __init__(self) -> None:
        self._speaker: str | None = None
        self._challenger: str | None = None
        self._since = 0.0

    @property
    def speaker(self) -> str | None:
        """Who spoke last; None before anybody has."""
        return self._speaker

    def update(self, levels: Mapping[str, float], now: float) -> str | None:
        """Take the levels of everybody, dBov by id, some ten times a second; returns `speaker`.

        Who pauses stays the speaker until somebody else speaks.
        """
        if self._speaker not in levels:
            self._speaker = None
        loudest = max(levels, key=levels.__getitem__, default=None)
        if loudest is None or loudest == self._speaker or levels[loudest] < _SPEECH:
            self._challenger = None
            return self._speaker
        current = levels[self._speaker] if self._speaker is not None else SILENCE
        if current >= _SPEECH and levels[loudest] < current + _LOUDER:
            self._challenger = None
            return self._speaker
        if self._speaker is None:
            self._speaker = loudest
        elif loudest != self._challenger:
            self._challenger, self._since = loudest, now
        elif now - self._since >= _TAKEOVER:
            self._speaker, self._challenger = loudest, None
        return self._speaker
