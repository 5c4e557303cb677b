"""The state machine, row by row."""

import pytest

from softphone.signaling.states import (
    SENDERS,
    TRANSITIONS,
    CallEnd,
    CallMachine,
    EndReason,
    Event,
    ForbiddenTransitionError,
    Role,
    Side,
    State,
)

CALLER, CALLEE = Role.CALLER, Role.CALLEE


@pytest.mark.parametrize(
    ("path", "final"),
    [
        ("connect invite ringing answer", State.CONNECTED),
        ("connect invite answer", State.CONNECTED),
        ("connect invite ringing pick-up answer sas-commit sas-reveal bye", State.ENDED),
        ("connect invite answer restart reoffer reanswer reoffer reanswer", State.CONNECTED),
        ("connect invite pick-up decline", State.ENDED),
        ("connect invite busy", State.ENDED),
        ("connect invite ringing decline", State.ENDED),
        ("connect invite ringing timeout", State.ENDED),
        ("connect invite ringing bye", State.ENDED),
        ("connect gone", State.ENDED),
        ("connect invite answer error", State.ENDED),
    ],
)
def test_paths(path: str, final: State) -> None:
    machine = CallMachine()
    for word in path.split():
        event = Event(word)
        machine.advance(event, next(iter(SENDERS[event])))
    assert machine.state is final


@pytest.mark.parametrize(
    ("path", "event", "by"),
    [
        ("", Event.INVITE, CALLER),
        ("connect", Event.ANSWER, CALLEE),
        ("connect", Event.RINGING, CALLEE),
        ("connect invite", Event.INVITE, CALLER),
        ("connect invite", Event.ANSWER, CALLER),
        ("connect invite", Event.BUSY, CALLER),
        ("connect invite", Event.SAS_COMMIT, CALLER),
        ("connect invite ringing", Event.RINGING, CALLEE),
        ("connect invite answer", Event.ANSWER, CALLEE),
        ("connect invite answer", Event.DECLINE, CALLEE),
        ("connect invite", Event.REOFFER, CALLER),
        ("connect invite answer", Event.REOFFER, CALLEE),
        ("connect invite answer", Event.REANSWER, CALLER),
        ("connect invite answer", Event.RESTART, CALLER),
        ("connect invite answer", Event.BUSY, CALLEE),
        ("connect invite bye", Event.BYE, CALLER),
        ("connect invite bye", Event.ANSWER, CALLEE),
    ],
)
def test_forbidden(path: str, event: Event, by: Role) -> None:
    machine = CallMachine()
    for word in path.split():
        machine.advance(Event(word), next(iter(SENDERS[Event(word)])))
    before = machine.state
    with pytest.raises(ForbiddenTransitionError):
        machine.advance(event, by)
    assert machine.state is before


def test_every_live_state_can_end_and_no_ended_call_revives() -> None:
    for state, row in TRANSITIONS.items():
        if state is State.ENDED:
            assert not row
        else:
            assert {Event.BYE, Event.ERROR, Event.TIMEOUT, Event.GONE} <= {
                event for event, following in row.items() if following is State.ENDED
            }


def test_table_is_complete() -> None:
    assert set(TRANSITIONS) == set(State)
    assert set(SENDERS) == set(Event)
    assert {following for row in TRANSITIONS.values() for following in row.values()} == set(State) - {
        State.IDLE
    }


def test_end_reads_well() -> None:
    assert str(CallEnd(EndReason.DECLINED, Side.REMOTE, "not now")) == "declined (remote): not now"
    assert str(CallEnd(EndReason.BUSY, Side.REMOTE)) == "busy (remote)"
