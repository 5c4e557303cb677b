"""The teacher: what is best, knowing everything that will come.

Dynamic programming backwards over the frames of a call. The state before a frame is its
delay, on a grid of 5 ms (all that the playout core does falls on it, near enough), and
how much was concealed directly before. The choices are those of the playout core: wait
10 ms, play the frame from its best source as it is, longer or shorter, or pass over it.

Three tables come out of one pass. The cost-to-go of the best choices, V, is the bound that
no policy can beat. And for each state and each target delay D the cost of *committing* to
D: the rules of the playout core hold D, and at each frame the commitment ends with a small
probability; from there on V counts. A student that were taught differences of V alone would
learn to need no reserve, since the teacher can always build one just in time. The commitment
makes a reserve worth what it is worth to somebody who cannot see the future. For the same reason
it waits for nothing that only the teacher knows will come, but for late packets at a price.

A third: what it costs to wait 10 ms for a frame that is not there, against going on at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.playout import MAX_DELAY, Effort
from softphone.playout.config import CODEC_DELAY
from softphone_onnx_playout.e_model import delay_impairment
from softphone_onnx_playout.features import TARGETS
from softphone_onnx_playout.holding import (
    ABOVE,
    GROWTH_BAND,
    PATIENCE,
    PAUSE_BAND,
    SKIP_SLACK,
    SPEECH_BAND,
    URGENT_BAND,
)
from softphone_onnx_playout.training.cost import CostTable
from softphone_onnx_playout.training.network_call import NetworkCall
from softphone_onnx_playout.training.speech import FRAME

__all__ = ["COMMITMENT", "Teacher", "Visit"]

COMMITMENT = 250
"""Frames that a choice of target is kept on average."""

_DOUBT = 1.0
"""R·s that waiting for a late packet must save in a commitment: who holds a delay can't know that it
comes. That a lost one will be repaired it knows even less, and does not wait for that."""
_STEP = 0.005
_TICK = 0.010
_PER_TICK = 2
_PER_FRAME = 4
_RUNS = 5
"""Runs of concealment told apart: 0 to 4 frames and more."""
_LEVELS = 210
_MAX_LAG = 3
_MAX_INSERT = 1
"""Pauses are lengthened by less, in levels."""
_IN_PART = (0, 1, 3)
"""Columns of `NetworkCall.need` that half a frame can be made of: of in-band FEC only a whole one."""
_BASE_WINDOW = 2.0
_GRACE = 0.060
"""When the frame is played, after it began, as far as the reference delay is concerned."""
_NEVER = 1e9

Array = NDArray[np.float64]
Held = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Visit:
    """A state in which a policy had to decide."""

    frame: int
    delay: float
    """Since the beginning of the frame, seconds."""
    concealed: float
    """Current run of concealment, seconds."""
    target: int = 0
    """Index of the target that was chosen."""


class Teacher:
    """Solves one call."""

    def __init__(
        self, call: NetworkCall, costs: CostTable | None = None, *, max_delay: float = MAX_DELAY
    ) -> None:
        self._call = call
        self._costs = costs or CostTable()
        need = call.need()
        fastest = FRAME + call.path_delay
        self._origin = float(np.floor(fastest / _TICK) * _TICK)
        """Delay of level 0: phases within a tick of 10 ms are kept."""
        self._delays = self._origin + _STEP * np.arange(_LEVELS)
        heard = np.floor(self._delays / _TICK + 1e-6) * _TICK + 1e-6
        order = np.array([0.0, 0.0, self._costs.lbrr, self._costs.dred])
        best = np.full((call.frames, _LEVELS), _NEVER)
        for column in range(need.shape[1]):
            there = need[:, column, None] <= heard[None, :]
            best = np.where(there, np.minimum(best, order[column]), best)
        self._source = best
        """Price of the best source at each level; `_NEVER` when there is none. (n, levels)"""
        self._own = need[:, 0, None] <= heard[None, :]
        rest = np.full_like(best, _NEVER)
        for column in _IN_PART:
            there = need[:, column, None] <= heard[None, :] + _TICK
            rest = np.where(there, np.minimum(rest, order[column]), rest)
        self._rest = rest
        """The same for what comes in time for the second half."""
        self._half = (best >= _NEVER) & (rest < _NEVER)
        """Where the first 10 ms have to be concealed and the rest has not."""
        start = np.arange(call.frames) * FRAME
        after = np.append(np.minimum.accumulate(call.arrival[::-1])[::-1][1:], np.inf)
        self._later = (after - start)[:, None] <= heard[None, :]
        self._first = _first_level(best < _NEVER)
        self._first_own = _first_level(self._own)
        self._first_held = _first_level((best < _NEVER) | self._later)
        weight = self._costs.weight(call.speech.active)
        self._weight = weight
        self._waiting_weight = 0.5 * (weight + np.append(weight[:1], weight[:-1]))
        self._conceal = np.array([self._costs.conceal(run * FRAME) for run in range(_RUNS)])
        each = [
            [self._costs.wait((run + tick // 2) * FRAME) for tick in range(_LEVELS)] for run in range(_RUNS)
        ]
        self._ticks_price = _TICK * np.insert(np.cumsum(each, axis=1), 0, 0.0, axis=1)
        """What waiting so many ticks costs in active speech. (runs, ticks + 1)"""
        self._delay_cost = FRAME * delay_impairment(self._delays + CODEC_DELAY)
        self._last_wait = int(np.sum(self._delays + CODEC_DELAY + FRAME <= max_delay))
        """First level at which the core waits no longer."""
        levels = np.arange(_LEVELS)
        most = np.minimum(-(-(self._last_wait - levels) // _PER_TICK), (_LEVELS - 1 - levels) // _PER_TICK)
        self._longest = np.clip(most, 0, None)
        """Ticks that can be waited at most from each level."""
        self._base = _reference(call)
        self._decided = levels // _PER_TICK * _PER_TICK
        """Levels at which it is decided about a frame that is heard at each level: at ticks."""

    def bound(self) -> float:
        """Mean loss of R of the best choices, seeing everything, from the best start."""
        value, _ = self._solve([])
        return float(value.min()) / (self._call.frames * FRAME)

    def label(self, visits: list[Visit]) -> NDArray[np.float32]:
        """Cost of committing to each target in each state, R·s, and in the last column what
        waiting 10 ms costs more than going on at once; shape (visits, targets + 1)."""
        return self._solve(visits, committed=True)[1]

    def _solve(self, visits: list[Visit], *, committed: bool = False) -> tuple[Array, NDArray[np.float32]]:
        value = np.zeros((_RUNS, _LEVELS))
        # After the call the network is taken to be clean, and the commitments go on.
        rest = COMMITMENT * FRAME * delay_impairment(self._base[-1] + TARGETS + CODEC_DELAY)
        held = np.tile(np.repeat(rest, _LEVELS).astype(np.float32), (_RUNS, 1))
        labels = np.zeros((len(visits), len(TARGETS) + 1), np.float32)
        at: dict[int, list[int]] = {}
        for index, visit in enumerate(visits):
            at.setdefault(visit.frame, []).append(index)
        for frame in range(self._call.frames - 1, min(at, default=0) - 1, -1):
            if committed:
                ended = np.tile(value.astype(np.float32), (1, len(TARGETS)))
                at_once = self._hold(frame, held + (ended - held) * np.float32(1 / COMMITMENT))
                held = self._waited(frame, at_once)
                if frame in at:
                    foreseen = self._foreseen(frame, at_once)
                    for index in at[frame]:
                        labels[index] = self._marks(visits[index], at_once, held, foreseen)
            value = self._best(frame, value)
        return value, labels

    def _marks(self, visit: Visit, at_once: Held, held: Held, foreseen: Held) -> NDArray[np.float32]:
        run, level = self._state(visit)
        costs = held[run, level::_LEVELS]
        later = min(level + _PER_TICK, _LEVELS - 1)
        place = visit.target * _LEVELS
        price = self._wait_prices(visit.frame)[run, 1]
        waiting = price + foreseen[min(run + 1, _RUNS - 1), place + later] - at_once[run, place + level]
        return np.append(costs, waiting).astype(np.float32)

    def _state(self, visit: Visit) -> tuple[int, int]:
        level = int(np.floor((visit.delay - self._origin) / _STEP + 1e-6))
        run = int(np.ceil(visit.concealed / FRAME - 1e-6))
        return min(run, _RUNS - 1), min(max(level, 0), _LEVELS - 1)

    # -- one frame, best choices

    def _best(self, frame: int, after: Array) -> Array:
        weight = self._weight[frame]
        moved = after
        for levels, price in self._tempo(frame):
            moved = np.minimum(moved, _shifted(after, levels) + price)
        return self._waits(frame, self._spend(frame, moved, after, weight))

    def _spend(self, frame: int, moved: Array, after: Array, weight: float) -> Array:
        """Cost of a frame that is not waited for: played if it is there, else concealed or skipped."""
        source = self._source[frame]
        there = source < _NEVER
        lost = np.minimum(np.arange(_RUNS) + 1, _RUNS - 1)
        concealed = self._conceal[:, None] * (weight * FRAME) + moved[lost]
        skipped = self._costs.skipping * (weight * FRAME) + _shifted(after, -_PER_FRAME)
        may_skip = self._later[frame] & ~self._own[frame]
        rest = np.where(self._half[frame], self._rest[frame], 0.0)
        halves = 0.5 * (self._conceal[:, None] + rest) * (weight * FRAME) + moved[0]
        value = np.where(self._half[frame], halves, concealed)
        value = np.where(there, np.where(there, source, 0.0) * (weight * FRAME) + moved[0], value)
        value = np.where(may_skip, np.minimum(value, skipped), value)
        return value + self._delay_cost

    def _waits(self, frame: int, value: Array) -> Array:
        """Adds the choice to wait, any number of ticks, at the price of the first."""
        price = self._wait_prices(frame)[:, 1]
        longer = np.minimum(np.arange(_RUNS) + 1, _RUNS - 1)
        target = value[longer].copy()
        target[:, self._last_wait + _PER_TICK :] = _NEVER
        ticks = np.arange(_LEVELS // _PER_TICK)[:, None]
        rolled = target.reshape(_RUNS, -1, _PER_TICK) + ticks * price[:, None, None]
        cheapest = np.minimum.accumulate(rolled[:, ::-1], axis=1)[:, ::-1] - ticks * price[:, None, None]
        waited = np.full_like(value, _NEVER)
        waited[:, :-_PER_TICK] = cheapest.reshape(_RUNS, _LEVELS)[:, _PER_TICK:] + price[:, None]
        waited[:, self._last_wait :] = _NEVER
        cheaper: Array = np.minimum(value, waited)
        return cheaper

    def _wait_prices(self, frame: int) -> Array:
        """Price of waiting so many ticks, by the run of concealment before; shape (runs, ticks + 1)."""
        prices: Array = self._ticks_price * self._waiting_weight[frame]
        return prices

    def _tempo(self, frame: int) -> list[tuple[int, float]]:
        """Changes of tempo that the frame allows: levels of delay and their price."""
        speech = self._call.speech
        price = self._costs.tempo * float(speech.active[frame])
        if speech.pause[frame]:
            lag = self._lag(frame, Effort.PAUSES)
            return [(-lag, price), (min(lag, _MAX_INSERT), price)] if lag else []
        choices = []
        urgent = self._lag(frame, Effort.URGENT)
        if urgent:
            choices.append((-urgent, price))
        gentle = self._lag(frame, Effort.SPEECH)
        if gentle:
            choices.append((gentle, price))
        return choices

    def _lag(self, frame: int, effort: Effort) -> int:
        """A change of tempo in levels."""
        lag = self._call.speech.lags[frame, effort] / _STEP
        # Rounded up and down in turn, so that the mean is right.
        return min(_MAX_LAG, int(lag + (0.25 if frame % 4 < 2 else 0.75))) if lag else 0

    # -- one frame, holding each target: arrays of shape (runs, targets * levels), single precision

    def _hold(self, frame: int, after: Held) -> Held:
        """Cost of going on at once."""
        levels = np.arange(_LEVELS)
        excess = self._decided[None, :] - self._target(frame)[:, None]
        if self._call.speech.pause[frame]:
            lag = self._lag(frame, Effort.PAUSES)
            beyond = np.abs(excess) > PAUSE_BAND / _STEP
            most = np.where(excess > 0, lag, min(lag, _MAX_INSERT))
            shift = np.where(beyond, -np.sign(excess) * np.minimum(most, np.floor(np.abs(excess))), 0)
        else:
            lag = self._lag(frame, Effort.SPEECH)
            shift = np.where(np.abs(excess) > SPEECH_BAND / _STEP, -np.sign(excess) * lag, 0)
            urgent = excess > URGENT_BAND / _STEP
            shift = np.where(urgent, -self._lag(frame, Effort.URGENT), shift)
        shift = shift.astype(np.int64)
        moved = np.take(after, self._places(levels[None, :] + shift), axis=1)
        moved += ((self._costs.tempo * float(self._call.speech.active[frame])) * (shift != 0)).ravel()
        weight = self._weight[frame]
        there = self._source[frame] < _NEVER
        conceal = (self._conceal * (weight * FRAME)).astype(np.float32)[:, None]
        value = np.empty_like(after)
        value[:-1] = moved[1:]
        value[-1] = moved[-1]
        value += conceal
        half = np.tile(self._half[frame], len(TARGETS))
        if half.any():
            rest = np.where(self._half[frame], self._rest[frame], 0.0) * (0.5 * weight * FRAME)
            rests = np.tile(rest, len(TARGETS)).astype(np.float32)
            np.copyto(value, moved[:1] + 0.5 * conceal + rests, where=half)
        if self._later[frame].any():
            gone = (self._later[frame] & ~there) & (excess >= (FRAME - SKIP_SLACK) / _STEP)
            passed = np.take(after, self._places((levels - _PER_FRAME)[None, :]), axis=1)
            passed += np.float32(self._costs.skipping * weight * FRAME)
            np.copyto(value, passed, where=gone.ravel())
        source = np.where(there, self._source[frame], 0.0) * (weight * FRAME)
        played = moved[:1] + np.tile(source, len(TARGETS)).astype(np.float32)
        np.copyto(value, played, where=np.tile(there, len(TARGETS)))
        value += np.tile(self._delay_cost, len(TARGETS)).astype(np.float32)
        return value

    def _waited(self, frame: int, value: Held) -> Held:
        """While nothing is there, waits until the delay is at the target; and for a late packet, if
        that pays."""
        there = self._source[frame] < _NEVER
        if there.all():
            return value
        levels = np.arange(_LEVELS)
        nothing = ~there & ~self._later[frame]
        until = np.minimum((self._first_held[frame] - levels) // _PER_TICK, self._longest)
        below = self._target(frame)[:, None] - GROWTH_BAND / _STEP - self._decided[None, :]
        grown = np.where(nothing, np.clip(np.ceil(below / _PER_TICK), 0, until[None, :]), 0)
        result = value.copy()
        self._wait_for(frame, value, grown.astype(np.int64), result)
        late = np.where(there, 0, self._worth(self._first_own[frame], nothing))
        return self._wait_for(frame, value, late[None, :], result, doubt=_DOUBT)

    def _foreseen(self, frame: int, value: Held) -> Held:
        """Waits for whatever will come, if that pays."""
        there = self._source[frame] < _NEVER
        if there.all():
            return value
        coming = np.where(there, 0, self._worth(self._first[frame], ~there & ~self._later[frame]))
        return self._wait_for(frame, value, coming[None, :], value.copy(), doubt=0.0)

    def _worth(self, first: NDArray[np.int64], nothing: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Ticks to wait for what is there from the levels ``first`` on; 0 where that is too long."""
        coming = (first - np.arange(_LEVELS)) // _PER_TICK
        longest = self._longest
        bearable = coming <= np.where(nothing, longest, np.minimum(longest, round(PATIENCE / _TICK)))
        return np.where((coming > 0) & bearable, coming, 0)

    def _wait_for(
        self, frame: int, value: Held, ticks: NDArray[np.int64], result: Held, doubt: float | None = None
    ) -> Held:
        """Enters what waiting so many ticks costs into ``result``; with a ``doubt`` only where it pays.

        ``ticks`` has shape (targets or 1, levels).
        """
        if not ticks.any():
            return result
        prices = self._wait_prices(frame).astype(np.float32)
        ticks = np.broadcast_to(ticks, (len(TARGETS), _LEVELS))
        end = self._places(np.arange(_LEVELS)[None, :] + ticks * _PER_TICK)
        ticks = ticks.ravel()
        for run in range(_RUNS):
            after = np.minimum(run + (ticks + 1) // 2, _RUNS - 1)
            waited = value[after, end] + prices[run, ticks]
            if doubt is None:
                np.copyto(result[run], waited, where=ticks > 0)
            else:
                np.minimum(result[run], waited + np.float32(doubt), out=result[run], where=ticks > 0)
        return result

    def _target(self, frame: int) -> Array:
        """Level of each target, as far as the core goes."""
        levels: Array = np.minimum(
            (TARGETS + ABOVE + self._base[frame] - self._origin) / _STEP, self._last_wait
        )
        return levels

    @staticmethod
    def _places(levels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Flat index of a level for each target; the ends hold."""
        first = (np.arange(len(TARGETS)) * _LEVELS)[:, None]
        return (first + np.clip(levels, 0, _LEVELS - 1)).ravel()


def _first_level(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each frame and level the next level, in whole ticks, at which something is there."""
    count, levels = there.shape
    place = np.where(there, np.arange(levels), 10 * levels).reshape(count, -1, _PER_TICK)
    following = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
    return following.reshape(count, levels).astype(np.int64)


def _shifted(values: Array, levels: int) -> Array:
    """``values`` as seen from states that move by ``levels``; the ends hold."""
    index = np.clip(np.arange(_LEVELS) + levels, 0, _LEVELS - 1)
    return values[..., index]


def _reference(call: NetworkCall) -> Array:
    """Smallest transit of the last seconds when each frame is played, framing included."""
    order = np.argsort(call.arrival, kind="stable")
    arrivals = call.arrival[order]
    transit = arrivals - order * FRAME
    now = np.arange(call.frames) * FRAME + _GRACE + call.path_delay
    last = np.searchsorted(arrivals, now, "right")
    first = np.searchsorted(arrivals, now - _BASE_WINDOW, "left")
    base = np.full(call.frames, FRAME + call.path_delay)
    for frame in range(call.frames):
        if last[frame] > first[frame]:
            base[frame] = transit[first[frame] : last[frame]].min()
        elif frame:
            base[frame] = base[frame - 1]
    return base
