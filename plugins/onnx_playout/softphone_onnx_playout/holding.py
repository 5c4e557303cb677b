"""Carrying out a choice of target: the part that the teacher's commitments and the policy share."""

from softphone.playout import Action, Decision, Observation
from softphone.playout.policies.control import DelayControl

__all__ = ["START_DELAY", "hold_target"]

START_DELAY = 0.060
"""Delay at which a stream begins to play, seconds."""

_SLACK = 0.0025


def hold_target(control: DelayControl, observation: Observation, target: float) -> Decision:
    """Wait for a frame that is not there while the delay is below ``target`` (seconds), else
    play, longer or shorter, towards the target; pass over what is lost when above it."""
    if observation.missing and not observation.dtx and observation.delay < target - _SLACK:
        return Decision(Action.WAIT, observation.best, target)
    return control.steer(observation, target)
