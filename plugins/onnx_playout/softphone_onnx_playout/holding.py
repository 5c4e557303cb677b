"""Carrying out a choice of target: the part that the teacher's commitments and the policy share."""

from softphone.playout import Action, Decision, Observation
from softphone.playout.policies.control import DelayControl

__all__ = ["START_DELAY", "hold_target"]

START_DELAY = 0.060
"""Delay at which a stream begins to play, seconds."""


def hold_target(control: DelayControl, observation: Observation, target: float, *, wait: bool) -> Decision:
    """If ``wait``, wait for a frame that is not there; else play, longer or shorter, towards the
    ``target`` (seconds), and pass over what is lost when above it."""
    if wait and observation.missing and not observation.dtx:
        return Decision(Action.WAIT, observation.best, target)
    return control.steer(observation, target)
