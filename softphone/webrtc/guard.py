"""Between SRTP and us: nothing a peer sends may end the call.

In aiortc any exception from parsing, routing or handling a decrypted packet closes the
DTLS transport, and several can be provoked: a header extension of the wrong length, a
bandwidth estimate that promises more SSRCs than it holds. The guard takes over these
steps for one transport, catches, counts and goes on.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCDtlsTransport
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtcpPacket, RtcpPsfbPacket, RtpPacket

__all__ = ["GuardCounters", "TransportGuard"]

logger = logging.getLogger(__name__)

MAX_SSRCS = 32
"""SSRCs remembered for routing; a peer that makes up more pushes out the oldest."""


@dataclass(slots=True)
class GuardCounters:
    """What came through SRTP and what became of it."""

    rtp: int = 0
    rtcp: int = 0
    """Compound packets."""
    rtp_malformed: int = 0
    rtcp_malformed: int = 0
    rtp_unroutable: int = 0
    """Payload types that were not negotiated."""
    extensions_malformed: int = 0
    """Header extensions that were ignored; the packet itself was used."""
    handler_errors: int = 0
    """Exceptions from our own code, each logged."""


class _TolerantExtensions(HeaderExtensionsMap):
    """Reads header extensions; what can't be read counts as absent."""

    def __init__(self, counters: GuardCounters) -> None:
        super().__init__()
        self._counters = counters

    def get(self, extension_profile: int, extension_value: bytes) -> HeaderExtensions:
        try:
            return super().get(extension_profile, extension_value)
        except Exception:
            self._counters.extensions_malformed += 1
            return HeaderExtensions()


class TransportGuard:
    """Takes over parsing and routing of decrypted packets on one DTLS transport."""

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self.counters = GuardCounters()
        self.on_authentic: Callable[[bool], None] | None = None
        """Called for each packet that could be decrypted: with True for RTP, with False for RTCP."""
        self._router: Any = transport._rtp_router
        self._extensions = _TolerantExtensions(self.counters)
        transport._rtp_header_extensions_map = self._extensions
        transport._handle_rtp_data = self.handle_rtp_data  # type: ignore[method-assign]
        transport._handle_rtcp_data = self.handle_rtcp_data  # type: ignore[method-assign]

    async def handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        """Take one decrypted RTP packet. Never raises."""
        counters = self.counters
        counters.rtp += 1
        if self.on_authentic is not None:
            self.on_authentic(True)
        try:
            packet = RtpPacket.parse(data, self._extensions)
        except Exception:
            counters.rtp_malformed += 1
            return
        ssrcs = self._router.ssrc_table
        if packet.ssrc not in ssrcs and len(ssrcs) >= MAX_SSRCS:
            del ssrcs[next(iter(ssrcs))]
        receiver = self._router.route_rtp(packet)
        if receiver is None:
            counters.rtp_unroutable += 1
            return
        try:
            await receiver._handle_rtp_packet(packet, arrival_time_ms=arrival_time_ms)
        except Exception:
            self._handler_failed("RTP")

    async def handle_rtcp_data(self, data: bytes) -> None:
        """Take one decrypted compound RTCP packet. Never raises."""
        counters = self.counters
        counters.rtcp += 1
        if self.on_authentic is not None:
            self.on_authentic(False)
        try:
            packets = RtcpPacket.parse(data)
        except Exception:
            counters.rtcp_malformed += 1
            return
        # Feedback first: it says more about the interval that the report after it sums up.
        for packet in sorted(packets, key=lambda p: not isinstance(p, RtcpPsfbPacket)):
            try:
                recipients = self._router.route_rtcp(packet)
            except Exception:
                counters.rtcp_malformed += 1
                continue
            for recipient in recipients:
                try:
                    await recipient._handle_rtcp_packet(packet)
                except Exception:
                    self._handler_failed("RTCP")

    def _handler_failed(self, what: str) -> None:
        self.counters.handler_errors += 1
        # The first ones tell the story; a flood of them must not fill the log.
        if self.counters.handler_errors <= 10:
            logger.exception("handling %s from the peer failed", what)
