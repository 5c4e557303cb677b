"""Bringing the delay to a target: the part that all delay-keeping policies share."""

from softphone.playout.frames import Action
from softphone.playout.policy import Decision, Effort, Observation

__all__ = ["DelayControl"]


class DelayControl:
    """Steers the delay to a target, in pauses before in speech.

    Speech is touched only when the delay is off by a frame, and then until it is right
    again, so that a small error does not keep the time-stretcher busy.
    """

    PAUSE_BAND = 0.005
    """Deviation that is mended in pauses, seconds."""
    SPEECH_BAND = 0.020
    """Deviation from which speech is touched too, seconds."""
    URGENT_BAND = 0.080
    """Deviation from which catching up may be heard, seconds."""

    def __init__(self) -> None:
        self._mending = False

    def steer(self, observation: Observation, target: float) -> Decision:
        """Play the next frame, so that the delay moves towards ``target`` (seconds).

        A frame that even the fastest packet can't have brought yet is waited for: the path has
        become longer than the whole delay.
        A frame that nothing can restore is passed over, instead of concealed, when its
        time has already been spent waiting: when the delay is nearer to the target without it.
        """
        excess = observation.delay - target
        source = observation.best
        if observation.missing and observation.delay < 0.0:
            return Decision(Action.WAIT, source, target)
        if observation.missing and observation.gap and excess >= observation.frame / 2:
            return Decision(Action.SKIP, source, target)
        # Guessing faster what has not come yet would only make it late.
        if abs(excess) <= self.PAUSE_BAND or (observation.nothing_held and excess > 0.0):
            self._mending = False
            return Decision(Action.PLAY, source, target)
        self._mending = self._mending or abs(excess) > self.SPEECH_BAND
        effort = Effort.SPEECH if self._mending else Effort.PAUSES
        if excess > self.URGENT_BAND:
            effort = Effort.URGENT
        action = Action.COMPRESS if excess > 0.0 else Action.STRETCH
        return Decision(action, source, target, effort)
