"""Receiving audio: every RTP packet handed on at once, reports sent back.

No jitter buffer, no decoder: that is the playout core's work. :class:`AudioReceiver`
knows of aiortc only the DTLS transport.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import aiortc.rtp
from aiortc import RTCDtlsTransport
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpDecodingParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)

from softphone.errors import RemoteProtocolError
from softphone.rtp.packet import OPUS_CLOCK_RATE, RtpPacket
from softphone.rtp.reports import LossReporter
from softphone.rtp.statistics import ReceiveStatistics
from softphone.rtp.telephone_event import DtmfReceiver, ReceivedDigit

from .negotiation import NegotiatedAudio
from .rtcp import REPORT_INTERVAL, report_interval, source_description
from .writer import PacketWriter

__all__ = ["AudioReceiver", "IncomingStream", "ReceiverCounters"]

logger = logging.getLogger(__name__)

MAX_STREAMS = 4
"""SSRCs followed at a time; a new one beyond replaces the one silent for longest."""


@dataclass(slots=True)
class ReceiverCounters:
    """Counted since the receiver was made."""

    packets_received: int = 0
    """RTP packets of negotiated payload types."""
    bytes_received: int = 0
    """Payload bytes in them."""
    packets_unknown: int = 0
    """Packets of another payload type, or while the direction forbids them."""
    packets_empty: int = 0
    """Packets of padding only."""
    events_malformed: int = 0
    """Telephone events that could not be read."""
    callback_errors: int = 0
    """Exceptions from the callbacks, each logged."""
    reports_sent: int = 0
    """Receiver reports."""


class IncomingStream:
    """One SSRC of the peer."""

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.statistics = ReceiveStatistics(OPUS_CLOCK_RATE)
        self.last_packet = 0.0
        """Arrival of the newest packet, seconds on ``time.monotonic``."""
        self.sender_info: RtcpSenderInfo | None = None
        """From the peer's last sender report."""
        self.sender_info_at = 0.0
        """Arrival of that report, seconds on ``time.monotonic``."""

    def report_block(self, now: float) -> RtcpReceiverInfo:
        """Sum up the interval since the last call (RFC 3550, section 6.4.1)."""
        report = self.statistics.report()
        info = self.sender_info
        delay = 0 if info is None else round((now - self.sender_info_at) * 65_536)
        return RtcpReceiverInfo(
            ssrc=self.ssrc,
            fraction_lost=report.fraction_lost_byte,
            packets_lost=report.packets_lost,
            highest_sequence=report.highest_sequence,
            jitter=report.jitter,
            lsr=0 if info is None else info.ntp_timestamp >> 16 & 0xFFFFFFFF,
            dlsr=min(max(delay, 0), 0xFFFFFFFF),
        )


