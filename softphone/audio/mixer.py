"""Several voices in one loudspeaker: each at its own volume, the sum limited.

Sans-I/O; all storage is made once, so that the thread of a sound card can mix. One block::

    mixer.begin(960)
    for channel, pcm in heard:
        mixer.add(channel, pcm)
    block = mixer.finish()
"""

from typing import Final

import numpy as np

from softphone.audio.limiter import LIMITER_DELAY, STEP, Limiter
from softphone.audio.stream import FRAME_SAMPLES, Pcm
from softphone.errors import ConfigError

__all__ = ["MAX_VOLUME", "MIXER_DELAY", "Channel", "Mixer"]

MAX_VOLUME: Final = 4.0
"""Most that a voice is amplified, 12 dB."""

MIXER_DELAY: Final = LIMITER_DELAY
"""Seconds by which the mix is later than its voices."""


class Channel:
    """The volume of one voice. Any thread may set it; it glides over one block, without a click."""

    def __init__(self) -> None:
        self.muted = False
        """Silence, whatever the volume."""
        self._volume = 1.0
        self._gain = 1.0

    @property
    def volume(self) -> float:
        """Factor on the samples: 0 is silence, 1 as it was sent."""
        return self._volume

    @volume.setter
    def volume(self, volume: float) -> None:
        """Raises :class:`ConfigError` outside 0..`MAX_VOLUME`."""
        if not 0.0 <= volume <= MAX_VOLUME:
            raise ConfigError(f"a volume must be 0 to {MAX_VOLUME:g}, not {volume:g}")
        self._volume = volume


class Mixer:
    """Adds voices up. Not thread-safe: used by one thread."""

    def __init__(self, max_block: int = FRAME_SAMPLES) -> None:
        """`max_block` is the longest block, in samples, a multiple of 120."""
        self._sum: Pcm = np.zeros(max_block, np.float32)
        self._scaled: Pcm = np.zeros(max_block, np.float32)
        self._slope: Pcm = np.zeros(max_block, np.float32)
        self._samples = 0
        self._limiter = Limiter(max_block)

    @property
    def gain(self) -> float:
        """What the limiter multiplies with at this moment, above 0 and at most 1."""
        return self._limiter.gain

    def begin(self, samples: int) -> None:
        """Begin a block of so many samples, a multiple of 120 up to the longest block.

        Raises :class:`ConfigError` for another number.
        """
        if not 0 < samples <= self._sum.size or samples % STEP:
            raise ConfigError(f"a block must be a multiple of {STEP} up to {self._sum.size}, not {samples}")
        if samples != self._samples:
            self._samples = samples
            self._slope[:samples] = np.arange(1, samples + 1, dtype=np.float32) / samples
        self._sum[:samples] = 0.0

    def add(self, channel: Channel, pcm: Pcm) -> None:
        """Add the block of one voice, float32, shape (samples,); it is not changed."""
        before, after = channel._gain, 0.0 if channel.muted else channel.volume
        channel._gain = after
        total = self._sum[: self._samples]
        if before == after == 1.0:
            np.add(total, pcm, out=total)
            return
        if before == after == 0.0:
            return
        scaled = self._scaled[: self._samples]
        if before == after:
            np.multiply(pcm, np.float32(after), out=scaled)
        else:
            np.multiply(self._slope[: self._samples], np.float32(after - before), out=scaled)
            np.add(scaled, np.float32(before), out=scaled)
            np.multiply(scaled, pcm, out=scaled)
        np.add(total, scaled, out=total)

    def finish(self) -> Pcm:
        """The mix, shape (samples,), later by `MIXER_DELAY`. It is valid until the next `begin`."""
        total = self._sum[: self._samples]
        self._limiter.process(total)
        return total
