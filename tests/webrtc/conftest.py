"""Pairs of peers on 127.0.0.1."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from softphone.webrtc import IceConfig, LocalAudio, Peer, PeerConfig
from tests.support.webrtc_calls import connect

MakePeer = Callable[..., Peer]


@pytest.fixture
async def make_peer() -> AsyncIterator[MakePeer]:
    """Make peers that use 127.0.0.1 only and are closed at the end."""
    async with AsyncExitStack() as stack:

        def make(audio: LocalAudio | None = None, **ice: object) -> Peer:
            config = IceConfig(**{"addresses": ("127.0.0.1",), **ice})  # type: ignore[arg-type]
            peer = Peer(PeerConfig(ice=config, audio=audio or LocalAudio()))
            stack.push_async_callback(peer.close)
            return peer

        yield make


@pytest.fixture
async def pair(make_peer: MakePeer) -> tuple[Peer, Peer]:
    """Two connected peers that know each other's capabilities."""
    caller, callee = make_peer(), make_peer()
    await connect(caller, callee)
    return caller, callee
