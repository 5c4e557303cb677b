"""Does the path to the peer still work? Told from what arrives; without I/O, time is an argument.

Speech comes 50 times a second, so a third of a second without any is suspicious. But a peer
may be silent (DTX, mute, hold), and then only reports come, one a second or one in five. So
suspicion does not count the path as dead: it asks the peer, by checks of ICE that anything
alive answers at once. Only when these stay without answer too the path is dead.

state     what it means                            leads to
--------  ---------------------------------------  -------------------------------------------
good      the peer is heard, and hears us          suspect: silence, or nothing confirmed by
                                                   the peer, or a datagram refused
suspect   checks are sent                          good: the peer was heard and has answered
                                                   dead: neither for `confirmation`
dead      checks go on, a new path is looked for   good: as above
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["PathState", "PathWatch", "PathWatchConfig"]


class PathState(StrEnum):
    """What is known of the path."""

    GOOD = "good"
    SUSPECT = "suspect"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class PathWatchConfig:
    """Times in seconds. With these, a dead path is noticed after 0.8 s, or 1.5 s when the peer was silent
    already, plus a round trip."""

    media_silence: float = 0.3
    """Silence after speech that came regularly."""
    quiet_silence: float = 1.0
    """Silence of a peer that sends no speech."""
    unconfirmed: float = 1.5
    """Time without a sign that the peer hears us, while we hear it."""
    confirmation: float = 0.5
    """How long checks go unanswered before the path is dead; a round trip is added."""
    unconfirmed_confirmation: float = 1.5
    """The same while the peer is heard: then only answers are missing, which may be chance."""
    probe_interval: float = 0.1
    """Between two checks of a path that is suspect or has just died."""
    slow_probe_interval: float = 0.5
    """Between two checks of a path that has been dead for `slow_after`."""
    slow_after: float = 5.0
    longest_round_trip: float = 0.7
    """A longer one does not make the watch wait longer."""


_REGULAR = 0.1
"""Two packets of speech closer than this, in seconds: more may be expected."""
_DEBT = 5.0
"""Seconds after which a peer that has sent nothing on a new path is believed to be silent."""
_STALL = 0.2
"""Seconds by which a poll may be late before the time counts as not lived through: the program stood
still, and what arrived meanwhile was not looked at yet."""


class PathWatch:
    """Judges one path. Feed it what happens, `poll` it when it asks for that."""

    def __init__(self, now: float, config: PathWatchConfig | None = None) -> None:
        self.config = config or PathWatchConfig()
        self.round_trip = 0.0
        """Seconds; to be kept up to date by whoever knows it."""
        self._state = PathState.GOOD
        self._heard = now
        self._confirmed = now
        self._media = now
        self._regular = False
        self._owed_until = 0.0
        self._suspected = 0.0
        self._next_poll = now

    @property
    def state(self) -> PathState:
        """What is known of the path."""
        return self._state

    @property
    def next_poll(self) -> float:
        """When `poll` wants to be called, at the latest."""
        return self._next_poll

    def on_media(self, now: float) -> None:
        """An authentic RTP packet came."""
        self._regular = now - self._media < _REGULAR
        self._media = self._heard = now
        self._owed_until = 0.0

    def on_sign(self, now: float) -> None:
        """A report or a check of the peer came."""
        self._heard = now

    def on_confirmation(self, now: float) -> None:
        """The peer has received something from us of late: it answered a check of this path, or its reports
        advance."""
        self._confirmed = self._heard = now

    def on_refusal(self, now: float) -> None:
        """The system refused to send: at the very least our address has changed."""
        if self._state is PathState.GOOD:
            self._suspect(now)

    def on_move(self, now: float) -> None:
        """The path has moved to other addresses, without signalling.

        The peer may answer checks there and still send its speech elsewhere for seconds, so
        answers don't count until speech that came regularly comes again.
        """
        if self._regular and self._state is not PathState.GOOD:
            self._owed_until = now + _DEBT

    def on_new_path(self, now: float) -> None:
        """Another path has taken over."""
        self._media = self._heard = self._confirmed = now
        self._regular = False
        self._owed_until = 0.0
        self._state = PathState.GOOD
        self._next_poll = now

    def poll(self, now: float) -> PathState:
        """Judge. While the path is not good a check should be sent after each call."""
        if now - self._next_poll > _STALL:
            self._skip(now - self._next_poll)
        silence = self.config.media_silence if self._regular else self.config.quiet_silence
        heard = now - self._heard < silence
        confirmed = now - self._confirmed < self.config.unconfirmed
        if self._state is PathState.GOOD:
            if not heard or not confirmed:
                self._suspect(now)
        elif heard and self._confirmed > self._suspected and now >= self._owed_until:
            # It answers, but is silent: no more speech is to be expected at once.
            self._regular &= now - self._media < silence
            self._state = PathState.GOOD
        elif self._state is PathState.SUSPECT and now - self._suspected >= self._patience(heard=heard):
            self._state = PathState.DEAD
        if self._state is PathState.GOOD:
            silence = self.config.media_silence if self._regular else self.config.quiet_silence
            self._next_poll = min(self._heard + silence, self._confirmed + self.config.unconfirmed)
            self._next_poll = max(self._next_poll, now + 0.01)
        else:
            fresh = now - self._suspected < self.config.slow_after
            self._next_poll = now + (self.config.probe_interval if fresh else self.config.slow_probe_interval)
        return self._state

    def _patience(self, *, heard: bool) -> float:
        config = self.config
        return (config.unconfirmed_confirmation if heard else config.confirmation) + min(
            self.round_trip, config.longest_round_trip
        )

    def _suspect(self, now: float) -> None:
        self._state = PathState.SUSPECT
        self._suspected = self._next_poll = now

    def _skip(self, seconds: float) -> None:
        """Shift everything, as if the time had not passed."""
        self._heard += seconds
        self._confirmed += seconds
        self._media += seconds
        self._suspected += seconds
