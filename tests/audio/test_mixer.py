"""The mixer: sums, volumes without clicks, and a limiter that nobody hears."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.audio.limiter import CEILING, STEP, THRESHOLD, Limiter, limited_peak
from softphone.audio.mixer import MAX_VOLUME, MIXER_DELAY, Channel, Mixer
from softphone.audio.stream import SAMPLE_RATE, Pcm
from softphone.errors import ConfigError

BLOCK = 960


def sine(amplitude: float, seconds: float, frequency: float = 300.0) -> Pcm:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def limit(pcm: Pcm, block: int = BLOCK) -> tuple[Pcm, list[float]]:
    """What comes out, without the delay, and the gain after each block."""
    limiter = Limiter(block)
    padded = np.concatenate((pcm, np.zeros(STEP + -(pcm.size + STEP) % block, np.float32)))
    out, gains = [], []
    for at in range(0, padded.size, block):
        piece = padded[at : at + block].copy()
        limiter.process(piece)
        out.append(piece)
        gains.append(limiter.gain)
    return np.concatenate(out)[STEP : STEP + pcm.size], gains


def mix(mixer: Mixer, voices: list[tuple[Channel, Pcm]], block: int = BLOCK) -> Pcm:
    length = voices[0][1].size
    out = []
    for at in range(0, length - block + 1, block):
        mixer.begin(block)
        for channel, pcm in voices:
            mixer.add(channel, pcm[at : at + block])
        out.append(mixer.finish().copy())
    return np.concatenate(out)


@pytest.mark.parametrize(
    ("peak", "expected"),
    [
        (0.0, 0.0),
        (0.25, 0.25),
        (THRESHOLD, THRESHOLD),
        (0.8, 0.785),
        (1.0, 0.887),
        (2.0, 0.987),
        (8.0, CEILING),
    ],
)
def test_the_static_curve(peak: float, expected: float) -> None:
    assert limited_peak(peak) == pytest.approx(expected, abs=0.001)


@given(st.floats(0.0, 50.0), st.floats(0.0, 50.0))
def test_the_static_curve_rises_and_stays_below_the_ceiling(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert limited_peak(low) <= limited_peak(high) <= CEILING
    assert limited_peak(high) <= high


@pytest.mark.parametrize("block", [480, 960])
def test_what_is_not_too_loud_passes_untouched(block: int) -> None:
    pcm = sine(THRESHOLD, 0.5)
    out, gains = limit(pcm, block)
    np.testing.assert_array_equal(out, pcm)
    assert set(gains) == {1.0}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 12.0), st.integers(1, 400)), min_size=1, max_size=30),
    st.sampled_from([120, 480, 960]),
    st.integers(0, 2**32 - 1),
)
def test_nothing_ever_clips(pieces: list[tuple[float, int]], block: int, seed: int) -> None:
    noise = np.random.default_rng(seed)
    pcm = np.concatenate([amplitude * noise.uniform(-1, 1, length) for amplitude, length in pieces])
    out, _ = limit(pcm.astype(np.float32), block)
    assert float(np.abs(out).max()) <= CEILING + 1e-6


@settings(max_examples=50, deadline=None)
@given(st.floats(0.0, 6.0), st.integers(0, 2**32 - 1))
def test_the_size_of_blocks_changes_nothing(amplitude: float, seed: int) -> None:
    pcm = (amplitude * np.random.default_rng(seed).uniform(-1, 1, 4 * BLOCK)).astype(np.float32)
    np.testing.assert_array_equal(limit(pcm, 480)[0], limit(pcm, 960)[0])


def test_a_steady_voice_is_limited_as_the_curve_says_and_not_distorted() -> None:
    pcm = sine(2.0, 1.0)
    out, gains = limit(pcm)
    assert gains[40] == pytest.approx(limited_peak(2.0) / 2.0, rel=0.01)
    # The gain stays as it is between the peaks of the wave: what is left is the wave itself.
    steady = slice(SAMPLE_RATE // 2, None)
    scale = float(np.dot(out[steady], pcm[steady]) / np.dot(pcm[steady], pcm[steady]))
    error = out[steady] - scale * pcm[steady]
    assert float(np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(out[steady] ** 2))) < 0.003


def test_the_gain_comes_back_slowly_and_all_the_way() -> None:
    quiet = sine(0.1, 3.0)
    pcm = quiet.copy()
    pcm[:BLOCK] = sine(3.0, 0.02)
    _, gains = limit(pcm)
    after = np.array(gains[2:])
    assert np.all(np.diff(after) >= 0.0)
    rises = np.diff(20 * np.log10(after))
    assert rises.max() < 1.5  # dB in 20 ms, from -10 dB on
    times = np.arange(after.size) * 0.02
    assert after[np.searchsorted(times, 0.3)] == pytest.approx(1 - 0.37 * (1 - after[0]), abs=0.05)
    assert after[-1] == 1.0


def test_a_loud_shout_of_one_does_not_make_the_others_pump() -> None:
    """A shout of 100 ms lowers a quiet voice by as much as itself, and smoothly."""
    background = sine(0.2, 2.0, 500.0)
    shout = np.zeros_like(background)
    shout[SAMPLE_RATE // 2 : SAMPLE_RATE // 2 + 4800] = sine(1.0, 0.1, 180.0)
    out, gains = limit(background + shout)
    steps = np.abs(np.diff(20 * np.log10(np.array(gains))))
    assert min(gains) > 0.75
    assert steps.max() < 2.5
    assert np.abs(out).max() <= CEILING


def test_voices_are_added_at_their_volumes() -> None:
    mixer = Mixer()
    one, other, third = Channel(), Channel(), Channel()
    other.volume, third.volume = 0.5, 0.0
    voices = [(one, sine(0.2, 0.4)), (other, sine(0.3, 0.4, 700.0)), (third, sine(0.5, 0.4, 90.0))]
    out = mix(mixer, voices)
    delay = round(MIXER_DELAY * SAMPLE_RATE)
    expected = voices[0][1] + 0.5 * voices[1][1]
    # The first block glides from full volume to the one that was set.
    np.testing.assert_allclose(out[2 * BLOCK :], expected[2 * BLOCK - delay : -delay], atol=1e-6)


def test_a_change_of_volume_makes_no_click() -> None:
    mixer, channel = Mixer(), Channel()
    ones = np.full(BLOCK, 0.5, np.float32)
    blocks = []
    for volume in (1.0, 1.0, None, None, 1.0, 0.25, 0.25):
        channel.muted = volume is None
        if volume is not None:
            channel.volume = volume
        blocks.append(mix(mixer, [(channel, ones)]))
    out = np.concatenate(blocks)[STEP:]
    assert np.abs(np.diff(out)).max() < 0.5 / BLOCK * 1.01
    assert out[3 * BLOCK] == 0.0
    assert out[-1] == pytest.approx(0.125)


def test_nobody_speaks() -> None:
    mixer = Mixer()
    mixer.begin(480)
    assert not mixer.finish().any()


@pytest.mark.parametrize("samples", [0, -480, 100, 1920])
def test_impossible_blocks_are_refused(samples: int) -> None:
    with pytest.raises(ConfigError, match="multiple of 120"):
        Mixer().begin(samples)


@pytest.mark.parametrize("volume", [-0.1, MAX_VOLUME + 0.1, float("nan"), float("inf")])
def test_impossible_volumes_are_refused(volume: float) -> None:
    channel = Channel()
    with pytest.raises(ConfigError, match="volume"):
        channel.volume = volume
    assert channel.volume == 1.0


def test_mixing_makes_no_arrays() -> None:
    mixer, channels = Mixer(), [Channel() for _ in range(7)]
    channels[1].volume = 0.3
    pcm = sine(0.6, 0.02)

    def block() -> None:
        mixer.begin(BLOCK)
        for channel in channels:
            mixer.add(channel, pcm)
        mixer.finish()

    block()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(20):
            block()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - before < pcm.nbytes, "less than one block of samples"
