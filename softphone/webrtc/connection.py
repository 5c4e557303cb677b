"""DTLS-SRTP over ICE, with one audio stream each way: the transport half of a peer."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from aioice.candidate import Candidate
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport

from .guard import TransportGuard
from .ice import IceConnection
from .ice_config import IceConfig
from .ice_transport import IceTransport
from .receiver import AudioReceiver
from .reconnection import PathKeeper, ReconnectConfig
from .remote_description import RemoteDescription, RemoteTransport
from .sender import AudioSender
from .states import TRANSITIONS, ConnectionState

__all__ = ["AudioConnection"]

logger = logging.getLogger(__name__)


_SESSION_PATIENCE = 8.0
"""Seconds for a new session to stand, until another one is asked for."""


class AudioConnection:
    """Connects, stays connected and closes. Negotiates nothing."""

    def __init__(self, ice: IceConfig, reconnect: ReconnectConfig) -> None:
        self.ice = IceTransport(ice)
        """Sockets, paths and their counters."""
        self.certificate = RTCCertificate.generateCertificate()
        self.dtls, self.guard = self._make_dtls()
        self._reconnect = reconnect
        self._patience: asyncio.Task[None] | None = None
        self.sender = AudioSender(self.dtls, arrival=lambda: self.ice.arrival)
        """Our side's stream."""
        self.receiver = AudioReceiver(
            self.dtls, ssrc=self.sender.ssrc, cname=self.sender.cname, arrival=lambda: self.ice.arrival
        )
        """The peer's stream."""
        self.on_state: Callable[[ConnectionState], None] | None = None
        """Called with each new state."""
        self.on_restart: Callable[[], None] | None = None
        """Called when ICE should be restarted through signalling."""
        self.on_session_needed: Callable[[], None] | None = None
        """Called when nothing has helped so far, and only a new session will."""
        self.keeper = self._make_keeper()
        self._state = ConnectionState.NEW
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._state

    @property
    def fingerprints(self) -> list[tuple[str, str]]:
        """Hash names and digests of our certificate."""
        return [(f.algorithm, f.value) for f in self.dtls.getLocalParameters().fingerprints]

    def start(self, remote: RemoteDescription, role: Literal["client", "server"]) -> None:
        """Begin to connect to the peer, with that role in DTLS."""
        self.dtls._set_role(role)
        self._enter(ConnectionState.CONNECTING)
        self._spawn(self._connect(self.ice.newest, remote))

    def restart(self, remote: RemoteTransport) -> None:
        """Move to the pending generation of ICE, whose other end is `remote`."""
        self._spawn(self._move(self.ice.newest, remote))

    async def renew(self) -> None:
        """Begin a new session: other sockets, ICE and DTLS below the same streams, with the same certificate.

        What is to be done next is what was done first: `start`. Should that not lead to a
        connection, `on_session_needed` is told again, and in the end the connection has failed.
        """
        self._enter(ConnectionState.RECONNECTING)
        ice, dtls, polite = self.ice, self.dtls, self.keeper.polite
        await self.keeper.stop()
        self.ice = IceTransport(ice.config)
        self.ice.traffic.counters, self.ice.traffic.outgoing = ice.traffic.counters, ice.traffic.outgoing
        counters = self.guard.counters
        self.dtls, self.guard = self._make_dtls()
        self.guard.counters = counters
        self.sender.transport = self.receiver.transport = self.dtls
        self.keeper = self._make_keeper()
        self.keeper.polite = polite
        if self._patience is None:
            self._patience = self._spawn(self._wait_for_session())
        # A goodbye of the former session would end the call at the other end.
        ice.traffic.outgoing = lambda data, send: None
        dtls.remove_all_listeners()
        await dtls.stop()
        await ice.close()

    async def _wait_for_session(self) -> None:
        """After the first new session was begun: see that one of them stands in time."""
        config = self._reconnect
        deadline = asyncio.get_running_loop().time() + config.give_up - config.session_after
        while self._state is ConnectionState.RECONNECTING:
            await asyncio.sleep(_SESSION_PATIENCE)
            if self._state is not ConnectionState.RECONNECTING or self.dtls.state == "connected":
                break
            if asyncio.get_running_loop().time() >= deadline:
                self._enter(ConnectionState.FAILED)
            elif self.on_session_needed is not None:
                self.on_session_needed()
        self._patience = None

    def _make_dtls(self) -> tuple[RTCDtlsTransport, TransportGuard]:
        dtls = RTCDtlsTransport(self.ice, [self.certificate])  # type: ignore[arg-type]
        dtls.on("statechange", self._on_dtls_state)
        return dtls, TransportGuard(dtls)

    def _make_keeper(self) -> PathKeeper:
        keeper = PathKeeper(
            self.ice,
            self._reconnect,
            on_dead=lambda: self._enter(ConnectionState.RECONNECTING),
            on_repaired=lambda: self._enter(ConnectionState.CONNECTED),
            on_restart=lambda: self.on_restart and self.on_restart(),
            on_session_needed=lambda: self.on_session_needed and self.on_session_needed(),
            on_lost=lambda: self._enter(ConnectionState.FAILED),
        )
        self.guard.on_authentic = keeper.on_authentic
        self.sender.on_progress = keeper.on_progress
        return keeper

    def add_candidate(self, generation: IceConnection, candidate: str) -> None:
        """Add a candidate of the peer that was checked before."""
        self._spawn(_add_candidate(generation, candidate))

    async def close(self) -> None:
        """Say goodbye and free everything. Idempotent."""
        if self._closing:
            return
        self._closing = True
        await self.keeper.stop()
        await self.sender.stop()
        await self.receiver.stop()
        await self.dtls.stop()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await self.ice.close()
        self._enter(ConnectionState.CLOSED)

    def abort(self) -> None:
        """The connection is over, whatever is still open."""
        self._enter(ConnectionState.CLOSED)

    async def _connect(self, generation: IceConnection, remote: RemoteDescription) -> None:
        transport, ice, dtls = remote.transport, self.ice, self.dtls
        try:
            await ice.connect(generation, transport)
            # Before the first packet can come.
            await self.receiver.start(remote.audio.ssrcs)
            await dtls.start(
                RTCDtlsParameters([RTCDtlsFingerprint(name, value) for name, value in transport.fingerprints])
            )
        except ConnectionError as error:
            logger.info("connecting to the peer failed: %s", error)
        if dtls is not self.dtls:  # another session was begun meanwhile
            return
        if dtls.state != "connected":
            # Of a new session there may be another attempt.
            if self._patience is None:
                self._enter(ConnectionState.FAILED)
            return
        await self.sender.start()
        self.keeper.start()
        self._enter(ConnectionState.CONNECTED)

    async def _move(self, generation: IceConnection, remote: RemoteTransport) -> None:
        try:
            await self.ice.connect(generation, remote)
        except ConnectionError as error:
            logger.info("the restart of ICE found no path: %s", error)
            if self.ice.pending is generation:
                self.ice.abandon()
        else:
            self.keeper.on_new_path()

    def _on_dtls_state(self) -> None:
        if self.dtls.state == "closed" and not self._closing and self._patience is None:
            self._enter(ConnectionState.CLOSED)
            self._spawn(self.close())

    def _enter(self, state: ConnectionState) -> None:
        if state not in TRANSITIONS[self._state]:
            return
        self._state = state
        if self.on_state is not None:
            self.on_state(state)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a part of the connection failed", exc_info=task.exception())
            self._enter(ConnectionState.FAILED)


async def _add_candidate(generation: IceConnection, candidate: str) -> None:
    """Names of the local network (mDNS) take seconds to resolve, and may not be."""
    try:
        await generation.add_remote_candidate(Candidate.from_sdp(candidate))
    except (OSError, ValueError) as error:
        logger.info("a candidate of the peer is of no use: %s", error)
