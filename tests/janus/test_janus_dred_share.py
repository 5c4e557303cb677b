"""DRED is worth as much through a media server as from phone to phone."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from janus_listeners import SECRET

from softphone.audio.stream import SAMPLE_RATE
from softphone.playout import Source
from softphone.sim.network import NetworkEmulator
from softphone.sim.presets import parse_profile
from softphone.webrtc import Peer
from softphone.webrtc.impairment import Impairment
from tests.conference.rooms import Phone, Rooms, until
from tests.rooms_whole.lossy_room import Lateness
from tests.support.janus_server import JanusProcess
from tests.support.stream import speech

LOSS = "loss=20,burst=3"
SETTLE, MEASURE = 15.0, 60.0
_REPAIRS = (Source.RED, Source.LBRR, Source.DRED, Source.PLC)


@pytest.fixture
async def two_rooms(tmp_path: Path) -> AsyncIterator[tuple[Rooms, Rooms]]:
    """Rooms of two servers."""
    rooms = Rooms(tmp_path), Rooms(tmp_path)
    yield rooms
    for room in rooms:
        await room.close()


def loses(seed: int) -> Callable[[Peer], None]:
    """What is sent by such a phone gets lost, always the same packets."""

    def impair(peer: Peer) -> None:
        peer.outgoing_hook = Impairment(NetworkEmulator(parse_profile(LOSS), seed=seed))

    return impair


async def talk(rooms: Rooms) -> list[Phone]:
    """Two phones that talk without an end, on lines that lose packets on the way out."""
    phones = []
    for seed, name in enumerate(("Alice", "Bob")):
        said = rooms.folder / f"{name}.wav"
        pcm = np.roll(speech(), seed * speech().size // 2)
        soundfile.write(said, pcm, SAMPLE_RATE, subtype="PCM_16")
        settings = {"addresses": None, "redundancy": "both", "on_peer": loses(seed)}
        phone = await rooms.join(name, source=f"file:{said},loop", **settings)
        phones.append(phone)
    return phones


def sources(phones: list[Phone]) -> Counter[Source]:
    """What everything that was played came from."""
    counts: Counter[Source] = Counter()
    for phone in phones:
        counts.update(phone.conference.statistics().participants[0].frames)
    return counts


async def test_dred_repairs_the_same_share_as_from_phone_to_phone(
    two_rooms: tuple[Rooms, Rooms], two_servers: tuple[JanusProcess, JanusProcess]
) -> None:
    """Both rooms at the same time, so that a busy machine is busy for both.

    And both with LBRR and DRED: from phone to phone copies would take the place of most of the DRED,
    and Janus's VideoRoom carries none.
    """
    mesh, janus = two_rooms
    await mesh.serve()
    options = {"urls": two_servers[1].url, "secret": SECRET}
    await janus.serve(engine="janus", engine_options=options)
    calls = [await talk(mesh), await talk(janus)]
    await until(lambda: all(phone.connected(1) for phones in calls for phone in phones), what="connections")
    lateness = Lateness()
    watching = asyncio.create_task(lateness.watch())
    await asyncio.sleep(SETTLE)
    before = [sources(phones) for phones in calls]
    await asyncio.sleep(MEASURE)
    watching.cancel()
    if lateness.void:
        pytest.skip(lateness.void)
    shares = []
    for phones, earlier in zip(calls, before, strict=True):
        frames = sources(phones)
        frames.subtract(earlier)
        missing = sum(frames[source] for source in _REPAIRS)
        assert missing > 0.1 * frames[Source.REGULAR], frames
        shares.append(frames[Source.DRED] / missing)
    assert min(shares) > 0.3, shares
    assert abs(shares[0] - shares[1]) <= 0.05, shares
