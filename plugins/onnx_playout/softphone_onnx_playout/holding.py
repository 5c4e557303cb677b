"""Carrying out a choice of target: the part that the teacher's commitments and the policy share."""

from softphone.playout import Action, Decision, Effort, Observation

__all__ = [
    "GROWTH_BAND",
    "LONG_HOLE",
    "PAUSE_BAND",
    "SKIP_SLACK",
    "SPEECH_BAND",
    "START_DELAY",
    "URGENT_BAND",
    "hold_target",
]

START_DELAY = 0.060
"""Delay at which a stream begins to play, seconds."""
GROWTH_BAND = 0.010
"""A hole in which the delay is further below the target is used to come nearer, seconds."""
LONG_HOLE = 0.400
"""So much of a hole is concealed in place; what comes after it is waited for, seconds."""
PAUSE_BAND = 0.010
"""Deviation from the target that is mended in pauses, seconds."""
SPEECH_BAND = 0.120
"""Deviation that is mended in speech too. The next pause is seldom far, and what is done there
nobody hears."""
URGENT_BAND = 0.300
"""Deviation that is mended wherever the waveform allows it at all."""
SKIP_SLACK = 0.010
"""A lost frame is passed over when that leaves the delay at most this far below the target, seconds."""


def hold_target(observation: Observation, target: float, *, wait: bool) -> Decision:
    """Move towards a ``target`` (seconds), so that the words keep their rhythm.

    A hole is a chance to come to the target unheard: below it, wait; above, pass over what is
    lost. Otherwise a hole is concealed in place, unless it is so long that words would be
    missed, or the caller expects waiting to pay (``wait``). What is there is played, longer or
    shorter.
    """
    excess = observation.delay - target
    source = observation.best
    if observation.missing and not observation.dtx:
        nothing = observation.gap is None
        if wait or (nothing and (excess < -GROWTH_BAND or observation.concealed >= LONG_HOLE)):
            return Decision(Action.WAIT, source, target)
        if observation.gap and excess >= observation.frame - SKIP_SLACK:
            return Decision(Action.SKIP, source, target)
    if abs(excess) <= PAUSE_BAND:
        return Decision(Action.PLAY, source, target)
    effort = Effort.PAUSES
    if abs(excess) > SPEECH_BAND:
        effort = Effort.SPEECH if excess <= URGENT_BAND else Effort.URGENT
    return Decision(Action.COMPRESS if excess > 0.0 else Action.STRETCH, source, target, effort)
