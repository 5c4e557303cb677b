"""A room server and everybody who joins it, closed after each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rooms import Rooms


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    """Rooms on 127.0.0.1; call `serve` first."""
    made = Rooms(tmp_path)
    yield made
    await made.close()
