"""Audio level as the RTP header extension of RFC 6464 states it."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["SILENCE_LEVEL", "audio_level"]

SILENCE_LEVEL: Final = 127
"""The level of digital silence, and of anything at or below -127 dBov."""


def audio_level(pcm: NDArray[np.float32]) -> int:
    """Level of a block in -dBov: 0 for a full-scale square wave, 3 for a sine, 127 for silence.

    `pcm` is float32, shape (n,), in [-1, 1]; an empty block is silence (RFC 6464, section 3).
    """
    if pcm.size == 0:
        return SILENCE_LEVEL
    power = float(np.dot(pcm, pcm)) / pcm.size
    if not power > 0.0:
        return SILENCE_LEVEL
    return min(SILENCE_LEVEL, max(0, round(-10.0 * math.log10(power))))
