"""An emulated network under a live call, for demonstrations and tests.

It sits between SRTP and the socket of one peer, on the way out, so the other side sees
loss and delay as from a real network.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from softphone.sim.network import NetworkEmulator

__all__ = ["Impairment", "ImpairmentCounters"]

_RTCP_TYPES = range(192, 224)
"""Second byte of RTCP on a port shared with RTP (RFC 5761, section 4)."""


@dataclass(slots=True)
class ImpairmentCounters:
    """What passed, by kind."""

    media: int = 0
    media_lost: int = 0
    rtcp: int = 0
    rtcp_lost: int = 0
    control: int = 0
    """STUN and DTLS; never lost, so that the call can always be set up."""
    duplicated: int = 0
    pending: int = 0
    """Datagrams on their way."""


class Impairment:
    """An outgoing hook (see :attr:`.peer.Peer.outgoing_hook`) that applies an emulated network.

    The k-th media packet meets the k-th fate of the emulator's flow ``"media"``, whatever
    STUN, DTLS and RTCP do in between: RTP leaves in the order of its sequence numbers, and
    nothing is ever sent twice. RTCP is a flow of its own. STUN and DTLS are delayed, but
    get through even when the emulator loses them.
    """

    def __init__(self, emulator: NetworkEmulator, *, control_delay: float = 0.0) -> None:
        """`control_delay`: seconds that STUN and DTLS take when the emulator loses them."""
        self.counters = ImpairmentCounters()
        self._emulator = emulator
        self._control_delay = control_delay
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def __call__(self, datagram: bytes, transmit: Callable[[bytes], None]) -> None:
        """Send `datagram` later, twice, or not at all."""
        counters = self.counters
        now = self._loop.time()
        if not datagram or not 128 <= datagram[0] <= 191:
            counters.control += 1
            deliveries = self._emulator.send(now, len(datagram), "control")[:1]
            deliveries = deliveries or [now + self._control_delay]
        elif len(datagram) > 1 and datagram[1] in _RTCP_TYPES:
            counters.rtcp += 1
            deliveries = self._emulator.send(now, len(datagram), "rtcp")
            counters.rtcp_lost += not deliveries
        else:
            counters.media += 1
            deliveries = self._emulator.send(now, len(datagram), "media")
            counters.media_lost += not deliveries
        counters.duplicated += max(0, len(deliveries) - 1)
        for delivery in deliveries:
            counters.pending += 1
            if delivery <= now:
                self._deliver(datagram, transmit)
            else:
                self._loop.call_at(delivery, self._deliver, datagram, transmit)

    def close(self) -> None:
        """Drop what is still on its way."""
        self._closed = True

    def _deliver(self, datagram: bytes, transmit: Callable[[bytes], None]) -> None:
        self.counters.pending -= 1
        if not self._closed:
            transmit(datagram)
