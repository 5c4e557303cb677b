"""The media of one call: microphone to network, network to loudspeaker.

Joins the parts and decides nothing. Three threads meet here: the source's thread
encodes, the sink's thread decodes and plays, and the event loop moves packets. Between
them go single-producer queues; no lock is held while libopus works.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from softphone.audio.drift import DriftCorrector
from softphone.audio.stream import SAMPLE_RATE, AudioSink, AudioSource, Pcm, Render
from softphone.playout import PlayoutConfig, PlayoutEngine, Source, TraceRecord
from softphone.playout.delay import WindowMinimum
from softphone.recording.recorder import Recorder
from softphone.rtp.packet import RtpPacket, RtpPayload
from softphone.sending import NetworkReport, SendingConfig, SendingPipeline
from softphone.webrtc import NegotiatedAudio, Peer

__all__ = ["MediaConfig", "MediaSession"]

_LEAD_WINDOW = 2.0
"""Seconds over which the latency of the device is looked for."""


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """Wishes for the media of a call; what the peer can't do is taken out by the negotiation."""

    sending: SendingConfig = field(default_factory=SendingConfig)
    """What to send."""
    playout: PlayoutConfig = field(default_factory=PlayoutConfig)
    """How to play."""

    def agreed(self, negotiated: NegotiatedAudio) -> "MediaConfig":
        """The settings that both sides can do."""
        sending = self.sending
        bitrate = min(sending.bitrate, negotiated.max_average_bitrate or sending.bitrate)
        return MediaConfig(
            sending=replace(
                sending,
                bitrate=bitrate,
                frame_ms=min(max(sending.frame_ms, negotiated.ptime), negotiated.max_ptime),
                max_frame_ms=min(sending.max_frame_ms, negotiated.max_ptime),
                dtx=sending.dtx or negotiated.dtx,
                peer_fec=negotiated.peer_fec,
                peer_dred_ms=negotiated.peer_dred_ms,
                peer_red=negotiated.red_pt is not None,
                opus_payload_type=negotiated.opus_pt,
                red_payload_type=negotiated.red_pt or sending.red_payload_type,
            ),
            playout=replace(self.playout, payload_types=negotiated.receive_payload_types),
        )


class MediaSession:
    """Audio both ways over a connected peer. Make, start and stop it on the event loop."""

    def __init__(
        self,
        peer: Peer,
        source: AudioSource,
        sink: AudioSink,
        config: MediaConfig | None = None,
        *,
        recorder: Recorder | None = None,
        on_trace: Callable[[TraceRecord], None] | None = None,
    ) -> None:
        """``peer`` must have negotiated. ``on_trace`` is called on the sink's thread.

        Raises :class:`softphone.errors.ConfigError` for an unknown policy or mode.
        """
        if peer.negotiated is None:
            raise ValueError("the peer has not negotiated yet")
        self.config = (config or MediaConfig()).agreed(peer.negotiated)
        self._peer = peer
        self._source = source
        self._sink = sink
        self._recorder = recorder or Recorder()
        self._trace = on_trace
        self._loop = asyncio.get_running_loop()
        self._pipeline = SendingPipeline(self.config.sending)
        self._engine = PlayoutEngine(self.config.playout, on_trace=self._on_trace)
        self._arrivals: deque[tuple[RtpPacket, float]] = deque()
        self._outcomes: deque[tuple[int, bool]] = deque()
        self._late = 0
        self._path_delay = float("inf")
        self._shortest = WindowMinimum(_LEAD_WINDOW)
        self._running = False

    @property
    def engine(self) -> PlayoutEngine:
        """The playout core, for its statistics."""
        return self._engine

    @property
    def pipeline(self) -> SendingPipeline:
        """The sending side, for its statistics and plans."""
        return self._pipeline

    @property
    def muted(self) -> bool:
        """Whether silence is sent in place of the microphone."""
        return self._pipeline.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._pipeline.muted = muted

    async def start(self) -> None:
        """Begin to send and to play.

        Raises :class:`softphone.errors.DeviceError` or
        :class:`softphone.errors.MediaFileError` when the source or the sink can't start.
        """
        self._running = True
        if self._peer.round_trip is not None:
            self._on_round_trip(self._peer.round_trip)
        self._peer.receiver.on_packet = self._on_packet
        self._peer.sender.on_report = self._on_report
        render: Render = self._render
        if self._sink.keeps_own_time:
            render = DriftCorrector(self._render, lambda: self._engine.excess_delay)
        try:
            await asyncio.to_thread(self._sink.start, render)
            await asyncio.to_thread(self._source.start, self._deliver)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything and finish the recording. Idempotent."""
        self._running = False
        await asyncio.to_thread(self._source.stop)
        await asyncio.to_thread(self._sink.stop)
        self._peer.receiver.on_packet = None
        self._peer.sender.on_report = None
        await asyncio.to_thread(self._recorder.close)

    def statistics(self) -> dict[str, dict[str, Any]]:
        """W3C webrtc-stats by identifier, playout included."""
        return self._peer.statistics(self._engine.statistics)

    # The source's thread.

    def _deliver(self, pcm: Pcm, captured: float) -> None:
        self._recorder.on_said(pcm, captured)
        payloads = self._pipeline.push(pcm, captured)
        if payloads:
            with contextlib.suppress(RuntimeError):  # the loop has closed under a late block
                self._loop.call_soon_threadsafe(self._send, payloads, captured + pcm.size / SAMPLE_RATE)

    # The event loop.

    def _send(self, payloads: list[RtpPayload], captured: float) -> None:
        if not self._running:
            return
        now = self._loop.time()
        self._pipeline.on_departure(captured, now)
        for payload in payloads:
            if self._peer.sender.send(payload):
                self._recorder.on_sent(payload, now)

    def _on_packet(self, packet: RtpPacket, arrival: float) -> None:
        self._arrivals.append((packet, arrival))
        self._recorder.on_received(packet, arrival)
        self._report_outcomes()

    def _report_outcomes(self) -> None:
        reporter = self._peer.receiver.loss_reporter
        while self._outcomes:
            samples, concealed = self._outcomes.popleft()
            reporter.on_audio(samples, concealed=concealed)
        late = self._engine.statistics.packets_late
        for _ in range(late - self._late):
            reporter.on_late_packet()
        self._late = late

    def _on_report(self, report: NetworkReport) -> None:
        if report.round_trip is not None:
            self._on_round_trip(report.round_trip)
        self._pipeline.on_report(report)

    def _on_round_trip(self, seconds: float) -> None:
        self._path_delay = min(self._path_delay, seconds / 2)
        self._engine.set_path_delay(self._path_delay, seconds)
        self._pipeline.on_round_trip(seconds)

    # The sink's thread.

    def _render(self, samples: int, playout: float) -> Pcm:
        while self._arrivals:
            self._engine.insert(*self._arrivals.popleft())
        pcm = self._engine.pull(self._needed(playout), samples)
        self._recorder.on_heard(pcm, playout)
        return pcm

    def _needed(self, playout: float) -> float:
        """When audio that will be heard at ``playout`` is needed, seconds.

        Audio is asked for ahead of its time by the latency of the device, in which no packet
        can be waited for any more. The longest such lead of late is taken for the latency:
        so nothing counts as waited for that could not be.
        """
        now = time.monotonic()
        return playout - max(0.0, -self._shortest.add(now, now - playout))

    def _on_trace(self, record: TraceRecord) -> None:
        self._outcomes.append((record.samples, record.source is Source.PLC))
        self._recorder.on_trace(record)
        if self._trace is not None:
            self._trace(record)
