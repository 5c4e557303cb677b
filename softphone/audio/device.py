"""Microphone and loudspeaker: a sound card through PortAudio.

The card's callbacks only copy between preallocated rings and set an event. All the rest -
rendering, converting, timing, waiting for a card that is gone - is done by one worker
thread per direction. Microphone and loudspeaker are two streams, even on the same card:
a duplex stream loses data when the two sides are not served in step.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softphone.audio.card import CardStream, WatchdogSettings
from softphone.audio.card_worker import IDLE_WAIT, CardStatistics, CardWorker
from softphone.audio.sample_clock import glide
from softphone.audio.stream import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    AudioSink,
    AudioSource,
    Deliver,
    Pcm,
    Render,
    to_int16,
)
from softphone.errors import DeviceError

__all__ = ["CardStatistics", "SoundCardSink", "SoundCardSource"]

CALLBACK_FRAMES = 480
CARD_LATENCY = 0.040


class SoundCardSink(AudioSink):
    """A loudspeaker. Its clock drives playout: blocks are rendered as it plays them."""

    keeps_own_time = True

    def __init__(
        self,
        device: str | int | None = None,
        *,
        block: int = FRAME_SAMPLES,
        ring_seconds: float = 0.030,
        latency: float = CARD_LATENCY,
        watchdog: WatchdogSettings | None = None,
    ) -> None:
        """
        Args:
            device: number, name or part of a name; None for the system's default.
            block: samples asked for at once, 480 or 960.
            ring_seconds: a block is rendered whenever less than this waits to be played.
            latency: suggested to PortAudio, seconds.
            watchdog: when the card counts as dead and how it is opened again.
        """
        self._block = block
        self._target = round(ring_seconds * SAMPLE_RATE)
        self._silence = 0
        """Samples handed to the card that did not come from the ring."""
        self._primed = False
        self._latency = latency
        self._next_playout = 0.0
        self._render: Render | None = None
        stream = CardStream(
            "output",
            device,
            self._on_callback,
            prepare=self._prepare,
            block=CALLBACK_FRAMES,
            latency=latency,
            watchdog=watchdog or WatchdogSettings(),
        )
        self._worker = CardWorker(stream, "playout")

    @property
    def failure(self) -> DeviceError | None:
        return self._worker.stream.failure

    @property
    def statistics(self) -> CardStatistics:
        """Counters so far."""
        ring = self._worker.ring
        return self._worker.statistics(self._latency, ring.underruns, ring.underrun_samples)

    def start(self, render: Render) -> None:
        self._render = render
        self._worker.stream.start()
        self._next_playout = time.monotonic() + self._worker.stream.latency
        self._worker.start(self._step)

    def stop(self) -> None:
        self._worker.stop()
        self._worker.stream.stop()

    def _prepare(self) -> None:
        # What waited for the card that died is old now.
        self._worker.ring.clear()
        self._worker.stamp[0] += 1
        self._primed = False

    def _on_callback(self, buffer: Any, frames: int, times: Any, flags: Any) -> None:
        """Copy from the ring; before the first block is there, hand over silence uncounted."""
        worker = self._worker
        delay = times.outputBufferDacTime - times.currentTime
        worker.stamp[1] = worker.ring.consumed + self._silence
        worker.stamp[2] = time.monotonic() + (delay if 0.0 < delay < 1.0 else worker.stream.latency)
        out = np.frombuffer(buffer, np.int16)
        if self._primed:
            self._silence += frames - worker.ring.read_into(out)
        else:
            out[:] = 0
            self._silence += frames
        worker.stamps.write(worker.stamp)
        worker.wake.set()

    def _step(self) -> None:
        worker = self._worker
        worker.wake.wait(IDLE_WAIT)
        worker.wake.clear()
        if worker.stream.running:
            worker.read_stamps()
            while worker.ring.level < self._target:
                self._next_playout = glide(self._next_playout, self._playout_time())
                worker.ring.write(to_int16(self._block_of_audio()))
                self._primed = True
        else:
            # No card: its part as the clock is taken over, and the audio goes nowhere.
            worker.clock.reset()
            while self._next_playout <= time.monotonic():
                self._block_of_audio()
                worker.away_samples += self._block

    def _playout_time(self) -> float:
        """When the sample after the last one in the ring will be heard."""
        worker = self._worker
        now = time.monotonic()
        if not worker.clock.known:
            return now + worker.ring.level / SAMPLE_RATE + worker.stream.latency
        self._latency = max(0.0, worker.clock.time_at(worker.ring.consumed + self._silence) - now)
        return worker.clock.time_at(worker.ring.written + self._silence)

    def _block_of_audio(self) -> Pcm:
        """Render the next block; silence if that fails."""
        assert self._render is not None
        playout = self._next_playout
        self._next_playout = playout + self._block / SAMPLE_RATE
        try:
            pcm = self._render(self._block, playout)
            if len(pcm) == self._block:
                return pcm
            raise ValueError(f"render gave {len(pcm)} samples instead of {self._block}")
        except Exception:
            self._worker.user_error("rendering")
            return np.zeros(self._block, np.float32)


class SoundCardSource(AudioSource):
    """A microphone."""

    def __init__(
        self,
        device: str | int | None = None,
        *,
        latency: float = CARD_LATENCY,
        watchdog: WatchdogSettings | None = None,
    ) -> None:
        """
        Args:
            device: number, name or part of a name; None for the system's default.
            latency: suggested to PortAudio, seconds.
            watchdog: when the card counts as dead and how it is opened again.
        """
        self._captured = 0
        self._delivered = 0
        self._next_capture = 0.0
        self._dropped = 0
        self._deliver: Deliver | None = None
        self._int16: NDArray[np.int16] = np.zeros(FRAME_SAMPLES, np.int16)
        stream = CardStream(
            "input",
            device,
            self._on_callback,
            prepare=self._prepare,
            block=CALLBACK_FRAMES,
            latency=latency,
            watchdog=watchdog or WatchdogSettings(),
        )
        self._worker = CardWorker(stream, "capture")

    @property
    def failure(self) -> DeviceError | None:
        return self._worker.stream.failure

    @property
    def statistics(self) -> CardStatistics:
        """Counters so far."""
        ring = self._worker.ring
        return self._worker.statistics(self._worker.stream.latency, ring.overruns, ring.overrun_samples)

    def start(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._worker.stream.start()
        self._next_capture = time.monotonic()
        self._worker.start(self._step)

    def stop(self) -> None:
        self._worker.stop()
        self._worker.stream.stop()

    def _prepare(self) -> None:
        self._worker.stamp[0] += 1

    def _on_callback(self, buffer: Any, frames: int, times: Any, flags: Any) -> None:
        """Copy into the ring."""
        worker = self._worker
        if worker.stream.abandoned:
            # A server that hung now pours out what silence has stood in for.
            return
        now = time.monotonic()
        age = times.currentTime - times.inputBufferAdcTime
        whole = frames / SAMPLE_RATE
        worker.stamp[1] = worker.ring.written + worker.ring.overrun_samples
        # The last sample can't have been captured after now, whatever the driver says.
        worker.stamp[2] = now - (age if whole < age < 1.0 else whole)
        worker.ring.write(np.frombuffer(buffer, np.int16))
        worker.stamps.write(worker.stamp)
        worker.wake.set()

    def _step(self) -> None:
        worker = self._worker
        worker.wake.wait(IDLE_WAIT)
        worker.wake.clear()
        if worker.stream.running:
            worker.read_stamps()
        while worker.ring.level >= FRAME_SAMPLES:
            if worker.clock.known:
                measured = worker.clock.time_at(worker.ring.consumed + self._dropped)
                self._next_capture = glide(self._next_capture, measured)
            worker.ring.read_into(self._int16)
            self._hand_over(self._int16.astype(np.float32) / np.float32(32768.0))
        while worker.ring.overrun_samples - self._dropped >= FRAME_SAMPLES:
            # Speech was lost because the machine stood still; its time must not be.
            self._dropped += FRAME_SAMPLES
            self._hand_over(np.zeros(FRAME_SAMPLES, np.float32))
        if not worker.stream.running:
            worker.clock.reset()
            while self._next_capture + 2 * FRAME_SAMPLES / SAMPLE_RATE <= time.monotonic():
                self._hand_over(np.zeros(FRAME_SAMPLES, np.float32))
                worker.away_samples += FRAME_SAMPLES

    def _hand_over(self, block: Pcm) -> None:
        assert self._deliver is not None
        captured = self._next_capture
        self._next_capture = captured + FRAME_SAMPLES / SAMPLE_RATE
        try:
            self._deliver(block, captured)
        except Exception:
            self._worker.user_error("delivering")
