#!/usr/bin/env python3
"""Make the shipped speech sample, softphone/data/sample_speech.flac.

Two synthetic voices of Flite (CMU ARCTIC "slt" and "rms") hold a short dialogue with
natural pauses; Flite and its voices may be used and redistributed freely, and so may
what they say. The result is 48 kHz mono 16-bit FLAC at -26 dBFS (active speech level)
with a floor of faint noise, as a microphone has: digital silence would flatter
concealment and comfort noise.

Needs the program `flite` (Debian: apt-get install flite). Same Flite, same bytes of
audio: the noise is seeded.

    python scripts/make_sample_speech.py [OUTPUT.flac]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE = 48_000
LEVEL_DBFS = -26.0
NOISE_DBFS = -80.0
LEAD_IN_S = 0.35

# (voice, sentence, seconds of silence after it)
DIALOGUE = (
    ("slt", "Good morning! Can you hear me well?", 0.45),
    ("rms", "Loud and clear, though half of the packets never arrive.", 0.55),
    ("slt", "I did not notice anything. What do you hear when they are lost?", 0.5),
    ("rms", "Every word: the next packet brings back what the last one could not say.", 0.6),
)


def speak(voice: str, sentence: str, folder: Path) -> NDArray[np.float64]:
    """Return one sentence at 48 kHz, its voiced part at the common level."""
    path = folder / "sentence.wav"
    subprocess.run(["flite", "-voice", voice, "-t", sentence, "-o", str(path)], check=True)
    pcm, rate = soundfile.read(path)
    pcm = np.trim_zeros(pcm)
    active = np.flatnonzero(np.abs(pcm) > 0.003)
    pcm = pcm[active[0] : active[-1]]
    speech = soxr.resample(pcm, rate, RATE, "VHQ")
    frames = speech[: len(speech) // 960 * 960].reshape(-1, 960)
    power = np.mean(frames**2, axis=1)
    active_power = power[power > power.max() * 1e-4].mean()
    return np.asarray(speech * 10 ** (LEVEL_DBFS / 20) / np.sqrt(active_power))


def main() -> None:
    output = Path(__file__).parents[1] / "softphone" / "data" / "sample_speech.flac"
    if len(sys.argv) > 1:
        output = Path(sys.argv[1])
    parts = [np.zeros(int(LEAD_IN_S * RATE))]
    with tempfile.TemporaryDirectory() as folder:
        for voice, sentence, pause in DIALOGUE:
            parts += [speak(voice, sentence, Path(folder)), np.zeros(int(pause * RATE))]
    speech = np.concatenate(parts)
    speech += np.random.default_rng(1).normal(scale=10 ** (NOISE_DBFS / 20), size=len(speech))
    soundfile.write(output, np.clip(speech, -1, 1), RATE, subtype="PCM_16")
    print(f"{output}: {len(speech) / RATE:.2f} s, peak {np.abs(speech).max():.2f}")


if __name__ == "__main__":
    main()
