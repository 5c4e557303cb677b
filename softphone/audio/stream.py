"""What every source and sink of audio looks like to the rest of the phone.

All audio between the stages is mono float32 at 48 kHz in [-1, 1], in blocks whose
length is a whole number of 10 ms. A source calls ``deliver`` from a thread of its
own; a sink calls ``render`` from a thread of its own. Neither ever runs on the
event loop, so encoding and decoding happen there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["FRAME_SAMPLES", "SAMPLE_RATE", "AudioSink", "AudioSource", "Deliver", "Pcm", "Render"]

SAMPLE_RATE = 48_000
"""Hz; the only rate between the stages."""

FRAME_SAMPLES = 960
"""Samples in the 20 ms block that sources deliver."""

Pcm: TypeAlias = NDArray[np.float32]
"""Mono samples, shape (n,), float32, in [-1, 1]."""

Deliver: TypeAlias = Callable[[Pcm, float], None]
"""``deliver(block, captured)``: 20 ms of audio and when its first sample was captured
(seconds on ``time.monotonic``; virtual seconds for virtual sources)."""

Render: TypeAlias = Callable[[int, float], Pcm]
"""``render(samples, playout)``: give ``samples`` samples whose first will be heard at
``playout`` (seconds on the same clock as above)."""


class AudioSource(ABC):
    """Where speech comes from: a microphone, a file, a tone."""

    @abstractmethod
    def start(self, deliver: Deliver) -> None:
        """Begin to deliver blocks of `FRAME_SAMPLES`.

        Raises :class:`softphone.errors.DeviceError` or
        :class:`softphone.errors.MediaFileError` when it can't.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop delivering; returns once no more calls will come. Idempotent."""

    @property
    def finished(self) -> bool:
        """True once a source that ends (a file) has delivered its last block."""
        return False


class AudioSink(ABC):
    """Where audio goes: a loudspeaker, a file, nowhere."""

    @abstractmethod
    def start(self, render: Render) -> None:
        """Begin to ask for blocks; the sink's clock drives playout.

        Raises :class:`softphone.errors.DeviceError` or
        :class:`softphone.errors.MediaFileError` when it can't.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop asking; returns once no more calls will come. Idempotent."""
