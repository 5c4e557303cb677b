"""What two participants tell each other until audio flows between them, and when it stops.

One `Pair` is one end of that; ``docs/rooms.md`` has the rules. It does no I/O and reads no
clock: signals, states of the connection and the time go in, `Action` objects come out, and
whoever carries them out tells how it went.

state        what it means                                     leads to
-----------  ------------------------------------------------  ---------------------------------
none         there is no connection                            negotiating
negotiating  offered and not answered, or answering            connecting, none
connecting   ICE looks for a path, or DTLS shakes hands        connected, none
connected    audio can flow                                    restarting, none
restarting   the path is dead, another one is looked for       connected, none
"""

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from softphone.rooms.requests import Signal
from softphone.rooms.values import SignalKind
from softphone.webrtc import ConnectionState

__all__ = [
    "PATIENCE",
    "TRANSITIONS",
    "WAIT_FOR_OFFER",
    "Accept",
    "Action",
    "AddCandidate",
    "Answer",
    "Drop",
    "Offer",
    "Pair",
    "PairState",
    "Restart",
    "Send",
]

PATIENCE: Final = 10.0
"""Seconds for an answer, and for a connection, before it is begun anew."""
WAIT_FOR_OFFER: Final = 5.0
"""Seconds that the answerer waits before it asks for an offer."""
LEAST_INTERVAL: Final = 2.0
"""Seconds between two sessions or rounds, or two requests for one."""
_MAX_EARLY: Final = 64
_MAX_ROUND: Final = 65_535


class PairState(StrEnum):
    """Where a pair stands."""

    NONE = "none"
    NEGOTIATING = "negotiating"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RESTARTING = "restarting"


_ANEW: Final = {PairState.NONE, PairState.NEGOTIATING}

TRANSITIONS: Final[Mapping[PairState, frozenset[PairState]]] = MappingProxyType(
    {
        PairState.NONE: frozenset({PairState.NEGOTIATING}),
        PairState.NEGOTIATING: frozenset(_ANEW | {PairState.CONNECTING}),
        PairState.CONNECTING: frozenset(_ANEW | {PairState.CONNECTED}),
        PairState.CONNECTED: frozenset(_ANEW | {PairState.RESTARTING}),
        PairState.RESTARTING: frozenset(_ANEW | {PairState.CONNECTED}),
    }
)


@dataclass(frozen=True, slots=True)
class Offer:
    """Make a new connection in place of any other, and an offer; tell `Pair.on_offer`."""

    session: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Make an offer that restarts ICE on the present connection; tell `Pair.on_offer`."""

    session: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer an offer; tell `Pair.on_answer`."""

    session: str
    round: int
    sdp: str
    fresh: bool
    """With a new connection in place of any other."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Take the answer to our offer."""

    sdp: str


@dataclass(frozen=True, slots=True)
class AddCandidate:
    """Add a candidate of the peer; empty when no more will come."""

    candidate: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection; there will be another one, perhaps."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a signal to the peer."""

    signal: Signal


Action: TypeAlias = Offer | Restart | Answer | Accept | AddCandidate | Drop | Send


