"""Microphone, loudspeaker and recorder of a conference, opened and closed together."""

import asyncio
import time
from dataclasses import dataclass

from softphone.audio.devices import Direction, find_device
from softphone.audio.registry import open_sink, open_source
from softphone.audio.stream import AudioSink, AudioSource
from softphone.conference.config import ConferenceConfig
from softphone.conference.loudspeaker import Loudspeaker
from softphone.conference.microphone import Microphone
from softphone.recording import RecordedCall, Recorder, recorders, recording_directory

__all__ = ["Equipment"]


@dataclass(frozen=True, slots=True)
class Equipment:
    """What sound goes through on this machine."""

    microphone: Microphone
    loudspeaker: Loudspeaker
    recorder: Recorder
    source: AudioSource
    sink: AudioSink

    @classmethod
    async def open(cls, config: ConferenceConfig, room: str) -> "Equipment":
        """Open everything; nothing runs yet.

        Raises :class:`softphone.errors.LocalError` of the kind that fits.
        """
        await _require_card(config.source, "input")
        await _require_card(config.sink, "output")
        source = await asyncio.to_thread(open_source, config.source)
        sink: AudioSink | None = None
        try:
            sink = await asyncio.to_thread(open_sink, config.sink)
            recorder = await asyncio.to_thread(_open_recorder, config, room)
        except BaseException:
            await asyncio.to_thread(source.stop)
            if sink is not None:
                await asyncio.to_thread(sink.stop)
            raise
        microphone = Microphone(source, config.sending, recorder)
        microphone.muted = config.muted
        return cls(microphone, Loudspeaker(sink, recorder), recorder, source, sink)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong at this moment, in sentences."""
        return tuple(str(part.failure) for part in (self.source, self.sink) if part.failure)

    async def start(self) -> None:
        """Begin to play and to capture. Raises :class:`softphone.errors.LocalError`."""
        await self.loudspeaker.start()
        await self.microphone.start()

    async def stop(self) -> None:
        """Stop everything and finish the recording. Idempotent."""
        await self.microphone.stop()
        await self.loudspeaker.stop()
        await asyncio.to_thread(self.recorder.close)


def _open_recorder(config: ConferenceConfig, room: str) -> Recorder:
    if config.record is None:
        return Recorder()
    sending = config.sending
    recorded = RecordedCall(
        began=time.monotonic(),
        local_name=config.name or "me",
        participants=(),
        # What is recorded of ourselves is what was encoded, before any peer's numbers were put on it.
        payload_types={sending.opus_payload_type: "opus", sending.red_payload_type: "red"},
        negotiated={"room": room},
    )
    return recorders.load(config.recorder)(recording_directory(config.record), recorded)


async def _require_card(spec: str, direction: Direction) -> None:
    """A card is opened when audio starts; that it exists is made sure of before anybody hears of us."""
    backend, _, device = spec.partition(":")
    if backend == "soundcard":
        await asyncio.to_thread(find_device, device or None, direction)
