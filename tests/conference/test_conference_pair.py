"""The rules by which two participants negotiate, without network and clock."""

import itertools
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.conference.pair import (
    LEAST_INTERVAL,
    PATIENCE,
    WAIT_FOR_OFFER,
    Accept,
    Action,
    AddCandidate,
    Answer,
    Drop,
    Offer,
    Pair,
    PairState,
    Restart,
    Send,
)
from softphone.rooms.requests import Signal
from softphone.rooms.values import SignalKind
from softphone.webrtc import ConnectionState

EARLY, LATE = "01a" + "0" * 23, "01b" + "0" * 23
SDP = "v=0\r\nm=audio"


def pair(*, offers: bool) -> Pair:
    numbers = itertools.count(1)
    own, peer = (LATE, EARLY) if offers else (EARLY, LATE)
    return Pair(own, peer, make_session=lambda: f"s{next(numbers)}")


def signal(kind: SignalKind, session: str = "s1", number: int | None = 1, **members: str) -> Signal:
    described = kind in (SignalKind.OFFER, SignalKind.ANSWER)
    return Signal(
        peer=EARLY,
        kind=kind,
        session=session,
        round=None if kind is SignalKind.RESTART else number,
        sdp=members.get("sdp", SDP) if described else None,
        candidate=members.get("candidate"),
    )


def kinds(actions: list[Action]) -> list[str]:
    return [
        f"send {action.signal.kind}" if isinstance(action, Send) else type(action).__name__
        for action in actions
    ]


def connected_offerer() -> Pair:
    one = pair(offers=True)
    one.set_reachable(True, 0.0)
    one.on_offer(Offer("s1"), SDP, 0.0)
    one.on_signal(signal(SignalKind.ANSWER), 0.1)
    one.on_state(ConnectionState.CONNECTED, 0.2)
    assert one.state is PairState.CONNECTED
    return one


def connected_answerer() -> Pair:
    one = pair(offers=False)
    one.set_reachable(True, 0.0)
    (answer,) = one.on_signal(signal(SignalKind.OFFER), 0.0)
    assert isinstance(answer, Answer)
    one.on_answer(answer, SDP, 0.1)
    one.on_state(ConnectionState.CONNECTED, 0.2)
    assert one.state is PairState.CONNECTED
    return one


def test_the_later_one_offers_and_the_earlier_one_waits() -> None:
    assert kinds(pair(offers=True).set_reachable(True, 0.0)) == ["Offer"]
    waiting = pair(offers=False)
    assert waiting.set_reachable(True, 0.0) == []
    assert waiting.next_poll == WAIT_FOR_OFFER
    assert waiting.poll(WAIT_FOR_OFFER - 0.1) == []
    (ask,) = waiting.poll(WAIT_FOR_OFFER)
    assert isinstance(ask, Send)
    assert (ask.signal.kind, ask.signal.session) == (SignalKind.RESTART, "")


def test_nothing_is_begun_with_somebody_who_is_away() -> None:
    one = pair(offers=True)
    assert one.next_poll is None
    assert one.poll(100.0) == []
    one.set_reachable(True, 0.0)
    one.set_reachable(False, 0.1)
    assert one.poll(100.0) == []
    assert kinds(one.set_reachable(True, 200.0)) == ["Offer"], "what was in flight is lost"


def test_a_connection_in_use_outlives_lost_signalling() -> None:
    for one in (connected_offerer(), connected_answerer()):
        one.set_reachable(False, 1.0)
        assert one.set_reachable(True, 60.0) == []
        assert one.state is PairState.CONNECTED
        assert one.next_poll is None


def test_an_answer_leads_to_a_connection_and_only_once() -> None:
    one = pair(offers=True)
    one.set_reachable(True, 0.0)
    (sent,) = one.on_offer(Offer("s1"), SDP, 0.1)
    assert isinstance(sent, Send)
    assert (sent.signal.session, sent.signal.round) == ("s1", 1)
    assert kinds(one.on_signal(signal(SignalKind.ANSWER, "other"), 0.2)) == []
    assert kinds(one.on_signal(signal(SignalKind.ANSWER, number=2), 0.2)) == []
    assert one.on_signal(signal(SignalKind.ANSWER), 0.3) == [Accept(SDP)]
    assert one.state is PairState.CONNECTING
    assert one.on_signal(signal(SignalKind.ANSWER), 0.4) == []
    assert one.ignored == 3


@pytest.mark.parametrize(
    ("kind", "offers"), [(SignalKind.OFFER, True), (SignalKind.ANSWER, False), (SignalKind.RESTART, False)]
)
def test_signals_of_the_wrong_side_are_ignored(kind: SignalKind, offers: bool) -> None:
    one = pair(offers=offers)
    one.set_reachable(True, 0.0)
    state = one.state
    assert one.on_signal(signal(kind, "sx"), 1.0) == []
    assert (one.ignored, one.state) == (1, state)


