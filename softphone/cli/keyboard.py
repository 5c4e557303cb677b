"""Single keys from the terminal, without ever blocking the event loop."""

import asyncio
import os
import sys
from types import TracebackType
from typing import Any

try:
    import termios
    import tty
except ImportError:  # not a Unix terminal: calls work, keys don't
    termios = None  # type: ignore[assignment]

__all__ = ["Keyboard"]


class Keyboard:
    """Keys as they are pressed; a context manager that gives the terminal back as it was.

    Without a terminal, or in the background, nothing ever comes.
    """

    def __init__(self) -> None:
        self.available = _in_foreground()
        """Whether somebody can press keys."""
        self._keys: asyncio.Queue[str] = asyncio.Queue(maxsize=64)
        self._descriptor = -1
        self._before: Any = None

    def __enter__(self) -> "Keyboard":
        if self.available:
            self._descriptor = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)  # Ctrl-C stays a signal
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self.restore()

    def restore(self) -> None:
        """Give the terminal back as it was. Idempotent."""
        if self._descriptor >= 0:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
            self._descriptor = -1

    async def key(self) -> str:
        """The next key, one character; what was pressed before may wait already."""
        return await self._keys.get()

    def forget(self) -> None:
        """Drop what was pressed before a question was asked."""
        while not self._keys.empty():
            self._keys.get_nowait()

    def _read(self) -> None:
        typed = os.read(self._descriptor, 64)
        if not typed:  # the terminal is gone
            asyncio.get_running_loop().remove_reader(self._descriptor)
        for character in typed.decode("utf-8", "ignore"):
            if not self._keys.full():
                self._keys.put_nowait(character)


def _in_foreground() -> bool:
    """True when stdin is a terminal whose keys are ours; a background job would be stopped for asking."""
    try:
        return (
            termios is not None
            and sys.stdin is not None
            and sys.stdin.isatty()
            and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        )
    except (OSError, ValueError):
        return False
