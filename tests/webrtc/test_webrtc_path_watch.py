"""When a path counts as dead: tables of what arrives, in virtual time."""

from collections.abc import Callable, Iterable

import pytest

from softphone.webrtc.path_watch import PathState, PathWatch, PathWatchConfig

GOOD, SUSPECT, DEAD = PathState.GOOD, PathState.SUSPECT, PathState.DEAD

Event = tuple[float, str]
"""Seconds, and ``rtp``, ``rtcp`` (a report), ``ok`` (the peer confirmed something) or ``refused``."""


def every(interval: float, start: float, end: float, kind: str) -> list[Event]:
    count = round((end - start) / interval)
    return [(start + k * interval, kind) for k in range(count)]


def run(
    events: Iterable[Event], until: float, *, answers: Callable[[float], bool] = lambda now: False
) -> list[tuple[float, PathState]]:
    """Changes of state. `answers` says whether the peer answers a check sent at that time (after 50 ms)."""
    watch = PathWatch(0.0)
    pending = sorted(events)
    changes = [(0.0, GOOD)]
    now = 0.0
    while True:
        at = min(watch.next_poll, pending[0][0] if pending else until)
        if at >= until:
            return changes
        now = max(now, at)
        while pending and pending[0][0] <= now:
            _, kind = pending.pop(0)
            {
                "rtp": watch.on_media,
                "rtcp": watch.on_sign,
                "ok": watch.on_confirmation,
                "refused": watch.on_refusal,
            }[kind](now)
        if watch.next_poll <= now:
            state = watch.poll(now)
            if state is not changes[-1][1]:
                changes.append((now, state))
            if state is not GOOD and answers(now):
                pending = sorted([*pending, (now + 0.05, "ok")])


SPEECH = every(0.02, 0.0, 5.0, "rtp") + every(0.5, 0.5, 5.0, "ok")


def test_a_dead_path_is_noticed_within_a_second_of_speech() -> None:
    changes = run(SPEECH, 10.0)
    assert [state for _, state in changes] == [GOOD, SUSPECT, DEAD]
    assert changes[1][0] == pytest.approx(5.28, abs=0.05)
    assert changes[2][0] == pytest.approx(5.8, abs=0.15)


def test_a_dead_path_of_a_silent_peer_is_noticed_within_two_seconds() -> None:
    quiet = every(0.02, 0.0, 2.0, "rtp") + every(1.0, 0.5, 5.0, "ok")
    changes = run(quiet, 10.0, answers=lambda now: now < 5.0)
    dead = [at for at, state in changes if state is DEAD]
    assert len(dead) == 1
    assert 5.0 < dead[0] <= 6.6


def test_a_peer_that_falls_silent_and_answers_is_never_dead() -> None:
    changes = run(every(0.02, 0.0, 2.0, "rtp"), 20.0, answers=lambda now: True)
    assert DEAD not in {state for _, state in changes}
    # One question a second or so is enough.
    assert sum(state is SUSPECT for _, state in changes) < 25


def test_comfort_noise_is_not_taken_for_speech() -> None:
    """One packet each 400 ms: after the first pause nobody asks before a second has passed."""
    noise = every(0.02, 0.0, 2.0, "rtp") + every(0.4, 2.4, 10.0, "rtp") + every(1.0, 0.5, 10.0, "ok")
    changes = run(noise, 10.0, answers=lambda now: True)
    assert sum(state is SUSPECT for _, state in changes) == 1


@pytest.mark.parametrize("outage", [0.1, 0.4, 0.7])
def test_a_short_outage_is_no_death(outage: float) -> None:
    events = [event for event in SPEECH if not 2.0 <= event[0] < 2.0 + outage]
    changes = run(events, 4.9, answers=lambda now: not 2.0 <= now < 2.0 + outage)
    assert DEAD not in {state for _, state in changes}
    assert changes[-1][1] is GOOD


def test_a_path_that_works_again_is_good_again() -> None:
    events = [event for event in SPEECH if not 1.5 <= event[0] < 4.0]
    changes = run(events, 4.9, answers=lambda now: not 1.5 <= now < 4.0)
    assert [state for _, state in changes] == [GOOD, SUSPECT, DEAD, GOOD]
    assert changes[-1][0] == pytest.approx(4.05, abs=0.15)


def test_a_peer_that_is_heard_but_hears_nothing() -> None:
    """Only our direction is dead: speech comes, reports stand still, checks go unanswered."""
    changes = run(every(0.02, 0.0, 10.0, "rtp") + every(0.5, 0.5, 3.0, "ok"), 9.0)
    assert [state for _, state in changes] == [GOOD, SUSPECT, DEAD]
    assert 5.0 < changes[-1][0] < 6.0


def test_a_refused_datagram_makes_it_ask_at_once() -> None:
    events = [event for event in SPEECH if event[0] < 2.0] + [(2.0, "refused")]
    changes = run(events, 4.0)
    assert changes[1] == (2.0, SUSPECT)
    assert changes[2][0] == pytest.approx(2.5, abs=0.15)


def test_a_long_round_trip_is_waited_for() -> None:
    watch = PathWatch(0.0)
    watch.round_trip = 0.6
    for k in range(100):
        watch.on_media(k * 0.02)
        watch.on_confirmation(k * 0.02)
    times = []
    while watch.poll(now := watch.next_poll) is not DEAD:
        times.append(now)
    assert watch.next_poll > 2.0 + 0.3 + 0.5 + 0.5
    assert max(times) < 4.0


def test_a_program_that_stood_still_draws_no_conclusions() -> None:
    watch = PathWatch(0.0)
    for k in range(100):
        watch.on_media(k * 0.02)
    watch.on_confirmation(1.98)
    while watch.next_poll < 1.98:
        watch.poll(watch.next_poll)
    # Ten seconds pass, in which nobody read the socket.
    assert watch.poll(12.0) is not DEAD
    watch.on_media(12.001)
    watch.on_confirmation(12.001)
    assert watch.poll(watch.next_poll) is GOOD


def test_a_new_path_is_good() -> None:
    watch = PathWatch(0.0)
    while watch.poll(watch.next_poll) is not DEAD:
        pass
    watch.on_new_path(50.0)
    assert watch.state is watch.poll(50.0) is GOOD


def test_checks_become_rare_on_a_path_that_stays_dead() -> None:
    config = PathWatchConfig()
    watch = PathWatch(0.0, config)
    polls = []
    while (now := watch.next_poll) < 30.0:
        watch.poll(now)
        polls.append(now)
    assert sum(now < 6.0 for now in polls) > 40
    assert sum(now > 10.0 for now in polls) <= 41
