"""Coming, leaving and coming back, in virtual time."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from room_fixtures import SDP, A, B, C, D, departed, entry, heard, make_room, moderator, pid

from softphone.rooms.effects import Admitted, Closed, Departed, Effect, Sent
from softphone.rooms.errors import (
    LobbyFullError,
    NotAdmittedError,
    RoomFullError,
    RoomLockedError,
)
from softphone.rooms.names import BadNameError
from softphone.rooms.people import TRANSITIONS, Happening, Presence
from softphone.rooms.replies import (
    Joined,
    LobbyJoined,
    LobbyLeft,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    Refused,
    Said,
    Waiting,
)
from softphone.rooms.requesting import handle
from softphone.rooms.requests import (
    Admit,
    Deny,
    Mute,
    Remove,
    RoomBye,
    RoomUpdate,
    Say,
    Signal,
    Update,
)
from softphone.rooms.values import Leaving, RoomRole, SignalKind
from softphone.signaling.errors import UnexpectedMessageError
from softphone.signaling.messages import Message, encode


def joined(effects: list[Effect], id: str) -> Joined:
    [message] = [each for each in heard(effects, id) if isinstance(each, Joined)]
    return message


def test_newcomers_and_those_present_hear_of_each_other() -> None:
    room = make_room()
    assert joined(room.enter(entry(A, "Alice"), 0.0), A).participants == ()
    effects = room.enter(entry(B, "Bob", capabilities={"red": True}), 1.0)
    assert [p.name for p in joined(effects, B).participants] == ["Alice"]
    [news] = heard(effects, A)
    assert isinstance(news, PeerJoined)
    assert (news.participant.name, dict(news.participant.capabilities)) == ("Bob", {"red": True})


def test_participants_are_listed_in_the_order_of_ids() -> None:
    room = make_room()
    for id in (B, D, A):
        room.enter(entry(id), 0.0)
    assert [p.id for p in joined(room.enter(entry(C), 0.0), C).participants] == [A, B, D]


def test_a_room_is_full() -> None:
    room = make_room(max_participants=2)
    room.enter(entry(A), 0.0)
    room.enter(entry(B), 0.0)
    with pytest.raises(RoomFullError, match="2 of 2"):
        room.enter(moderator(C), 0.0)
    room.lost(B, 1.0)  # who may come back keeps the seat
    with pytest.raises(RoomFullError):
        room.enter(entry(C), 1.0)
    room.depart(B, Leaving.HUNG_UP)
    room.enter(entry(C), 2.0)


def test_leaving() -> None:
    room = make_room()
    room.enter(entry(A), 0.0)
    room.enter(entry(B), 0.0)
    effects = room.depart(B, Leaving.HUNG_UP)
    assert heard(effects, A) == [PeerLeft(peer=B, reason=Leaving.HUNG_UP)]
    assert heard(effects, B) == []
    assert departed(effects) == [B]
    assert room.depart(B, Leaving.HUNG_UP) == []
    assert departed(room.depart(A, Leaving.HUNG_UP)) == [A]
    assert room.empty


def test_coming_back_in_time() -> None:
    room = make_room(resume_window=30.0)
    room.enter(entry(A), 0.0)
    room.enter(entry(B, capabilities={"red": True}), 0.0)
    handle(room, B, Update(hand=True, muted=True), 1.0, 0.0)
    [away] = heard(room.lost(B, 5.0), A)
    assert isinstance(away, PeerChanged)
    assert away.participant.away
    assert room.deadline == 35.0
    assert room.advance(34.9) == []
    assert room.knows(B)
    effects = room.come_back(B, {"red": False}, {"room": 7})
    back = joined(effects, B)
    assert back.resumed
    assert dict(back.connection) == {"room": 7}
    assert [p.id for p in back.participants] == [A]
    [news] = heard(effects, A)
    assert isinstance(news, PeerChanged)
    assert (news.participant.away, news.participant.muted, news.participant.hand) == (False, True, 1)
    assert dict(news.participant.capabilities) == {"red": False}
    assert room.deadline is None


def test_coming_back_too_late() -> None:
    room = make_room(resume_window=30.0)
    room.enter(entry(A), 0.0)
    room.enter(entry(B), 0.0)
    room.lost(B, 5.0)
    effects = room.advance(35.0)
    assert heard(effects, A) == [PeerLeft(peer=B, reason=Leaving.GONE)]
    assert departed(effects) == [B]
    assert not room.knows(B)


def test_a_second_connection_of_somebody_present() -> None:
    room = make_room()
    room.enter(entry(A), 0.0)
    room.enter(entry(B), 0.0)
    effects = room.come_back(B, {}, {})
    assert joined(effects, B).resumed
    assert heard(effects, A) == []  # nothing has changed


def test_chat_is_repeated_to_those_who_come_back_only() -> None:
    room = make_room(chat_lines=3)
    room.enter(entry(A, "Alice"), 0.0)
    handle(room, A, Say(text="before"), 0.0, 100.5)
    effects = room.enter(entry(B), 0.0)
    assert not [each for each in heard(effects, B) if isinstance(each, Said)]
    for number in range(2):
        handle(room, A, Say(text=str(number)), 10.0 * number, 101.0)
    room.lost(B, 20.0)
    handle(room, A, Say(text="missed"), 20.0, 102.9)
    lines = [each for each in heard(room.come_back(B, {}, {}), B) if isinstance(each, Said)]
    assert [line.text for line in lines] == ["0", "1", "missed"]
    assert lines[-1] == Said(number=4, peer=A, name="Alice", text="missed", time=102)


def test_everybody_hears_what_is_said() -> None:
    room = make_room()
    room.enter(entry(A, "Alice"), 0.0)
    room.enter(entry(B), 0.0)
    effects = handle(room, A, Say(text="<script>alert(1)</script>"), 0.0, 1.0)
    for id in (A, B):
        [line] = heard(effects, id)
        assert isinstance(line, Said)
        assert line.text == "<script>alert(1)</script>"


def test_guests_get_distinct_names() -> None:
    room = make_room()
    names = [joined(room.enter(entry(id, "Alice"), 0.0), id).name for id in (A, B, C)]
    assert names == ["Alice", "Alice (2)", "Alice (3)"]


def test_an_invited_name_takes_precedence() -> None:
    room = make_room()
    room.enter(entry(A, "A1ice"), 0.0)
    effects = room.enter(entry(B, "Alice", verified=True), 0.0)
    assert joined(effects, B).name == "Alice"
    assert [p.name for p in joined(effects, B).participants] == ["A1ice (2)"]
    renamed, news = heard(effects, A)
    assert isinstance(renamed, PeerChanged)
    assert (renamed.participant.id, renamed.participant.name) == (A, "A1ice (2)")
    assert isinstance(news, PeerJoined)
    assert news.participant.verified
    # A second invitation in the same name does not take it from the first.
    assert joined(room.enter(entry(C, "Alice", verified=True), 0.0), C).name == "Alice (2)"


def test_a_name_can_change_unless_it_was_given() -> None:
    room = make_room()
    room.enter(entry(A, "Alice", verified=True), 0.0)
    room.enter(entry(B, "Bob"), 0.0)
    [changed] = heard(handle(room, B, Update(name="alice"), 0.0, 0.0), B)
    assert isinstance(changed, PeerChanged)
    assert changed.participant.name == "alice (2)"
    [same] = heard(handle(room, B, Update(name="Alice"), 1.0, 0.0), A)
    assert isinstance(same, PeerChanged)
    assert same.participant.name == "Alice (2)"
    for id, name in ((A, "Bob"), (B, "Аlice")):
        effects = handle(room, id, Update(name=name), 2.0, 0.0)
        [refused] = heard(effects, id)
        assert isinstance(refused, Refused)
        assert refused.code == "bad-name"
        assert len(effects) == 1


def test_hands_are_ordered() -> None:
    room = make_room()
    for id in (A, B):
        room.enter(entry(id), 0.0)
    for id, up in ((B, True), (A, True), (B, True), (B, False), (B, True)):
        handle(room, id, Update(hand=up), 10.0, 0.0)
    assert room.people[A].hand < room.people[B].hand


def offer(peer: str) -> Signal:
    return Signal(peer=peer, kind=SignalKind.OFFER, session="s", round=1, sdp=SDP)


def test_signals_are_relayed_with_their_sender() -> None:
    room = make_room()
    for id in (A, B, C):
        room.enter(entry(id), 0.0)
    effects = handle(room, B, offer(A), 0.0, 0.0)
    assert heard(effects, A) == [offer(B)]
    assert heard(effects, C) == heard(effects, B) == []


def test_only_the_greater_id_offers() -> None:
    room = make_room()
    room.enter(entry(A), 0.0)
    room.enter(entry(B), 0.0)
    with pytest.raises(UnexpectedMessageError):
        handle(room, A, offer(B), 0.0, 0.0)
    restart = Signal(peer=B, kind=SignalKind.RESTART)
    assert heard(handle(room, A, restart, 0.0, 0.0), B) == [Signal(peer=A, kind=SignalKind.RESTART)]


def test_signals_to_nobody_are_dropped() -> None:
    room = make_room(lobby=True)
    room.enter(moderator(A), 0.0)
    room.enter(moderator(B), 0.0)
    room.enter(entry(C), 0.0)
    room.lost(A, 0.0)
    restart = SignalKind.RESTART
    for peer in (A, B, C, D):  # away, oneself, in the lobby, unknown
        assert handle(room, B, Signal(peer=peer, kind=restart), 0.0, 0.0) == []
    assert room.statistics.signals_dropped == 4


def test_too_many_requests_are_refused_one_by_one() -> None:
    room = make_room(request_rate=1.0, request_burst=2.0)
    room.enter(entry(A), 0.0)
    room.enter(entry(B), 0.0)
    codes = []
    for _ in range(4):
        [message] = heard(handle(room, B, Say(text="spam"), 0.0, 0.0), B)
        codes.append(message.TYPE)
    assert codes == ["said", "said", "refused", "refused"]
    assert heard(handle(room, A, Say(text="not me"), 0.0, 0.0), A)[0].TYPE == "said"
    assert heard(handle(room, B, Say(text="later"), 1.0, 0.0), B)[0].TYPE == "said"
    # Signals are limited by the connection, as media can't be set up with less.
    assert handle(room, B, offer(A), 1.0, 0.0)


def test_restored_people_pass_the_lobby() -> None:
    room = make_room(lobby=True)
    effects = room.enter(entry(B, "Bob", restored=True), 0.0)
    assert joined(effects, B).resumed
    assert joined(effects, B).role is RoomRole.PARTICIPANT
    effects = room.enter(entry(A, "Alice", restored=True), 0.0)
    [news] = heard(effects, B)
    assert isinstance(news, PeerJoined)
    assert news.participant.id == A


def test_the_opener_moderates_and_is_succeeded() -> None:
    room = make_room(opener_moderates=True, lobby=True)
    assert joined(room.enter(entry(B), 0.0), B).role is RoomRole.MODERATOR
    for id in (C, A):
        room.enter(entry(id), 0.0)
        handle(room, B, Admit(peer=id), 0.0, 0.0)
    room.enter(entry(D), 0.0)
    room.lost(B, 0.0)
    assert not room.people[A].moderates
    effects = room.advance(30.0)
    left, promoted, knock = heard(effects, A)
    assert isinstance(left, PeerLeft)
    assert isinstance(promoted, PeerChanged)
    assert (promoted.participant.id, promoted.participant.role) == (A, RoomRole.MODERATOR)
    assert knock == LobbyJoined(id=D, name="Nr 4")
    assert not room.people[C].moderates


def test_without_that_nobody_becomes_a_moderator() -> None:
    room = make_room()
    assert joined(room.enter(entry(A), 0.0), A).role is RoomRole.PARTICIPANT
    room.enter(moderator(B), 0.0)
    room.depart(B, Leaving.HUNG_UP)
    assert not room.people[A].moderates


def test_lobby() -> None:
    room = make_room(lobby=True, max_waiting=2, lobby_timeout=60.0)
    room.enter(moderator(A, "Alice"), 0.0)
    effects = room.enter(entry(B, "Bob"), 0.0)
    [waiting] = heard(effects, B)
    assert isinstance(waiting, Waiting)
    assert heard(effects, A) == [LobbyJoined(id=B, name="Bob")]
    effects = room.enter(entry(C, "Carol"), 1.0)
    assert heard(effects, B) == []  # no business of his
    with pytest.raises(LobbyFullError):
        room.enter(entry(D), 1.0)
    with pytest.raises(UnexpectedMessageError):
        handle(room, B, Say(text="let me in"), 1.0, 0.0)
    effects = handle(room, A, Admit(peer=B), 2.0, 0.0)
    assert [p.id for p in joined(effects, B).participants] == [A]
    assert [message.TYPE for message in heard(effects, A)] == ["peer-joined", "lobby-left"]
    assert handle(room, A, Admit(peer=B), 2.0, 0.0) == []
    effects = handle(room, A, Deny(peer=C, message="sorry"), 3.0, 0.0)
    assert heard(effects, C) == [RoomBye(reason=Leaving.DENIED, message="sorry")]
    assert heard(effects, A) == [LobbyLeft(id=C)]
    assert departed(effects) == [C]


def test_who_waits_too_long_or_hangs_up_is_gone() -> None:
    room = make_room(lobby=True, lobby_timeout=60.0)
    room.enter(moderator(A), 0.0)
    room.enter(entry(B), 10.0)
    room.enter(entry(C), 20.0)
    assert [message.TYPE for message in heard(room.lost(C, 30.0), A)] == ["lobby-left"]
    effects = room.advance(70.0)
    [bye] = heard(effects, B)
    assert isinstance(bye, RoomBye)
    assert bye.reason is Leaving.TIMEOUT
    assert set(room.people) == {A}


def test_moderators_who_come_later_see_who_waits() -> None:
    room = make_room(lobby=True)
    room.enter(entry(A, "Ann"), 0.0)
    assert [w.name for w in joined(room.enter(moderator(B), 0.0), B).waiting] == ["Ann"]
    handle(room, B, RoomUpdate(lobby=False), 0.0, 0.0)
    assert joined(room.enter(entry(C), 0.0), C).waiting == ()


def test_locked() -> None:
    room = make_room()
    room.enter(moderator(A), 0.0)
    room.enter(entry(B), 0.0)
    handle(room, A, RoomUpdate(locked=True), 0.0, 0.0)
    with pytest.raises(RoomLockedError):
        room.enter(entry(C), 0.0)
    assert joined(room.enter(moderator(D), 0.0), D).locked
    room.lost(B, 0.0)
    assert joined(room.come_back(B, {}, {}), B).locked
    handle(room, A, RoomUpdate(locked=False), 1.0, 0.0)
    room.enter(entry(C), 1.0)


def test_states_of_a_person_are_a_table() -> None:
    assert set(TRANSITIONS) == set(Presence)
    assert all(set(row) <= set(Happening) for row in TRANSITIONS.values())
    assert TRANSITIONS[Presence.GONE] == {}
    assert all(row.get(Happening.DEPARTED, Presence.GONE) is Presence.GONE for row in TRANSITIONS.values())


_IDS = st.integers(1, 8).map(pid)
_NAMES = st.sampled_from(["Alice", "A1ice", "Bob", "", "Аlice"])
_REQUESTS: st.SearchStrategy[Message] = st.one_of(
    st.builds(Say, text=st.just("hi")),
    st.builds(Update, name=st.none() | _NAMES, hand=st.none() | st.booleans()),
    st.builds(Mute, peer=_IDS),
    st.builds(Remove, peer=_IDS),
    st.builds(Admit, peer=_IDS),
    st.builds(Deny, peer=_IDS),
    st.builds(RoomUpdate, locked=st.none() | st.booleans(), lobby=st.none() | st.booleans()),
    st.builds(Signal, peer=_IDS, kind=st.just(SignalKind.RESTART)),
)


class AnyHappenings(RuleBasedStateMachine):
    """Whatever happens in whatever order, the room stays in order."""

    def __init__(self) -> None:
        super().__init__()
        self.room = make_room(max_participants=4, max_waiting=2, opener_moderates=True, lobby_timeout=20.0)
        self.now = 0.0
        self.connected: set[str] = set()
        self.restored = False
        """Somebody came back after a restart; the moderator may still be on the way."""
        self.known: dict[str, set[str]] = {}
        """What each connected client believes about who is in the room, from its messages alone."""

    def apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Sent(to=to, message=message):
                    encode(message)
                    assert set(to) <= self.connected
                    for id in to:
                        self.hear(id, message)
                case Admitted(id=id, joined=state):
                    encode(state)
                    assert id in self.connected
                    self.known[id] = {p.id for p in state.participants}
                case Closed(id=id):
                    self.connected.discard(id)
                    self.known.pop(id, None)
                case Departed(id=id):
                    assert id not in self.room.people
                    self.connected.discard(id)
                    self.known.pop(id, None)

    def hear(self, id: str, message: Message) -> None:
        match message:
            case PeerJoined(participant=participant):
                assert participant.id not in self.known[id]
                self.known[id].add(participant.id)
            case PeerChanged(participant=participant):
                assert participant.id == id or participant.id in self.known[id]
            case PeerLeft(peer=peer):
                self.known[id].remove(peer)

    @rule(
        id=_IDS,
        name=_NAMES,
        role=st.sampled_from(RoomRole),
        options=st.fixed_dictionaries(
            {
                "verified": st.booleans(),
                "restored": st.booleans(),
                "invitation": st.sampled_from(["", "x", "y"]),
            }
        ),
    )
    def enter(self, id: str, name: str, role: RoomRole, options: dict[str, Any]) -> None:
        before = dict(self.room.people)
        self.connected.add(id)
        try:
            effects = self.room.enter(entry(id, name, role=role, **options), self.now)
        except (NotAdmittedError, BadNameError):
            assert self.room.people == before
            if id not in before or before[id].presence is Presence.AWAY:
                self.connected.discard(id)
            return
        self.restored |= options["restored"]
        self.apply(effects)

    @rule(id=_IDS, message=_REQUESTS)
    def ask(self, id: str, message: Message) -> None:
        if id in self.connected:
            try:
                self.apply(handle(self.room, id, message, self.now, 0.0))
            except UnexpectedMessageError:
                assert self.room.people[id].presence is Presence.WAITING

    @rule(id=_IDS)
    def lose(self, id: str) -> None:
        if id in self.connected:
            self.connected.discard(id)
            self.known.pop(id, None)
            self.apply(self.room.lost(id, self.now))

    @rule(id=_IDS)
    def leave(self, id: str) -> None:
        self.connected.discard(id)
        self.known.pop(id, None)
        self.apply(self.room.depart(id, Leaving.HUNG_UP))

    @rule(id=_IDS)
    def come_back(self, id: str) -> None:
        if self.room.knows(id):
            self.connected.add(id)
            self.apply(self.room.come_back(id, {}, {}))

    @rule(seconds=st.floats(0.0, 40.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.apply(self.room.advance(self.now))
        assert self.room.deadline is None or self.room.deadline > self.now

    @invariant()
    def in_order(self) -> None:
        people = self.room.people.values()
        inside = {p.id for p in people if p.inside}
        assert len(inside) <= 4
        assert len(people) - len(inside) <= 2
        assert len({p.skeleton for p in people}) == len(people)
        assert {p.id for p in people if p.presence is not Presence.AWAY} == self.connected
        for id, known in self.known.items():
            assert known == inside - {id}
        if not self.restored and not any(p.moderates for p in people):
            assert not self.room.present()


TestAnyHappenings = AnyHappenings.TestCase
TestAnyHappenings.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
