"""Bringing the delay to a target: the part that all delay-keeping policies share."""

from softphone.playout.frames import Action
from softphone.playout.policy import Decision, Observation

__all__ = ["steer"]

_PAUSE_BAND = 0.005
"""Deviation that is mended in pauses, seconds."""
_SPEECH_BAND = 0.020
"""Deviation that is mended in speech too, seconds: a frame too much or too little."""
_SKIP_SLACK = 0.010
"""A frame that is gone is passed over when the delay stays at most this far below target."""


def steer(observation: Observation, target: float) -> Decision:
    """Play the next frame, so that the delay moves towards ``target`` (seconds).

    Pauses are stretched and compressed before speech. A frame that nothing can restore
    is passed over, instead of concealed, when its time has already been spent waiting.
    """
    excess = observation.delay - target
    source = observation.best
    if observation.missing and observation.gap and excess >= observation.frame - _SKIP_SLACK:
        return Decision(Action.SKIP, source, target)
    if excess > _PAUSE_BAND:
        return Decision(Action.COMPRESS, source, target, in_speech=excess > _SPEECH_BAND)
    if excess < -_PAUSE_BAND:
        return Decision(Action.STRETCH, source, target, in_speech=excess < -_SPEECH_BAND)
    return Decision(Action.PLAY, source, target)
