"""The authentication string of a pair, in whatever order its messages come."""

import pytest

from softphone.conference.verification import PairVerification, SasMessage
from softphone.errors import ConfigError
from softphone.rooms.values import SignalKind
from softphone.signaling.errors import VerificationError
from softphone.signaling.states import Role

ONE, OTHER, MALLORY = (":".join([digits] * 32) for digits in ("AA", "BB", "CC"))


def exchange(
    caller: PairVerification, callee: PairVerification, *, late: bool, seen: tuple[str, str] = (ONE, OTHER)
) -> None:
    """Both start and hear everything; `late`: the callee's handshake ends after the caller has spoken."""
    to_callee = caller.start(ONE, seen[1])
    to_caller: list[SasMessage] = [] if late else callee.start(OTHER, seen[0])
    if late:
        for message in to_callee:
            assert callee.receive(message) == []
        to_callee, to_caller = [], callee.start(OTHER, seen[0])
    while to_callee or to_caller:
        if to_callee:
            to_caller += callee.receive(to_callee.pop(0))
        if to_caller:
            to_callee += caller.receive(to_caller.pop(0))


@pytest.mark.parametrize("late", [False, True])
def test_both_see_the_same_digits(late: bool) -> None:
    caller, callee = PairVerification(Role.CALLER), PairVerification(Role.CALLEE)
    exchange(caller, callee, late=late)
    assert caller.digits == callee.digits
    assert caller.digits is not None
    assert caller.start(ONE, OTHER) == [], "once per connection"


def test_somebody_in_between_is_noticed() -> None:
    caller, callee = PairVerification(Role.CALLER), PairVerification(Role.CALLEE)
    with pytest.raises(VerificationError, match="intercepted"):
        exchange(caller, callee, late=False, seen=(MALLORY, MALLORY))
    assert caller.digits is None


def test_rules_that_are_broken() -> None:
    flooded = PairVerification(Role.CALLEE)
    for _ in range(2):
        flooded.receive(SasMessage(SignalKind.SAS_COMMIT, b"\0" * 32))
    with pytest.raises(VerificationError):
        flooded.receive(SasMessage(SignalKind.SAS_REVEAL, b"\0" * 32))
    hasty = PairVerification(Role.CALLER)
    hasty.start(ONE, OTHER)
    with pytest.raises(VerificationError, match="before"):
        hasty.receive(SasMessage(SignalKind.SAS_REVEAL, b"\0" * 32))
    caller, callee = PairVerification(Role.CALLER), PairVerification(Role.CALLEE)
    exchange(caller, callee, late=False)
    with pytest.raises(VerificationError, match="twice"):
        caller.receive(SasMessage(SignalKind.SAS_REVEAL, b"\0" * 32))
    with pytest.raises(ConfigError):
        PairVerification(Role.CALLER).start("nonsense", OTHER)
