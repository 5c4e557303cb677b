"""A room whose server and people are each in a network of their own, behind lines that lose packets."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile

from softphone.audio.stream import SAMPLE_RATE
from softphone.conference import Conference, ConferenceConfig
from softphone.rooms.access import Access
from softphone.rooms.config import RoomServerConfig
from softphone.rooms.link import RoomLink
from softphone.rooms.server import RoomServer
from softphone.rooms.tokens import Invitation
from softphone.rooms.values import RoomRole
from tests.conference.rooms import Pcm, Phone
from tests.page.browsers import Visitor, browser
from tests.support.impaired_link import ImpairedLink, Profiles
from tests.support.janus_server import JanusProcess
from tests.support.namespaces import Namespace
from tests.support.stream import speech

__all__ = ["ROOM", "Lateness", "LossyRoom", "OnPage", "OnPhone", "connected", "until"]

T = TypeVar("T")

ROOM = "standup"
PORT = 7640
LINE = "loss=10.6,delay=15,jitter=3"
"""Of each line, up and down: between two people 20 % of the packets are lost."""
SECRET = b"whole rooms whole rooms whole rooms"
ENGINE_SECRET = "sixteen characters and more"
WORDS = 2.0
"""Seconds of speech that everybody has, words of his own, and says again and again."""
AUDIBLE = 0.01
"""RMS of speech, at least; full scale is 1."""
PERIODS = (5.0, 6.1, 7.3)
"""Seconds from one time to the next, by person: whoever talks over another does so only now and then."""


class OnPhone:
    """Somebody with a softphone."""

    def __init__(self, phone: Phone, place: Namespace, said: Pcm) -> None:
        self.phone = phone
        self.place = place
        self.said = said

    @property
    def name(self) -> str:
        return self.phone.name

    async def do(self, action: Callable[[Conference], object]) -> None:
        """Press something."""

        async def press() -> None:
            action(self.phone.conference)

        await self.place.run(press())

    async def listen(self, seconds: float) -> Pcm:
        """What is played from now on."""
        # The header of the file follows within a second.
        await asyncio.sleep(1.2)
        begin = self.phone.heard().size
        await asyncio.sleep(seconds)
        return self.phone.heard()[begin:]

    def paths(self) -> str:
        """Everybody else, and how the connection with each of them stands."""
        statistics = self.phone.conference.statistics()
        paths = ", ".join(f"{one.person.name} ({one.state})" for one in statistics.participants) or "nobody"
        return f"{paths}, without signalling" if statistics.signaling_lost else paths


class OnPage:
    """Somebody with a browser."""

    def __init__(self, visitor: Visitor, place: Namespace, said: Pcm) -> None:
        self.visitor = visitor
        self.place = place
        self.said = said
        self.name = "Carol"

    async def on_page(self, work: Callable[[Visitor], Coroutine[Any, Any, T]]) -> T:
        """Do something with the page."""
        return await self.place.run(work(self.visitor))

    async def listen(self, seconds: float, others: int = 2) -> Pcm:
        """What so many others say from now on, one after the other."""
        heard = await self.on_page(lambda visitor: visitor.listen_to(others, seconds))
        return np.concatenate(heard)

    async def voices(self, seconds: float, others: int = 2) -> int:
        """How many of so many others send anything but silence, once what was buffered is played."""
        heard = await self.on_page(lambda visitor: visitor.listen_to(others, seconds))
        return sum(loudest(pcm[SAMPLE_RATE:]) > AUDIBLE for pcm in heard)


class LossyRoom:
    """The lines, and everybody who has come; closed by ``aclose`` of `stack`."""

    def __init__(self, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self.folder = folder
        self.stack = stack
        people = {name: Profiles(LINE, LINE) for name in ("alice", "bob", "carol")}
        self.link = stack.enter_context(ImpairedLink({"server": Profiles(), "media": Profiles(), **people}))
        self.server: RoomServer | None = None
        self._settings: dict[str, Any] = {}

    def add_janus(self, count: int) -> None:
        """Let rooms be on so many Janus servers, each with a line of its own that loses nothing."""
        servers = []
        for number, node in enumerate(("server", "media")[:count]):
            ports = f"{20_000 + 5_000 * number}-{24_999 + 5_000 * number}"
            janus = JanusProcess(host=self.link.address(node), place=self.link.nodes[node], ports=ports)
            servers.append(self.stack.enter_context(janus))
        urls = ",".join(server.url for server in servers)
        options = {"urls": urls, "secret": ENGINE_SECRET, "plain-cascade": "yes"}
        self._settings = {"engine": "janus", "engine_options": options}

    async def serve(self) -> None:
        """Start the room server; again after `stop`."""
        place = self.link.nodes["server"]

        async def start() -> RoomServer:
            config = RoomServerConfig(
                host=self.link.address("server"),
                port=PORT,
                token_secret=SECRET,
                access=Access.INVITATION,
                **self._settings,
            )
            server = RoomServer(config)
            await server.start()
            return server

        self.server = await place.run(start())
        self.stack.push_async_callback(lambda server: place.run(server.close()), self.server)

    async def stop(self) -> None:
        """Stop the room server."""
        assert self.server is not None
        await self.link.nodes["server"].run(self.server.close())

    def invitation(self, name: str, role: RoomRole = RoomRole.PARTICIPANT) -> str:
        """A link for one person."""
        assert self.server is not None
        invitation = Invitation(room=ROOM, expires=time.time() + 600, name=name, role=role)
        token = self.server.invite(invitation, time.time())
        return self.server.link(self.link.address("server"), ROOM, token)

    async def phone(self, name: str, number: int, role: RoomRole = RoomRole.PARTICIPANT) -> OnPhone:
        """Come in with a softphone; `number` says with which words."""
        place = self.link.nodes[name.lower()]
        words, said = self._words(name, number)
        heard = self.folder / f"{name}-heard.wav"
        config = ConferenceConfig(name=name, source=f"file:{said},loop", sink=f"file:{heard}")
        link = RoomLink.parse(self.invitation(name, role))

        async def come() -> Phone:
            phone = Phone(name, Conference(link, config))
            phone.heard_file = heard
            await phone.conference.join()
            phone.watch()
            return phone

        phone = await place.run(come())
        self.stack.push_async_callback(lambda: place.run(phone.close()))
        return OnPhone(phone, place, words)

    async def page(self, name: str, number: int) -> OnPage:
        """Come in with a browser."""
        place = self.link.nodes[name.lower()]
        words, said = self._words(name, number)
        host = self.link.address("server")
        flags = (
            f"--unsafely-treat-insecure-origin-as-secure=http://{host}:{PORT}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 10.90.0.*",
        )
        running = _browsing(said, flags)
        visitor = await place.run(running.__aenter__())
        self.stack.push_async_callback(lambda: place.run(running.__aexit__(None, None, None)))
        await place.run(visitor.enter(self.invitation(name), name))
        return OnPage(visitor, place, words)

    def _words(self, name: str, number: int) -> tuple[Pcm, Path]:
        start = round(4 * number * SAMPLE_RATE)
        words = speech()[start : start + round(WORDS * SAMPLE_RATE)]
        pcm = np.zeros(round(PERIODS[number] * SAMPLE_RATE), np.float32)
        pcm[: words.size] = words
        file = self.folder / f"{name}-said.wav"
        soundfile.write(file, pcm, SAMPLE_RATE, subtype="PCM_16")
        return words, file


class Lateness:
    """How late this process gets the processor: where it waits too long, no speech can be in time."""

    VOID_P95, VOID_P99 = 0.03, 0.1
    """Seconds from which a run says nothing about what was tested."""

    def __init__(self) -> None:
        self._late: list[float] = []

    async def watch(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            due = time.monotonic() + 0.02
            await asyncio.sleep(0.02)
            self._late.append(time.monotonic() - due)

    @property
    def void(self) -> str | None:
        """Why the run is worth nothing; None for a good one."""
        p95, p99 = np.quantile(self._late or [0.0], (0.95, 0.99))
        if p95 > self.VOID_P95 or p99 > self.VOID_P99:
            return f"the machine is too busy: 5 % of all timers are {1000 * p95:.0f} ms late or more"
        return None


@contextlib.asynccontextmanager
async def _browsing(said: Path, flags: tuple[str, ...]) -> Any:
    from playwright.async_api import async_playwright

    async with async_playwright() as driver, browser(driver, said, more_flags=flags) as running:
        visitor = await Visitor.come(running)
        yield visitor
        assert not visitor.complaints, visitor.complaints


def loudest(pcm: Pcm) -> float:
    """The RMS of the loudest quarter of a second."""
    quarter = SAMPLE_RATE // 4
    quarters = pcm[: pcm.size // quarter * quarter].reshape(-1, quarter)
    return float(np.sqrt(np.mean(np.square(quarters), axis=1)).max())


async def until(
    condition: Callable[[], object],
    patience: float = 20.0,
    what: str = "",
    *,
    instead: Callable[[], str] = lambda: "",
) -> None:
    """Wait for something that will happen soon; when it doesn't, fail and say what is there `instead`."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"did not happen in time: {what} {instead()}".rstrip()
        await asyncio.sleep(0.05)


async def connected(*phones: OnPhone, others: int) -> None:
    """Wait until audio flows between each of the phones and so many others."""
    await until(
        lambda: all(phone.phone.connected(others) for phone in phones),
        what=f"each connected to {others};",
        instead=lambda: "; ".join(f"{phone.name} to {phone.paths()}" for phone in phones),
    )
