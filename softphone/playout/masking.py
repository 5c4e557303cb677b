"""What of a decision is possible: no policy can break a call."""

from softphone.playout.frames import Action, Source
from softphone.playout.policy import Decision, Observation

__all__ = ["possible"]


def possible(decision: Decision, observation: Observation, max_delay: float) -> Decision:
    """The decision, or the nearest one that can be carried out.

    ``max_delay``: largest delay from mouth to ear, seconds. What came in time is always
    played.
    """
    action, source = decision.action, decision.source
    if source not in observation.sources:
        source = observation.best
    impossible = (
        # Without later media there is nothing to skip to.
        (action is Action.SKIP and (Source.REGULAR in observation.sources or not observation.gap))
        or (action is Action.WAIT and observation.mouth_to_ear + observation.frame > max_delay)
        or (action is Action.RECOVER and not observation.recoverable)
    )
    if impossible:
        action = Action.PLAY
    if (action, source) == (decision.action, decision.source):
        return decision
    return decision._replace(action=action, source=source)