class AudioReceiver:
    """The incoming side of one audio section. Every method must be called on the event loop."""

    def __init__(
        self,
        transport: RTCDtlsTransport,
        *,
        ssrc: int,
        cname: str,
        arrival: Callable[[], float] | None = None,
    ) -> None:
        """`ssrc` and `cname` name us in reports; `arrival` tells when the datagram being
        handled arrived, in seconds on ``time.monotonic`` (now, when not given)."""
        self.on_packet: Callable[[RtpPacket, float], None] | None = None
        """Called with every Opus and RED packet and its arrival, in order of arrival."""
        self.on_digit: Callable[[ReceivedDigit], None] | None = None
        """Called once for each key the peer pressed."""
        self.on_bye: Callable[[], None] | None = None
        """Called when the peer ends its stream (RTCP BYE)."""
        self.on_end: Callable[[], None] | None = None
        """Called once when the transport is gone."""
        self.counters = ReceiverCounters()
        self.loss_reporter = LossReporter(interval=REPORT_INTERVAL / 2)
        """Knows of packets by itself; tell it what playout did with them."""
        self._ssrc = ssrc
        self._cname = cname
        self._writer = PacketWriter(transport)
        self._arrival = arrival or time.monotonic
        self._agreed: NegotiatedAudio | None = None
        self._kinds: dict[int, str] = {}
        self._streams: dict[int, IncomingStream] = {}
        self._dtmf = DtmfReceiver()
        self._task: asyncio.Task[None] | None = None

    @property
    def transport(self) -> RTCDtlsTransport:
        """The transport below."""
        return self._writer.transport

    @transport.setter
    def transport(self, transport: RTCDtlsTransport) -> None:
        self.transport._unregister_rtp_receiver(self)
        self._writer.transport = transport

    @property
    def streams(self) -> tuple[IncomingStream, ...]:
        """The SSRCs followed, the one heard last at the end."""
        return tuple(sorted(self._streams.values(), key=lambda stream: stream.last_packet))

    def configure(self, agreed: NegotiatedAudio) -> None:
        """Take payload types and header extensions from the negotiation; may be repeated."""
        self._agreed = agreed
        self._kinds = dict(agreed.receive_payload_types)
        if self._task is not None:
            self.transport._register_rtp_receiver(self, self._parameters(()))

    async def start(self, ssrcs: Iterable[int] = ()) -> None:
        """Begin to receive, on the peer's `ssrcs` when they are known. Idempotent.

        To be called again after the transport was exchanged.
        """
        self.transport._register_rtp_receiver(self, self._parameters(ssrcs))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._send_reports())
            self.loss_reporter.poll(time.monotonic())  # the interval of the first one begins now

    async def stop(self) -> None:
        """Stop receiving. Idempotent."""
        if self._task is not None:
            self.transport._unregister_rtp_receiver(self)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            await self._writer.close()
        self._handle_disconnect()

    async def _handle_rtp_packet(self, packet: aiortc.rtp.RtpPacket, arrival_time_ms: int) -> None:
        """Called by the transport with each decrypted packet."""
        arrival = self._arrival()
        kind = self._kinds.get(packet.payload_type)
        if kind is None or self._agreed is None or not self._agreed.receives:
            self.counters.packets_unknown += 1
            return
        self.counters.packets_received += 1
        self.counters.bytes_received += len(packet.payload)
        stream = self._stream(packet.ssrc)
        stream.last_packet = arrival
        stream.statistics.update(packet.sequence_number, packet.timestamp, arrival)
        self.loss_reporter.on_packet(
            packet.sequence_number,
            packet.timestamp,
            arrival,
            len(packet.payload),
            marker=bool(packet.marker),
        )
        if not packet.payload:
            self.counters.packets_empty += 1
        elif kind == "telephone-event":
            self._on_event(packet)
        elif self.on_packet is not None:
            level = packet.extensions.audio_level
            self._call(
                self.on_packet,
                RtpPacket(
                    payload_type=packet.payload_type,
                    sequence_number=packet.sequence_number,
                    timestamp=packet.timestamp,
                    ssrc=packet.ssrc,
                    payload=packet.payload,
                    marker=bool(packet.marker),
                    audio_level=level[1] if isinstance(level, tuple) else None,
                ),
                arrival,
            )

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """Called by the transport with sender reports and farewells of the peer."""
        if isinstance(packet, RtcpSrPacket):
            stream = self._streams.get(packet.ssrc)
            if stream is not None:
                stream.sender_info, stream.sender_info_at = packet.sender_info, self._arrival()
        elif isinstance(packet, RtcpByePacket) and self.on_bye is not None:
            self._call(self.on_bye)

    def _handle_disconnect(self) -> None:
        """Called by the transport when the peer has closed it."""
        callback, self.on_end = self.on_end, None
        if callback is not None:
            self._call(callback)

    def _on_event(self, packet: aiortc.rtp.RtpPacket) -> None:
        try:
            digits = self._dtmf.receive(packet.payload, packet.timestamp)
        except RemoteProtocolError:
            self.counters.events_malformed += 1
            return
        for digit in digits:
            if self.on_digit is not None:
                self._call(self.on_digit, digit)

    def _stream(self, ssrc: int) -> IncomingStream:
        stream = self._streams.get(ssrc)
        if stream is None:
            if self._streams:
                self.loss_reporter.restart()
            if len(self._streams) >= MAX_STREAMS:
                del self._streams[self.streams[0].ssrc]
            stream = self._streams[ssrc] = IncomingStream(ssrc)
        return stream

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:
            self.counters.callback_errors += 1
            if self.counters.callback_errors <= 10:
                logger.exception("a callback of the audio receiver failed")

    def _parameters(self, ssrcs: Iterable[int]) -> RTCRtpReceiveParameters:
        agreed = self._agreed
        opus = agreed.opus_pt if agreed is not None else 0
        extensions = agreed.extensions if agreed is not None else {}
        return RTCRtpReceiveParameters(
            codecs=[
                RTCRtpCodecParameters(mimeType=f"audio/{name}", clockRate=OPUS_CLOCK_RATE, payloadType=number)
                for number, name in self._kinds.items()
            ],
            headerExtensions=[
                RTCRtpHeaderExtensionParameters(id=n, uri=uri) for uri, n in extensions.items()
            ],
            muxId=agreed.mid if agreed is not None else "",
            encodings=[RTCRtpDecodingParameters(ssrc=ssrc, payloadType=opus) for ssrc in ssrcs],
        )

    async def _send_reports(self) -> None:
        reported: dict[int, int] = {}
        while True:
            await asyncio.sleep(report_interval())
            # Streams that have fallen silent are left out (RFC 3550, section 6.4).
            active = [s for s in self._streams.values() if reported.get(s.ssrc) != s.statistics.received]
            reported = {s.ssrc: s.statistics.received for s in self._streams.values()}
            if active:
                self._writer.write(self._report(active))
                self.counters.reports_sent += 1

    def _report(self, streams: list[IncomingStream]) -> bytes:
        """Receiver report, source description and, for a peer that knows it, our loss report."""
        now = time.monotonic()
        report = RtcpRrPacket(ssrc=self._ssrc, reports=[stream.report_block(now) for stream in streams])
        compound = bytes(report) + source_description(self._ssrc, self._cname)
        if self._agreed is not None and self._agreed.peer_loss_reports:
            loss = self.loss_reporter.poll(now)
            if loss is not None:
                latest = max(streams, key=lambda stream: stream.last_packet)
                feedback = RtcpPsfbPacket(
                    fmt=RTCP_PSFB_APP, ssrc=self._ssrc, media_ssrc=latest.ssrc, fci=loss.pack()
                )
                compound += bytes(feedback)
        return compound
