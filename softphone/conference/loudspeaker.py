"""All voices in one loudspeaker."""

import asyncio
import logging
import time
from typing import Final

from softphone.audio.mixer import MIXER_DELAY, Mixer
from softphone.audio.stream import AudioSink, Pcm
from softphone.conference.voice import Voice
from softphone.playout.delay import WindowMinimum
from softphone.recording.recorder import Recorder

__all__ = ["Loudspeaker"]

_LOG = logging.getLogger(__name__)

_ENHANCED: Final = 3
"""So many voices at once are mended; in the babble of more nobody would hear it."""
_LEAD_WINDOW: Final = 2.0
"""Seconds over which the latency of the device is looked for."""


class Loudspeaker:
    """Renders every voice and mixes them, on the thread of the sink."""

    def __init__(self, sink: AudioSink, recorder: Recorder) -> None:
        """`recorder` gets the mix."""
        self._sink = sink
        self._recorder = recorder
        self._voices: tuple[Voice, ...] = ()
        self._mixer = Mixer()
        self._shortest = WindowMinimum(_LEAD_WINDOW)

    @property
    def keeps_own_time(self) -> bool:
        """Whether its clock drifts against everybody else's."""
        return self._sink.keeps_own_time

    async def start(self) -> None:
        """Begin to play. Raises :class:`softphone.errors.LocalError` when the sink can't start."""
        await asyncio.to_thread(self._sink.start, self._render)

    async def stop(self) -> None:
        """Stop playing. Idempotent."""
        await asyncio.to_thread(self._sink.stop)

    def add(self, voice: Voice) -> None:
        """Let `voice` be heard. Idempotent."""
        # A new tuple, so that the other thread never sees one half changed.
        if voice not in self._voices:
            self._voices = (*self._voices, voice)

    def remove(self, voice: Voice) -> None:
        """Let `voice` be heard no more."""
        self._voices = tuple(each for each in self._voices if each is not voice)

    def _render(self, samples: int, playout: float) -> Pcm:
        needed = self._needed(playout)
        mixer = self._mixer
        mixer.begin(samples)
        crowded = sum(not voice.asleep for voice in self._voices) > _ENHANCED
        for voice in self._voices:
            try:
                pcm = voice.render(samples, needed, crowded=crowded)
            except Exception:
                # One voice that can't be played must not silence the others.
                _LOG.exception("a voice can't be played any more")
                self.remove(voice)
                continue
            if pcm is not None:
                mixer.add(voice.channel, pcm)
        mix = mixer.finish()
        self._recorder.on_heard(mix, playout)
        return mix

    def _needed(self, playout: float) -> float:
        """When audio that will be heard at `playout` is needed, seconds.

        What the device, and the mixer, hold can't wait for packets any more; the longest lead of
        late is taken for the latency.
        """
        now = time.monotonic()
        lead = max(0.0, -self._shortest.add(now, now - playout))
        return playout - lead - MIXER_DELAY
