"""The shipped speech is what its description says."""

import numpy as np
import soundfile

from softphone.data import sample_speech
from softphone.sim.scoring import speech_activity


def test_sample_is_speech_at_the_usual_level() -> None:
    info = soundfile.info(str(sample_speech()))
    assert (info.samplerate, info.channels) == (48_000, 1)
    assert 12 <= info.duration <= 17
    assert sample_speech().stat().st_size < 700_000
    pcm, _ = soundfile.read(sample_speech(), dtype="float32")
    active = np.repeat(speech_activity(pcm), 480)
    level = 20 * np.log10(np.sqrt(np.mean(pcm[: len(active)][active] ** 2)))
    assert -28 < level < -24
    assert np.abs(pcm).max() < 0.9
    pauses = np.diff(np.flatnonzero(np.diff(speech_activity(pcm).astype(int))))[1::2]
    assert (pauses >= 30).sum() >= 3
