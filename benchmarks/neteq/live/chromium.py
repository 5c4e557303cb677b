"""Headless Chromium as receiver: its NetEq plays, and every block it plays is captured.

Blocks are taken by `MediaStreamTrackProcessor`, straight from NetEq before any mixing; their
timestamps are the moments at which the output pulled them, on a clock of the browser's own.
"""

import contextlib
import math
import os
import shutil
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from benchmarks.neteq.recording import Recording
from softphone.errors import ConfigError

__all__ = ["Browser", "chromium_path", "open_browser"]

_PAGE = Path(__file__).with_name("capture.html")
_STAMPS = struct.Struct("<dd")
_PINGS = 50
_PATHS = ("/usr/lib/chromium/chromium", "chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-pings",
    "--disable-dev-shm-usage",
    # Nothing is looked up and nothing leaves the machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,OptimizationHints,MediaRouter",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
)


def chromium_path() -> str | None:
    """The browser to use: ``$CHROMIUM``, or what is installed; None without one."""
    for path in (os.environ.get("CHROMIUM"), *_PATHS):
        found = shutil.which(path) if path else None
        if found:
            return found
    return None


class Browser:
    """A page that receives calls and hands over what it plays."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._blocks: dict[str, list[bytes]] = {}
        self._origin = 0.0

    async def synchronise(self) -> None:
        """Find out when ``performance.now()`` was 0 on the monotonic clock, to half a millisecond."""
        earliest, latest = -math.inf, math.inf
        for _ in range(_PINGS):
            before = time.monotonic()
            now = await self._page.evaluate("() => performance.now()") / 1000
            earliest, latest = max(earliest, before - now), min(latest, time.monotonic() - now)
        self._origin = (earliest + latest) / 2

    async def version(self) -> str:
        """Name and version of the browser."""
        brands = await self._page.evaluate("() => navigator.userAgentData?.brands ?? []")
        return next(
            (f"{item['brand']} {item['version']}" for item in brands if "Chromium" in item["brand"]), ""
        )

    async def answer(self, name: str, offer: str) -> str:
        """Receive a call as connection ``name``; returns the answer (SDP)."""
        self._blocks[name] = []
        return str(await self._page.evaluate("([name, offer]) => answer(name, offer)", [name, offer]))

    async def statistics(self, name: str) -> dict[str, Any]:
        """``inbound-rtp`` of getStats."""
        return dict(await self._page.evaluate("name => statistics(name)", name))

    async def close(self, name: str) -> None:
        """End a call."""
        await self._page.evaluate("name => close(name)", name)

    def recording(self, name: str, began: float) -> tuple[Recording, list[float]]:
        """What was played, in time since ``began`` (monotonic), and the moments of all pulls.

        Raises :class:`RuntimeError` when nothing was.
        """
        messages = self._blocks.pop(name)
        if not messages:
            raise RuntimeError(f"the browser played nothing of {name}")
        stamps, seen = np.array([_STAMPS.unpack_from(message) for message in messages]).T / 1000
        # A block reaches the page at once at least now and then: that ties the stamps to its clock.
        times = stamps + np.percentile(seen - stamps, 0.5) + self._origin - began
        blocks = [np.frombuffer(message, "<f4", offset=_STAMPS.size) for message in messages]
        return Recording.of_blocks(blocks, times.tolist()), times.tolist()

    async def _take_blocks(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        blocks = self._blocks[request.match_info["name"]]
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                blocks.append(message.data)
        return socket


async def _serve_page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(_PAGE)


@contextlib.asynccontextmanager
async def open_browser(
    *, field_trials: str = "", environment: Mapping[str, str] | None = None
) -> AsyncIterator[Browser]:
    """A browser with the capturing page, for the length of the block.

    ``field_trials``: as ``--force-fieldtrials`` takes them; ``environment``: more variables.
    Raises :class:`ConfigError` without Chromium or Playwright.
    """
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise ConfigError("driving a browser needs playwright: pip install 'softphone[bench]'") from error
    path = chromium_path()
    if path is None:
        raise ConfigError("there is no Chromium here; install it, or name it in $CHROMIUM")
    arguments = [*_ARGUMENTS, *([f"--force-fieldtrials={field_trials}"] if field_trials else [])]
    async with contextlib.AsyncExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        playwright = await stack.enter_async_context(async_playwright())
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=path,
            headless=True,
            args=arguments,
            env={**os.environ, **(environment or {})},
            ignore_default_args=["--mute-audio"],
        )
        stack.push_async_callback(context.close)
        browser = Browser(context.pages[0] if context.pages else await context.new_page())
        application = web.Application()
        application.router.add_get("/", _serve_page)
        application.router.add_get("/blocks/{name}", browser._take_blocks)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        await browser._page.goto(f"http://127.0.0.1:{port}/")
        await browser.synchronise()
        yield browser
