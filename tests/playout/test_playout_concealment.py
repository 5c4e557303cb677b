"""Comfort noise, fades, and telling pauses from speech."""

import numpy as np
import pytest

from softphone.opus import Decoder
from softphone.playout.activity import NoiseFloor, level_dbov
from softphone.playout.concealment import ComfortNoise, Concealer
from softphone.playout.decoding import FrameDecoder
from softphone.playout.frames import BufferedFrame, Source
from tests.support.stream import opus_packets


@pytest.mark.parametrize(
    ("pcm", "level"),
    [
        (np.zeros(960, np.float32), -127.0),
        (np.ones(960, np.float32), 0.0),
        (np.full(960, 0.1, np.float32), -20.0),
        (np.zeros(0, np.float32), -127.0),
        (np.full(960, 1e-9, np.float32), -127.0),
    ],
)
def test_level(pcm: np.ndarray, level: float) -> None:
    assert level_dbov(pcm) == pytest.approx(level, abs=0.01)


def test_noise_floor_falls_at_once_and_rises_slowly() -> None:
    floor = NoiseFloor()
    assert floor.update(-70.0, 0.02)
    assert not floor.update(-30.0, 0.02)
    for _ in range(50):
        floor.update(-30.0, 0.02)
    assert floor.level == pytest.approx(-67.0, abs=0.2)
    assert floor.is_pause(-60.0)
    assert not floor.is_pause(-50.0)


def coloured(samples: int, level: float, seed: int = 3) -> np.ndarray:
    """Noise that falls towards high frequencies, at a level in dBov."""
    white = np.random.default_rng(seed).normal(size=samples)
    spectrum = np.fft.rfft(white)
    spectrum /= 1.0 + np.arange(spectrum.size) * 48_000 / samples / 500.0
    noise = np.fft.irfft(spectrum, samples)
    return (noise * 10 ** (level / 20) / np.std(noise)).astype(np.float32)


def test_comfort_noise_has_level_and_colour_of_the_background() -> None:
    background = coloured(48_000, -55.0)
    noise = ComfortNoise()
    for at in range(0, 48_000, 960):
        noise.learn(background[at : at + 960])
    made = np.concatenate([noise.generate(480) for _ in range(200)])
    assert level_dbov(made) == pytest.approx(-55.0, abs=1.5)

    def share_below_1_khz(pcm: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(pcm[:48_000])) ** 2
        return float(power[:1000].sum() / power.sum())

    assert share_below_1_khz(made) == pytest.approx(share_below_1_khz(background), abs=0.1)
    # It is noise: it does not repeat itself.
    block, rest = made[:9600], made[9600:]
    peaks = np.abs(np.correlate(rest, block, "valid")) / np.dot(block, block)
    assert peaks.max() < 0.5


def test_loud_frames_teach_no_comfort_noise() -> None:
    noise = ComfortNoise()
    for _ in range(20):
        noise.learn(coloured(960, -20.0))
    assert level_dbov(noise.generate(960)) < -100.0


def concealer_after_speech() -> Concealer:
    decoder = FrameDecoder(5)
    concealer = Concealer(decoder)
    for number, packet in enumerate(opus_packets()[:60]):
        pcm = decoder.decode(BufferedFrame(number * 960, number, 960, packet, 0.0))
        concealer.heard(pcm, level_dbov(pcm))
    return concealer


def test_concealment_fades_to_comfort_noise() -> None:
    concealer = concealer_after_speech()
    blocks = [concealer.conceal(960) for _ in range(30)]
    assert [source for _, source in blocks[:6]] == [Source.PLC] * 6
    assert [source for _, source in blocks[14:]] == [Source.CNG] * 16
    levels = [level_dbov(pcm) for pcm, _ in blocks]
    assert max(levels[14:]) < max(levels[:3]) - 15.0
    assert concealer.concealed == pytest.approx(0.6)


def test_told_silence_is_quiet_soon() -> None:
    concealer = concealer_after_speech()
    guessed = level_dbov(concealer_after_speech().conceal(960)[0])
    blocks = [concealer.silence(960) for _ in range(4)]
    assert level_dbov(blocks[2]) < guessed - 15.0


def test_speech_joins_comfort_noise_without_a_click() -> None:
    concealer = concealer_after_speech()
    tail = [concealer.conceal(960)[0] for _ in range(20)][-1]
    speech = (0.3 * np.cos(np.arange(960) / 20.0)).astype(np.float32)
    joined, _ = concealer.heard(speech, level_dbov(speech))
    assert abs(joined[0] - tail[-1]) < 0.02
    assert np.array_equal(joined[240:], speech[240:])
    again, _ = concealer.heard(speech, level_dbov(speech))
    assert np.array_equal(again, speech)


def test_enhancer_runs_only_beside_redundancy() -> None:
    decoder = FrameDecoder(7)
    inner: Decoder = decoder._decoder

    def complexity_after(number: int, lbrr: bool) -> int:
        decoder.decode(BufferedFrame(number * 960, number, 960, opus_packets()[number], 0.0, 0, lbrr))
        return inner.complexity

    assert complexity_after(0, False) == 5
    assert complexity_after(1, True) == 7
    assert complexity_after(2, False) == 7
    assert complexity_after(150, False) == 5
    decoder.enhances = False
    assert complexity_after(151, True) == 5
    decoder.enhances = True
    assert complexity_after(152, True) == 7
