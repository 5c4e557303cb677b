"""What one knows of a room, message by message."""

from softphone.conference.events import (
    Admitted,
    ChatLine,
    LobbyEntered,
    LobbyVacated,
    MutedByModerator,
    ParticipantCame,
    ParticipantChanged,
    ParticipantWent,
    RequestRefused,
    RoomRulesChanged,
    SelfChanged,
    SignalingRestored,
)
from softphone.conference.roster import Roster
from softphone.rooms.replies import (
    Alive,
    Joined,
    LobbyJoined,
    LobbyLeft,
    Muted,
    PeerChanged,
    PeerJoined,
    PeerLeft,
    Refused,
    RoomChanged,
    Said,
)
from softphone.rooms.values import Leaving, ParticipantInfo, RoomRole, WaitingInfo

ME, ALICE, BOB = "03" + "m" * 24, "01" + "a" * 24, "02" + "b" * 24
ALICE_INFO = ParticipantInfo(id=ALICE, name="Alice", role=RoomRole.MODERATOR)
BOB_INFO = ParticipantInfo(id=BOB, name="Bob")


def joined(*people: ParticipantInfo, own: str = ME, settle: int = 0, resumed: bool = False) -> Joined:
    return Joined(
        id=own,
        room="test",
        name="Me",
        role=RoomRole.PARTICIPANT,
        participants=people,
        max_participants=8,
        resume="secret",
        resume_seconds=30,
        settle_seconds=settle,
        resumed=resumed,
    )


def said(number: int, text: str = "hello", *, time: int = 1000) -> Said:
    return Said(number=number, peer=ALICE, name="Alice", text=text, time=time)


def test_coming_in_and_others_coming_and_going() -> None:
    roster = Roster()
    assert roster.apply(joined(BOB_INFO), 0.0) == [
        Admitted("Me", RoomRole.PARTICIPANT),
        ParticipantCame(BOB_INFO),
    ]
    assert roster.apply(PeerJoined(participant=ALICE_INFO), 1.0) == [ParticipantCame(ALICE_INFO)]
    assert list(roster.people) == [ALICE, BOB], "in the order of coming in"
    assert roster.apply(PeerLeft(peer=BOB, reason=Leaving.REMOVED), 2.0) == [
        ParticipantWent(BOB_INFO, Leaving.REMOVED)
    ]
    assert roster.apply(PeerLeft(peer=BOB, reason=Leaving.GONE), 2.0) == []


def test_changes_are_told_with_what_was_before() -> None:
    roster = Roster()
    roster.apply(joined(BOB_INFO), 0.0)
    muted = ParticipantInfo(id=BOB, name="Bob", muted=True)
    assert roster.apply(PeerChanged(participant=muted), 1.0) == [ParticipantChanged(muted, BOB_INFO)]
    assert roster.apply(PeerChanged(participant=muted), 1.0) == []
    mine = ParticipantInfo(id=ME, name="Me too", role=RoomRole.MODERATOR, hand=3)
    assert roster.apply(PeerChanged(participant=mine), 1.0) == [SelfChanged(mine)]
    assert roster.moderates
    assert ME not in roster.people


def test_the_rest_of_what_a_room_says() -> None:
    roster = Roster()
    roster.apply(joined(ALICE_INFO), 0.0)
    assert roster.apply(Muted(peer=ALICE), 0.0) == [MutedByModerator("Alice")]
    assert roster.apply(RoomChanged(locked=True, lobby=False), 0.0) == [RoomRulesChanged(True, False)]
    assert roster.locked
    assert roster.apply(LobbyJoined(id=BOB, name="Bob"), 0.0) == [LobbyEntered(BOB, "Bob")]
    assert dict(roster.waiting) == {BOB: "Bob"}
    assert roster.apply(LobbyLeft(id=BOB), 0.0) == [LobbyVacated(BOB, "Bob")]
    assert roster.apply(LobbyLeft(id=BOB), 0.0) == []
    assert roster.apply(Refused(code="forbidden", message="no"), 0.0) == [RequestRefused("forbidden", "no")]
    assert roster.apply(Alive(), 0.0) == []


def test_the_whole_state_replaces_what_was_known() -> None:
    roster = Roster()
    roster.apply(joined(ALICE_INFO, BOB_INFO), 0.0)
    roster.apply(LobbyJoined(id="04" + "z" * 24, name="Zoe"), 0.0)
    events = roster.apply(joined(BOB_INFO, resumed=True), 5.0)
    assert events == [ParticipantWent(ALICE_INFO, Leaving.GONE), SignalingRestored(same=True)]
    assert not roster.waiting
    again = Joined(
        id=ME,
        room="test",
        name="Me",
        role=RoomRole.MODERATOR,
        waiting=(WaitingInfo(id=ALICE, name="Alice"),),
        max_participants=8,
        resume="s",
        resume_seconds=30,
    )
    roster.apply(again, 6.0)
    assert dict(roster.waiting) == {ALICE: "Alice"}


def test_after_a_restart_of_the_server_others_have_time_to_come_back() -> None:
    roster = Roster()
    roster.apply(joined(ALICE_INFO, BOB_INFO), 0.0)
    events = roster.apply(joined(settle=20, resumed=True), 100.0)
    assert events == [SignalingRestored(same=True)]
    assert [person.away for person in roster.people.values()] == [True, True]
    assert roster.next_expiry == 120.0
    (back,) = roster.apply(PeerJoined(participant=ALICE_INFO), 105.0)
    assert isinstance(back, ParticipantChanged)
    assert back.person == ALICE_INFO
    assert roster.expire(119.0) == []
    (gone,) = roster.expire(120.0)
    assert isinstance(gone, ParticipantWent)
    assert (gone.person.id, gone.reason) == (BOB, Leaving.GONE)
    assert roster.next_expiry is None


def test_whoever_comes_back_as_somebody_else_begins_anew() -> None:
    roster = Roster()
    roster.apply(joined(ALICE_INFO), 0.0)
    events = roster.apply(joined(ALICE_INFO, own="05" + "n" * 24, settle=20), 5.0)
    assert events == [
        ParticipantWent(ALICE_INFO, Leaving.GONE),
        SignalingRestored(same=False),
        ParticipantCame(ALICE_INFO),
    ]


def test_lines_of_chat_are_told_once() -> None:
    roster = Roster()
    roster.apply(joined(ALICE_INFO), 0.0)
    assert roster.apply(said(1), 0.0) == [ChatLine(ALICE, "Alice", "hello", 1000, own=False)]
    roster.apply(joined(ALICE_INFO, resumed=True), 1.0)
    assert roster.apply(said(1), 1.0) == []
    # A server that has restarted counts anew.
    assert roster.apply(said(1, "news", time=2000), 1.0) != []
    for number in range(2, 1000):
        roster.apply(said(number), 1.0)
    mine = Said(number=5000, peer=ME, name="Me", text="hi", time=1)
    assert roster.apply(mine, 1.0) == [ChatLine(ME, "Me", "hi", 1, own=True)]
