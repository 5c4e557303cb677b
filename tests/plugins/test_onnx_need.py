"""The most delay for which there is any reason."""

import math

import pytest
from softphone_onnx_playout.need import NeedWatch

from softphone.playout import Arrival

FRAME = 0.020


def watched(delays: dict[float, float], lost_at: float | None = None, seconds: float = 40.0) -> NeedWatch:
    """After a call without delay, but for single packets at the times given, and one loss."""
    watch = NeedWatch()
    for number in range(round(seconds / FRAME)):
        at = number * FRAME
        if lost_at is not None and number == round(lost_at / FRAME):
            continue
        delay = delays.get(round(at, 3), 0.0)
        watch.on_arrival(
            Arrival(at, 960 * number, number, 960, delay, late=False, lbrr=False, dred_reach=0.0)
        )
    return watch


@pytest.mark.parametrize(
    ("delays", "lost_at", "most"),
    [
        pytest.param({}, None, 0.0, id="nothing ever came late"),
        pytest.param({39.0: 0.080}, None, 0.080, id="what one packet needed"),
        pytest.param({30.0: 0.080, 35.0: 0.030}, None, 0.080, id="the most of all"),
        pytest.param({10.0: 0.080, 35.0: 0.030}, None, 0.030, id="long ago"),
        pytest.param({}, 35.0, math.inf, id="a loss"),
        pytest.param({}, 10.0, 0.0, id="a loss long ago"),
    ],
)
def test_what_is_called_for(delays: dict[float, float], lost_at: float | None, most: float) -> None:
    assert watched(delays, lost_at).most(40.0) == pytest.approx(most + NeedWatch.MARGIN)
