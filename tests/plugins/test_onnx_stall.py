"""When the delay may go back to what it was before a stall."""

import math
from collections.abc import Callable

import pytest
from softphone_onnx_playout.stall import StallWatch

from softphone.playout import Arrival

BEFORE = 0.040


def network(
    seconds: float,
    *,
    late: Callable[[float], bool] = lambda at: False,
    lost: Callable[[float], bool] = lambda at: False,
    needs: float = 0.010,
) -> StallWatch:
    watch = StallWatch()
    for number in range(round(seconds / 0.020)):
        at = 0.020 * number
        if not lost(at):
            watch.on_arrival(
                Arrival(
                    at=at,
                    timestamp=960 * number,
                    sequence=number,
                    samples=960,
                    relative_delay=0.300 if late(at) else needs,
                    late=late(at),
                    lbrr=False,
                    dred_reach=0.0,
                ),
                BEFORE,
            )
    return watch


def between(*spans: tuple[float, float]) -> Callable[[float], bool]:
    return lambda at: any(begin <= at < end for begin, end in spans)


@pytest.mark.parametrize(
    ("late", "lost", "end", "most"),
    [
        ((), (), 20.0, math.inf),
        ([(15.0, 15.5)], (), 17.0, math.inf),  # the calm is too short
        ([(15.0, 15.5)], (), 18.0, BEFORE),
        ([(15.0, 15.5)], (), 30.0, math.inf),  # long forgotten
        ([(8.0, 8.5)], (), 11.0, math.inf),  # nobody knows what was before
        ([(15.0, 15.5), (20.0, 20.2)], (), 23.0, math.inf),  # not the only one
        ([(15.0, 15.1), (15.9, 16.0)], (), 18.5, BEFORE),  # one stall in two parts
        ((), [(15.0, 15.9)], 18.5, BEFORE),
        ((), [(15.0, 15.06)], 18.5, math.inf),  # three packets are no stall
    ],
)
def test_delay_after_a_stall(
    late: list[tuple[float, float]], lost: list[tuple[float, float]], end: float, most: float
) -> None:
    watch = network(end, late=between(*late), lost=between(*lost))
    assert watch.most(end) == most


def test_what_was_needed_since_is_kept() -> None:
    watch = network(18.0, late=between((15.0, 15.5)), needs=0.070)
    assert watch.most(18.0) == pytest.approx(0.070)
    watch.on_need(18.0, 0.120)
    assert watch.most(18.0) == pytest.approx(0.120)
