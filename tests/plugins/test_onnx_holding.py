"""How a target is come to, case by case."""

from dataclasses import replace

import pytest
from softphone_onnx_playout.holding import ABOVE, LONG_HOLE, PATIENCE, hold_target

from softphone.playout import Action, Effort, Observation, Source
from tests.support.observations import HERE

TARGET = 0.080

PLAYING = replace(HERE, delay=TARGET + ABOVE, mouth_to_ear=TARGET + ABOVE + 0.060)
STARVED = replace(PLAYING, sources=(Source.PLC,), gap=None, buffered=0.0, contiguous=0.0)
BEHIND_A_LOSS = replace(STARVED, gap=0.020)
WORDS_MISSED = replace(STARVED, concealed=LONG_HOLE, recoverable=0.200)


@pytest.mark.parametrize(
    ("observation", "off", "wait", "action"),
    [
        pytest.param(PLAYING, 0.0, False, Action.PLAY, id="at the target"),
        pytest.param(PLAYING, 0.050, False, Action.COMPRESS, id="above"),
        pytest.param(PLAYING, -0.050, False, Action.STRETCH, id="below"),
        pytest.param(STARVED, 0.0, False, Action.PLAY, id="a hole is concealed in place"),
        pytest.param(STARVED, 0.0, True, Action.WAIT, id="or waited for"),
        pytest.param(STARVED, -0.050, False, Action.WAIT, id="a hole is used to grow"),
        pytest.param(STARVED, 0.050, False, Action.PLAY, id="guesses are not hurried"),
        pytest.param(BEHIND_A_LOSS, 0.0, True, Action.WAIT, id="a reordered packet is waited for"),
        pytest.param(
            replace(BEHIND_A_LOSS, waited=PATIENCE), 0.0, True, Action.PLAY, id="a lost one not for long"
        ),
        pytest.param(replace(STARVED, waited=PATIENCE), 0.0, True, Action.WAIT, id="a stall longer"),
        pytest.param(BEHIND_A_LOSS, 0.020, False, Action.SKIP, id="a loss above the target is passed over"),
        pytest.param(WORDS_MISSED, 0.0, False, Action.RECOVER, id="missed words are gone back to"),
        pytest.param(
            replace(WORDS_MISSED, mouth_to_ear=0.300), 0.0, False, Action.PLAY, id="not when that is too late"
        ),
        pytest.param(
            replace(WORDS_MISSED, mouth_to_ear=0.300),
            -0.200,
            False,
            Action.RECOVER,
            id="unless the delay has to grow as much",
        ),
        pytest.param(replace(WORDS_MISSED, recoverable=1.1), 0.0, False, Action.PLAY, id="nor old ones"),
        pytest.param(replace(WORDS_MISSED, concealed=LONG_HOLE / 2), 0.0, False, Action.PLAY, id="nor a few"),
        pytest.param(replace(STARVED, pause=True), 0.050, False, Action.PLAY, id="nor in a pause"),
        pytest.param(
            replace(BEHIND_A_LOSS, gap=0.010, frame=0.010), 0.002, False, Action.PLAY, id="nor half a frame"
        ),
        pytest.param(replace(STARVED, dtx=True), 0.0, True, Action.PLAY, id="silence is not waited for"),
        pytest.param(replace(STARVED, dtx=True), -0.050, True, Action.STRETCH, id="but made longer"),
        pytest.param(replace(STARVED, dtx=True), 0.050, False, Action.COMPRESS, id="and shorter"),
    ],
)
def test_what_is_done(observation: Observation, off: float, wait: bool, action: Action) -> None:
    observation = replace(observation, delay=observation.delay + off)
    decision = hold_target(observation, TARGET, wait=wait)
    assert decision.action is action
    assert decision.target_delay == pytest.approx(TARGET + ABOVE)


@pytest.mark.parametrize(
    ("off", "effort"), [(0.050, Effort.PAUSES), (0.250, Effort.SPEECH), (0.400, Effort.URGENT)]
)
def test_the_farther_off_the_more_effort(off: float, effort: Effort) -> None:
    assert hold_target(replace(PLAYING, delay=PLAYING.delay + off), TARGET, wait=False).effort is effort


@pytest.mark.parametrize(
    ("off", "action"), [(0.010, Action.COMPRESS), (0.006, Action.PLAY), (-0.010, Action.PLAY)]
)
def test_less_is_left_alone_above_the_target_than_below_it(off: float, action: Action) -> None:
    observation = replace(PLAYING, delay=PLAYING.delay + off)
    assert hold_target(observation, TARGET, wait=False, slack=0.008).action is action
