"""Sends packets in order from code that must not wait."""

import asyncio
import contextlib
import logging
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from aiortc import RTCDtlsTransport

__all__ = ["PacketWriter"]

logger = logging.getLogger(__name__)

MAX_WAITING = 64
"""Packets held for a transport that can't keep up; beyond, the oldest are dropped."""

_LINGER = 0.5
"""Seconds that closing waits for a transport that makes packets wait."""


class PacketWriter:
    """Sends at once what the transport takes at once, and queues behind what it makes wait.

    UDP never waits; a relay over TCP does, and so does the first packet through a relay.
    `write` never raises. Everything runs on the event loop.
    """

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self.transport = transport
        self.dropped = 0
        """Packets that waited too long."""
        self.failed = 0
        """Packets the transport refused: not connected, or too long for SRTP."""
        self._waiting: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None

    def write(self, packet: bytes) -> None:
        """Send one RTP or RTCP packet, behind those that wait."""
        if self._task is not None:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(packet)
            return
        sending = self.transport._send_rtp(packet)
        # A coroutine that never waits needs no task; one that does is finished by a task.
        try:
            future = sending.send(None)
        except StopIteration:
            return
        except Exception as error:
            self._count_failure(packet, error)
            return
        self._task = asyncio.get_running_loop().create_task(self._drain(packet, sending, future))

    async def close(self) -> None:
        """Give what waits a moment to leave, then stop. Idempotent."""
        task = self._task
        if task is not None:
            await asyncio.wait({task}, timeout=_LINGER)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._waiting.clear()

    async def _drain(self, packet: bytes, sending: Coroutine[Any, Any, None], future: Any) -> None:
        """Finish the packet that waits, then send the queue."""
        try:
            try:
                await _resume(sending, future)
            except Exception as error:
                self._count_failure(packet, error)
            while self._waiting:
                packet = self._waiting.popleft()
                try:
                    await self.transport._send_rtp(packet)
                except Exception as error:
                    self._count_failure(packet, error)
        finally:
            self._task = None

    def _count_failure(self, packet: bytes, error: Exception) -> None:
        self.failed += 1
        if not isinstance(error, ConnectionError):
            logger.debug("could not send a packet of %d bytes", len(packet), exc_info=error)


@types.coroutine
def _resume(coroutine: Coroutine[Any, Any, None], future: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that was started by hand and now waits for ``future``."""
    step: Callable[[Any], Any]
    argument: Any
    while True:
        try:
            yield future
        except BaseException as error:
            step, argument = coroutine.throw, error
        else:
            step, argument = coroutine.send, None
        try:
            future = step(argument)
        except StopIteration:
            return
