"""What is heard when nothing is there: a guess that fades into the noise of the room.

The neural concealment of libopus is convincing for about 100 ms and then only guesses.
A hole longer than that is faded to comfort noise with the level and the colour of the
background heard before, so that a long loss sounds like a pause and never like a loop.
"""

import math
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from softphone.opus import OpusError
from softphone.playout.activity import NoiseFloor, level_dbov
from softphone.playout.decoding import FrameDecoder
from softphone.playout.frames import BufferedFrame, Source

__all__ = ["ComfortNoise", "Concealer"]

Pcm = NDArray[np.float32]

_BLOCK = 960
_HOP = _BLOCK // 2


class ComfortNoise:
    """Noise with the short-time spectrum of the background.

    ``seed`` makes the noise repeatable. Blocks of 20 ms with random phase and the mean
    magnitude of past pauses are overlapped by half.
    """

    _SMOOTHING = 0.8
    _MAX_LEVEL_DBOV = -40.0
    _EVERY = 4
    """Of so many frames of background one is analysed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._window = np.sin(np.pi * (np.arange(_BLOCK) + 0.5) / _BLOCK).astype(np.float32)
        self._power = np.zeros(_BLOCK // 2 + 1)
        self._tail = np.zeros(_HOP, np.float32)
        self._ready = np.zeros(0, np.float32)
        self._offered = 0

    def learn(self, pcm: Pcm) -> None:
        """Take in a frame of background."""
        self._offered += 1
        if self._offered % self._EVERY != 1:
            return
        if pcm.size < _BLOCK or level_dbov(pcm) > self._MAX_LEVEL_DBOV:
            return
        power = np.square(np.abs(np.fft.rfft(pcm[:_BLOCK] * self._window)))
        if not self._power.any():
            self._power = power
        else:
            self._power = self._SMOOTHING * self._power + (1.0 - self._SMOOTHING) * power

    def generate(self, samples: int) -> Pcm:
        """The next ``samples`` samples of noise."""
        while self._ready.size < samples:
            phase = self._random.uniform(0.0, 2.0 * math.pi, self._power.size)
            # The analysis window halves the power, the overlapped synthesis windows restore it.
            spectrum = np.sqrt(2.0 * self._power) * np.exp(1j * phase)
            block = np.fft.irfft(spectrum, _BLOCK).astype(np.float32) * self._window
            self._ready = np.concatenate((self._ready, self._tail + block[:_HOP]))
            self._tail = block[_HOP:]
        noise, self._ready = self._ready[:samples], self._ready[samples:]
        return noise


class Concealer:
    """Conceals holes of one stream, and joins the speech after them."""

    FADE_START = 0.12
    """Concealment is left as it is for this long, seconds."""
    FADE_END = 0.28
    """From here on only comfort noise is heard, seconds."""
    SILENCE_FADE = 0.03
    """Fade to comfort noise when the sender is known to be silent, seconds."""
    _JOIN = 240
    _FADE_IN = 120
    """Samples, no more than the shortest frame has: the less is changed of what was said, the better."""
    _MOST_LATE = 25
    """Late frames decoded unheard at most: half a second of 20 ms frames takes some milliseconds."""

    def __init__(self, decoder: FrameDecoder) -> None:
        self._decoder = decoder
        self._noise = ComfortNoise()
        self._floor = NoiseFloor()
        self._concealed = 0
        self._noisy = False

    @property
    def concealed(self) -> float:
        """Length of the current run of concealment, seconds."""
        return self._concealed / 48_000

    def heard(self, pcm: Pcm, level: float) -> tuple[Pcm, bool]:
        """Take note of decoded speech of a level in dBov, which ends a run of concealment.

        Returns the audio, joined to the comfort noise before it, and whether it is a pause.
        """
        pause = self._floor.update(level, pcm.size / 48_000)
        if pause:
            self._noise.learn(pcm)
        if self._noisy and pcm.size >= self._JOIN:
            up = np.linspace(0.0, 1.0, self._JOIN, dtype=np.float32)
            joint = pcm[: self._JOIN] * up + self._noise.generate(self._JOIN) * np.sqrt(1.0 - up * up)
            pcm = np.concatenate((joint, pcm[self._JOIN :]))
        self._concealed = 0
        self._noisy = False
        return pcm, pause

    def conceal(self, samples: int) -> tuple[Pcm, Source]:
        """Fill a hole of ``samples`` samples, a multiple of 120; `Source.PLC` or `Source.CNG`."""
        return self._fill(samples, self.FADE_START, self.FADE_END)

    def resume(self, frame: BufferedFrame, late: Sequence[BufferedFrame], samples: int) -> Pcm:
        """The last ``samples`` samples of the first frame after a run of concealment.

        ``late``: the frames directly before it, which came when their time had passed; the decoder
        is led through them unheard. The speech is faded in from the guess.

        Raises :class:`softphone.opus.OpusError` for a packet that can't be decoded.
        """
        late = late[-self._MOST_LATE :]
        back = self._decoder.guessed_from == (*late, frame)[0].timestamp
        if not (back or late or samples < frame.samples):
            return self._decoder.decode(frame)
        guess = None if self._noisy else self._decoder.conceal(self._FADE_IN)
        if back:
            self._decoder.rewind()
        for each in late:
            with suppress(OpusError):
                self._decoder.decode(each)
        pcm = self._decoder.decode(frame)[-samples:]
        if guess is not None:
            up = np.linspace(0.0, 1.0, self._FADE_IN, dtype=np.float32)
            pcm[: self._FADE_IN] = guess * (1.0 - up) + pcm[: self._FADE_IN] * up
        return pcm

    def silence(self, samples: int) -> Pcm:
        """Fill ``samples`` samples, a multiple of 120, in which the sender was silent."""
        return self._fill(samples, 0.0, self.SILENCE_FADE)[0]

    def _fill(self, samples: int, fade_start: float, fade_end: float) -> tuple[Pcm, Source]:
        start = self._concealed / 48_000
        self._concealed += samples
        end = self._concealed / 48_000
        if start >= fade_end:
            self._noisy = True
            return self._noise.generate(samples), Source.CNG
        guess = self._decoder.conceal(samples)
        if end <= fade_start:
            return guess, Source.PLC
        self._noisy = True
        at = np.linspace(start, end, samples, endpoint=False, dtype=np.float32)
        gain = np.clip((fade_end - at) / (fade_end - fade_start), 0.0, 1.0)
        noise = self._noise.generate(samples)
        return (guess * gain + noise * np.sqrt(1.0 - gain * gain)).astype(np.float32), Source.PLC
