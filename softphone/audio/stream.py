"""What every source and sink of audio looks like to the rest of the phone.

All audio between the stages is mono float32 at 48 kHz in [-1, 1], in blocks whose
length is a whole number of 10 ms. A source calls ``deliver`` from a thread of its
own; a sink calls ``render`` from a thread of its own. Neither ever runs on the
event loop, so encoding and decoding happen there.

The clock of whoever starts counts: a source delivers as fast as it captures, a sink asks
as fast as it plays, and neither waits for the other. An exception out of ``deliver`` or
``render`` is logged and costs that block; it stops nothing. A device that breaks while in
use sets ``failure``, mends itself when it can, and meanwhile goes on in real time with
silence (a source) or into nothing (a sink), so that RTP time and playout never stand still.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softphone.errors import LocalError

__all__ = ["FRAME_SAMPLES", "SAMPLE_RATE", "AudioSink", "AudioSource", "Deliver", "Pcm", "Render", "to_int16"]

SAMPLE_RATE = 48_000
"""Hz; the only rate between the stages."""

FRAME_SAMPLES = 960
"""Samples in the 20 ms block that sources deliver."""

Pcm: TypeAlias = NDArray[np.float32]
"""Mono samples, shape (n,), float32, in [-1, 1]."""

Deliver: TypeAlias = Callable[[Pcm, float], None]
"""``deliver(block, captured)``: 20 ms of audio and when its first sample was captured
(seconds on ``time.monotonic``; virtual seconds for virtual sources). The block is the
receiver's to keep. Blocks come without gaps: what was lost on the way is silence."""

Render: TypeAlias = Callable[[int, float], Pcm]
"""``render(samples, playout)``: give exactly ``samples`` (480 or 960) samples whose first
will be heard at ``playout`` (seconds on the same clock as above, growing from call to call
unless a device was reopened in between)."""


def to_int16(pcm: Pcm) -> NDArray[np.int16]:
    """16-bit samples of the same shape, rounded and clipped; n / 32768 comes back as n."""
    scaled: Pcm = np.rint(pcm * np.float32(32768.0))
    return scaled.clip(-32768.0, 32767.0).astype(np.int16)


class AudioSource(ABC):
    """Where speech comes from: a microphone, a file, a tone."""

    @abstractmethod
    def start(self, deliver: Deliver) -> None:
        """Begin to deliver blocks of `FRAME_SAMPLES`.

        Once per object. Raises :class:`softphone.errors.DeviceError` or
        :class:`softphone.errors.MediaFileError` when it can't.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop delivering; returns once no more calls will come. Idempotent."""

    @property
    def finished(self) -> bool:
        """True once a source that ends (a file) has delivered its last block."""
        return False

    @property
    def failure(self) -> LocalError | None:
        """What is wrong at this moment, for the user to read; None when all is well."""
        return None


class AudioSink(ABC):
    """Where audio goes: a loudspeaker, a file, nowhere."""

    keeps_own_time: ClassVar[bool] = False
    """True when its clock is a crystal of its own, which drifts against everybody else's."""

    @abstractmethod
    def start(self, render: Render) -> None:
        """Begin to ask for blocks; the sink's clock drives playout.

        Once per object. Raises :class:`softphone.errors.DeviceError` or
        :class:`softphone.errors.MediaFileError` when it can't.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop asking; returns once no more calls will come. Idempotent."""

    @property
    def failure(self) -> LocalError | None:
        """What is wrong at this moment, for the user to read; None when all is well."""
        return None
