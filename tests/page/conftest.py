"""Browsers with different voices for all tests of the page, and room servers for each."""

import importlib.util
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.page.browsers import chromium
from tests.page.world import Browsers, Serve, Visit, Voices, make_voices, open_browsers, serving, visiting


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Voices:
    return make_voices(tmp_path_factory.mktemp("voices"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browsers(voices: Voices) -> AsyncIterator[Browsers]:
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    if chromium() is None:
        pytest.skip("chromium is not installed")
    async with open_browsers(voices) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browsers: Browsers) -> AsyncIterator[Visit]:
    async with visiting(browsers) as come:
        yield come


@pytest_asyncio.fixture(loop_scope="session")
async def serve() -> AsyncIterator[Serve]:
    async with serving() as start:
        yield start
