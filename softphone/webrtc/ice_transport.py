"""The transport below DTLS: a path through the network that may be exchanged under a living call.

:class:`IceTransport` stands where aiortc has its ICE transport. Below it are generations of
ICE (:class:`~softphone.webrtc.ice.IceConnection`): one carries the traffic; while ICE is
restarted (RFC 8445, section 9) a second one looks for a path, and takes over when it has
found one. DTLS, SRTP and everything above notice nothing.
"""

import asyncio
import logging
from collections.abc import Callable

from aioice.candidate import Candidate

from softphone.errors import ConfigError

from .ice import IceConnection
from .ice_config import IceConfig
from .ice_socket import Traffic
from .remote_description import RemoteTransport

__all__ = ["IceTransport"]

logger = logging.getLogger(__name__)

_MAX_QUEUE = 512
"""Datagrams that wait for DTLS; it takes them at once, but while it shakes hands."""
_LINGER = 1.0
"""Seconds that the sockets of a replaced generation stay open for what is still on its way."""
_CONNECT_PATIENCE = 30.0
"""Seconds after which a generation that has found no path is given up."""


class IceTransport:
    """Sends and receives datagrams over the generation of ICE that works."""

    def __init__(self, config: IceConfig) -> None:
        self.config = config
        self.traffic = Traffic()
        self.traffic.on_data = self._on_data
        self.arrival = 0.0
        """Arrival of the datagram that was taken last, seconds on ``time.monotonic``."""
        self.current: IceConnection | None = None
        """The generation that carries the traffic; before the first has connected, that one."""
        self.pending: IceConnection | None = None
        """The generation that is to take over."""
        self.on_candidate: Callable[[IceConnection, Candidate | None], None] | None = None
        """Called with each local candidate; with None after the last of a generation."""
        self._queue: asyncio.Queue[tuple[bytes, float] | None] = asyncio.Queue(_MAX_QUEUE)
        self._generations = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    # -- what RTCDtlsTransport asks of an RTCIceTransport

    @property
    def role(self) -> str:
        """``controlling`` or ``controlled``."""
        return "controlling" if self.current is not None and self.current.ice_controlling else "controlled"

    @property
    def state(self) -> str:
        """``new``, ``checking``, ``completed`` or ``closed``."""
        if self._closed:
            return "closed"
        if self.current is None:
            return "new"
        return "completed" if self.current.selected_pair is not None else "checking"

    async def _recv(self) -> bytes:
        item = await self._queue.get()
        if item is None:
            self._queue.put_nowait(None)
            raise ConnectionError("the transport is closed")
        data, self.arrival = item
        return data

    async def _send(self, data: bytes) -> None:
        """Without a path the datagram is lost, as on any network: DTLS and SRTP can live with that."""
        if self._closed:
            raise ConnectionError("the transport is closed")
        if self.current is None or self.current.selected_pair is None:
            self.traffic.counters.sent_nowhere += 1
            return
        await self.current.send(data)

    # -- generations

    @property
    def newest(self) -> IceConnection:
        """The generation that negotiation is about."""
        generation = self.pending or self.current
        assert generation is not None, "nothing was gathered yet"
        return generation

    async def new_generation(self, *, controlling: bool) -> IceConnection:
        """Open sockets under new passwords and begin to gather.

        An earlier one that has not taken over is given up. Raises
        :class:`softphone.errors.ConfigError` when an address or port can't be used.
        """
        self.abandon()
        generation = IceConnection(
            self.config,
            self.traffic,
            controlling=controlling,
            number=self._generations,
            on_candidate=lambda candidate: self._on_candidate(generation, candidate),
        )
        self._generations += 1
        if self.current is None:
            self.current = generation
        else:
            self.pending = generation
        try:
            await generation.gather_candidates()
        except ConfigError:
            if generation is self.pending:
                self.abandon()
            else:
                self.current = None
                await generation.close()
            raise
        return generation

    async def connect(self, generation: IceConnection, remote: RemoteTransport) -> None:
        """Find a path to the peer and send over it from then on.

        Raises `ConnectionError` when there is none.
        """
        generation.remote_is_lite = remote.ice_lite
        generation.remote_username, generation.remote_password = remote.ice_ufrag, remote.ice_pwd
        try:
            async with asyncio.timeout(_CONNECT_PATIENCE):
                await generation.connect()
        except TimeoutError:
            raise ConnectionError("no path was found in time") from None
        if generation is self.pending:
            old, self.current, self.pending = self.current, generation, None
            assert old is not None
            self._retire(old, _LINGER)

    def abandon(self) -> None:
        """Give up the generation that has not taken over, if there is one."""
        pending, self.pending = self.pending, None
        if pending is not None:
            self._retire(pending, 0.0)

    async def close(self) -> None:
        """Close everything. Idempotent."""
        if self._closed:
            return
        self._closed = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for generation in (self.pending, self.current):
            if generation is not None:
                await generation.close()

    def _retire(self, generation: IceConnection, delay: float) -> None:
        task = asyncio.get_running_loop().create_task(_close_later(generation, delay))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _on_data(self, data: bytes, arrival: float) -> None:
        try:
            self._queue.put_nowait((data, arrival))
        except asyncio.QueueFull:
            self.traffic.counters.dropped_overflow += 1

    def _on_candidate(self, generation: IceConnection, candidate: Candidate | None) -> None:
        if self.on_candidate is not None and generation in (self.current, self.pending):
            self.on_candidate(generation, candidate)


async def _close_later(generation: IceConnection, delay: float) -> None:
    try:
        await asyncio.sleep(delay)
    finally:
        await generation.close()
