"""Time-stretching: length changes, pitch and level stay, no clicks."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from softphone.playout.policy import Effort
from softphone.playout.stretch import TimeStretcher
from tests.support.stream import speech


def voiced(hertz: float, seconds: float = 1.0) -> NDArray[np.float32]:
    """A buzz with harmonics, like a vowel."""
    at = np.arange(int(48_000 * seconds)) / 48_000
    tone = sum(np.sin(2 * np.pi * hertz * n * at) / n for n in range(1, 9))
    return (0.1 * tone).astype(np.float32)


def process(
    pcm: NDArray[np.float32],
    action: str,
    *,
    pause: bool = False,
    frame: int = 960,
    effort: Effort = Effort.SPEECH,
    wanted: int = 2880,
) -> tuple[NDArray[np.float32], int]:
    stretcher = TimeStretcher()
    pieces, added = [], 0
    for at in range(0, pcm.size - frame + 1, frame):
        result = getattr(stretcher, action)(pcm[at : at + frame], pause=pause, effort=effort, wanted=wanted)
        assert result.pcm.size == frame + result.added
        stretcher.push(result.pcm)
        pieces.append(result.pcm)
        added += result.added
    return np.concatenate(pieces), added


def pitch(pcm: NDArray[np.float32]) -> float:
    """Frequency of the strongest spectral line, Hz, interpolated."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(pcm.size), 1 << 18))
    return float(np.argmax(spectrum)) * 48_000 / (1 << 18)


@pytest.mark.parametrize("hertz", [80.0, 123.0, 210.0, 330.0])
@pytest.mark.parametrize("action", ["compress", "stretch"])
def test_pitch_level_and_joins_of_a_vowel(hertz: float, action: str) -> None:
    pcm = voiced(hertz)
    out, added = process(pcm, action)
    assert (added < 0) == (action == "compress")
    assert abs(added) > 0.08 * pcm.size
    assert pitch(out) == pytest.approx(pitch(pcm), rel=0.01)
    assert np.std(out) == pytest.approx(np.std(pcm), rel=0.05)
    assert np.max(np.abs(np.diff(out))) < 1.15 * np.max(np.abs(np.diff(pcm)))


@pytest.mark.parametrize(("effort", "rate"), [(Effort.SPEECH, 0.12), (Effort.URGENT, 0.20)])
@pytest.mark.parametrize("action", ["compress", "stretch"])
@pytest.mark.parametrize("frame", [960, 2880])
def test_speech_is_changed_at_a_limited_rate(action: str, effort: Effort, rate: float, frame: int) -> None:
    vowel = voiced(160.0, 6.0)
    _, added = process(vowel, action, effort=effort, frame=frame)
    assert 0.75 * rate < abs(added) / vowel.size < 1.1 * rate


@pytest.mark.parametrize("action", ["compress", "stretch"])
@pytest.mark.parametrize("place", range(0, 960, 120))
@pytest.mark.parametrize("pause", [False, True])
def test_a_plosive_is_neither_lost_nor_doubled(action: str, place: int, pause: bool) -> None:
    random = np.random.default_rng(3)
    frame = random.normal(0, 0.001, 960)
    frame[place : place + 240] += random.normal(0, 0.1, min(240, 960 - place))
    stretcher = TimeStretcher()
    stretcher.push(random.normal(0, 0.001, 960).astype(np.float32))
    result = getattr(stretcher, action)(frame.astype(np.float32), pause=pause, effort=Effort.URGENT)
    assert np.sum(result.pcm**2) == pytest.approx(np.sum(frame**2), rel=0.05)


def test_only_a_whole_pause_is_one() -> None:
    noise = np.random.default_rng(5).normal(0, 0.001, 960).astype(np.float32)
    assert TimeStretcher().compress(noise, pause=True, effort=Effort.PAUSES).added
    noise[-200:] *= 30  # a word begins
    assert not TimeStretcher().compress(noise, pause=True, effort=Effort.PAUSES).added


def test_removed_periods_are_whole_periods() -> None:
    _, added = process(voiced(200.0, 0.02), "compress")
    assert -added % 240 in {0, 1, 2, 238, 239}


def test_speech_that_does_not_repeat_is_left_alone() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 960).astype(np.float32)
    result = TimeStretcher().compress(noise, pause=False)
    assert result.added == 0
    assert np.array_equal(result.pcm, noise)


@pytest.mark.parametrize("frame", [960, 1920, 2880])
@pytest.mark.parametrize(("action", "share"), [("compress", -0.6), ("stretch", 0.3)])
def test_pauses_give_and_take_much(action: str, share: float, frame: int) -> None:
    noise = np.random.default_rng(2).normal(0, 0.001, 57_600).astype(np.float32)
    out, added = process(noise, action, pause=True, frame=frame)
    assert added / noise.size / share > 1.0
    # The cross-fade of unlike ends keeps their power.
    assert np.std(out) == pytest.approx(np.std(noise), rel=0.05)


@pytest.mark.parametrize(("wanted", "most"), [(200, 200), (400, 400), (720, 720), (100, 0)])
def test_a_pause_changes_by_no_more_than_wanted(wanted: int, most: int) -> None:
    noise = np.random.default_rng(4).normal(0, 0.001, 960).astype(np.float32)
    removed = -TimeStretcher().compress(noise, pause=True, wanted=wanted).added
    assert 0.6 * most <= removed <= most


def test_speech_is_left_alone_when_a_period_is_much_more_than_wanted() -> None:
    vowel = voiced(100.0, 0.04)  # a period of 480 samples
    for wanted, removed in ((480, 480), (300, 480), (180, 0)):
        stretcher = TimeStretcher()
        stretcher.push(vowel[:960])
        result = stretcher.compress(vowel[960:], pause=False, wanted=wanted)
        assert -result.added == pytest.approx(removed, abs=5)


def test_frames_of_10_ms() -> None:
    out, added = process(voiced(210.0), "compress", frame=480)
    assert added < -2_500
    assert pitch(out) == pytest.approx(pitch(voiced(210.0)), rel=0.01)


@pytest.mark.parametrize(("effort", "share"), [(Effort.SPEECH, 0.05), (Effort.URGENT, 0.08)])
def test_speech_keeps_its_spectrum(effort: Effort, share: float) -> None:
    pcm = speech()[: 48_000 * 5]
    out, added = process(pcm, "compress", effort=effort)
    assert added < -share * pcm.size

    def bands(signal: NDArray[np.float32]) -> NDArray[np.float64]:
        power = np.abs(np.fft.rfft(signal, 1 << 19)) ** 2
        edges = [int(f * (1 << 19) / 48_000) for f in (100, 300, 600, 1200, 2400, 4800)]
        shares = np.array([power[a:b].sum() for a, b in pairwise(edges)])
        return 10 * np.log10(shares / shares.sum())

    assert np.max(np.abs(bands(out) - bands(pcm))) < 3.0


def test_silence_and_tiny_frames_are_safe() -> None:
    stretcher = TimeStretcher()
    silent = stretcher.compress(np.zeros(960, np.float32), pause=True)
    assert np.isfinite(silent.pcm).all()
    assert stretcher.compress(np.zeros(120, np.float32), pause=True).added == 0
