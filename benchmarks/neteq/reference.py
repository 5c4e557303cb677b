"""The speech that is sent: a warm-up, scored segments of ten seconds, a tail."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.audio.files import read_file
from softphone.audio.stream import FRAME_SAMPLES, SAMPLE_RATE
from softphone.data import sample_speech
from softphone.errors import ConfigError

__all__ = ["Reference", "load_reference"]

WARM_UP = 4.0
"""Seconds of speech before the first segment: receivers settle, nothing is scored."""
SEGMENT = 10.0
"""Seconds in a scored segment."""
TAIL = 1.0
"""Seconds after the last segment, so that its end can still be repaired."""


@dataclass(frozen=True)
class Reference:
    """Mono speech at 48 kHz, a whole number of 20 ms."""

    pcm: NDArray[np.float32]

    @property
    def packets(self) -> int:
        """Packets of 20 ms in it."""
        return self.pcm.size // FRAME_SAMPLES

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.pcm.size / SAMPLE_RATE

    @property
    def segments(self) -> tuple[tuple[float, float], ...]:
        """Begin and end of each scored segment, seconds."""
        count = int((self.seconds - WARM_UP - TAIL + 1e-6) / SEGMENT)
        return tuple((WARM_UP + SEGMENT * k, WARM_UP + SEGMENT * (k + 1)) for k in range(count))

    @cached_property
    def digest(self) -> str:
        """Names the samples, for caches."""
        return hashlib.sha256(self.pcm.tobytes()).hexdigest()[:16]


def load_reference(path: Path | None, segments: int = 5) -> Reference:
    """The speech in a file, or ``segments`` segments made of the shipped sample.

    A file is laid out likewise: 4 s, segments of 10 s as many as it holds, 1 s. Raises
    :class:`softphone.errors.MediaFileError` for an unreadable file and
    :class:`softphone.errors.ConfigError` for one that is too short.
    """
    if path is not None:
        pcm = read_file(path)
    else:
        sample = read_file(sample_speech())
        pcm = np.resize(sample, round((WARM_UP + SEGMENT * segments + TAIL) * SAMPLE_RATE))
    reference = Reference(pcm[: pcm.size // FRAME_SAMPLES * FRAME_SAMPLES])
    if not reference.segments:
        raise ConfigError(f"the reference needs at least {WARM_UP + SEGMENT + TAIL:.0f} s of speech")
    return reference
