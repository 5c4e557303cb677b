"""Keeps the path to the peer alive: watches it, and when it dies looks for another one.

What is tried, in this order:

1. as soon as the path is suspect and the machine has other addresses than before: checks
   from the new ones under the same passwords (:meth:`.ice.IceConnection.roam`), without
   signalling, and a restart of ICE if there is some;
2. when the path is dead: the same on every path that there might be, again and again;
3. a little later, if there is signalling: a restart of ICE, new passwords and sockets on
   both sides, again every few seconds;
4. after `session_after` the owner is told that only a new session will help, and after
   `give_up` the connection has failed.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from .gathering import machine_addresses
from .ice_transport import IceTransport
from .path_watch import PathState, PathWatch, PathWatchConfig

__all__ = ["PathKeeper", "ReconnectConfig"]

logger = logging.getLogger(__name__)

_EAGER_RESTARTS = 4
_PROBE_SPACING = 0.09
"""Least seconds between two checks of the path in use."""
_ROAM_INTERVAL = 1.0
"""Seconds between two rounds of checks on every path."""


@dataclass(frozen=True, slots=True)
class ReconnectConfig:
    """Times in seconds, counted from the moment the path was found dead."""

    watch: PathWatchConfig = field(default_factory=PathWatchConfig)
    """When a path counts as dead."""
    restart_after: float = 0.1
    """Until ICE is restarted through signalling, if the path has not been repaired by then."""
    polite_delay: float = 0.5
    """How much longer the side that was called waits with it, so that seldom both do it at once."""
    restart_interval: float = 0.7
    """How long a restart may take, besides four round trips, before another one is begun. A browser whose
    network has changed needs about 2 s until a restart helps; after the fourth one the time doubles."""
    session_after: float = 10.0
    """Until the owner is told that a new session is needed."""
    give_up: float = 30.0
    """Until the connection has failed (RFC 7675, section 5.1, allows no more)."""


class PathKeeper:
    """Runs a `PathWatch` on the event loop and acts on its verdicts."""

    def __init__(
        self,
        ice: IceTransport,
        config: ReconnectConfig,
        *,
        on_dead: Callable[[], None],
        on_repaired: Callable[[], None],
        on_restart: Callable[[], None],
        on_session_needed: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        """`on_restart` is to begin a restart of ICE through signalling, if it can; `on_lost` is the end."""
        self.config = config
        self.polite = False
        """Whether the other side goes first with a restart."""
        self.watch = PathWatch(time.monotonic(), config.watch)
        self._ice = ice
        self._on_dead = on_dead
        self._on_repaired = on_repaired
        self._on_restart = on_restart
        self._on_session_needed = on_session_needed
        self._on_lost = on_lost
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._helpers: set[asyncio.Task[Any]] = set()
        self._roaming: asyncio.Task[Any] | None = None
        self._roamed_at = 0.0
        self._addresses: frozenset[str] = frozenset()
        self._pair: tuple[tuple[str, int], tuple[str, int]] | None = None

    def start(self) -> None:
        """Begin; the path works at this moment."""
        self._addresses = machine_addresses(self._ice.config)
        self.watch.on_new_path(time.monotonic())
        self._ice.traffic.on_send_error = self._on_send_error
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop watching. Idempotent."""
        self._ice.traffic.on_send_error = None
        tasks = [task for task in (self._task, *self._helpers) if task is not None]
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for task in tasks:
            if task is not asyncio.current_task():
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._task = None

    def on_authentic(self, media: bool) -> None:
        """The peer sent a packet that could be decrypted: audio, or else a report."""
        now = time.monotonic()
        if media:
            self.watch.on_media(now)
        else:
            self.watch.on_sign(now)

    def on_progress(self) -> None:
        """The peer's reports say that it received more of our packets."""
        self.watch.on_confirmation(time.monotonic())

    def on_new_path(self) -> None:
        """A restart of ICE has found a path."""
        self.watch.on_new_path(time.monotonic())
        self._wake.set()

    async def _run(self) -> None:
        watch = self.watch
        dead_since: float | None = None
        next_restart, restarts = math.inf, 0
        probed = 0.0
        told = False
        while True:
            polite_delay = self.config.polite_delay if self.polite else 0.0
            now = time.monotonic()
            watch.round_trip = self._ice.traffic.round_trip or 0.0
            state = watch.poll(now)
            if state is not PathState.GOOD:
                self._follow()
                if now - probed >= _PROBE_SPACING:
                    probed = now
                    self._help(self._probe())
                if self._roam(now, dead=state is PathState.DEAD):
                    # The peer may stick to the old path for seconds; the sooner it is told the better.
                    next_restart = min(next_restart, now + polite_delay)
            if state is PathState.DEAD:
                if dead_since is None:
                    dead_since, told = now, False
                    next_restart = min(next_restart, now + self.config.restart_after + polite_delay)
                    logger.info("the path to the peer is dead")
                    self._tell(self._on_dead)
                if not told and now - dead_since >= self.config.session_after:
                    told = True
                    self._tell(self._on_session_needed)
                if now - dead_since >= self.config.give_up:
                    self._tell(self._on_lost)
                    return
            elif state is PathState.GOOD:
                if dead_since is not None:
                    logger.info("the path was repaired after %.1f s", now - dead_since)
                    dead_since = None
                    self._tell(self._on_repaired)
                next_restart, restarts = math.inf, 0
                self._pair = self._selected
            if now >= next_restart:
                restarts += 1
                patience = self.config.restart_interval + 4 * watch.round_trip
                next_restart = now + patience * 2 ** max(0, restarts - _EAGER_RESTARTS)
                self._tell(self._on_restart)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, watch.next_poll - time.monotonic())):
                    await self._wake.wait()

    @property
    def _selected(self) -> tuple[tuple[str, int], tuple[str, int]] | None:
        return self._ice.current.selected_pair if self._ice.current is not None else None

    async def _probe(self) -> None:
        """Check the path in use; only its answers count."""
        current, pair = self._ice.current, self._selected
        if current is not None and await current.probe() and self._selected == pair:
            self.watch.on_confirmation(time.monotonic())
            self._wake.set()

    def _follow(self) -> None:
        """Notice that the checks of either side have moved the path."""
        if self._selected != self._pair:
            self._pair = self._selected
            self.watch.on_move(time.monotonic())

    def _roam(self, now: float, *, dead: bool) -> bool:
        """Look for another path, when the addresses have changed or the one in use is dead.

        Returns whether the machine has new addresses.
        """
        if self._ice.current is None or (self._roaming is not None and not self._roaming.done()):
            return False
        addresses = machine_addresses(self._ice.config)
        moved = bool(addresses - self._addresses)
        self._addresses = addresses
        if moved or (dead and now - self._roamed_at >= _ROAM_INTERVAL):
            self._roamed_at = now
            self._roaming = self._help(self._ice.current.roam(moved=moved))
        return moved

    def _tell(self, callback: Callable[[], None]) -> None:
        """An owner that fails must not leave the path alone."""
        try:
            callback()
        except Exception:
            logger.exception("a callback of the reconnection failed")

    def _help(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._helpers.add(task)
        task.add_done_callback(self._helped)
        return task

    def _helped(self, task: "asyncio.Task[Any]") -> None:
        self._helpers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.warning("looking for a path failed", exc_info=task.exception())

    def _on_send_error(self) -> None:
        if self.watch.state is PathState.GOOD:
            self.watch.on_refusal(time.monotonic())
            self._wake.set()
