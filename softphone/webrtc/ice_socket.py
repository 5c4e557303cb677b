"""The sockets of a call: what comes in and when, what goes out and through which hook."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aioice
from aioice import stun
from aioice.ice import StunProtocol

from .arrival import ArrivalClock

__all__ = ["IceCounters", "IceSocket", "OutgoingHook", "Traffic"]

logger = logging.getLogger(__name__)

OutgoingHook = Callable[[bytes, Callable[[bytes], None]], None]
"""``hook(datagram, transmit)``: called for everything that goes out; sends by calling `transmit`."""

MAX_DATAGRAM = 1500
"""Bytes; the SRTP library refuses longer ones with an error that would end the call."""

_CLOSE_PATIENCE = 1.0
"""Seconds for giving back an address on a relay, which may be out of reach."""
_EARLY_REPEATS = (0.1, 0.25)
"""Seconds after which a check is sent again, besides the repeats at 0.5 s, 1.5 s and so on (RFC 8489,
section 6.2.1): a path under repair must not wait half a second for one lost packet."""


@dataclass(slots=True)
class IceCounters:
    """What came out of the sockets."""

    datagrams: int = 0
    """Everything that was not STUN."""
    srtp: int = 0
    """Datagrams that claim to be SRTP or SRTCP."""
    dropped_empty: int = 0
    dropped_oversized: int = 0
    dropped_unknown: int = 0
    """Neither DTLS nor SRTP by their first byte (RFC 7983)."""
    dropped_overflow: int = 0
    """Came faster than they were handled."""
    stun_errors: int = 0
    """STUN messages that could not be handled."""
    send_errors: int = 0
    """Datagrams that the system refused, for instance because the address is gone."""
    sent_nowhere: int = 0
    """Datagrams sent while there was no path."""


class Traffic:
    """What all sockets of a call share, whichever generation of ICE they belong to."""

    def __init__(self) -> None:
        self.clock = ArrivalClock()
        self.counters = IceCounters()
        self.outgoing: OutgoingHook | None = None
        self.arrival = 0.0
        """When the datagram being handled arrived, seconds on ``time.monotonic``."""
        self.round_trip: float | None = None
        """Shortest check of a path so far, seconds (RFC 8445, RFC 7675)."""
        self.on_data: Callable[[bytes, float], None] | None = None
        """Called with every datagram that is not STUN and its arrival on ``time.monotonic``."""
        self.on_send_error: Callable[[], None] | None = None
        """Called when a datagram was refused."""

    def deliver(self, data: bytes) -> None:
        """Hand on the datagram being handled, if the layers above can digest it."""
        counters = self.counters
        counters.datagrams += 1
        if not data:
            counters.dropped_empty += 1
        elif len(data) > MAX_DATAGRAM:
            counters.dropped_oversized += 1
        elif 128 <= data[0] <= 191 or 20 <= data[0] <= 63:
            counters.srtp += data[0] >= 128
            if self.on_data is not None:
                self.on_data(data, self.arrival)
        else:
            counters.dropped_unknown += 1

    def answered(self, seconds: float) -> None:
        """The peer answered a check; a repeated one took longer than the path."""
        self.round_trip = seconds if self.round_trip is None else min(self.round_trip, seconds)

    def refused(self) -> None:
        """The system did not take a datagram."""
        self.counters.send_errors += 1
        if self.on_send_error is not None:
            self.on_send_error()


class IceSocket(StunProtocol):
    """One UDP socket, or one address on a relay."""

    def __init__(self, connection: aioice.Connection, traffic: Traffic) -> None:
        super().__init__(connection)
        self.traffic = traffic
        self.on_media: Callable[[tuple[str, int], StunProtocol], None] | None = None
        """Called with the source of each datagram that claims to be SRTP or SRTCP."""
        self._closed = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        super().connection_lost(exc)

    def error_received(self, exc: Exception) -> None:
        super().error_received(exc)
        self.traffic.refused()

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        self.traffic.arrival = self.traffic.clock.stamp(self.transport.get_extra_info("socket"))
        try:
            if self.on_media is not None and data and 128 <= ord(data[:1]) <= 191:
                self.on_media((addr[0], addr[1]), self)
            super().datagram_received(data, addr)
        except Exception:
            self.traffic.counters.stun_errors += 1
            logger.debug("dropped a STUN message from %s", addr, exc_info=True)

    async def request(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, tuple[str, int]]:
        """Time and repeat the checks of paths to the peer, which are those with an integrity key."""
        if integrity_key is None:
            answer: tuple[stun.Message, tuple[str, int]] = await super().request(request, addr)
            return answer
        loop = asyncio.get_running_loop()
        repeats = [loop.call_later(delay, self.send_stun, request, addr) for delay in _EARLY_REPEATS]
        began = time.monotonic()
        try:
            answer = await super().request(request, addr, integrity_key, retransmissions)
        finally:
            for repeat in repeats:
                repeat.cancel()
        self.traffic.answered(time.monotonic() - began)
        return answer

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_PATIENCE):
                await super().close()

    async def send_data(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transmit(data, addr)

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        self._transmit(bytes(message), addr)

    def _transmit(self, data: bytes, addr: tuple[str, int]) -> None:
        hook = self.traffic.outgoing
        if hook is None:
            self._send(data, addr)
        else:
            hook(data, lambda later: self._send(later, addr))

    def _send(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._closed:
            self.transport.sendto(data, addr)
