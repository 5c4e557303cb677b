"""Speech made of arithmetic: voiced vowels over a gliding pitch, hiss, and pauses."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from softphone.opus import Encoder

RATE = 48_000
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))

EncodeSpeech = Callable[..., list[bytes]]


def _resonate(source: NDArray[np.float64], formants: tuple[int, ...]) -> NDArray[np.float64]:
    time = np.arange(RATE // 50) / RATE
    response = sum(
        np.exp(-2 * np.pi * 60 * time) * np.sin(2 * np.pi * f * time) / (i + 1)
        for i, f in enumerate(formants)
    )
    return np.convolve(source, response)[: len(source)]


@pytest.fixture(scope="session")
def speech() -> NDArray[np.float32]:
    """Four seconds of speech-like sound, float32, 48 kHz, peak 0.5."""
    rng = np.random.default_rng(7)
    syllables = []
    for index in range(16):
        samples = int(rng.integers(8, 13)) * 960
        pitch = np.linspace(*rng.uniform(95, 190, 2), samples)
        phase = np.cumsum(pitch) / RATE
        pulses = np.diff(np.floor(phase), prepend=0.0) + rng.normal(0, 0.005, samples)
        envelope = np.sin(np.pi * np.arange(samples) / samples) ** 0.5
        syllables.append(_resonate(pulses, VOWELS[index % len(VOWELS)]) * envelope)
        if index % 3 == 2:
            syllables.append(rng.normal(0, 0.02, 960 * 4))
        if index % 5 == 4:
            syllables.append(np.zeros(960 * 5))
    sound = np.concatenate(syllables)[: 4 * RATE]
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


@pytest.fixture(scope="session")
def encode_speech(speech: NDArray[np.float32]) -> EncodeSpeech:
    """``encode_speech(frame_ms=20, **encoder_properties)``: the speech as packets."""

    def encode(frame_ms: int = 20, **properties: object) -> list[bytes]:
        encoder = Encoder()
        for name, value in properties.items():
            setattr(encoder, name, value)
        size = RATE // 1000 * frame_ms
        return [encoder.encode(speech[at : at + size]) for at in range(0, len(speech) - size + 1, size)]

    return encode


@pytest.fixture(scope="session")
def dred_packets(encode_speech: EncodeSpeech) -> list[bytes]:
    """The speech at 48 kb/s with several hundred ms of DRED in each packet."""
    return encode_speech(bitrate=48_000, packet_loss_perc=20, dred_duration_ms=1000)


@pytest.fixture(scope="session")
def lbrr_packets(encode_speech: EncodeSpeech) -> list[bytes]:
    """The speech at 32 kb/s with in-band FEC in each packet of active speech."""
    return encode_speech(bitrate=32_000, packet_loss_perc=20, inband_fec=True)
