"""A voice made of sums of sines, so that the encoder finds speech without any file."""

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 48_000


def _voice(seconds: float, seed: int) -> NDArray[np.float32]:
    """Voiced syllables with moving formants, four a second, over faint noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 125 + 25 * np.sin(2 * np.pi * 0.7 * time) + 6 * np.sin(2 * np.pi * 4.3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    first = 500 + 200 * np.sin(2 * np.pi * 1.9 * time)
    second = 1500 + 500 * np.sin(2 * np.pi * 1.3 * time + 1)
    voice = np.zeros_like(time)
    for harmonic in range(1, 40):
        frequency = harmonic * pitch
        formants = 1 / (1 + ((frequency - first) / 120) ** 2) + 0.5 / (1 + ((frequency - second) / 180) ** 2)
        voice += (formants + 0.02) / np.sqrt(harmonic) * np.sin(harmonic * phase)
    syllables = np.clip(1.4 * np.sin(2 * np.pi * 2 * time) ** 2, 0.05, 1)
    voice = 0.25 * voice / np.max(np.abs(voice)) * syllables + 1e-3 * rng.standard_normal(time.size)
    return np.asarray(voice, dtype=np.float32)


@pytest.fixture(scope="session")
def voice() -> NDArray[np.float32]:
    """Three seconds of voice, mono float32 at 48 kHz."""
    return _voice(3.0, 1)
