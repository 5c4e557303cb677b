"""Sending audio: payloads in, SRTP packets, sender reports and digits out.

:class:`AudioSender` knows of aiortc only the DTLS transport, so it works behind an
RTCPeerConnection as well as on a bare transport.
"""

import asyncio
import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from aiortc import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    HeaderExtensionsMap,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
)

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.rtp.packet import OPUS_CLOCK_RATE, RtpPayload
from softphone.rtp.reports import LossReport
from softphone.rtp.telephone_event import DtmfSender
from softphone.sending.network import NetworkReport

from .negotiation import NegotiatedAudio
from .rtcp import NtpClock, report_interval, source_description
from .writer import PacketWriter

__all__ = ["AudioSender", "RemoteInbound", "SenderCounters"]

MAX_PAYLOAD = 1_300
"""Bytes of payload in one packet; more would not pass a path with an MTU of 1400."""

_VOICE_LEVEL = 50
"""-dBov; louder audio sets the voice bit of RFC 6464."""
_DTMF_TICK = 0.02
_REMEMBERED_REPORTS = 16


@dataclass(slots=True)
class SenderCounters:
    """Counted since the sender was made."""

    packets_sent: int = 0
    """RTP packets handed to the transport."""
    bytes_sent: int = 0
    """Payload bytes in them."""
    packets_not_sent: int = 0
    """Payloads that came before the connection stood, after its end, or while not allowed to send."""
    packets_muted: int = 0
    """Audio held back while muted."""
    packets_oversized: int = 0
    """Payloads too long for one packet."""
    packets_replaced: int = 0
    """Audio that gave way to a digit."""
    reports_received: int = 0
    """Report blocks about our stream."""
    feedback_unknown: int = 0
    """Application-layer feedback that is none of ours, or malformed."""


@dataclass(frozen=True, slots=True)
class RemoteInbound:
    """The peer's last report block about our stream (RFC 3550, section 6.4.1)."""

    at: float
    """When it came, seconds on ``time.monotonic``."""
    fraction_lost: float
    """0..1, since the peer's report before."""
    packets_lost: int
    """Cumulative, 24-bit signed."""
    jitter: float
    """Seconds."""
    round_trip: float | None
    """Seconds; None until the peer has seen a sender report."""


