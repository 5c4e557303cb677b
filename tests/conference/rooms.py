"""Rooms with real servers and phones on 127.0.0.1, and what was heard in them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from softphone.audio.stream import SAMPLE_RATE
from softphone.conference import Conference, ConferenceConfig
from softphone.conference.events import ConferenceEvent
from softphone.conference.pair import PairState
from softphone.rooms.config import RoomServerConfig
from softphone.rooms.link import RoomLink
from softphone.rooms.server import RoomServer
from tests.support.stream import speech

Pcm = NDArray[np.float32]

LOOPBACK = "127.0.0.1"
PATIENCE = 15.0
SECRET = b"s" * 32

_RATE = 12_000
_SEGMENT = _RATE // 4
_ACTIVE_RMS = 0.01


class Rooms:
    """A room server and everybody in it; what it makes is closed by `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: RoomServer | None = None
        self.port = 0
        self._stack = AsyncExitStack()

    async def serve(self, **settings: Any) -> RoomServer:
        """Start the server; again on the same port."""
        self.server = RoomServer(RoomServerConfig(**{"port": self.port, "token_secret": SECRET, **settings}))
        await self.server.start()
        self.port = self.server.addresses[0][1]
        self._stack.push_async_callback(self.server.close)
        return self.server

    async def join(self, name: str, *, token: str = "", **settings: Any) -> "Phone":
        """Join the room "test", on silence to nobody unless told otherwise."""
        assert self.server is not None
        link = RoomLink.parse(self.server.link(LOOPBACK, "test", token))
        defaults = {"source": "null", "sink": "null", "addresses": (LOOPBACK,)}
        on_peer = settings.pop("on_peer", lambda peer: None)
        config = ConferenceConfig(name=name, **{**defaults, **settings})
        phone = Phone(name, Conference(link, config, on_peer=on_peer))
        await phone.conference.join()
        phone.watch()
        self._stack.push_async_callback(phone.close)
        return phone

    async def speaker(self, name: str, *, turn: int, **settings: Any) -> "Phone":
        """Join with a file as loudspeaker, and speech of 2 s in every 6 s as microphone.

        Each of the `turn` 0, 1 and 2 has words of its own, and speaks while the others listen.
        """
        words = speech()[turn * 4 * SAMPLE_RATE : (turn * 4 + 2) * SAMPLE_RATE]
        pcm = np.zeros(6 * SAMPLE_RATE, np.float32)
        pcm[turn * 2 * SAMPLE_RATE : (turn + 1) * 2 * SAMPLE_RATE] = words
        said, heard = self.folder / f"{name}-said.wav", self.folder / f"{name}-heard.wav"
        soundfile.write(said, pcm, SAMPLE_RATE, subtype="PCM_16")
        phone = await self.join(name, source=f"file:{said},loop", sink=f"file:{heard}", **settings)
        phone.said, phone.heard_file = words, heard
        return phone

    async def close(self) -> None:
        await self._stack.aclose()


class Phone:
    """A softphone in the room, and everything that it was told."""

    def __init__(self, name: str, conference: Conference) -> None:
        self.name = name
        self.conference = conference
        self.events: list[ConferenceEvent] = []
        self.said: Pcm = np.zeros(0, np.float32)
        self.heard_file = Path()
        self._watching: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.conference.roster.own.id

    def watch(self) -> None:
        async def collect() -> None:
            async for event in self.conference:
                self.events.append(event)

        self._watching = asyncio.create_task(collect())

    def told(self, kind: type[ConferenceEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def names(self) -> list[str]:
        return sorted(person.name for person in self.conference.roster.people.values())

    def connected(self, count: int) -> bool:
        """Whether audio flows between this phone and so many others."""
        states = [one.state for one in self.conference.statistics().participants]
        return states == [PairState.CONNECTED] * count

    def heard(self) -> Pcm:
        pcm, rate = soundfile.read(self.heard_file, dtype="float32")
        assert rate == SAMPLE_RATE
        return np.asarray(pcm, np.float32)

    async def close(self) -> None:
        await self.conference.leave()
        if self._watching is not None:
            await self._watching


async def until(condition: Callable[[], object], patience: float = PATIENCE, what: str = "") -> None:
    """Wait for something that will happen soon; fail the test when it doesn't."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"did not happen in time: {what}"
        await asyncio.sleep(0.02)


async def until_all_heard(phones: Sequence[Phone], share: float) -> None:
    """Wait until each of them has played more than `share` of the words of all the others."""

    def unheard() -> list[str]:
        return [
            f"{phone.name} has not heard {other.name}"
            for phone in phones
            for other in phones
            if other is not phone and heard_share(other.said, phone.heard()) <= share
        ]

    deadline = time.monotonic() + 2 * PATIENCE
    await asyncio.sleep(7.0)  # each has spoken once by then
    while missing := await asyncio.to_thread(unheard):
        assert time.monotonic() < deadline, missing
        await asyncio.sleep(1.0)


def heard_share(said: Pcm, heard: Pcm, *, likeness: float = 0.8) -> float:
    """Share of the quarters of a second with speech in `said` that are found in `heard`, 0..1.

    Each is looked for by itself, since time may be stretched in between; `likeness` is the
    normalised correlation it takes.
    """
    said, heard = _narrow(said), _narrow(heard)
    active = [
        segment
        for start in range(0, said.size - _SEGMENT + 1, _SEGMENT)
        if float(np.sqrt(np.mean(np.square(segment := said[start : start + _SEGMENT])))) > _ACTIVE_RMS
    ]
    assert active, "nobody spoke"
    assert heard.size >= _SEGMENT, "nothing was heard"
    size = 1 << int(np.ceil(np.log2(heard.size + _SEGMENT)))
    spectrum = np.fft.rfft(heard, size)
    energy = np.concatenate(([0.0], np.cumsum(np.square(heard, dtype=np.float64))))
    local = np.maximum(energy[_SEGMENT:] - energy[:-_SEGMENT], 0.1)

    def likest(segment: Pcm) -> float:
        products = np.fft.irfft(spectrum * np.conj(np.fft.rfft(segment, size)), size)[: local.size]
        return float(np.max(products / np.sqrt(local * float(np.dot(segment, segment)))))

    return sum(likest(segment) > likeness for segment in active) / len(active)


def _narrow(pcm: Pcm) -> Pcm:
    """At 12 kHz, which is enough to tell words apart."""
    return np.asarray(soxr.resample(pcm, SAMPLE_RATE, _RATE), np.float32)
