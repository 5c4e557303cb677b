"""One round of teaching: somebody drives, the teacher says what each choice would have cost."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.playout import Observation, PolicyConfig
from softphone_onnx_playout.e_model import delay_impairment
from softphone_onnx_playout.features import TARGETS
from softphone_onnx_playout.holding import ABOVE, GROWTH_BAND, PAUSE_BAND
from softphone_onnx_playout.model import OUTPUTS, CostModel
from softphone_onnx_playout.policy import OnnxPolicy
from softphone_onnx_playout.training.network_call import NetworkCall
from softphone_onnx_playout.training.simulator import Simulator
from softphone_onnx_playout.training.speech import FRAME
from softphone_onnx_playout.training.teacher import Teacher, Visit

__all__ = ["Lesson", "collect"]

_EPISODE = 60
"""Mean number of steps that a random target is kept."""
_KEPT = 0.5
"""Share of the ordinary steps that are learned from; steps with something missing all are."""
_OFTEN = (0.0, 0.5, 0.9, 0.98)
"""Shares of the missing frames' steps in which chance waits, one for each episode."""
_TAUGHT = 1250
"""Last frames of a call, which alone are learned from; before them lies what has to be remembered."""
_END = 100
"""Last frames of a call, whose cost-to-go is cut short."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one call teaches; n steps."""

    features: NDArray[np.float32]
    """Shape (n, features)."""
    labels: NDArray[np.float32]
    """Shape (n, targets + 1), R·s: cost of committing to each target above what its delay alone
    costs, less the mean over the targets; cost of waiting against going on, NaN where nothing was
    missing."""


class _Driver(OnnxPolicy):
    """Changes its mind sooner than in a call, and so meets more.

    What is chosen once a model is there is fixed here: choosing it changes no lesson.
    """

    DELAY_WEIGHT = 0.7
    INERTIA = 1.5
    LASTING = math.inf
    SLACK = PAUSE_BAND
    LACK = GROWTH_BAND
    RATHER_LATE = False
    RELUCTANCE = 2.0
    LATE_RELUCTANCE = 0.0
    LATE_MEMORY = 0.5

    @property
    def start_delay(self) -> float:
        return 0.030

    def _called_for(self, now: float) -> float:
        return math.inf


class _Explorer:
    """A model that now and then wants a random target for a while, and waits at random; notes
    what it was shown."""

    def __init__(self, student: CostModel | None, share: float, rng: np.random.Generator) -> None:
        self._student, self._share, self._rng = student, share, rng
        self._left = 0
        self._wanted: int | None = None
        self._often = 0.0
        self.seen: list[NDArray[np.float32]] = []

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen.append(features)
        if self._left <= 0:
            self._left = 1 + int(self._rng.exponential(_EPISODE))
            explore = self._student is None or self._rng.random() < self._share
            self._wanted = int(self._rng.integers(len(TARGETS))) if explore else None
            self._often = float(self._rng.choice(_OFTEN))
        self._left -= 1
        if self._wanted is None and self._student is not None:
            return self._student.predict(features)
        costs = np.full(OUTPUTS, 1e6, np.float32)
        costs[self._wanted or 0] = 0.0
        costs[-1] = -1e6 if self._rng.random() < self._often else 1e6
        return costs


def collect(call: NetworkCall, student: CostModel | None, *, seed: int, explore: float = 0.25) -> Lesson:
    """Let a student (None: chance) drive through a call and have the end of it marked.

    ``explore``: share of the episodes in which chance drives anyway.
    """
    rng = np.random.default_rng((seed, 0xD466))
    explorer = _Explorer(student, explore, rng)
    states: list[tuple[int, float, float]] = []
    offsets: list[float] = []
    missing: list[bool] = []
    begun: list[bool] = []

    def note(frame: int, observation: Observation) -> None:
        offset = observation.mouth_to_ear - observation.delay
        states.append((frame, observation.now - frame * FRAME, observation.concealed))
        offsets.append(offset)
        missing.append(observation.missing)
        begun.append(observation.frame < FRAME - 1e-6)

    policy = _Driver(PolicyConfig(), model=explorer, clock=lambda: 0.0)
    records = Simulator(call, policy, on_step=note).run()
    held = 1000.0 * (TARGETS + ABOVE)
    # What is above the last counts as the last.
    targets = np.searchsorted(held[:-1], [record.target_ms - 0.1 for record in records])
    visits = [Visit(*state, int(target)) for state, target in zip(states, targets, strict=True)]
    kept = np.array(missing) | (rng.random(len(visits)) < _KEPT)
    kept &= ~np.array(begun)  # the teacher thinks in whole frames
    left = call.frames - np.array([visit.frame for visit in visits])
    kept &= (left > _END) & (left <= _TAUGHT)
    rows = np.flatnonzero(kept)
    labels = Teacher(call).label([visits[row] for row in rows])
    alone = OnnxPolicy.HORIZON * delay_impairment(np.array(offsets)[rows, None] + TARGETS[None, :])
    costs = labels[:, : len(TARGETS)] - alone
    costs -= costs.mean(axis=1, keepdims=True)
    waiting = np.where(np.array(missing)[rows], labels[:, -1], np.nan)
    labels = np.column_stack((costs, waiting)).astype(np.float32)
    return Lesson(
        np.array([explorer.seen[row] for row in rows], np.float32).reshape(len(rows), -1),
        labels,
    )