class Pair:
    """This end of a pair. Times are seconds on any one clock."""

    def __init__(
        self, own: str, peer: str, *, make_session: Callable[[], str] = lambda: secrets.token_urlsafe(9)
    ) -> None:
        """`own` and `peer` are ids of participants; the greater one offers."""
        self.peer = peer
        self.offers: Final = own > peer
        """Whether this end makes the offers."""
        self.session = ""
        """The session in force; empty without one."""
        self.round = 0
        """Number of its last offer."""
        self.ignored = 0
        """Signals of other sessions or rounds, or that are not for this end."""
        self._make_session = make_session
        self._state = PairState.NONE
        self._reachable = False
        self._open = False
        """Our offer has no answer yet."""
        self._answer: Send | None = None
        self._deadline: float | None = None
        self._last_attempt = float("-inf")
        self._early: deque[Signal] = deque(maxlen=_MAX_EARLY)

    @property
    def state(self) -> PairState:
        """Where the pair stands."""
        return self._state

    @property
    def next_poll(self) -> float | None:
        """When `poll` wants to be called; None: not before something else happens."""
        return self._deadline if self._reachable else None

    # -- what happens

    def set_reachable(self, reachable: bool, now: float) -> list[Action]:
        """Whether signals reach the peer: our own signalling stands, and it is not away.

        What was in flight when it broke is lost.
        """
        before, self._reachable = self._reachable, reachable
        if not reachable or before:
            return []
        if self._state in _ANEW:
            return self._begin(now)
        return self.on_restart_needed(now) if self._state is PairState.RESTARTING else []

    def on_signal(self, signal: Signal, now: float) -> list[Action]:
        """A signal of the peer came, of any kind but ``sas-...``."""
        match signal.kind:
            case SignalKind.OFFER if not self.offers:
                return self._on_offer(signal, now)
            case SignalKind.ANSWER if self.offers:
                return self._on_answer(signal, now)
            case SignalKind.RESTART if self.offers:
                return self._on_asked(signal, now)
            case SignalKind.CANDIDATE:
                return self._on_candidate(signal)
        self.ignored += 1
        return []

    def on_offer(self, made: Offer | Restart, sdp: str, now: float) -> list[Action]:
        """The offer that was asked for is made."""
        if made.session != self.session:
            return []
        if isinstance(made, Restart):
            if self.round >= _MAX_ROUND:
                return self._new_session(now)
            self.round += 1
        self._last_attempt = now
        self._open = True
        return [self._describe(SignalKind.OFFER, sdp)]

    def on_answer(self, made: Answer, sdp: str, now: float) -> list[Action]:
        """The answer that was asked for is made."""
        if (made.session, made.round) != (self.session, self.round):
            return []
        self._answer = self._describe(SignalKind.ANSWER, sdp)
        if self._state is PairState.NEGOTIATING:
            self._move(PairState.CONNECTING)
            self._deadline = now + PATIENCE
        return [self._answer, *self._take_early()]

    def on_failure(self, now: float) -> list[Action]:
        """What was asked for can't be done: the description, or the connection, is of no use."""
        if self._state is PairState.NONE:
            return []
        return [Drop(), *self._end(now, PATIENCE)]

    def on_state(self, state: ConnectionState, now: float) -> list[Action]:
        """The connection has changed."""
        if state is ConnectionState.CONNECTED:
            if self._state is PairState.NEGOTIATING:
                self._move(PairState.CONNECTING)
            if self._state in (PairState.CONNECTING, PairState.RESTARTING):
                self._move(PairState.CONNECTED)
            self._deadline = None
        elif state is ConnectionState.RECONNECTING and self._state is PairState.CONNECTED:
            self._move(PairState.RESTARTING)
        elif state.over and self._state is not PairState.NONE:
            return [Drop(), *self._end(now, 0.0 if state is ConnectionState.FAILED else LEAST_INTERVAL)]
        return []

    def on_restart_needed(self, now: float) -> list[Action]:
        """The path is dead, and the connection can't find another one without the peer's help."""
        if not self._reachable or self._state in _ANEW or now < self._last_attempt + LEAST_INTERVAL:
            return []
        self._last_attempt = now
        return [Restart(self.session)] if self.offers else [self._ask(self.session)]

    def on_session_needed(self, now: float) -> list[Action]:
        """No restart has helped for too long."""
        if self._state in _ANEW:
            return []
        self._deadline = now
        return self.poll(now)

    def poll(self, now: float) -> list[Action]:
        """Do what is due: begin anew, or ask for that."""
        if not self._reachable or self._deadline is None or now < self._deadline:
            return []
        if self._wait_until_allowed(now):
            return []
        if self.offers:
            return self._new_session(now)
        self._last_attempt = now
        self._deadline = now + WAIT_FOR_OFFER
        return [self._ask("")]

    # -- the offerer

    def _begin(self, now: float) -> list[Action]:
        if self.offers:
            return [] if self._wait_until_allowed(now) else self._new_session(now)
        self._deadline = now + WAIT_FOR_OFFER
        return []

    def _new_session(self, now: float) -> list[Action]:
        self.session, self.round = self._make_session(), 1
        self._open = False
        self._early.clear()
        self._last_attempt = now
        self._move(PairState.NEGOTIATING)
        self._deadline = now + PATIENCE
        return [Offer(self.session)]

    def _on_answer(self, signal: Signal, now: float) -> list[Action]:
        if not self._is_current(signal) or not self._open:
            self.ignored += 1
            return []
        self._open = False
        if self._state is PairState.NEGOTIATING:
            self._move(PairState.CONNECTING)
            self._deadline = now + PATIENCE
        assert signal.sdp is not None
        return [Accept(signal.sdp), *self._take_early()]

    def _on_asked(self, signal: Signal, now: float) -> list[Action]:
        if now - self._last_attempt < LEAST_INTERVAL:
            # Our own attempt crossed the request; it is repeated if that was of no help.
            self.ignored += 1
            return []
        if signal.session and signal.session == self.session and self._state not in _ANEW:
            self._last_attempt = now
            return [Restart(self.session)]
        return self._new_session(now)

    # -- the answerer

    def _on_offer(self, signal: Signal, now: float) -> list[Action]:
        assert signal.sdp is not None
        assert signal.round is not None
        if signal.session != self.session:
            self._early = deque((s for s in self._early if s.session == signal.session), _MAX_EARLY)
            self.session, self.round = signal.session, signal.round
            self._answer = None
            self._move(PairState.NEGOTIATING)
            self._deadline = now + PATIENCE
            return [Answer(signal.session, signal.round, signal.sdp, fresh=True)]
        if signal.round < self.round or self._state is PairState.NONE:
            self.ignored += 1
            return []
        if signal.round == self.round:
            return [self._answer] if self._answer is not None else []
        self.round, self._answer = signal.round, None
        return [Answer(signal.session, signal.round, signal.sdp, fresh=False)]

    # -- both

    def _on_candidate(self, signal: Signal) -> list[Action]:
        if not self._is_current(signal):
            unknown_offer = not self.offers and (
                signal.session != self.session or (signal.round or 0) > self.round
            )
            if unknown_offer:
                self._early.append(signal)
            else:
                self.ignored += 1
            return []
        if (self._open if self.offers else self._answer is None) or self._state is PairState.NONE:
            self._early.append(signal)
            return []
        return [AddCandidate(signal.candidate or "")]

    def _take_early(self) -> list[Action]:
        """The candidates that came before the description that they belong to."""
        waiting, self._early = self._early, deque(maxlen=_MAX_EARLY)
        return [AddCandidate(signal.candidate or "") for signal in waiting if self._is_current(signal)]

    def _is_current(self, signal: Signal) -> bool:
        return signal.session == self.session and signal.round == self.round

    def _end(self, now: float, pause: float) -> list[Action]:
        """The connection is of no use any more: begin anew, not before `pause` seconds."""
        self._move(PairState.NONE)
        self._open, self._answer = False, None
        self._deadline = now + pause
        return self.poll(now)

    def _wait_until_allowed(self, now: float) -> bool:
        """Put off what would be too early."""
        allowed = self._last_attempt + LEAST_INTERVAL
        if now < allowed:
            self._deadline = allowed
            return True
        return False

    def _ask(self, session: str) -> Send:
        return Send(Signal(peer=self.peer, kind=SignalKind.RESTART, session=session))

    def _describe(self, kind: SignalKind, sdp: str) -> Send:
        return Send(Signal(peer=self.peer, kind=kind, session=self.session, round=self.round, sdp=sdp))

    def _move(self, state: PairState) -> None:
        assert state in TRANSITIONS[self._state] or state is self._state, f"{self._state} -> {state}"
        self._state = state
