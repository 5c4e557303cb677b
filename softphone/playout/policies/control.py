"""Bringing the delay to a target: the part that all delay-keeping policies share."""

from softphone.playout.frames import Action
from softphone.playout.policy import Decision, Effort, Observation

__all__ = ["steer"]

_PAUSE_BAND = 0.005
"""Deviation that is mended in pauses, seconds."""
_SPEECH_BAND = 0.020
"""Deviation that is mended in speech too, seconds: a frame too much or too little."""
_URGENT_BAND = 0.080
"""Deviation from which catching up may be heard, seconds."""
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
    if abs(excess) <= _PAUSE_BAND:
        return Decision(Action.PLAY, source, target)
    if excess < 0.0:
        effort = Effort.SPEECH if excess < -_SPEECH_BAND else Effort.PAUSES
        return Decision(Action.STRETCH, source, target, effort)
    effort = Effort.PAUSES
    if excess > _SPEECH_BAND:
        effort = Effort.URGENT if excess > _URGENT_BAND else Effort.SPEECH
    return Decision(Action.COMPRESS, source, target, effort)
