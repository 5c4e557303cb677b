"""One delay for the whole call, whatever the network does."""

from softphone.playout.policies.control import steer
from softphone.playout.policy import Decision, Observation, PlayoutPolicy

__all__ = ["FixedPolicy"]


class FixedPolicy(PlayoutPolicy):
    """Holds the mouth-to-ear delay at ``config.max_delay``.

    Never waits: what is not there when its time comes is concealed. Returns to the delay
    by time-stretching when clocks drift.
    """

    @property
    def start_delay(self) -> float:
        """As long as the limit allows; the engine clips it."""
        return self.config.max_delay

    def decide(self, observation: Observation) -> Decision:
        """Play; steer back when off the delay."""
        target = self.config.max_delay - (observation.mouth_to_ear - observation.delay)
        return steer(observation, target)
