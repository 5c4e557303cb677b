"""What the model sees: one vector per step, made by the same code in training and in a call."""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from softphone.playout import Arrival, Observation, Source
from softphone.rtp.packet import OPUS_CLOCK_RATE

__all__ = ["FEATURES", "TARGETS", "TENT_AT", "FeatureExtractor"]

_MS = (*range(0, 130, 10), 140, 160, 190, 220, 260, 300, 350, 400, 480, 580, 700, 820, 950)
TARGETS: NDArray[np.float64] = np.array(_MS) / 1000.0
"""Delays among which the model chooses, on the scale of `Observation.delay`, seconds."""

_MEMORIES = (0.9, 0.98, 0.9967, 0.9993)
"""Weight kept per packet: 0.2 s, 1 s, 6 s and 28 s of packets of 20 ms."""
_PEAK_TIMES = (1.0, 5.0, 30.0)
"""Seconds after which the memory of a peak has fallen to 1/e of it."""
_SPIKES = (0.060, 0.120, 0.240)
_TREND_MEMORIES = (0.9, 0.98, 0.995)
_MAX_GAP = 200
"""A larger hole in the sequence numbers is no loss to learn from."""
_RECENT = 4
_STATE = 23
_FORGET_COPIES = 25
"""Packets without a copy after which none are expected any more."""
_COUNTED = 3
"""So many of the longest memories give their shares as they are too, not only the logarithms."""

TENT_AT = (
    (len(_MEMORIES) + _COUNTED) * len(TARGETS)
    + 2 * len(_MEMORIES)
    + 1
    + len(_PEAK_TIMES)
    + len(_SPIKES)
    + len(_TREND_MEMORIES)
    + _RECENT
    + len(TARGETS)
)
"""Where the present delay begins in the vector: a weight for each target, at most two not 0."""

FEATURES = TENT_AT + len(TARGETS) + _STATE
"""Length of the vector."""


