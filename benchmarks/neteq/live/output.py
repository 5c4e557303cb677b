"""An output like a sound card: pulls 10 ms every 10 ms and keeps them with the time."""

import threading
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.neteq.recording import Recording
from softphone.audio.pacer import Pacer
from softphone.audio.stream import SAMPLE_RATE, AudioSink, Render

__all__ = ["PacedOutput"]

_BLOCK = 480


class PacedOutput(AudioSink):
    """Records what it pulls. Its clock is the machine's; what it pulls is heard at once."""

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.float32]] = []
        self._due: list[float] = []
        self._pulled: list[float] = []
        self._pacer: Pacer | None = None
        self._lock = threading.Lock()

    def start(self, render: Render) -> None:
        def tick(due: float) -> bool:
            pulled = time.monotonic()
            block = render(_BLOCK, due)
            with self._lock:
                self._blocks.append(block)
                self._due.append(due)
                self._pulled.append(pulled)
            return True

        self._pacer = Pacer(_BLOCK / SAMPLE_RATE, tick, name="paced-output")
        self._pacer.start()

    def stop(self) -> None:
        if self._pacer is not None:
            self._pacer.stop()

    def recording(self, began: float) -> tuple[Recording, list[float]]:
        """What was pulled, in time since ``began`` (monotonic), and the moments of all pulls."""
        with self._lock:
            recording = Recording.of_blocks(self._blocks, [due - began for due in self._due])
            return recording, [pulled - began for pulled in self._pulled]
