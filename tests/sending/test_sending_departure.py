"""What packets wait on this machine."""

import pytest

from softphone.sending.departure import DepartureWatch


def watched(*departures: tuple[float, float]) -> DepartureWatch:
    """Packets that leave at the first time, so many seconds after they were captured."""
    watch = DepartureWatch()
    for now, wait in departures:
        watch.on_departure(now - wait, now)
    return watch


@pytest.mark.parametrize(
    ("departures", "now", "wait"),
    [
        ([], 1.0, 0.0),
        # What every packet takes, as in a sound card, is no wait.
        ([(0.0, 0.04), (0.02, 0.04)], 0.1, 0.0),
        ([(0.0, 0.04), (0.02, 0.19)], 0.1, 0.15),
        ([(0.0, 0.19), (0.02, 0.04)], 1.4, 0.15),
        # Long ago.
        ([(0.0, 0.04), (1.0, 0.19), (1.02, 0.04)], 4.0, 0.0),
        ([(0.0, 0.04), (31.0, 0.19)], 31.1, 0.0),
    ],
)
def test_waits(departures: list[tuple[float, float]], now: float, wait: float) -> None:
    assert watched(*departures).wait(now) == pytest.approx(wait)


def test_memory_is_bounded() -> None:
    watch = watched(*((0.02 * number, 0.01) for number in range(10_000)))
    assert len(watch._bins) <= 60
