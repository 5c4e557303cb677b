"""Audio between a WHIP or WHEP session and its room.

A publisher's packets go to everybody as they came, DRED included, in place of an
encoder's. A listener hears one stream: all voices decoded, mixed and encoded again.
"""

import numpy as np

from softphone.audio.null import NullSink, NullSource
from softphone.audio.stream import FRAME_SAMPLES, AudioSource, Deliver, Pcm, Render
from softphone.conference.loudspeaker import Loudspeaker
from softphone.conference.microphone import Microphone
from softphone.recording import Recorder
from softphone.rtp.packet import RtpPacket, RtpPayload
from softphone.sending import SendingConfig
from softphone.webrtc import NegotiatedAudio

__all__ = ["Deafness", "MixSource", "PublishedVoice", "TappedSink"]

_HALF = 1 << 31


class PublishedVoice(Microphone):
    """A microphone whose speech comes encoded, from a publisher."""

    def __init__(self, config: SendingConfig) -> None:
        super().__init__(NullSource(), config, Recorder())
        self._config = self._fitted = config
        self._media_time: int | None = None
        self._last = 0

    async def start(self) -> None:
        """Begin to pass packets on."""
        self._running = True

    async def stop(self) -> None:
        """Stop passing packets on. Idempotent."""
        self._running = False

    def forward(self, packet: RtpPacket, agreed: NegotiatedAudio) -> None:
        """Send one packet of the publisher to everybody; other payload types than Opus are dropped."""
        if agreed.receive_payload_types.get(packet.payload_type) != "opus" or self.muted:
            return
        step = (packet.timestamp - self._last) & 0xFFFFFFFF
        # A packet that was overtaken steps backwards.
        step = step - (1 << 32) if step >= _HALF else step
        self._media_time = 0 if self._media_time is None else self._media_time + step
        self._last = packet.timestamp
        payload = RtpPayload(
            self._config.opus_payload_type,
            self._media_time,
            packet.payload,
            packet.marker,
            packet.audio_level,
        )
        self._send([payload])


class Deafness(Loudspeaker):
    """Plays nothing, and lets every voice fall asleep."""

    def __init__(self) -> None:
        super().__init__(NullSink(), Recorder())

    def _render(self, samples: int, playout: float) -> Pcm:
        for voice in self._voices:
            voice.muted = True
            voice.render(samples, playout)
        return np.zeros(samples, np.float32)


class MixSource(AudioSource):
    """A source that delivers what is played elsewhere."""

    def __init__(self) -> None:
        self._deliver: Deliver | None = None

    def start(self, deliver: Deliver) -> None:
        self._deliver = deliver

    def stop(self) -> None:
        self._deliver = None

    def push(self, pcm: Pcm, played: float) -> None:
        """Deliver one block; called on the thread of the sink."""
        deliver = self._deliver
        if deliver is not None:
            deliver(pcm, played)


class TappedSink(NullSink):
    """A sink in real time whose audio is a source's."""

    def __init__(self, source: MixSource) -> None:
        super().__init__()
        self._source = source

    def start(self, render: Render) -> None:
        def tap(samples: int, playout: float) -> Pcm:
            assert samples == FRAME_SAMPLES
            pcm = render(samples, playout)
            self._source.push(pcm.copy(), playout)
            return pcm

        super().start(tap)
