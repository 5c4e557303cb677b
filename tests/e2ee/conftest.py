"""Headless Chromium with the page's modules on a loopback origin."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import softphone

_PAGE = Path(softphone.__file__).parent / "rooms" / "page"
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


async def _blank(request: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><title>SFrame</title>", content_type="text/html")


@pytest.fixture
async def browser_page() -> AsyncIterator[Any]:
    """A page of Chromium, at the origin that serves ``sframe.js``; skips without a browser."""
    playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("Chromium is not installed")
    app = web.Application()
    app.router.add_get("/", _blank)
    app.router.add_static("/page/", _PAGE)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        async with playwright.async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=executable, args=_ARGUMENTS)
            try:
                page = await browser.new_page()
                await page.goto(f"http://{host}:{port}/")
                yield page
            finally:
                await browser.close()
    finally:
        await runner.cleanup()
