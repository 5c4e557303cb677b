"""The ruler that is laid on all receivers."""

import numpy as np
import pytest

from benchmarks.neteq.recording import Recording
from benchmarks.neteq.reference import Reference, load_reference
from benchmarks.neteq.results import RunResult, load_results
from benchmarks.neteq.schedules import Schedule, generate
from benchmarks.neteq.scoring import score
from benchmarks.neteq.summary import summarize
from softphone.sim.trace import PacketTrace

RATE = 48_000
BLOCK = 480


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load_reference(None, segments=1)


@pytest.fixture(scope="module")
def clean(reference: Reference) -> Schedule:
    return generate("clean", 1, reference.packets)


def heard(pcm: np.ndarray, *, begin: float = 0.0, late: float = 0.0) -> Recording:
    """A recording whose output began to pull at ``begin``; some pulls were ``late``."""
    pcm = pcm[: pcm.size // BLOCK * BLOCK].astype(np.float32)
    positions = np.arange(0, pcm.size, BLOCK)
    times = begin + positions / RATE
    times[100::37] += late
    return Recording(pcm, positions, times)


def delayed(pcm: np.ndarray, seconds: float) -> np.ndarray:
    return np.concatenate((np.zeros(round(seconds * RATE)), pcm, np.zeros(RATE)))


@pytest.mark.parametrize("delay", [0.0265, 0.081, 0.4])
@pytest.mark.parametrize("begin", [0.0, -1.7])
def test_a_delayed_copy_has_its_delay(
    reference: Reference, clean: Schedule, delay: float, begin: float
) -> None:
    recording = heard(delayed(reference.pcm, delay - begin), begin=begin, late=0.02)
    (segment,) = score(reference, clean, recording, ()).segments
    assert segment.delay_p50 == pytest.approx(1000 * delay, abs=0.5)
    assert segment.delay_p95 == pytest.approx(1000 * delay, abs=0.5)
    assert segment.aligned == 1.0
    assert segment.interruptions == 0


def test_a_hole_in_speech_is_an_interruption(reference: Reference, clean: Schedule) -> None:
    pcm = delayed(reference.pcm, 0.06)
    # In the middle of the loudest half second of the segment.
    energy = np.cumsum(np.square(reference.pcm[: 13 * RATE].astype(np.float64)))
    loudest = 5 * RATE + int((energy[5 * RATE + RATE // 2 :] - energy[5 * RATE : -RATE // 2]).argmax())
    middle = loudest + RATE // 4 + round(0.06 * RATE)
    for seconds, expected in ((0.10, 0), (0.30, 1)):
        holed = pcm.copy()
        half = round(seconds * RATE / 2)
        holed[middle - half : middle + half] = 0.0
        (segment,) = score(reference, clean, heard(holed), ()).segments
        assert segment.interruptions == expected
        assert segment.interrupted == pytest.approx(seconds * expected, abs=0.06)


def test_the_return_of_the_delay_is_timed(reference: Reference) -> None:
    # An outage of 0.4 s after 8 s; from then on 200 ms more, for two seconds or for ever.
    fates = np.zeros(reference.packets)
    fates[400:420] = np.nan
    schedule = Schedule("outage", PacketTrace(fates))
    pcm = reference.pcm
    cut, more = 8 * RATE, round(0.2 * RATE)
    slow = delayed(np.concatenate((pcm[:cut], np.zeros(more), pcm[cut:])), 0.05)
    (back,) = score(reference, schedule, heard(slow), ()).returns
    assert back.seconds is None
    end = cut + 2 * RATE
    caught_up = delayed(np.concatenate((pcm[:cut], np.zeros(more), pcm[cut:end], pcm[end + more :])), 0.05)
    (back,) = score(reference, schedule, heard(caught_up), ()).returns
    assert back.outage == pytest.approx(8.42)
    assert back.seconds is not None
    assert 1.4 < back.seconds < 2.6


def test_silence_has_no_delay_and_is_one_interruption(reference: Reference, clean: Schedule) -> None:
    (segment,) = score(reference, clean, heard(np.zeros(17 * RATE)), ()).segments
    assert np.isnan(segment.delay_p50)
    assert segment.aligned == 0.0


def test_worse_sound_scores_worse(reference: Reference, clean: Schedule) -> None:
    for extra in ("speechmos", "pesq", "pystoi"):
        pytest.importorskip(extra, reason="the scoring models are an extra")
    pcm = delayed(reference.pcm, 0.05)
    (good,) = score(reference, clean, heard(pcm)).segments
    gaps = pcm.copy()
    for start in range(0, gaps.size, RATE // 4):
        gaps[start : start + RATE // 25] = 0.0
    (bad,) = score(reference, clean, heard(gaps)).segments
    assert good.pesq > 4.5
    assert good.stoi > 0.999
    assert bad.plcmos < good.plcmos - 0.3
    assert bad.pesq < good.pesq - 1.0
    assert bad.stoi < good.stoi - 0.02


def test_results_survive_the_disk(reference: Reference, clean: Schedule, tmp_path) -> None:
    recording = heard(delayed(reference.pcm, 0.05))
    scored = score(reference, clean, recording, ())
    result = RunResult("chromium", "best48", "clean_s1", "clean", "LBRR", 30.0, "key", "", scored)
    result.save(tmp_path, recording)
    (loaded,) = load_results(tmp_path)
    assert loaded.complete
    assert loaded.score.segments[0].delay_p50 == scored.segments[0].delay_p50
    assert np.isnan(loaded.score.segments[0].pesq)
    loaded.score.segments[0].valid = False
    assert summarize([loaded.score]).segments == 0
