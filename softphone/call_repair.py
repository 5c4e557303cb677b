"""Finds another path for the media of a call through its signalling, when nothing else has helped."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, Final

from softphone.call_signaling import CallSignaling
from softphone.errors import ConfigError, RemoteProtocolError
from softphone.signaling import CallEndedError, CallStateError, Reanswer, Reoffer, Restart, Role
from softphone.webrtc import ConnectionState, Peer

__all__ = ["CallRepair"]

_LOG = logging.getLogger(__name__)

_SPACING: Final = 0.5
"""Least seconds between two restarts that the peer may cause: each opens sockets."""


class CallRepair:
    """Restarts ICE, or begins a new session: the caller offers, the callee asks it to. So offers never cross.

    Sessions have numbers. What belongs to a former one is ignored.
    """

    def __init__(self, session: CallSignaling, peer: Peer) -> None:
        """`session` is answered; everything happens by itself from now on."""
        self._signaling = session
        self._peer = peer
        self._session = 0
        self._wanted: int | None = None
        """Session that the last request was about."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._last = {False: float("-inf"), True: float("-inf")}
        """When a restart was last begun, and a new session."""
        session.on_path = self._on_path
        if session.remote.capabilities.get("ice_restart") is True:
            peer.on_restart_needed = lambda: self._need(self._session)
        if session.remote.capabilities.get("new_session") is True:
            peer.on_session_needed = lambda: self._need(self._session + 1)

    async def close(self) -> None:
        """Give up what is under way. Idempotent."""
        self._signaling.on_path = self._peer.on_restart_needed = self._peer.on_session_needed = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def signaling_returned(self) -> None:
        """What was said about the path while the signalling was lost has to be said again."""
        if self._peer.state is ConnectionState.RECONNECTING and self._wanted is not None:
            self._need(max(self._wanted, self._session))

    def _need(self, session: int) -> None:
        self._wanted = session
        self._spawn(self._signaling.check_connection())  # what killed the path may have killed that too
        if self._signaling.role is Role.CALLER:
            # A peer that has noticed too need not ask: a second offer would spoil the first one's answer.
            self._last[session > self._session] = time.monotonic()
            self._spawn(self._offer(session))
        else:
            self._spawn(self._signaling.tell_path(Restart(session=session)))

    def _on_path(self, message: Restart | Reoffer | Reanswer) -> None:
        if not isinstance(message, Reanswer):
            # What is new must not be kept back by what was repeated in vain.
            renews = message.session > self._session
            now = time.monotonic()
            if now - self._last[renews] < _SPACING:
                return
            self._last[renews] = now
        match message:
            case Restart(session=session):
                self._spawn(self._offer(min(session, self._session + 1)))
            case Reoffer():
                self._spawn(self._answer(message))
            case Reanswer():
                self._spawn(self._take(message))

    async def _offer(self, session: int) -> None:
        async with self._turn:
            if session < self._session:
                return
            await self._enter(session)
            sdp = await self._peer.create_offer(ice_restart=True)
            await self._signaling.tell_path(Reoffer(sdp=sdp, session=session))

    async def _answer(self, offer: Reoffer) -> None:
        async with self._turn:
            if offer.session < self._session:
                return
            await self._enter(offer.session)
            sdp = await self._peer.accept_offer(offer.sdp)
            await self._signaling.tell_path(Reanswer(sdp=sdp, session=offer.session))

    async def _take(self, answer: Reanswer) -> None:
        async with self._turn:
            if answer.session == self._session:
                await self._peer.accept_answer(answer.sdp)

    async def _enter(self, session: int) -> None:
        if session > self._session:
            _LOG.info("begin session %d of the media of a call", session)
            self._session = session
            await self._peer.begin_again()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> None:
        """The call goes on without the repair."""
        try:
            await work
        except (CallEndedError, CallStateError):
            pass  # without signalling the path may still come back
        except (ConfigError, RemoteProtocolError) as error:
            _LOG.warning("the path of the call could not be exchanged: %s", error)
