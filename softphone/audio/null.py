"""Sources and sinks without a device: silence in real time, and virtual time for tests."""

import numpy as np

from softphone.audio.pacer import Pacer
from softphone.audio.stream import FRAME_SAMPLES, SAMPLE_RATE, AudioSink, AudioSource, Deliver, Pcm, Render
from softphone.errors import ConfigError

__all__ = ["NullSink", "NullSource", "VirtualSink", "VirtualSource"]

FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE


class NullSource(AudioSource):
    """Silence in real time, for a phone without a microphone."""

    def __init__(self) -> None:
        self._pacer: Pacer | None = None

    def start(self, deliver: Deliver) -> None:
        silence = np.zeros(FRAME_SAMPLES, np.float32)

        def tick(due: float) -> bool:
            deliver(silence.copy(), due - FRAME_SECONDS)
            return True

        self._pacer = Pacer(FRAME_SECONDS, tick, name="null-source")
        self._pacer.start()

    def stop(self) -> None:
        if self._pacer is not None:
            self._pacer.stop()


class NullSink(AudioSink):
    """Asks for audio in real time and throws it away, for a phone without a loudspeaker."""

    def __init__(self) -> None:
        self._pacer: Pacer | None = None

    def start(self, render: Render) -> None:
        def tick(due: float) -> bool:
            render(FRAME_SAMPLES, due)
            return True

        self._pacer = Pacer(FRAME_SECONDS, tick, name="null-sink")
        self._pacer.start()

    def stop(self) -> None:
        if self._pacer is not None:
            self._pacer.stop()


class VirtualSource(AudioSource):
    """Delivers given samples on the caller's thread, as fast as `advance` says time passes."""

    def __init__(self, samples: Pcm, *, start_time: float = 0.0, loop: bool = False) -> None:
        """
        Args:
            samples: mono float32 at 48 kHz, shape (n,); a last partial block is filled with zeros.
            start_time: virtual time at which the first sample is captured.
            loop: begin again at the end (n must be a positive multiple of 960 then).

        Raises:
            ConfigError: for a loop that is not a whole number of blocks.
        """
        if loop and (len(samples) == 0 or len(samples) % FRAME_SAMPLES):
            raise ConfigError(f"a loop must be a multiple of {FRAME_SAMPLES} samples, not {len(samples)}")
        padding = -len(samples) % FRAME_SAMPLES
        self._samples: Pcm = np.pad(np.asarray(samples, np.float32), (0, padding))
        self._start_time = start_time
        self._loop = loop
        self._blocks = 0
        self._elapsed = 0.0
        self._deliver: Deliver | None = None

    @property
    def now(self) -> float:
        """Virtual time in seconds."""
        return self._start_time + self._elapsed

    @property
    def finished(self) -> bool:
        return not self._loop and self._blocks * FRAME_SAMPLES >= len(self._samples)

    def start(self, deliver: Deliver) -> None:
        self._deliver = deliver

    def stop(self) -> None:
        self._deliver = None

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass: every block whose last sample was captured by then is delivered."""
        self._elapsed += seconds
        # Half a sample of tolerance, so that sums of 0.02 do not lose a block to rounding.
        whole = int((self._elapsed * SAMPLE_RATE + 0.5) // FRAME_SAMPLES)
        while self._deliver is not None and self._blocks < whole and not self.finished:
            offset = self._blocks * FRAME_SAMPLES % len(self._samples)
            captured = self._start_time + self._blocks * FRAME_SECONDS
            self._blocks += 1
            self._deliver(self._samples[offset : offset + FRAME_SAMPLES].copy(), captured)


class VirtualSink(AudioSink):
    """Asks for audio on the caller's thread, as fast as `advance` says time passes."""

    def __init__(
        self,
        *,
        start_time: float = 0.0,
        block: int = FRAME_SAMPLES,
        latency: float = 0.0,
        rate_ppm: float = 0.0,
    ) -> None:
        """
        Args:
            start_time: virtual time at which the first block is asked for.
            block: samples per request, 480 or 960.
            latency: seconds from request to hearing, as a card's buffer adds.
            rate_ppm: how much faster than 48 kHz the card runs, to play a drifting clock.
        """
        self._start_time = start_time
        self._block = block
        self._latency = latency
        self._rate = SAMPLE_RATE * (1.0 + rate_ppm * 1e-6)
        self._elapsed = 0.0
        self._rendered = 0
        self._blocks: list[Pcm] = []
        self._render: Render | None = None

    @property
    def now(self) -> float:
        """Virtual time in seconds."""
        return self._start_time + self._elapsed

    @property
    def heard(self) -> Pcm:
        """All that was rendered so far, shape (n,)."""
        return np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.float32)

    def start(self, render: Render) -> None:
        self._render = render

    def stop(self) -> None:
        self._render = None

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass: every block that is due before the new time is rendered."""
        self._elapsed += seconds
        wanted = int(self._elapsed * self._rate + 0.5)
        while self._render is not None and self._rendered + self._block <= wanted:
            due = self._start_time + self._rendered / self._rate + self._latency
            self._rendered += self._block
            self._blocks.append(np.array(self._render(self._block, due), np.float32))
