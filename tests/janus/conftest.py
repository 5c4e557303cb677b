"""Real Janus servers for the tests of this folder."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from janus_listeners import SECRET, MakeEngine, MakeRoom

from softphone.rooms.janus import JanusEngine, JanusRoom, JanusTicket
from softphone.webrtc import Capabilities, LocalAudio, Peer, PeerConfig
from tests.support.janus_server import JanusProcess, missing_for_janus


@pytest.fixture(scope="session")
def two_servers() -> Iterator[tuple[JanusProcess, JanusProcess]]:
    """Two servers for the whole session; the first asks for an admin key and signed tokens."""
    if missing := missing_for_janus():
        pytest.skip(missing)
    first = JanusProcess(admin_key="key", auth_secret="auth", ports="20000-29999")
    with first, JanusProcess(ports="30000-39999") as second:
        yield first, second


@pytest.fixture
async def make_engine() -> AsyncIterator[MakeEngine]:
    """Make engines that are stopped at the end."""
    async with AsyncExitStack() as stack:

        def make(*servers: JanusProcess, **options: str) -> JanusEngine:
            names = {name.replace("_", "-"): value for name, value in options.items()}
            urls = ",".join(server.url for server in servers)
            engine = JanusEngine({"urls": urls, "secret": SECRET, **names})
            stack.push_async_callback(engine.stop)
            return engine

        yield make


@pytest.fixture
async def make_room() -> AsyncIterator[MakeRoom]:
    """Make participants that leave at the end."""
    async with AsyncExitStack() as stack:

        def make(connection: object, **settings: object) -> JanusRoom:
            ticket = JanusTicket.from_connection(connection)  # type: ignore[arg-type]
            known = {"capabilities": lambda feed: Capabilities.local(), **settings}
            room = JanusRoom(ticket, _make_peer, **known)  # type: ignore[arg-type]
            stack.push_async_callback(room.leave)
            return room

        yield make


def _make_peer(audio: LocalAudio) -> Peer:
    return Peer(PeerConfig(audio=audio))
