"""Speech encoded once, sent to everybody."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from softphone.audio.stream import SAMPLE_RATE, AudioSource, Pcm
from softphone.conference.levels import SILENCE, LevelMeter
from softphone.conference.worst_peer import WorstPeer
from softphone.errors import ConfigError, RemoteProtocolError
from softphone.recording.recorder import Recorder
from softphone.rtp.packet import RtpPayload
from softphone.rtp.red import RedBlock, pack_red, unpack_red
from softphone.sending import NetworkReport, SendingConfig, SendingPipeline
from softphone.webrtc import NegotiatedAudio

__all__ = ["Microphone", "PayloadSender", "readdressed"]


class PayloadSender(Protocol):
    """What the microphone needs of `softphone.webrtc.AudioSender`, or of whatever stands before one."""

    on_report: Callable[[NetworkReport], None] | None

    def send(self, payload: RtpPayload) -> bool:
        """Send one payload; may raise `ConfigError` for a payload type that was not agreed on."""


@dataclass(frozen=True, slots=True)
class _Listener:
    sender: PayloadSender
    agreed: NegotiatedAudio


class Microphone:
    """One source, one encoder, many senders. Made and used on the event loop."""

    def __init__(self, source: AudioSource, config: SendingConfig, recorder: Recorder) -> None:
        """Raises :class:`softphone.errors.ConfigError` for an unknown redundancy mode."""
        self.pipeline = SendingPipeline(config)
        """The sending side, for its statistics and plans."""
        self.meter = LevelMeter()
        """Our own level, as the others get it."""
        self._source = source
        self._config = self._fitted = config
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._worst = WorstPeer()
        self._listeners: dict[str, _Listener] = {}
        self._running = False

    @property
    def muted(self) -> bool:
        """Whether silence is sent in place of the microphone."""
        return self.pipeline.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self.pipeline.muted = muted

    @property
    def worst_peer(self) -> str | None:
        """Id of the participant for whose network speech is protected; None while nobody loses any."""
        return self._worst.worst

    async def start(self) -> None:
        """Begin to capture. Raises :class:`softphone.errors.LocalError` when the source can't start."""
        self._running = True
        await asyncio.to_thread(self._source.start, self._deliver)

    async def stop(self) -> None:
        """Stop capturing. Idempotent."""
        self._running = False
        await asyncio.to_thread(self._source.stop)

    def add(
        self,
        peer: str,
        sender: PayloadSender,
        agreed: NegotiatedAudio,
        on_report: Callable[[NetworkReport], None],
    ) -> None:
        """From now on send to `peer` too, or under another agreement; `on_report` hears its reports."""
        self._listeners[peer] = _Listener(sender, agreed)
        self._worst.add(peer, agreed)

        def report(report: NetworkReport) -> None:
            on_report(report)
            merged = self._worst.on_report(peer, report)
            if merged is not None:
                self._fit()
                self.pipeline.on_report(merged)

        sender.on_report = report
        self._fit()

    def remove(self, peer: str) -> None:
        """Send to `peer` no more; nothing happens when we do not."""
        listener = self._listeners.pop(peer, None)
        if listener is not None:
            listener.sender.on_report = None
            self._worst.remove(peer)
            self._fit()

    def _fit(self) -> None:
        config = self._worst.fit(self._config)
        # Each new configuration begins a new plan, so only what has changed is handed on.
        if config != self._fitted:
            self._fitted = config
            self.pipeline.reconfigure(config)

    # The source's thread.

    def _deliver(self, pcm: Pcm, captured: float) -> None:
        self._recorder.on_said(pcm, captured)
        payloads = self.pipeline.push(pcm, captured)
        if payloads:
            with contextlib.suppress(RuntimeError):  # the loop has closed under a late block
                self._loop.call_soon_threadsafe(self._depart, payloads, captured + pcm.size / SAMPLE_RATE)

    # The event loop.

    def _depart(self, payloads: list[RtpPayload], captured: float) -> None:
        self.pipeline.on_departure(captured, self._loop.time())
        self._send(payloads)

    def _send(self, payloads: list[RtpPayload]) -> None:
        if not self._running:
            return
        now = self._loop.time()
        config = self._config
        for payload in payloads:
            level = SILENCE if payload.audio_level is None else -float(payload.audio_level)
            self.meter.update(level, now)
            self._recorder.on_sent(payload, now)
            versions: dict[tuple[int, int | None], RtpPayload] = {}
            for listener in self._listeners.values():
                types = (listener.agreed.opus_pt, listener.agreed.red_pt)
                version = versions.get(types)
                if version is None:
                    version = versions[types] = readdressed(payload, config, *types)
                # While a connection is negotiated anew, its payload types may be others for a moment.
                with contextlib.suppress(ConfigError):
                    listener.sender.send(version)


def readdressed(
    payload: RtpPayload, config: SendingConfig, opus_type: int, red_type: int | None
) -> RtpPayload:
    """`payload` under the payload types of one peer; without its copies when that takes no RED."""
    if payload.payload_type == config.opus_payload_type:
        return _retyped(payload, opus_type, payload.payload)
    if red_type is not None and opus_type == config.opus_payload_type:
        return _retyped(payload, red_type, payload.payload)
    try:
        *copies, primary = unpack_red(payload.payload)
    except RemoteProtocolError as error:  # our own, so it can't be
        raise AssertionError("the packetizer made broken RED") from error
    if red_type is None:
        return _retyped(payload, opus_type, primary.payload)
    blocks = [RedBlock(opus_type, copy.timestamp_offset, copy.payload) for copy in copies]
    return _retyped(payload, red_type, pack_red(opus_type, primary.payload, blocks))


def _retyped(payload: RtpPayload, payload_type: int, data: bytes) -> RtpPayload:
    if payload.payload_type == payload_type and data is payload.payload:
        return payload
    return RtpPayload(payload_type, payload.timestamp, data, payload.marker, payload.audio_level)
