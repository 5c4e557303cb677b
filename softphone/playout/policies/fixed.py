"""One delay for the whole call, whatever the network does."""

from softphone.playout.policies.control import DelayControl
from softphone.playout.policy import Decision, Observation, PlayoutPolicy, PolicyConfig

__all__ = ["FixedPolicy"]


class FixedPolicy(PlayoutPolicy):
    """Holds the mouth-to-ear delay at ``config.max_delay``.

    What is not there when its time comes is concealed. Returns to the delay by time-stretching
    when clocks drift, and by waiting when the path becomes longer than the delay.
    """

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__(config)
        self._control = DelayControl()

    @property
    def start_delay(self) -> float:
        """As long as the limit allows; the engine clips it."""
        return self.config.max_delay

    def decide(self, observation: Observation) -> Decision:
        """Play; steer back when off the delay."""
        target = self.config.max_delay - (observation.mouth_to_ear - observation.delay)
        return self._control.steer(observation, target)
