"""A thread that calls a function at absolute deadlines: the clock of whatever has none."""

import logging
import threading
import time
from collections.abc import Callable

__all__ = ["Pacer"]

logger = logging.getLogger(__name__)

MAX_LATENESS = 1.0
"""Seconds of lateness that are made up for; after more (a suspended machine) time is skipped."""


class Pacer:
    """Calls ``tick(due)`` every `interval` seconds on a thread of its own.

    Deadlines are ``start + k * interval``, so a late tick does not make the following
    ones late: they come in quick succession until the clock is caught up with.
    """

    def __init__(self, interval: float, tick: Callable[[float], bool], *, name: str = "pacer") -> None:
        """
        Args:
            interval: seconds between deadlines.
            tick: is given its deadline (``time.monotonic`` seconds) and returns whether to
                go on. An exception means "go on"; the first one is logged.
            name: of the thread.
        """
        self._interval = interval
        self._tick = tick
        self._name = name
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.skipped = 0.0
        """Seconds that were skipped because the thread had come too late."""
        self.errors = 0
        """Exceptions out of the tick."""

    def start(self) -> None:
        """Start the thread; the first deadline is one interval from now. Once per object."""
        if self._thread is not None:
            raise RuntimeError("a pacer can be started once")
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, within an interval; returns when no tick is running any more, except inside a
        tick. Idempotent."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        due = time.monotonic() + self._interval
        while True:
            # A plain sleep costs a third of a wait on an event; stopping may take an interval.
            time.sleep(max(0.0, due - time.monotonic()))
            if self._stop.is_set():
                return
            late = time.monotonic() - due
            if late > MAX_LATENESS:
                self.skipped += late
                due += late
            try:
                if not self._tick(due):
                    return
            except Exception:
                self.errors += 1
                if self.errors == 1:
                    logger.exception("%s: error in tick", self._name)
            due += self._interval
