"""The real commands as processes of their own."""

import json
import os
import pty
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0

QUIET_AUDIO = ("--input", "null", "--output", "null")
LOCAL = ("--bind-address", "127.0.0.1")


class Command:
    """``python -m softphone ARGUMENTS``, whose output is read while it runs; a context manager."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None, terminal: bool = False) -> None:
        """With `terminal`, standard input is a pseudo-terminal for `press`."""
        self._keys = -1
        stdin: int = subprocess.DEVNULL
        if terminal:
            self._keys, stdin = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "softphone", *arguments],
            cwd=ROOT,
            env={**(os.environ if env is None else env), "COLUMNS": "200"},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A session of its own, with the pseudo-terminal as the controlling one.
            start_new_session=True,
            preexec_fn=_take_terminal if terminal else None,
        )
        if terminal:
            os.close(stdin)
        self.output = ""
        self.errors = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read_output),
            threading.Thread(target=self._read_errors),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "Command":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        if self._keys >= 0:
            os.close(self._keys)

    def wait_for(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        """The first line of the output, from here on, that matches."""
        deadline = time.monotonic() + patience
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no {pattern!r} in: {self.output}{self.errors}"
            if match := re.search(pattern, line):
                return match

    def port(self) -> str:
        """The port that a listening command prints."""
        return self.wait_for(r"softphone call 127\.0\.0\.1:(\d+)")[1]

    def press(self, keys: str) -> None:
        os.write(self._keys, keys.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def finish(self, patience: float = PATIENCE) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(patience)
        for reader in self._readers:
            reader.join()
        return code

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def read_json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text())
    return values
