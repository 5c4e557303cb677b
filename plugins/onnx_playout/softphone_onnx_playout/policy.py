"""The policy ``onnx``: a small network that says what each delay will cost."""

import logging
import math
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.playout import Action, Arrival, Decision, Effort, Observation, PlayoutPolicy, PolicyConfig
from softphone.playout.policies.histogram import HistogramPolicy
from softphone_onnx_playout.e_model import delay_impairment
from softphone_onnx_playout.features import TARGETS, FeatureExtractor
from softphone_onnx_playout.holding import START_DELAY, hold_target
from softphone_onnx_playout.model import CostModel, ModelError, PlayoutModel, shipped_model
from softphone_onnx_playout.need import NeedWatch

__all__ = ["OnnxPolicy"]

_log = logging.getLogger(__name__)

# The formula is dear; its values at each millisecond are as good.
_DELAYS = np.arange(0.0, 2.0, 0.001)
_IMPAIRMENTS = delay_impairment(_DELAYS)
_MOST = 20.0
"""R·s that a target counts at most as dearer than the best, where costs are averaged."""
_FIRST = int(np.searchsorted(TARGETS, START_DELAY)) - 1
"""The target that a stream begins with: what it is begun with is kept until there is a reason."""


class OnnxPolicy(PlayoutPolicy):
    """Chooses the target delay that a learned model expects to be cheapest, at each step anew.

    The model sees the history of the network and the state of the buffer and predicts what
    the next seconds will cost with each target in concealment, repair and changes of tempo;
    what each delay costs by itself (ITU-T G.107) is known and added here. For a frame that is
    missing it also predicts whether waiting for it costs less than going on.

    A model that can't be loaded, gives a value that is no number, or is slow is given up for
    the rest of the stream: the policy ``histogram`` takes over. That is logged once.
    """

    HORIZON = 5.0
    """Seconds that a choice is taken to last: the commitment that the model was trained for."""
    DELAY_WEIGHT = 0.85
    """What delay counts: above 1 for less delay, below for fewer gaps."""
    INERTIA = 2.0
    """R·s that a new target must save to replace one just chosen: a steady delay is worth more than
    the best one."""
    LASTING = 0.4
    """R·s that another target must save on average to replace the present one all the same."""
    AVERAGED = 3.0
    """Seconds over which that is averaged."""
    ACQUAINTANCE = 50
    """Packets that must have come, unless one is lost or late, before the first target is replaced."""
    RELUCTANCE = 3.0
    """R·s that waiting must save over going on: whoever marked it knew what would come, and a
    listener minds a broken rhythm more than a short hole."""
    LATE_RELUCTANCE = -0.3
    """The same while packets come too late: then the delay has to grow, and going on loses them all."""
    LATE_RUN = 0.030
    """Seconds of nothing but late packets after which the latest sets the pace: the path becomes longer."""
    LEAD = 0.020
    """The delay is then so far ahead of it, seconds: the next packet may be later still."""
    LATE_MEMORY = 1.0
    """Seconds for which a packet that came too late counts."""
    SLACK = 0.008
    """Delay above the target that is left alone, seconds: less than below it, for it is heard in every
    answer."""
    LACK = 0.005
    """Delay below the target that is left alone in a hole, seconds: no more than is added to it, so that a
    repair that needs the target itself is in time."""
    RATHER_LATE = True
    """Words that were missed are gone back to however late they are, when nothing newer has come: the
    network may hold up what follows as well."""
    EXCESS = 0.080
    """Delay above the target that is mended in speech too, seconds, ..."""
    OVERDUE = 2.0
    """... when the pauses of so many seconds were not enough."""
    SLOW = 0.002
    """CPU seconds that one step may take."""
    SLOW_STEPS = 3
    """Slow steps in a row after which the model is given up."""

    def __init__(
        self,
        config: PolicyConfig,
        *,
        model: CostModel | Path | None = None,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """``model``: a model or its file (default: the one shipped); ``clock``: CPU seconds."""
        super().__init__(config)
        self.failure: str | None = None
        """Why the model was given up; None while it is in use."""
        self.fallbacks = 0
        """How often the model was given up: 0 or 1."""
        self._clock = clock
        self._fallback = HistogramPolicy(config)
        self._features = FeatureExtractor()
        self._needed = 0.0
        self._model: CostModel | None = None
        self._begin()
        try:
            if model is None or isinstance(model, Path):
                model = _load(model or shipped_model())
            self._model = model
        except ModelError as error:
            self._give_up(str(error))

    @property
    def start_delay(self) -> float:
        """30 ms, or what the fallback begins with."""
        return self._fallback.start_delay if self._model is None else START_DELAY

    def reset(self) -> None:
        """Forget the stream."""
        self._begin()
        self._features.reset()
        self._fallback.reset()

    def on_arrival(self, arrival: Arrival) -> None:
        """Note the delay of a packet, and what was lost before it."""
        self._fallback.on_arrival(arrival)
        self._packets += 1
        self._need.on_arrival(arrival)
        # Of held packets, which come all at once, the last counts.
        self._needed = arrival.relative_delay
        if not arrival.late:
            self._late_since = math.inf
        else:
            self._late_at = arrival.at
            self._late_since = min(self._late_since, arrival.at)
            if arrival.at - self._late_since >= self.LATE_RUN:
                self._needed += self.LEAD
        self._features.on_arrival(arrival)

    def on_repair(self, relative_delay: float) -> None:
        """Note the delay that a repair needed."""
        self._fallback.on_repair(relative_delay)
        self._features.on_repair(relative_delay)

    def decide(self, observation: Observation) -> Decision:
        """Take the cheapest target and move towards it."""
        if self._model is not None:
            began = self._clock()
            try:
                target, wait = self._choose(self._model, observation)
            except ModelError as error:
                self._give_up(str(error))
            else:
                self._watch(self._clock() - began)
                target = self._keep_pace(observation, target)
                decision = hold_target(
                    observation,
                    target,
                    wait=wait,
                    slack=self.SLACK,
                    lack=self.LACK,
                    rather_late=self.RATHER_LATE,
                )
                return self._overdue(observation, self._hurried(decision))
        return self._fallback.decide(observation)

    def _begin(self) -> None:
        self._chosen = _FIRST
        self._packets = 0
        self._hurry = False
        self._late_at = -math.inf
        self._late_since = math.inf
        self._needed = 0.0
        self._need: NeedWatch = NeedWatch()
        self._above_since = math.inf
        self._usual: NDArray[np.float64] | None = None
        self._usual_at = self._usual_since = 0.0
        self._slow = 0

    def _choose(self, model: CostModel, observation: Observation) -> tuple[float, bool]:
        predicted = model.predict(self._features.extract(observation)).astype(np.float64)
        costs = predicted[: len(TARGETS)]
        offset = observation.mouth_to_ear - observation.delay
        costs += self.DELAY_WEIGHT * self.HORIZON * np.interp(TARGETS + offset, _DELAYS, _IMPAIRMENTS)
        possible = TARGETS + offset + observation.frame <= self.config.max_delay
        possible &= self._called_for(observation.now) >= TARGETS
        possible[0] = True
        costs[~possible] = np.inf
        late = observation.now - self._late_at <= self.LATE_MEMORY
        reluctance = self.LATE_RELUCTANCE if late else self.RELUCTANCE
        usually_best, lasting = self._averaged(costs, observation.now)
        best = int(np.argmin(costs))
        if self._acquainted and costs[self._chosen] - costs[best] > self.INERTIA:
            self._chosen = best
        elif self._acquainted and lasting > self.LASTING and costs[usually_best] < costs[self._chosen]:
            self._chosen = usually_best
        return float(TARGETS[self._chosen]), bool(predicted[-1] < -reluctance)

    def _called_for(self, now: float) -> float:
        """The largest delay for which there is any reason, seconds."""
        return self._need.most(now)

    def _averaged(self, costs: NDArray[np.float64], now: float) -> tuple[int, float]:
        """The target that was cheapest on average lately, and what it would have saved, R·s."""
        above = np.minimum(costs - costs.min(), _MOST)
        if self._usual is None:
            self._usual, self._usual_since = above, now
        else:
            self._usual += (1.0 - math.exp((self._usual_at - now) / self.AVERAGED)) * (above - self._usual)
        self._usual_at = now
        if now - self._usual_since < self.AVERAGED:
            return self._chosen, 0.0
        best = int(np.argmin(self._usual))
        return best, float(self._usual[self._chosen] - self._usual[best])

    @property
    def _acquainted(self) -> bool:
        """Whether enough is known of the network to leave the first target."""
        return self._features.lossy or self._late_at > -math.inf or self._packets >= self.ACQUAINTANCE

    def _keep_pace(self, observation: Observation, target: float) -> float:
        """Not less than the last packet needed, as far as the limit allows."""
        offset = observation.mouth_to_ear - observation.delay
        return max(target, min(self._needed, self.config.max_delay - offset - observation.frame))

    def _hurried(self, decision: Decision) -> Decision:
        """Words that were gone back to are heard late; those after them soon not any more."""
        if decision.action is Action.RECOVER:
            self._hurry = True
        elif decision.action is not Action.COMPRESS:
            self._hurry = self._hurry and decision.action is not Action.PLAY
        elif self._hurry:
            return decision._replace(effort=Effort.URGENT)
        return decision

    def _overdue(self, observation: Observation, decision: Decision) -> Decision:
        """A delay for which no pause comes is shortened in speech."""
        if observation.delay - decision.target_delay <= self.EXCESS:
            self._above_since = math.inf
            return decision
        self._above_since = min(self._above_since, observation.now)
        if decision.action is Action.COMPRESS and observation.now - self._above_since >= self.OVERDUE:
            return decision._replace(effort=max(decision.effort, Effort.SPEECH))
        return decision

    def _watch(self, seconds: float) -> None:
        self._slow = self._slow + 1 if seconds > self.SLOW else 0
        if self._slow >= self.SLOW_STEPS:
            self._give_up(f"the model needs {1000 * seconds:.1f} ms a step")

    def _give_up(self, why: str) -> None:
        self._model = None
        self.failure = why
        self.fallbacks += 1
        _log.warning("playout goes on with the histogram policy: %s", why)


@lru_cache(maxsize=4)
def _load(path: Path) -> PlayoutModel:
    return PlayoutModel(path)
