"""Phones in a room whose media is carried by Janus, with the real room server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from janus_listeners import SECRET

from softphone.conference.events import LocalTrouble, PairConnected
from tests.conference.rooms import Rooms, until, until_all_heard
from tests.support.janus_server import JanusProcess, missing_for_janus

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    rooms = Rooms(tmp_path)
    yield rooms
    await rooms.close()


async def serve(rooms: Rooms, *servers: JanusProcess) -> None:
    """A room server on these."""
    first = {"admin-key": "key", "auth-secret": "auth", "plain-cascade": "yes"}
    urls = ",".join(server.url for server in servers)
    await rooms.serve(engine="janus", engine_options={"urls": urls, "secret": SECRET, **first})


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
@pytest.mark.parametrize("count", [1, 2])
async def test_all_hear_all(
    rooms: Rooms, two_servers: tuple[JanusProcess, JanusProcess], count: int, passphrase: str
) -> None:
    await serve(rooms, *two_servers[:count])
    phones = [
        await rooms.speaker(name, turn=turn, addresses=None, passphrase=passphrase)
        for turn, name in enumerate(("Alice", "Bob", "Carol"))
    ]
    await until(lambda: all(phone.connected(2) for phone in phones), what="connections")
    await until_all_heard(phones, 0.6)


async def test_another_passphrase_is_silence_and_a_message(
    rooms: Rooms, two_servers: tuple[JanusProcess, JanusProcess]
) -> None:
    await serve(rooms, two_servers[0])
    alice = await rooms.speaker("Alice", turn=0, addresses=None, passphrase=PASSPHRASE)
    bob = await rooms.speaker("Bob", turn=1, addresses=None, passphrase="incorrect donkey")
    await until(lambda: alice.told(LocalTrouble) and bob.told(LocalTrouble), what="a message")
    assert "another passphrase" in alice.told(LocalTrouble)[0].message
    await asyncio.sleep(1.0)
    for phone in (alice, bob):
        await phone.close()
        assert abs(phone.heard()).max() < 1e-3, "noise"


async def test_a_media_server_that_restarts_interrupts_and_does_not_end_a_room(rooms: Rooms) -> None:
    if missing := missing_for_janus():
        pytest.skip(missing)
    with JanusProcess() as server:
        await rooms.serve(engine="janus", engine_options={"urls": server.url, "secret": SECRET})
        alice = await rooms.speaker("Alice", turn=0, addresses=None)
        bob = await rooms.speaker("Bob", turn=1, addresses=None)
        await until(lambda: alice.connected(1) and bob.connected(1), what="connections")
        server.stop()
        await asyncio.sleep(0.5)
        server.start()
        await until(
            lambda: len(alice.told(PairConnected)) == len(bob.told(PairConnected)) == 2, 30.0, "return"
        )
        await until(lambda: alice.connected(1) and bob.connected(1), what="connections")