def test_an_offer_that_is_not_answered_is_made_anew() -> None:
    one = pair(offers=True)
    one.set_reachable(True, 0.0)
    one.on_offer(Offer("s1"), SDP, 0.1)
    assert one.poll(PATIENCE - 0.1) == []
    assert one.poll(PATIENCE) == [Offer("s2")]
    assert one.on_offer(Offer("s1"), SDP, PATIENCE + 0.1) == [], "the first one came too late"
    (sent,) = one.on_offer(Offer("s2"), SDP, PATIENCE + 0.2)
    assert isinstance(sent, Send)
    assert (sent.signal.session, sent.signal.round) == ("s2", 1)


def test_a_new_session_replaces_the_connection_of_the_answerer() -> None:
    one = connected_answerer()
    assert one.on_signal(signal(SignalKind.OFFER, "s9"), 5.0) == [Answer("s9", 1, SDP, fresh=True)]
    assert one.state is PairState.NEGOTIATING


@pytest.mark.parametrize(("number", "expected"), [(1, ["send answer"]), (3, ["Answer"]), (4, ["Answer"])])
def test_later_rounds_are_answered_and_the_same_one_gets_the_same_answer(
    number: int, expected: list[str]
) -> None:
    one = connected_answerer()
    actions = one.on_signal(signal(SignalKind.OFFER, number=number), 5.0)
    assert kinds(actions) == expected
    assert one.state is PairState.CONNECTED
    if number > 1:
        assert actions == [Answer("s1", number, SDP, fresh=False)]
        assert one.on_signal(signal(SignalKind.OFFER, number=number - 1), 5.1) == []


def test_a_dead_path_is_repaired_by_the_offerer() -> None:
    one = connected_offerer()
    one.on_state(ConnectionState.RECONNECTING, 5.0)
    assert str(one.state) == "restarting"
    assert one.on_restart_needed(5.3) == [Restart("s1")]
    (sent,) = one.on_offer(Restart("s1"), SDP, 5.4)
    assert isinstance(sent, Send)
    assert (sent.signal.session, sent.signal.round) == ("s1", 2)
    assert one.on_signal(signal(SignalKind.ANSWER, number=1), 5.5) == [], "of the round before"
    assert one.on_signal(signal(SignalKind.ANSWER, number=2), 5.5) == [Accept(SDP)]
    one.on_state(ConnectionState.CONNECTED, 5.6)
    assert str(one.state) == "connected"
    assert one.next_poll is None


def test_the_answerer_asks_for_a_repair_and_then_for_a_new_session() -> None:
    one = connected_answerer()
    one.on_state(ConnectionState.RECONNECTING, 5.0)
    (ask,) = one.on_restart_needed(6.3)
    assert isinstance(ask, Send)
    assert (ask.signal.kind, ask.signal.session) == (SignalKind.RESTART, "s1")
    assert one.on_restart_needed(6.4) == [], "at most one in two seconds"
    (ask,) = one.on_session_needed(15.0)
    assert isinstance(ask, Send)
    assert ask.signal.session == ""
    assert kinds(one.poll(15.0 + WAIT_FOR_OFFER)) == ["send restart"]


@pytest.mark.parametrize(
    ("session", "expected"), [("s1", ["Restart"]), ("", ["Offer"]), ("unknown", ["Offer"])]
)
def test_the_offerer_does_what_it_is_asked_for(session: str, expected: list[str]) -> None:
    one = connected_offerer()
    assert one.on_signal(signal(SignalKind.RESTART, session), 1.0) == [], "our own attempt is too fresh"
    assert kinds(one.on_signal(signal(SignalKind.RESTART, session), 3.0)) == expected
    assert one.on_signal(signal(SignalKind.RESTART, session), 3.5) == []


@pytest.mark.parametrize("offers", [True, False])
def test_a_failed_connection_is_dropped_and_begun_anew(offers: bool) -> None:
    one = connected_offerer() if offers else connected_answerer()
    actions = one.on_state(ConnectionState.FAILED, 30.0)
    assert kinds(actions) == (["Drop", "Offer"] if offers else ["Drop", "send restart"])
    one = connected_offerer() if offers else connected_answerer()
    assert one.on_state(ConnectionState.CLOSED, 30.0) == [Drop()], "its owner may just be leaving"
    assert kinds(one.poll(30.0 + LEAST_INTERVAL)) == (["Offer"] if offers else ["send restart"])


def test_a_description_of_no_use_is_not_tried_again_at_once() -> None:
    one = pair(offers=False)
    one.set_reachable(True, 0.0)
    one.on_signal(signal(SignalKind.OFFER), 0.0)
    assert one.on_failure(0.1) == [Drop()]
    assert one.next_poll == pytest.approx(0.1 + PATIENCE)
    assert one.on_failure(0.2) == []


