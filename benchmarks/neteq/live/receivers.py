"""The receivers of live runs behind one interface."""

import asyncio
import json
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.neteq.live.chromium import Browser
from benchmarks.neteq.recording import Recording

__all__ = ["BrowserReceiver", "Captured", "ProcessReceiver", "Receiver"]

_ROOT = Path(__file__).parents[3]
_PATIENCE = 60.0
"""Seconds: a busy machine takes long to start a process."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What a receiver played."""

    recording: Recording
    pulls: list[float]
    """When its output asked for audio, seconds after the speaker began."""
    statistics: dict[str, Any]
    """What it says about itself."""


class Receiver(ABC):
    """One incoming call."""

    @abstractmethod
    async def answer(self, offer: str) -> str:
        """Take an offer (SDP); returns the answer."""

    @abstractmethod
    async def capture(self, began: float, until: float, folder: Path) -> Captured:
        """Play until ``until``, then hand over; ``began``: when the speaker does (both monotonic)."""

    @abstractmethod
    async def close(self) -> None:
        """Free everything."""


class BrowserReceiver(Receiver):
    """NetEq: one of several calls in the page of a browser."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self._name = name

    async def answer(self, offer: str) -> str:
        return await self._browser.answer(self._name, offer)

    async def capture(self, began: float, until: float, folder: Path) -> Captured:
        await asyncio.sleep(until - asyncio.get_running_loop().time())
        statistics = await self._browser.statistics(self._name)
        await self._browser.close(self._name)
        recording, pulls = self._browser.recording(self._name, began)
        return Captured(recording, pulls, statistics)

    async def close(self) -> None:
        pass


class ProcessReceiver(Receiver):
    """softphone or aiortc, see :mod:`.endpoint`."""

    def __init__(self, *arguments: str) -> None:
        """``arguments`` of the process."""
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    async def answer(self, offer: str) -> str:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.neteq.live.endpoint",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
            cwd=_ROOT,
        )
        self._tell(offer=offer)
        return str((await self._hear())["answer"])

    async def capture(self, began: float, until: float, folder: Path) -> Captured:
        path = folder / "recording.npz"
        self._tell(began=began, until=until, recording=str(path))
        told = await self._hear(until - asyncio.get_running_loop().time())
        return Captured(Recording.load(path), told["pulls"], told["statistics"])

    async def close(self) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()  # one that still waits for orders goes home
        try:
            async with asyncio.timeout(_PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _tell(self, **values: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(values).encode() + b"\n")

    async def _hear(self, more: float = 0.0) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE + more):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a receiver ended early; see its messages above")
        return dict(json.loads(line))
