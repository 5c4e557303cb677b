"""The thread between a sound card's callbacks and the rest of the phone, for one direction."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.audio.card import CardStream
from softphone.audio.ring import Ring
from softphone.audio.sample_clock import SampleClock
from softphone.audio.stream import SAMPLE_RATE

__all__ = ["IDLE_WAIT", "CardStatistics", "CardWorker"]

logger = logging.getLogger(__name__)

RING_SAMPLES = SAMPLE_RATE
"""A second: far more than ever waits, unless the machine stops altogether."""
STAMPS = 256
"""Callbacks whose times can wait for the worker."""
IDLE_WAIT = 0.020
"""Seconds a worker waits at most before it looks whether the card is still there."""


@dataclass(frozen=True, slots=True)
class CardStatistics:
    """Cumulative counters of one card in one direction."""

    device: str
    """Name of the device in use, or the last one that was."""
    xruns: int
    """Callbacks for which the card had dropped or invented samples."""
    ring_faults: int
    """Callbacks that found the ring empty (loudspeaker) or full (microphone)."""
    ring_fault_samples: int
    """Samples of silence played, or of speech dropped, by them."""
    reopenings: int
    """Times the card was opened again after it had died."""
    away_seconds: float
    """Time without a working card since the first opening."""
    latency: float
    """Seconds between the ring and the loudspeaker, or the microphone and the ring."""
    rate_error_ppm: float
    """How much faster than 48 kHz the card runs on this machine's clock, in ppm."""
    user_errors: int
    """Exceptions out of ``render`` or ``deliver``."""


class CardWorker:
    """What both directions share: the card, a ring, callback times and a thread."""

    def __init__(self, stream: CardStream, name: str) -> None:
        self.stream = stream
        self.ring: Ring[np.int16] = Ring(RING_SAMPLES, np.int16)
        self.stamps: Ring[np.float64] = Ring(3 * STAMPS, np.float64)
        self.stamp: NDArray[np.float64] = np.zeros(3)
        """The callback's: (opening of the card, position in samples, seconds), for `stamps`."""
        self.clock = SampleClock(SAMPLE_RATE)
        self.wake = threading.Event()
        self.away_samples = 0
        self.user_errors = 0
        self._name = name
        self._seen_opening = 0.0
        self._read_stamp: NDArray[np.float64] = np.zeros(3)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, step: Callable[[], None]) -> None:
        """Call ``step()`` until `stop`; it waits by itself."""

        def run() -> None:
            while not self._stopping.is_set():
                step()

        self._thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def read_stamps(self) -> None:
        """Teach the clock what the callbacks noted."""
        while self.stamps.level >= 3:
            self.stamps.read_into(self._read_stamp)
            opening, position, seconds = self._read_stamp.tolist()
            if opening != self._seen_opening:
                self._seen_opening = opening
                self.clock.reset()
            self.clock.update(position, seconds)

    def user_error(self, what: str) -> None:
        """Count an exception out of the user's code; only the first is worth a traceback."""
        self.user_errors += 1
        if self.user_errors == 1:
            logger.exception("%s failed; its audio is replaced by silence", what)

    def statistics(self, latency: float, faults: int, fault_samples: int) -> CardStatistics:
        device = self.stream.device
        return CardStatistics(
            device=device.name if device is not None else "",
            xruns=self.stream.xruns,
            ring_faults=faults,
            ring_fault_samples=fault_samples,
            reopenings=max(0, self.stream.openings - 1),
            away_seconds=self.away_samples / SAMPLE_RATE,
            latency=latency,
            rate_error_ppm=self.clock.rate_error_ppm,
            user_errors=self.user_errors,
        )