class AudioSender:
    """One outgoing RTP stream. Every method must be called on the event loop."""

    def __init__(
        self,
        transport: RTCDtlsTransport,
        *,
        cname: str | None = None,
        arrival: Callable[[], float] = time.monotonic,
    ) -> None:
        """`arrival` tells when the datagram being handled came, on ``time.monotonic``."""
        self.cname = cname or secrets.token_hex(8)
        """Canonical name in our reports (RFC 3550, section 6.5.1)."""
        self.on_report: Callable[[NetworkReport], None] | None = None
        """Called with what each receiver report of the peer says about our packets."""
        self.on_loss_report: Callable[[LossReport], None] | None = None
        """Called with each application-layer loss report of the peer."""
        self.on_progress: Callable[[], None] | None = None
        """Called when a report says that more of our packets have arrived than the one before."""
        self.muted = False
        """While True no audio leaves, whatever comes in; reports and digits still do."""
        self.counters = SenderCounters()
        self.remote_inbound: RemoteInbound | None = None
        self.remote_loss: LossReport | None = None
        """The peer's last loss report; None when it sends none."""
        self._ssrc = secrets.randbits(32)
        self._writer = PacketWriter(transport)
        self._arrival = arrival
        self._clock = NtpClock()
        self._agreed: NegotiatedAudio | None = None
        self._payload_types: frozenset[int] = frozenset()
        self._extensions = HeaderExtensionsMap()
        self._sequence = secrets.randbits(15)
        self._offset = secrets.randbits(32)
        self._media_time = (0, 0.0)
        self._resumed = False
        self._highest_reported: int | None = None
        self._report_times: OrderedDict[int, float] = OrderedDict()
        self._reported_packets = 0
        self._awaiting_loss: NetworkReport | None = None
        self._dtmf: DtmfSender | None = None
        self._dtmf_time = 0
        self._dtmf_task: asyncio.Task[None] | None = None
        self._report_task: asyncio.Task[None] | None = None

    @property
    def ssrc(self) -> int:
        """Synchronisation source of the stream, 32 bits."""
        return self._ssrc

    @property
    def transport(self) -> RTCDtlsTransport:
        """The transport below."""
        return self._writer.transport

    @transport.setter
    def transport(self, transport: RTCDtlsTransport) -> None:
        self.transport._unregister_rtp_sender(self)
        self._writer.transport = transport

    @property
    def started(self) -> bool:
        """Whether packets can leave."""
        return self._report_task is not None

    @property
    def packets_dropped(self) -> int:
        """Packets lost on our side: the transport was too slow or refused them."""
        return self._writer.dropped + self._writer.failed

    def configure(self, agreed: NegotiatedAudio) -> None:
        """Take payload types and header extensions from the negotiation; may be repeated."""
        self._agreed = agreed
        types = (agreed.opus_pt, agreed.red_pt, agreed.event_pt)
        self._payload_types = frozenset(number for number in types if number is not None)
        self._extensions.configure(self._parameters())
        if self._dtmf is None and agreed.event_pt is not None:
            self._dtmf = DtmfSender(agreed.event_pt)

    async def start(self) -> None:
        """Begin to send; the transport must be connected and `configure` called. Idempotent.

        To be called again after the transport was exchanged.
        """
        self.transport._register_rtp_sender(self, self._parameters())
        if self._report_task is None:
            self._report_task = asyncio.get_running_loop().create_task(self._send_reports())

    async def stop(self) -> None:
        """Say goodbye (RTCP BYE) and stop. Idempotent."""
        if self._report_task is None:
            return
        for task in (self._report_task, self._dtmf_task):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._report_task = self._dtmf_task = None
        self._writer.write(self._report() + bytes(RtcpByePacket(sources=[self._ssrc])))
        await self._writer.close()
        self.transport._unregister_rtp_sender(self)

    def send(self, payload: RtpPayload) -> bool:
        """Send one payload in the next turn of the event loop; tell whether it will leave.

        Raises :class:`softphone.errors.ConfigError` for a payload type that was not negotiated.
        """
        counters = self.counters
        if self._report_task is None or self._agreed is None or not self._agreed.sends:
            counters.packets_not_sent += 1
            return False
        if payload.payload_type not in self._payload_types:
            raise ConfigError(
                f"payload type {payload.payload_type} was not negotiated; "
                f"use one of {sorted(self._payload_types)}"
            )
        if len(payload.payload) > MAX_PAYLOAD:
            counters.packets_oversized += 1
            return False
        self._media_time = (payload.timestamp, time.monotonic())
        if self._dtmf is not None and self._dtmf.active and self._send_events(self._dtmf, payload.timestamp):
            counters.packets_replaced += 1
            self._resumed = True
            return False
        if self.muted:
            counters.packets_muted += 1
            self._resumed = True
            return False
        self._write(payload, marker=payload.marker or self._resumed)
        self._resumed = False
        return True

    def send_dtmf(self, digits: str, *, duration: float = 0.1, gap: float = 0.07) -> None:
        """Queue digits (0-9, ``*``, ``#``, A-D; a comma waits two seconds) as telephone events.

        `duration` and the `gap` after each in seconds. Raises
        :class:`softphone.errors.ConfigError` for another character, and when the peer
        doesn't take telephone events.
        """
        if self._dtmf is None or self._agreed is None or self._agreed.event_pt is None:
            raise ConfigError("the other side does not accept telephone events, so digits can't be sent")
        self._dtmf.queue(digits, duration=duration, gap=gap)
        if self._dtmf_task is None or self._dtmf_task.done():
            self._dtmf_task = asyncio.get_running_loop().create_task(self._pace_events(self._dtmf))

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """Called by the transport with reports and feedback about our stream."""
        now = time.monotonic()
        if isinstance(packet, RtcpSrPacket | RtcpRrPacket):
            for block in packet.reports:
                if block.ssrc == self._ssrc:
                    self._on_report_block(block, now)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                self.remote_loss = LossReport.parse(packet.fci)
            except RemoteProtocolError:
                self.counters.feedback_unknown += 1
                return
            if self.on_loss_report is not None:
                self.on_loss_report(self.remote_loss)
            self._complete_report(self.remote_loss)

    def _on_report_block(self, block: RtcpReceiverInfo, now: float) -> None:
        self.counters.reports_received += 1
        if block.highest_sequence != self._highest_reported:
            self._highest_reported = block.highest_sequence
            if self.on_progress is not None:
                self.on_progress()
        sent = self._report_times.get(block.lsr)
        round_trip = None
        if sent is not None and block.lsr:
            # What the report waited here for us to read it isn't the network's.
            round_trip = max(0.0, self._arrival() - sent - block.dlsr / 65_536)
        elif self.remote_inbound is not None:
            round_trip = self.remote_inbound.round_trip
        self.remote_inbound = RemoteInbound(
            at=now,
            fraction_lost=block.fraction_lost / 256,
            packets_lost=block.packets_lost,
            jitter=block.jitter / OPUS_CLOCK_RATE,
            round_trip=round_trip,
        )
        self._complete_report(None)
        self._awaiting_loss = NetworkReport(
            at=now,
            fraction_lost=self.remote_inbound.fraction_lost,
            round_trip=round_trip,
            jitter=self.remote_inbound.jitter,
        )
        if self._agreed is None or not self._agreed.peer_loss_reports:
            self._complete_report(None)

    def _complete_report(self, loss: LossReport | None) -> None:
        """Hand on the report that a loss report, which follows it in the same datagram, completes."""
        report, self._awaiting_loss = self._awaiting_loss, None
        if report is None or self.on_report is None:
            return
        if loss is not None:
            report = replace(
                report,
                mean_burst=loss.mean_burst,
                queueing_delay=loss.queueing_delay,
                delay_trend=loss.delay_trend,
                received_bps=loss.received_bps,
            )
        self.on_report(report)

    def _parameters(self) -> RTCRtpSendParameters:
        extensions = self._agreed.extensions if self._agreed is not None else {}
        return RTCRtpSendParameters(
            headerExtensions=[RTCRtpHeaderExtensionParameters(id=n, uri=uri) for uri, n in extensions.items()]
        )

    def _write(self, payload: RtpPayload, *, marker: bool) -> None:
        packet = RtpPacket(
            payload_type=payload.payload_type,
            sequence_number=self._sequence,
            timestamp=(self._offset + payload.timestamp) & 0xFFFFFFFF,
            ssrc=self._ssrc,
            payload=payload.payload,
            marker=int(marker),
        )
        self._sequence = (self._sequence + 1) & 0xFFFF
        # Extensions that were not negotiated are left out by the map.
        packet.extensions.mid = self._agreed.mid if self._agreed is not None else None
        packet.extensions.abs_send_time = self._clock.timestamp(time.monotonic()) >> 14 & 0xFFFFFF
        if payload.audio_level is not None:
            packet.extensions.audio_level = (payload.audio_level <= _VOICE_LEVEL, payload.audio_level)
        self._writer.write(packet.serialize(self._extensions))
        self.counters.packets_sent += 1
        self.counters.bytes_sent += len(payload.payload)

    def _send_events(self, dtmf: DtmfSender, timestamp: int) -> bool:
        # Times from the audio and from the pacing below must not run backwards together.
        self._dtmf_time = max(self._dtmf_time, timestamp)
        events = dtmf.advance(self._dtmf_time)
        for event in events:
            self._write(event, marker=event.marker)
        return bool(events)

    async def _pace_events(self, dtmf: DtmfSender) -> None:
        """Drive the digits while no audio does: muted at the source, or silent (DTX)."""
        while dtmf.active:
            await asyncio.sleep(_DTMF_TICK)
            timestamp, at = self._media_time
            now = time.monotonic()
            if now - at > 3 * _DTMF_TICK and self._agreed is not None and self._agreed.sends:
                timestamp += round((now - at) * OPUS_CLOCK_RATE) if at else 0
                self._media_time = (timestamp, now)
                self._send_events(dtmf, timestamp)

    async def _send_reports(self) -> None:
        while True:
            await asyncio.sleep(report_interval())
            if self.counters.packets_sent > self._reported_packets:
                self._reported_packets = self.counters.packets_sent
                self._writer.write(self._report())

    def _report(self) -> bytes:
        """Sender report and source description (RFC 3550, section 6.4.1)."""
        now = time.monotonic()
        ntp = self._clock.timestamp(now)
        timestamp, at = self._media_time
        elapsed = round((now - at) * OPUS_CLOCK_RATE) if at else 0
        self._report_times[ntp >> 16 & 0xFFFFFFFF] = now
        if len(self._report_times) > _REMEMBERED_REPORTS:
            self._report_times.popitem(last=False)
        report = RtcpSrPacket(
            ssrc=self._ssrc,
            sender_info=RtcpSenderInfo(
                ntp_timestamp=ntp,
                rtp_timestamp=(self._offset + timestamp + elapsed) & 0xFFFFFFFF,
                packet_count=self.counters.packets_sent & 0xFFFFFFFF,
                octet_count=self.counters.bytes_sent & 0xFFFFFFFF,
            ),
        )
        return bytes(report) + source_description(self._ssrc, self.cname)
