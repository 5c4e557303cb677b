"""Scores of signals whose faults are known."""

from typing import Any

import numpy as np
import pytest
import soundfile

from softphone.data import sample_speech
from softphone.errors import LocalError
from softphone.playout.frames import Action, Source
from softphone.playout.trace import TraceRecord
from softphone.sim import scoring

RATE = 48_000


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    pcm, rate = soundfile.read(sample_speech(), dtype="float32")
    assert rate == RATE
    return pcm


def delayed(pcm: np.ndarray, seconds: float) -> np.ndarray:
    return np.concatenate([np.zeros(round(seconds * RATE), dtype=np.float32), pcm])


def step(source: Source, number: int, action: Action = Action.PLAY, samples: int = 960) -> TraceRecord:
    return TraceRecord(number * 0.02, number * 960, None, source, action, samples, 960, 40.0, 40.0, -30.0)


def trace(text: str) -> list[TraceRecord]:
    sources = {"r": Source.REGULAR, "d": Source.DRED, "p": Source.PLC, "c": Source.CNG}
    records = []
    for number, letter in enumerate(text):
        if letter == "w":
            records.append(step(Source.PLC, number, Action.WAIT))
        elif letter == "s":
            records.append(step(Source.PLC, number, Action.SKIP, samples=0))
        else:
            records.append(step(sources[letter], number))
    return records


@pytest.mark.parametrize(
    ("steps", "count", "total_ms"),
    [
        ("rrrr", 0, 0.0),
        ("r" + "p" * 7 + "r", 0, 0.0),
        ("r" + "p" * 8 + "r", 1, 160.0),
        ("r" + "pppp" + "d" + "pppp" + "r", 0, 0.0),
        ("r" + "p" * 4 + "c" * 10 + "r", 1, 280.0),
        ("r" + "c" * 50 + "r", 0, 0.0),
        ("r" + "wwwwpppp" + "r" + "p" * 10, 2, 360.0),
        ("r" + "pppp" + "s" * 9 + "pp" + "r", 0, 0.0),
        ("", 0, 0.0),
    ],
)
def test_interruptions_of_a_trace(steps: str, count: int, total_ms: float) -> None:
    found = scoring.interruptions(trace(steps))
    assert (found.count, found.total_ms) == (count, pytest.approx(total_ms))


def test_interruptions_count_only_speech() -> None:
    records = trace("r" + "p" * 20 + "r" + "c" * 20 + "r")
    assert scoring.interruptions(records, lambda timestamp: timestamp < 10 * 960).count == 1
    assert scoring.interruptions(records, lambda timestamp: timestamp < 10 * 960).total_ms == pytest.approx(
        180
    )
    assert scoring.interruptions(records, lambda timestamp: False).count == 0
    # Comfort noise where somebody spoke was a loss.
    assert scoring.interruptions(records, lambda timestamp: timestamp > 21 * 960).count == 1


def test_activity_finds_the_pauses(speech: np.ndarray) -> None:
    active = scoring.speech_activity(speech)
    assert len(active) == len(speech) // 480
    assert not active[:30].any()
    assert 0.6 < active.mean() < 0.95
    assert not scoring.speech_activity(np.zeros(48_000)).any()
    assert len(scoring.speech_activity(np.zeros(100))) == 0


@pytest.mark.parametrize("seconds", [0.0, 0.1234, 0.4])
def test_delay_is_found_to_the_sample(speech: np.ndarray, seconds: float) -> None:
    noise = np.random.default_rng(1).normal(scale=0.003, size=len(speech)).astype(np.float32)
    delays = scoring.segment_delays(speech, delayed(0.5 * speech + noise, seconds))
    assert len(delays) > 50
    statistics = scoring.delay_statistics(delays)
    assert statistics is not None
    assert statistics.p50 == pytest.approx(round(seconds * RATE) / 48, abs=0.01)
    assert statistics.max - statistics.p50 < 0.05


def test_delay_is_followed_when_it_changes(speech: np.ndarray) -> None:
    middle = len(speech) // 2
    heard = np.concatenate([delayed(speech[:middle], 0.1), np.zeros(4800, dtype=np.float32), speech[middle:]])
    delays = scoring.segment_delays(speech, heard)
    early = [delay.delay for delay in delays if delay.time < middle / RATE - 0.3]
    late = [delay.delay for delay in delays if delay.time > middle / RATE + 0.3]
    assert np.allclose(early, 0.1, atol=1e-3)
    assert np.allclose(late, 0.2, atol=1e-3)


def test_align_takes_out_the_delay(speech: np.ndarray) -> None:
    sent, heard = scoring.align(speech, delayed(speech, 0.2))
    assert len(sent) == len(heard)
    np.testing.assert_array_equal(sent, heard)


def test_nothing_in_common_gives_no_delay(speech: np.ndarray) -> None:
    assert scoring.segment_delays(speech, np.zeros_like(speech)) == []
    assert scoring.delay_statistics([]) is None
    assert scoring.signal_interruptions(speech, np.zeros_like(speech)).count >= 1


def test_interruptions_of_a_signal(speech: np.ndarray) -> None:
    assert scoring.signal_interruptions(speech, delayed(speech, 0.15)).count == 0
    assert scoring.signal_interruptions(speech, delayed(0.2 * speech, 0.15)).count == 0
    active = scoring.speech_activity(speech).astype(float)
    # A hole of 300 ms where somebody speaks all the time.
    start = int(np.argmax(np.convolve(active, np.ones(40), mode="valid") == 40)) * 480 + 2400
    broken = speech.copy()
    broken[start : start + 14_400] = 0
    found = scoring.signal_interruptions(speech, delayed(broken, 0.15))
    assert found.count == 1
    assert found.total_ms == pytest.approx(300, abs=60)
    broken = speech.copy()
    broken[start : start + 4_800] = 0
    assert scoring.signal_interruptions(speech, delayed(broken, 0.15)).count == 0


def test_quality_models_rank_and_repeat(speech: np.ndarray) -> None:
    for module in ("speechmos", "pesq", "pystoi"):
        pytest.importorskip(module)
    clip = speech[: 6 * RATE]
    broken = clip.copy()
    for start in range(0, len(clip), 12_000):
        broken[start : start + 4_000] = 0
    assert scoring.plcmos(clip) > scoring.plcmos(broken) + 0.5
    assert scoring.plcmos(clip) == scoring.plcmos(clip)
    assert scoring.pesq_wb(clip, clip) > 4.5 > scoring.pesq_wb(clip, broken)
    assert scoring.stoi(clip, clip) == pytest.approx(1.0, abs=1e-3)
    assert scoring.stoi(clip, broken) < 0.95
    assert np.isnan(scoring.pesq_wb(np.zeros(RATE), np.zeros(RATE)))


@pytest.mark.parametrize("name", ["pesq", "pystoi"])
def test_missing_extra_says_what_to_do(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def without(module: str, *args: Any, **kwargs: Any) -> Any:
        raise ImportError(module)

    monkeypatch.setattr(scoring, "import_module", without)
    score = {"pesq": scoring.pesq_wb, "pystoi": scoring.stoi}[name]
    with pytest.raises(LocalError, match=r"pip install 'softphone\[bench\]'"):
        score(np.zeros(10), np.zeros(10))