def test_candidates_wait_for_their_description_and_stale_ones_are_ignored() -> None:
    one = pair(offers=False)
    one.set_reachable(True, 0.0)
    first = signal(SignalKind.CANDIDATE, candidate="candidate:1")
    assert one.on_signal(first, 0.0) == []
    (answer,) = one.on_signal(signal(SignalKind.OFFER), 0.1)
    assert isinstance(answer, Answer)
    assert one.on_signal(signal(SignalKind.CANDIDATE, candidate="candidate:2"), 0.2) == []
    assert one.on_answer(answer, SDP, 0.3)[1:] == [AddCandidate("candidate:1"), AddCandidate("candidate:2")]
    assert one.on_signal(signal(SignalKind.CANDIDATE, candidate=""), 0.4) == [AddCandidate("")]
    one.on_signal(signal(SignalKind.OFFER, "s2"), 5.0)
    one.on_signal(signal(SignalKind.CANDIDATE, "s1", candidate="candidate:3"), 5.1)
    new = Answer("s2", 1, SDP, fresh=True)
    assert one.on_answer(new, SDP, 5.2)[1:] == []


def test_a_flood_of_candidates_fills_no_memory() -> None:
    one = pair(offers=False)
    one.set_reachable(True, 0.0)
    for number in range(10_000):
        one.on_signal(signal(SignalKind.CANDIDATE, f"x{number}", candidate="candidate:1"), 0.0)
    (answer,) = one.on_signal(signal(SignalKind.OFFER, "x9999"), 0.1)
    assert isinstance(answer, Answer)
    assert len(one.on_answer(answer, SDP, 0.2)) == 2


@dataclass
class World:
    """Two ends, signalling that may be down, and connections that come up when both ends agree."""

    now: float = 0.0
    up: bool = True
    ends: dict[bool, Pair] = field(
        default_factory=lambda: {side: pair(offers=side) for side in (True, False)}
    )
    wires: dict[bool, deque[Signal]] = field(default_factory=lambda: {True: deque(), False: deque()})
    sessions: dict[bool, str] = field(default_factory=lambda: {True: "", False: ""})

    def do(self, side: bool, actions: list[Action]) -> None:
        for action in actions:
            end = self.ends[side]
            match action:
                case Send(signal=sent):
                    if self.up:
                        self.wires[not side].append(sent)
                case Offer() | Restart():
                    if isinstance(action, Offer):
                        self.sessions[side] = action.session
                    self.do(side, end.on_offer(action, SDP, self.now))
                case Answer():
                    self.sessions[side] = action.session
                    self.do(side, end.on_answer(action, SDP, self.now))
                case Drop():
                    self.sessions[side] = ""

    def set_up(self, up: bool) -> None:
        self.up = up
        if not up:
            for wire in self.wires.values():
                wire.clear()
        for side, end in self.ends.items():
            self.do(side, end.set_reachable(up, self.now))

    def step(self, seconds: float) -> None:
        self.now += seconds
        for side, end in self.ends.items():
            while self.wires[side]:
                self.do(side, end.on_signal(self.wires[side].popleft(), self.now))
            self.do(side, end.poll(self.now))
        if self.sessions[True] and self.sessions[True] == self.sessions[False]:
            for side, end in self.ends.items():
                if end.state is PairState.CONNECTING:
                    self.do(side, end.on_state(ConnectionState.CONNECTED, self.now))

    def fail(self, side: bool, state: ConnectionState) -> None:
        if self.sessions[side]:
            self.do(side, self.ends[side].on_state(state, self.now))

    @property
    def fine(self) -> bool:
        return all(end.state is PairState.CONNECTED for end in self.ends.values()) and (
            self.ends[True].session == self.ends[False].session
        )


EVENTS = st.one_of(
    st.tuples(st.just("step"), st.floats(0.05, 4.0)),
    st.tuples(st.just("up"), st.booleans()),
    st.tuples(st.just("failed"), st.booleans()),
    st.tuples(st.just("closed"), st.booleans()),
    st.tuples(st.just("broken"), st.booleans()),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_whatever_happens_they_find_each_other_again(events: list[tuple[str, float | bool]]) -> None:
    world = World()
    world.set_up(True)
    for event, value in events:
        match event:
            case "step":
                world.step(float(value))
            case "up":
                world.set_up(bool(value))
            case "failed":
                world.fail(bool(value), ConnectionState.FAILED)
            case "closed":
                world.fail(bool(value), ConnectionState.CLOSED)
            case "broken":
                side = bool(value)
                world.do(side, world.ends[side].on_failure(world.now))
    world.set_up(True)
    for _ in range(120):
        world.step(0.5)
        # A connection whose other end is gone is noticed by silence.
        for side in (True, False):
            alone = world.sessions[side] != world.sessions[not side]
            if alone and world.ends[side].state is PairState.CONNECTED:
                world.fail(side, ConnectionState.FAILED)
    assert world.fine, {side: (end.state, end.session) for side, end in world.ends.items()}
