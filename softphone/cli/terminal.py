"""What a command needs of its terminal: lines, one live line, keys, and Ctrl-C."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from types import FrameType, TracebackType
from typing import Any, TypeVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

from softphone.cli.keyboard import Keyboard

__all__ = ["StoppedError", "Terminal"]

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(Exception):
    """The user wants to stop."""


class Terminal:
    """The terminal of a running command; a context manager on the event loop.

    The first Ctrl-C (or SIGTERM) asks the command to end properly, the second kills it.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console()
        self.keyboard = Keyboard()
        self._lively = not quiet and self.console.is_terminal
        self._live: Live | None = None
        self._stop = asyncio.Event()

    def __enter__(self) -> "Terminal":
        self.keyboard.__enter__()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            try:
                loop.add_signal_handler(number, self._interrupt)
            except NotImplementedError:  # Windows: Ctrl-C cancels the program
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_status()
        self.keyboard.__exit__(kind, error, trace)

    @property
    def stopping(self) -> bool:
        """Whether the user wants to stop."""
        return self._stop.is_set()

    def say(self, text: str, *, style: str = "") -> None:
        """Print a line; `text` is shown as it is, whoever wrote it."""
        self.console.print(Text(text, style=style), soft_wrap=True, highlight=False)

    def complain(self, text: str) -> None:
        """Print a line on standard error."""
        self.end_status()
        print(f"softphone: {text}", file=sys.stderr, flush=True)

    def status(self, text: str) -> None:
        """Change the line at the bottom; nothing when the output is no terminal."""
        if not self._lively:
            return
        if self._live is None:
            # Refreshed by hand: rich's own way would be a thread.
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)

    def end_status(self) -> None:
        """Take the line at the bottom away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    async def stopped(self) -> None:
        """Wait until the user wants to stop."""
        await self._stop.wait()

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; it is cancelled, with `StoppedError`, when the user wants to stop."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        try:
            waiters: set[asyncio.Future[Any]] = {task, stop}
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise StoppedError
            return task.result()
        finally:
            task.cancel()
            stop.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    def _interrupt(self) -> None:
        self._stop.set()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            # Not the loop's: this one must work when the loop is stuck.
            signal.signal(number, self._kill)

    def _kill(self, number: int, frame: FrameType | None) -> None:
        self.keyboard.restore()
        os._exit(128 + number)
