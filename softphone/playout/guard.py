"""A policy that may be anybody's code, and what takes over when it fails."""

import logging
from collections.abc import Callable
from typing import TypeVar

from softphone.playout.policies.histogram import HistogramPolicy
from softphone.playout.policy import Arrival, Decision, Observation, PlayoutPolicy
from softphone.playout.statistics import PlayoutStatistics

__all__ = ["GuardedPolicy"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class GuardedPolicy(PlayoutPolicy):
    """Passes everything on to a policy until it raises; then `histogram` plays the call on.

    The failure is logged once and counted in `PlayoutStatistics.policy_failures`. In
    `policy_fallbacks` it is counted together with what the policy gives as its `fallbacks`.
    """

    def __init__(self, policy: PlayoutPolicy, statistics: PlayoutStatistics) -> None:
        super().__init__(policy.config)
        self._policy = policy
        self._statistics = statistics
        self._fallbacks_before = 0
        self._count_fallbacks()

    @property
    def start_delay(self) -> float:
        """That of the policy inside."""
        return self._guarded(lambda policy: policy.start_delay)

    def decide(self, observation: Observation) -> Decision:
        """What the policy inside decides."""
        decision = self._guarded(lambda policy: policy.decide(observation))
        self._count_fallbacks()
        return decision

    def on_arrival(self, arrival: Arrival) -> None:
        """For the policy inside."""
        self._guarded(lambda policy: policy.on_arrival(arrival))

    def on_repair(self, relative_delay: float) -> None:
        """For the policy inside."""
        self._guarded(lambda policy: policy.on_repair(relative_delay))

    def reset(self) -> None:
        """For the policy inside."""
        self._guarded(lambda policy: policy.reset())

    def _guarded(self, call: Callable[[PlayoutPolicy], T]) -> T:
        try:
            return call(self._policy)
        except Exception:
            self._statistics.policy_failures += 1
            logger.exception("the playout policy %s failed; histogram plays on", type(self._policy).__name__)
            self._policy = HistogramPolicy(self.config)
            self._fallbacks_before = self._statistics.policy_fallbacks + 1
            return call(self._policy)

    def _count_fallbacks(self) -> None:
        # Whoever doesn't say has none, and so has who means something else by the name.
        said = self._guarded(lambda policy: getattr(policy, "fallbacks", 0))
        self._statistics.policy_fallbacks = self._fallbacks_before + (said if isinstance(said, int) else 0)
