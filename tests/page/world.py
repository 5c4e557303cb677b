"""What tests and screenshots of the page need: voices, browsers, room servers."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from softphone.data import sample_speech
from softphone.rooms import RoomConfig, RoomServer, RoomServerConfig
from tests.page.browsers import RATE, Samples, Visitor, browser

Visit = Callable[..., Awaitable[Visitor]]
Serve = Callable[..., Awaitable[RoomServer]]
Voices = dict[str, tuple[Path, Samples]]

# All windows are on one machine, and each keeps a few connections to the server.
_MANY: dict[str, Any] = {"max_strangers_per_address": 256, "connection_rate": 1e3, "connection_burst": 1e3}

SECRET = b"page tests page tests page tests"


def make_voices(folder: Path) -> Voices:
    """Speech of alice and bob: the file of the microphone, and its samples."""
    speech, rate = soundfile.read(sample_speech(), dtype="float32")
    assert rate == RATE
    voices = {}
    for name, half in zip(("alice", "bob"), np.array_split(speech, 2), strict=True):
        soundfile.write(folder / f"{name}.wav", half, RATE, subtype="PCM_16")
        voices[name] = (folder / f"{name}.wav", half)
    return voices


class Browsers:
    """Browsers by name, started when first asked for.

    Every voice has one; "mute" has no microphone; "shy" has one and does not allow it.
    """

    def __init__(self, driver: Any, voices: Voices, stack: contextlib.AsyncExitStack) -> None:
        self._driver = driver
        self._files = {name: file for name, (file, _) in voices.items()}
        self._stack = stack
        self._running: dict[str, Any] = {}

    async def get(self, name: str) -> Any:
        """The browser called `name`."""
        if name not in self._running:
            speech = None if name == "mute" else self._files.get(name, self._files["alice"])
            opened = browser(self._driver, speech, allowed=name != "shy")
            self._running[name] = await self._stack.enter_async_context(opened)
        return self._running[name]


@contextlib.asynccontextmanager
async def open_browsers(voices: Voices) -> AsyncIterator[Browsers]:
    """Browsers that are closed in the end."""
    from playwright.async_api import async_playwright

    async with async_playwright() as driver, contextlib.AsyncExitStack() as stack:
        yield Browsers(driver, voices, stack)


@contextlib.asynccontextmanager
async def visiting(browsers: Browsers) -> AsyncIterator[Visit]:
    """Opens windows: ``visit("alice")``. In the end no page may have a complaint."""
    visitors: list[Visitor] = []

    async def visit(name: str, **context: Any) -> Visitor:
        visitors.append(await Visitor.come(await browsers.get(name), **context))
        return visitors[-1]

    try:
        yield visit
    finally:
        for visitor in visitors:
            await visitor.close()
    complaints = [text for visitor in visitors for text in visitor.complaints]
    assert not complaints, complaints


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Serve]:
    """Starts servers: ``serve(lobby=True)`` takes settings of `RoomConfig`, ``server={...}`` all others."""
    servers: list[RoomServer] = []

    async def serve(*, server: dict[str, Any] | None = None, **room: Any) -> RoomServer:
        settings = {"port": 0, "token_secret": SECRET, "room": RoomConfig(**room), **_MANY, **(server or {})}
        servers.append(RoomServer(RoomServerConfig(**settings)))
        await servers[-1].start()
        return servers[-1]

    try:
        yield serve
    finally:
        for each in servers:
            await each.close()
