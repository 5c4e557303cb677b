"""What the playout core would notice of real speech, without the audio.

The simulator needs no samples: for each frame of 20 ms it needs to know whether it is
active, whether the receiver takes it for a pause, and how much the time-stretcher could
take from it. That is measured once per clip, with the time-stretcher itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.audio.files import read_file
from softphone.playout import Effort
from softphone.playout.activity import NoiseFloor, level_dbov
from softphone.playout.stretch import TimeStretcher
from softphone.sim.scoring import speech_activity

__all__ = ["FRAME", "SpeechLibrary", "SpeechPattern"]

FRAME = 0.020
"""Length of a frame, seconds; the simulator knows no other."""

_SAMPLES = 960


@dataclass(frozen=True, slots=True)
class SpeechPattern:
    """Speech, frame by frame; all arrays have shape (n,)."""

    active: NDArray[np.float64]
    """Share of the frame in which somebody speaks, 0..1."""
    pause: NDArray[np.bool_]
    """The receiver takes the frame for a pause."""
    lags: NDArray[np.float64]
    """Shape (n, 3): seconds that shortening as much as allowed takes from each frame at each `Effort`."""

    @classmethod
    def measure(cls, pcm: NDArray[np.float32]) -> "SpeechPattern":
        """Analyse audio: mono, 48 kHz, shape (samples,)."""
        floor = NoiseFloor()
        count = pcm.size // _SAMPLES
        pause = np.zeros(count, np.bool_)
        lags = np.zeros((count, 3))
        # One for each effort, asked to shorten every frame: their limits of rate are in the lags.
        stretchers = {effort: TimeStretcher() for effort in Effort}
        for k in range(count):
            frame = pcm[k * _SAMPLES : (k + 1) * _SAMPLES]
            pause[k] = floor.update(level_dbov(frame), FRAME)
            for effort, stretcher in stretchers.items():
                change = stretcher.compress(frame, pause=bool(pause[k]), effort=effort)
                stretcher.push(change.pcm)
                lags[k, effort] = -change.added / 48_000
        active = speech_activity(pcm[: count * _SAMPLES]).reshape(count, 2).mean(axis=1)
        return cls(active.astype(np.float64), pause, lags)

    def cut(self, start: int, stop: int) -> "SpeechPattern":
        """Frames ``start`` to ``stop``."""
        return SpeechPattern(self.active[start:stop], self.pause[start:stop], self.lags[start:stop])


class SpeechLibrary:
    """Talk of many speakers, to be drawn from."""

    _SILENT_SHARE = 0.25
    """Share of the calls' time in which the other one speaks."""

    def __init__(self, clips: Sequence[Path]) -> None:
        """Reads and analyses the clips. Raises :class:`softphone.errors.MediaFileError`."""
        self._patterns = [SpeechPattern.measure(read_file(str(clip))) for clip in clips]
        quiet = [pattern.lags[pattern.pause] for pattern in self._patterns]
        self._pause_lags = np.concatenate(quiet)

    def draw(self, rng: np.random.Generator, frames: int) -> SpeechPattern:
        """``frames`` frames of turns from random clips, with silence between some of them."""
        parts: list[SpeechPattern] = []
        total = 0
        while total < frames:
            if rng.random() < self._SILENT_SHARE:
                part = self._silence(rng, int(rng.integers(25, 200)))
            else:
                pattern = self._patterns[int(rng.integers(len(self._patterns)))]
                length = min(pattern.active.size, int(rng.integers(100, 500)))
                start = int(rng.integers(0, pattern.active.size - length + 1))
                part = pattern.cut(start, start + length)
            parts.append(part)
            total += part.active.size
        joined = SpeechPattern(
            np.concatenate([part.active for part in parts]),
            np.concatenate([part.pause for part in parts]),
            np.concatenate([part.lags for part in parts]),
        )
        return joined.cut(0, frames)

    def _silence(self, rng: np.random.Generator, frames: int) -> SpeechPattern:
        lags = self._pause_lags[rng.integers(0, len(self._pause_lags), frames)]
        return SpeechPattern(np.zeros(frames), np.ones(frames, np.bool_), lags)
