"""Relative delays, and the delay a repair needs."""

from dataclasses import replace

import pytest

from softphone.playout.delay import RepairWatch, TransitClock, WindowMinimum
from softphone.playout.frames import BufferedFrame


def test_window_minimum_forgets() -> None:
    window = WindowMinimum(2.0)
    assert window.add(0.0, 5.0) == 5.0
    assert window.add(0.5, 7.0) == 5.0
    assert window.add(1.9, 6.0) == 5.0
    assert window.add(2.1, 8.0) == 6.0
    assert window.add(4.0, 9.0) == 8.0
    assert window.add(4.1, 1.0) == 1.0


def test_relative_delay_is_measured_against_the_fastest_packet() -> None:
    clock = TransitClock()
    delays = [0.050, 0.030, 0.090, 0.030]
    relative = [clock.update(n * 960, 960, n * 0.02 + delay) for n, delay in enumerate(delays)]
    assert relative == pytest.approx([0.0, 0.0, 0.06, 0.0])
    assert clock.delay(3 * 960, 3 * 0.02 + 0.130) == pytest.approx(0.100)


@pytest.mark.parametrize(
    ("samples", "queue", "congestion"), [(960, 0.0, 0.0), (960, 0.2, 0.2), (2880, 0.0, 0.0), (2880, 0.1, 0.1)]
)
def test_congestion_is_what_travelling_takes_longer(samples: int, queue: float, congestion: float) -> None:
    clock = TransitClock()
    for end in range(960, 50 * 960, 960):
        clock.update(end - 960, 960, end / 48_000 + 0.030)
    for end in range(50 * 960, 250 * 960, samples):
        clock.update(end - samples, samples, end / 48_000 + 0.030 + queue)
    assert clock.congestion == pytest.approx(congestion)


def arrived(sequence: int, *, lbrr: bool = False, reach_ms: int = 0, end_ms: int = 0, ts: int | None = None):
    timestamp = sequence * 960 if ts is None else ts
    return BufferedFrame(timestamp, sequence, 960, b"opus", 0.0, 0, lbrr, reach_ms * 48, end_ms * 48)


@pytest.mark.parametrize(
    ("second", "repairs_ms"),
    [
        (arrived(1), []),
        (arrived(2), []),
        (arrived(2, lbrr=True), [20]),
        (arrived(3, lbrr=True), [20]),
        (arrived(3, reach_ms=55), [40, 20]),
        (arrived(4, reach_ms=55), [40, 20]),
        (arrived(4, reach_ms=255), [60, 40, 20]),
        (arrived(2, reach_ms=255, ts=20 * 960), []),
        (arrived(0, reach_ms=255), []),
        (replace(arrived(3), copies=(960,)), [20]),
        (replace(arrived(4), copies=(2880, 960)), [60, 20]),
    ],
    ids=[
        "nothing lost",
        "lost without redundancy",
        "lbrr repairs one",
        "lbrr repairs the last of two",
        "dred repairs both",
        "dred too short for three",
        "dred repairs all three",
        "a pause of the sender is no loss",
        "a late packet reveals nothing",
        "a copy repairs the last of two",
        "copies repair what they are of",
    ],
)
def test_repairs(second: BufferedFrame, repairs_ms: list[int]) -> None:
    watch = RepairWatch()
    assert list(watch.update(arrived(0), 0.0)) == []
    delays = list(watch.update(second, 0.007))
    assert delays == pytest.approx([0.007 + ms / 1000 for ms in repairs_ms])
