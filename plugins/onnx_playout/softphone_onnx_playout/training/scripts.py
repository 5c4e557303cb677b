"""Policies that do one thing over and over, so that its price can be measured."""

import numpy as np
from numpy.typing import NDArray

from softphone.playout import Action, Decision, Effort, Observation, PlayoutPolicy, PolicyConfig, Source

__all__ = ["PATIENCE", "Skipping", "Tempo", "Waiting"]

PATIENCE = 1.3
"""Mouth-to-ear delay with which every repair is in time, seconds."""
_FRAME = 0.020
_TICK = 0.010
_FAR = 0.2
_RESERVE = 0.35
"""Delay that a script leaves, so that repairs stay in time, seconds."""
_LONGEST = 0.8


class _Script(PlayoutPolicy):
    def __init__(self, start: float) -> None:
        super().__init__(PolicyConfig(max_delay=PATIENCE))
        self._start = start

    @property
    def start_delay(self) -> float:
        return self._start


class Skipping(_Script):
    """Passes over frames that only DRED could restore, while the delay lasts."""

    def __init__(self) -> None:
        super().__init__(PATIENCE)

    def decide(self, observation: Observation) -> Decision:
        """Skip, or play."""
        skip = observation.best is Source.DRED and observation.delay > _RESERVE
        action = Action.SKIP if skip else Action.PLAY
        return Decision(action, observation.best, observation.delay)


class Waiting(_Script):
    """Waits before chosen frames although they are there."""

    def __init__(self, holes: NDArray[np.bool_]) -> None:
        """``holes``: shape (frames,); one wait for each run of them, as long as the run."""
        super().__init__(0.060)
        self._lengths = _run_lengths(holes)
        self._frame = 0
        self._left = self._ticks()

    def decide(self, observation: Observation) -> Decision:
        """Wait, or play."""
        if self._left:
            self._left -= 1
            return Decision(Action.WAIT, observation.best, observation.delay)
        self._frame += 1
        self._left = self._ticks()
        return Decision(Action.PLAY, observation.best, observation.delay)

    def _ticks(self) -> int:
        return round(self._lengths.get(self._frame, 0) * _FRAME / _TICK)


def _run_lengths(marked: NDArray[np.bool_]) -> dict[int, int]:
    """Where runs begin, and how long they are."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False])).astype(np.int8)))
    return {int(first): int(end - first) for first, end in zip(edges[::2], edges[1::2], strict=True)}


class Tempo(_Script):
    """Shortens speech in one frame of ``every``, as far as the delay lasts, then lengthens it, and so on."""

    def __init__(self, every: int) -> None:
        super().__init__(_LONGEST)
        self._every = every
        self._frames = 0
        self._shorter = True

    def decide(self, observation: Observation) -> Decision:
        """Compress, stretch, or play."""
        self._frames += 1
        if self._shorter and observation.delay < _RESERVE:
            self._shorter = False
        elif not self._shorter and observation.delay > _LONGEST:
            self._shorter = True
        if self._frames % self._every:
            return Decision(Action.PLAY, observation.best, observation.delay)
        action, change = (Action.COMPRESS, -_FAR) if self._shorter else (Action.STRETCH, _FAR)
        return Decision(action, observation.best, observation.delay + change, Effort.URGENT)
