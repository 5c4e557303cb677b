"""Finds another path for the media of a call through its signalling, when nothing else has helped."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, Final

from softphone.call_signaling import CallSignaling
from softphone.errors import ConfigError, RemoteProtocolError
from softphone.signaling import CallEndedError, CallStateError, Reanswer, Reoffer, Restart, Role
from softphone.webrtc import Peer

__all__ = ["CallRepair"]

_LOG = logging.getLogger(__name__)

_SPACING: Final = 0.5
"""Least seconds between two restarts that the peer may cause: each opens sockets."""


class CallRepair:
    """Restarts ICE: the caller offers, the callee asks it to. So offers never cross."""

    def __init__(self, session: CallSignaling, peer: Peer) -> None:
        """`session` is answered; everything happens by itself from now on."""
        self._session = session
        self._peer = peer
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = float("-inf")
        session.on_path = self._on_path
        if session.remote.capabilities.get("ice_restart") is True:
            peer.on_restart_needed = self._on_restart_needed

    async def close(self) -> None:
        """Give up what is under way. Idempotent."""
        self._session.on_path = self._peer.on_restart_needed = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_restart_needed(self) -> None:
        if self._session.role is Role.CALLER:
            self._spawn(self._offer())
        else:
            self._spawn(self._session.tell_path(Restart()))

    def _on_path(self, message: Restart | Reoffer | Reanswer) -> None:
        now = time.monotonic()
        if not isinstance(message, Reanswer):
            if now - self._last < _SPACING:
                return
            self._last = now
        match message:
            case Restart():
                self._spawn(self._offer())
            case Reoffer():
                self._spawn(self._answer(message.sdp))
            case Reanswer():
                self._spawn(self._take(message.sdp))

    async def _offer(self) -> None:
        await self._session.tell_path(Reoffer(sdp=await self._peer.create_offer(ice_restart=True)))

    async def _answer(self, sdp: str) -> None:
        await self._session.tell_path(Reanswer(sdp=await self._peer.accept_offer(sdp)))

    async def _take(self, sdp: str) -> None:
        await self._peer.accept_answer(sdp)

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
