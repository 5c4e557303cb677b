import threading

import numpy as np
import pytest

from softphone.audio.tone import (
    BUSY,
    DTMF_FREQUENCIES,
    RINGBACK,
    RINGING,
    Segment,
    Tone,
    ToneGenerator,
    ToneSource,
    dtmf,
    sine,
)
from softphone.errors import ConfigError

RATE = 48_000


def strengths(pcm: np.ndarray, frequencies: tuple[float, ...]) -> list[float]:
    n = np.arange(len(pcm))
    return [float(2 * abs(np.mean(pcm * np.exp(-2j * np.pi * f * n / RATE)))) for f in frequencies]


@pytest.mark.parametrize("digit", sorted(DTMF_FREQUENCIES))
def test_every_digit_sounds_its_two_frequencies(digit: str) -> None:
    pcm = ToneGenerator(dtmf(digit, seconds=0.2, level=0.2)).read(round(0.2 * RATE))
    everything = sorted({f for pair in DTMF_FREQUENCIES.values() for f in pair})
    loud = {
        f for f, strength in zip(everything, strengths(pcm, tuple(everything)), strict=True) if strength > 0.1
    }
    assert loud == set(DTMF_FREQUENCIES[digit])


def test_digits_follow_each_other_once() -> None:
    generator = ToneGenerator(dtmf("1#", seconds=0.1, pause=0.05))
    pcm = generator.read(RATE)
    assert generator.finished
    sounding = np.abs(pcm).reshape(-1, 480).max(axis=1) > 0.05
    assert sounding.tolist() == [True] * 10 + [False] * 5 + [True] * 10 + [False] * 75


def test_a_sine_is_continuous_across_blocks() -> None:
    generator = ToneGenerator(sine(441.7, level=0.5))
    pcm = np.concatenate([generator.read(960) for _ in range(150)])
    expected = 0.5 * np.sin(2 * np.pi * 441.7 * np.arange(len(pcm)) / RATE)
    np.testing.assert_allclose(pcm, expected, atol=1e-6)
    assert not generator.finished


@pytest.mark.parametrize(("tone", "period"), [(RINGBACK, 5.0), (BUSY, 1.0), (RINGING, 3.0)])
def test_cadences_repeat_and_do_not_click(tone: Tone, period: float) -> None:
    generator = ToneGenerator(tone)
    first = generator.render(round(period * RATE), 0.0)
    np.testing.assert_allclose(generator.render(round(period * RATE), period), first, atol=1e-6)
    assert first.dtype == np.float32
    loudest = tone.level * 2 * np.pi * max(f for s in tone.segments for f in s.frequencies) / RATE
    assert np.max(np.abs(np.diff(first))) < 1.05 * loudest
    assert np.max(np.abs(first[-4800:])) == 0.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: sine(0.0),
        lambda: sine(24_000.0),
        lambda: sine(float("nan")),
        lambda: sine(440.0, level=1.5),
        lambda: dtmf("12E"),
        lambda: dtmf(""),
        lambda: Tone((Segment(0.0),)),
    ],
)
def test_what_can_not_be_played_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ConfigError):
        make()


def test_a_source_ends_with_its_digits() -> None:
    source = ToneSource(dtmf("5", seconds=0.05, pause=0.05))
    blocks: list[np.ndarray] = []
    last = threading.Event()

    def deliver(block: np.ndarray, captured: float) -> None:
        blocks.append(block)
        if source.finished:
            last.set()

    source.start(deliver)
    assert last.wait(30)
    source.stop()
    assert len(blocks) == 5
    assert max(np.abs(np.concatenate(blocks))) > 0.2