class FeatureExtractor:
    """Keeps the history of a stream and turns it, with an observation, into features.

    History: how much delay the frames of the last 0.2 s to half a minute would have needed
    (a frame that was lost and repaired counts with what the repair needed, one that was
    not counts as never), losses, bursts, peaks, how far copies lie behind. All of it lies within about -1..1.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._keep = np.array(_MEMORIES)
        # One column per target: weight of the frames that need more than it; one for the total.
        self._misses = np.zeros((len(_MEMORIES), len(TARGETS)))
        self._lost = np.zeros(len(_MEMORIES))
        self._unrepaired = np.zeros(len(_MEMORIES))
        self._added = 0
        self._sequence: int | None = None
        self._open = 0
        self._burst = 1.0
        self._peaks = np.zeros(len(_PEAK_TIMES))
        self._peak_at = 0.0
        self._spikes = [-math.inf] * len(_SPIKES)
        self._recent: deque[float] = deque([0.0] * _RECENT, _RECENT)
        self._lbrr = 0.0
        self._copy_distance = 0.0
        self._without_copies = 0
        self._transit: float | None = None
        self._usual = np.zeros(len(_TREND_MEMORIES))

    @property
    def lossy(self) -> bool:
        """Whether anything was lost so far, as the last `extract` knew."""
        return bool(self._lost[-1] > 0.0)

    def on_arrival(self, arrival: Arrival) -> None:
        """A packet has come in."""
        self._settle()
        expected = self._sequence
        if expected is not None and expected < arrival.sequence <= expected + _MAX_GAP:
            self._open = arrival.sequence - expected
            self._burst += 0.1 * (self._open - self._burst)
        if expected is None or arrival.sequence >= expected:
            self._sequence = arrival.sequence + 1
        delay = arrival.relative_delay
        self._add(delay, lost=False)
        self._lbrr += 0.05 * (arrival.lbrr - self._lbrr)
        self._note_copies(arrival.copy_distance)
        fading = np.exp(-max(0.0, arrival.at - self._peak_at) / np.array(_PEAK_TIMES))
        self._peaks = np.maximum(self._peaks * fading, delay)
        self._peak_at = arrival.at
        for number, spike in enumerate(_SPIKES):
            if delay > spike:
                self._spikes[number] = arrival.at
        self._recent.append(delay)
        self._transit = arrival.at - arrival.timestamp / OPUS_CLOCK_RATE
        if self._added <= 1:
            self._usual[:] = self._transit
        self._usual += (1.0 - np.array(_TREND_MEMORIES)) * (self._transit - self._usual)

    def on_repair(self, relative_delay: float) -> None:
        """The packet that came last repairs a lost frame."""
        if self._open:
            self._open -= 1
            self._add(relative_delay, lost=True)

    def extract(self, observation: Observation) -> NDArray[np.float32]:
        """The features of one step, shape (`FEATURES`,)."""
        self._settle()
        now = observation.now
        seen = np.maximum(self._misses, 0.0)
        since = [math.log1p(max(0.0, min(now - at, 60.0))) / 4.0 for at in self._spikes]
        return np.concatenate(
            (
                np.log10(seen.ravel() + 1e-3) / 3.0 + 0.5,
                seen[-_COUNTED:].ravel(),
                np.sqrt(self._lost),
                np.sqrt(self._unrepaired),
                (math.log(self._burst + 0.1) / 2.0,),
                np.minimum(self._peaks * 3.0, 3.0),
                since,
                np.clip(((self._transit or 0.0) - self._usual) * 4.0, -3.0, 3.0),
                np.minimum(np.array(self._recent) * 4.0, 4.0),
                _tent(self._copy_distance) * (self._copy_distance > 0.0),
                _tent(observation.delay),
                self._state(observation),
            )
        ).astype(np.float32)

    def _state(self, observation: Observation) -> tuple[float, ...]:
        best, gap = observation.best, observation.gap
        offset = observation.mouth_to_ear - observation.delay
        return (
            min(observation.delay * 4.0, 4.0),
            min(offset * 4.0, 4.0),
            float(best in (Source.REGULAR, Source.RED)),
            float(best is Source.LBRR),
            float(best is Source.DRED),
            float(observation.missing),
            float(gap is None),
            0.0 if gap is None else min(gap * 5.0, 2.0),
            min(observation.buffered * 4.0, 4.0),
            min(observation.contiguous * 4.0, 4.0),
            min(observation.since_arrival * 10.0, 2.0),
            min(observation.since_arrival, 2.0),
            min(observation.waited * 10.0, 2.0),
            min(observation.waited, 2.0),
            min(observation.concealed * 10.0, 2.0),
            float(observation.silent),
            float(observation.pause),
            float(observation.dtx),
            min(observation.reach, 1.0),
            float(observation.reach > 0.0),
            0.0 if observation.round_trip is None else min(observation.round_trip * 2.0, 2.0),
            self._lbrr,
            min(self._added / 500.0, 1.0),
        )

    def _note_copies(self, distance: float) -> None:
        """A talk spurt begins without copies; that says nothing."""
        self._without_copies = 0 if distance else self._without_copies + 1
        if distance or self._without_copies > _FORGET_COPIES:
            self._copy_distance = distance

    def _settle(self) -> None:
        """What the packet after a hole did not repair counts as lost for good."""
        while self._open:
            self._open -= 1
            self._add(math.inf, lost=True)

    def _add(self, delay: float, *, lost: bool) -> None:
        self._added += 1
        keep = np.minimum(self._keep, 1.0 - 2.0 / (self._added + 1.0))
        fresh = 1.0 - keep
        self._misses *= keep[:, None]
        self._misses += fresh[:, None] * (delay > TARGETS)
        self._lost += fresh * (float(lost) - self._lost)
        self._unrepaired += fresh * (float(lost and math.isinf(delay)) - self._unrepaired)


def _tent(delay: float) -> NDArray[np.float64]:
    """A delay as weights of the targets on either side of it, which sum to 1."""
    weights = np.zeros(len(TARGETS))
    above = int(np.searchsorted(TARGETS, delay))
    if above == 0:
        weights[0] = 1.0
    elif above == len(TARGETS):
        weights[-1] = 1.0
    else:
        share = (delay - TARGETS[above - 1]) / (TARGETS[above] - TARGETS[above - 1])
        weights[above - 1], weights[above] = 1.0 - share, share
    return weights
