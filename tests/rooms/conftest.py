"""Room servers that are closed after each test."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from room_fixtures import SECRET
from room_visitors import StartRooms

from softphone.rooms import RoomServer, RoomServerConfig


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page of a room that is not that of softphone."""
    folder = tmp_path / "page"
    (folder / "parts").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>a room</title>")
    (folder / "main.js").write_text("export {};")
    (folder / "parts" / "deep.js").write_text("export const deep = 1;")
    (folder / "notes.txt").write_text("not to be served")
    (tmp_path / "outside.js").write_text("not to be served")
    return folder


@pytest.fixture
async def start_rooms(page: Path) -> AsyncIterator[StartRooms]:
    servers: list[RoomServer] = []

    async def start(**settings: Any) -> RoomServer:
        defaults = {"port": 0, "token_secret": SECRET, "page": page}
        server = RoomServer(RoomServerConfig(**{**defaults, **settings}))
        servers.append(server)
        await server.start()
        return server

    yield start
    for server in servers:
        await server.close()
