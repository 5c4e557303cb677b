"""Carrying out a choice of target: the part that the teacher's commitments and the policy share."""

from softphone.playout import Action, Decision, Effort, Observation

__all__ = [
    "ABOVE",
    "GROWTH_BAND",
    "LONG_HOLE",
    "PATIENCE",
    "PAUSE_BAND",
    "SKIP_SLACK",
    "SPEECH_BAND",
    "START_DELAY",
    "URGENT_BAND",
    "hold_target",
]

START_DELAY = 0.028
"""Delay at which a stream begins to play, seconds."""
GROWTH_BAND = 0.010
"""A hole in which the delay is further below the target is used to come nearer, seconds."""
LONG_HOLE = 0.420
"""From such a hole on its words are gone back to, seconds; a shorter one is concealed in place."""
OLD_WORDS = 1.0
"""Words that would be heard later than others by more are left, seconds."""
SHORT_DELAY = 0.250
"""Delay from mouth to ear up to which words are worth being late for, seconds."""
PATIENCE = 0.100
"""A frame is waited for no longer when something after it is there, seconds."""
ABOVE = 0.005
"""The delay is held so far above the target, seconds: a repair that needs the target itself must
not come a moment too late."""
PAUSE_BAND = 0.012
"""Deviation that is mended in pauses, seconds."""
SPEECH_BAND = 0.200
"""Deviation that is mended in speech too. The next pause is seldom far, and what is done there
nobody hears."""
URGENT_BAND = 0.350
"""Deviation that is mended wherever the waveform allows it at all."""
SKIP_SLACK = 0.005
"""A lost frame is passed over when that leaves the delay at most this far below the target, seconds."""
_ROUNDING = 1e-6


def hold_target(
    observation: Observation,
    target: float,
    *,
    wait: bool,
    slack: float = PAUSE_BAND,
    lack: float = GROWTH_BAND,
    rather_late: bool = False,
) -> Decision:
    """Move towards a ``target`` (seconds), so that the words keep their rhythm.

    A hole is a chance to come to the target unheard: below it, wait; above, pass over what is
    lost. Otherwise a hole is concealed in place, unless it is so long that words would be
    missed, or the caller expects waiting to pay (``wait``); a frame behind which others have come
    is not waited for long. What is there is played, longer or shorter; a delay that is ``slack``
    (seconds) too long is left alone, and in a hole one that is ``lack`` too short. ``rather_late``: words
    are gone back to however late they are, when nothing newer has come.
    """
    target += ABOVE
    excess = observation.delay - observation.lead - target
    source = observation.best
    back = observation.recoverable
    # Time by which the delay has to grow can be spent on the words of the hole.
    bearable = observation.mouth_to_ear <= SHORT_DELAY or back <= observation.frame - excess
    bearable |= rather_late and observation.nothing_held
    if 0.0 < back <= OLD_WORDS and observation.concealed >= LONG_HOLE and bearable:
        return Decision(Action.RECOVER, source, target)
    if observation.missing and not observation.dtx:
        nothing = observation.nothing_held
        patient = wait and (nothing or observation.waited < PATIENCE)
        if patient or (nothing and excess < -lack - _ROUNDING):
            return Decision(Action.WAIT, source, target)
        if nothing and excess > 0.0:
            # Guessing faster only makes late what is still on its way.
            return Decision(Action.PLAY, source, target)
        if observation.gap and excess >= observation.frame - SKIP_SLACK:
            return Decision(Action.SKIP, source, target)
    if -PAUSE_BAND - _ROUNDING <= excess <= slack + _ROUNDING:
        return Decision(Action.PLAY, source, target)
    effort = Effort.PAUSES
    if abs(excess) > SPEECH_BAND:
        effort = Effort.SPEECH if excess <= URGENT_BAND else Effort.URGENT
    return Decision(Action.COMPRESS if excess > 0.0 else Action.STRETCH, source, target, effort)
