"""Listeners that are closed after each test."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from signaling_peers import StartListener

from softphone.signaling import ListenConfig, Listener


@pytest.fixture
async def start_listener() -> AsyncIterator[StartListener]:
    listeners: list[Listener] = []

    async def start(**settings: Any) -> Listener:
        listener = Listener(ListenConfig(**{"port": 0, "name": "Bob", **settings}))
        await listener.start()
        listeners.append(listener)
        return listener

    yield start
    for listener in listeners:
        await listener.close()
