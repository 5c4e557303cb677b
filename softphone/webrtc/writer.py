"""Sends packets in order from code that must not wait."""

import asyncio
import contextlib
import logging
from collections import deque

from aiortc import RTCDtlsTransport

__all__ = ["PacketWriter"]

logger = logging.getLogger(__name__)

MAX_WAITING = 64
"""Packets held for a transport that can't keep up; beyond, the oldest are dropped."""


class PacketWriter:
    """A short queue in front of a DTLS transport, emptied by one task.

    `write` costs next to nothing and never raises; packets leave in the next turn of the
    event loop. Everything runs on that loop.
    """

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self.transport = transport
        self.dropped = 0
        """Packets that waited too long."""
        self.failed = 0
        """Packets the transport refused: not connected, or too long for SRTP."""
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def write(self, packet: bytes) -> None:
        """Queue one RTP or RTCP packet."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(packet)
        self._wake.set()

    async def close(self) -> None:
        """Send what is waiting, then stop. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._flush()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._flush()

    async def _flush(self) -> None:
        while self._waiting:
            packet = self._waiting.popleft()
            try:
                await self.transport._send_rtp(packet)
            except ConnectionError:
                self.failed += 1
            except Exception:
                self.failed += 1
                logger.debug("could not send a packet of %d bytes", len(packet), exc_info=True)
