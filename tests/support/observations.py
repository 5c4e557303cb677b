"""What a policy sees while nothing is wrong: the start of the cases of its tests."""

from softphone.playout import Observation, Source

__all__ = ["HERE"]

HERE = Observation(
    now=10.0,
    frame=0.020,
    sources=(Source.REGULAR, Source.PLC),
    delay=0.080,
    mouth_to_ear=0.1365,
    buffered=0.080,
    contiguous=0.080,
    gap=0.0,
    since_arrival=0.005,
    waited=0.0,
    concealed=0.0,
    pause=False,
    dtx=False,
    reach=0.0,
    round_trip=None,
)
"""Delay of 80 ms, 136.5 ms from mouth to ear, four frames held."""
