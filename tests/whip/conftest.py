"""A room server with WHIP and WHEP."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from whip_served import ADDRESSES, Served

from softphone.conference import ConferenceConfig
from softphone.rooms.whip import WhipGateway
from tests.conference.rooms import Rooms


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Any]:
    """Start a server with the given settings."""
    async with AsyncExitStack() as stack:

        async def serve(**settings: Any) -> Served:
            rooms = Rooms(tmp_path)
            server = await rooms.serve(**settings)
            gateway = WhipGateway(server, ConferenceConfig(source="null", sink="null", addresses=ADDRESSES))
            gateway.mount()
            stack.push_async_callback(rooms.close)
            stack.push_async_callback(gateway.close)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Served(rooms, gateway, http, stack)

        yield serve
