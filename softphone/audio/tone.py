"""Tones: sines, DTMF digits, and what a telephone plays while a call is being set up."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from softphone.audio.pacer import Pacer
from softphone.audio.stream import FRAME_SAMPLES, SAMPLE_RATE, AudioSource, Deliver, Pcm
from softphone.errors import ConfigError

__all__ = [
    "BUSY",
    "DTMF_FREQUENCIES",
    "RINGBACK",
    "RINGING",
    "Segment",
    "Tone",
    "ToneGenerator",
    "ToneSource",
    "dtmf",
    "sine",
]

FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
RAMP_SAMPLES = 240
"""5 ms of raised cosine at both ends of a segment, so that nothing clicks."""

DTMF_FREQUENCIES: Mapping[str, tuple[float, float]] = {
    digit: (low, high)
    for low, row in zip((697.0, 770.0, 852.0, 941.0), ("123A", "456B", "789C", "*0#D"), strict=True)
    for high, digit in zip((1209.0, 1336.0, 1477.0, 1633.0), row, strict=True)
}
"""Low and high frequency of each digit in Hz (ITU-T Q.23)."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of sound, or of silence."""

    seconds: float
    """How long, > 0."""
    frequencies: tuple[float, ...] = ()
    """Hz, each below 24000; sounded together. None at all is silence."""


@dataclass(frozen=True, slots=True)
class Tone:
    """Segments one after the other."""

    segments: tuple[Segment, ...]
    """At least one."""
    repeat: bool = True
    """Begin again at the end."""
    level: float = 0.1
    """Peak of each frequency, 0..1; two frequencies together must stay within 1."""

    def __post_init__(self) -> None:
        if not self.segments:
            raise ConfigError("a tone needs at least one segment")
        if not 0.0 <= self.level * max(len(s.frequencies) for s in self.segments) <= 1.0:
            raise ConfigError(f"a tone's level of {self.level} would clip; choose a lower one")
        for segment in self.segments:
            if not segment.seconds * SAMPLE_RATE >= 1:
                raise ConfigError(f"a tone's segment lasts {segment.seconds} s; it must last longer")
            for frequency in segment.frequencies:
                if not 0.0 < frequency < SAMPLE_RATE / 2:
                    raise ConfigError(
                        f"{frequency} Hz can't be played; choose 1 to {SAMPLE_RATE // 2 - 1} Hz"
                    )


RINGBACK = Tone((Segment(1.0, (425.0,)), Segment(4.0)))
"""What the caller hears while the other side rings (425 Hz, ITU-T E.180)."""
BUSY = Tone((Segment(0.5, (425.0,)), Segment(0.5)))
"""The other side is busy, or declined (425 Hz, ITU-T E.180)."""
RINGING = Tone((*(Segment(0.05, (f,)) for f in (880.0, 1108.0) * 10), Segment(2.0)), level=0.2)
"""What the called hears: a warble of a second, a pause of two."""


def sine(frequency: float, *, level: float = 0.1) -> Tone:
    """An endless tone of `frequency` Hz with a peak of `level`.

    Raises:
        ConfigError: when the frequency or the level can't be played.
    """
    # Whole periods to the second for every frequency in whole Hz; the phase runs on anyway.
    return Tone((Segment(1.0, (frequency,)),), level=level)


def dtmf(digits: str, *, seconds: float = 0.1, pause: float = 0.1, level: float = 0.2) -> Tone:
    """The digits once, each `seconds` long (ITU-T Q.24 asks for 40 ms at least).

    Raises:
        ConfigError: for anything but 0-9, A-D, ``*`` and ``#``.
    """
    segments: list[Segment] = []
    for digit in digits.upper():
        if digit not in DTMF_FREQUENCIES:
            raise ConfigError(f"{digit!r} is no DTMF digit; choose from 0-9, A-D, * and #")
        segments += [Segment(seconds, DTMF_FREQUENCIES[digit]), Segment(pause)]
    return Tone(tuple(segments), repeat=False, level=level)


class ToneGenerator:
    """Makes the samples of a tone piece by piece; `render` fits a sink."""

    def __init__(self, tone: Tone) -> None:
        self._tone = tone
        self._continuous = len(tone.segments) == 1 and tone.repeat
        lengths = [round(segment.seconds * SAMPLE_RATE) for segment in tone.segments]
        self._starts = np.concatenate(([0], np.cumsum(lengths)))
        self._position = 0

    @property
    def finished(self) -> bool:
        """True after the end of a tone that does not repeat."""
        return not self._tone.repeat and self._position >= self._starts[-1]

    def read(self, samples: int) -> Pcm:
        """The next `samples` samples, shape (samples,); zeros after the end."""
        n = self._position + np.arange(samples)
        self._position += samples
        if self._continuous:
            return self._sound(self._tone.segments[0], n).astype(np.float32)
        total = int(self._starts[-1])
        if self._tone.repeat:
            n %= total
        out = np.zeros(samples)
        for segment, start, end in zip(self._tone.segments, self._starts, self._starts[1:], strict=False):
            inside = (n >= start) & (n < end)
            if segment.frequencies and inside.any():
                at = n[inside] - start
                to_edge = np.minimum(at, end - start - 1 - at)
                ramp = 0.5 - 0.5 * np.cos(np.pi * np.minimum(to_edge / RAMP_SAMPLES, 1.0))
                out[inside] = self._sound(segment, at) * ramp
        return out.astype(np.float32)

    def render(self, samples: int, playout: float) -> Pcm:
        """`read`, in the shape of :data:`softphone.audio.stream.Render`."""
        return self.read(samples)

    def _sound(self, segment: Segment, n: np.ndarray) -> np.ndarray:
        time = n / SAMPLE_RATE
        waves = [np.sin(2.0 * np.pi * frequency * time) for frequency in segment.frequencies]
        return self._tone.level * np.sum(waves, axis=0) if waves else np.zeros(len(n))


class ToneSource(AudioSource):
    """Speaks a tone into the call, in real time."""

    def __init__(self, tone: Tone) -> None:
        self._generator = ToneGenerator(tone)
        self._pacer: Pacer | None = None

    @property
    def finished(self) -> bool:
        return self._generator.finished

    def start(self, deliver: Deliver) -> None:
        def tick(due: float) -> bool:
            deliver(self._generator.read(FRAME_SAMPLES), due - FRAME_SECONDS)
            return not self._generator.finished

        self._pacer = Pacer(FRAME_SECONDS, tick, name="tone-source")
        self._pacer.start()

    def stop(self) -> None:
        if self._pacer is not None:
            self._pacer.stop()
