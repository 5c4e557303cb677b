"""Phones that are closed after each test."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from live_calls import LOOPBACK, MakePhone

from softphone.phone import Phone, PhoneConfig


@pytest.fixture
async def make_phone() -> AsyncIterator[MakePhone]:
    """Make phones that send silence and play to nobody, unless told otherwise."""
    async with AsyncExitStack() as stack:

        def make(name: str, **settings: Any) -> Phone:
            on_peer = settings.pop("on_peer", None)
            defaults = {"source": "null", "sink": "null", "addresses": (LOOPBACK,)}
            phone = Phone(PhoneConfig(name=name, **{**defaults, **settings}), on_peer=on_peer)
            stack.push_async_callback(phone.close)
            return phone

        yield make


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
