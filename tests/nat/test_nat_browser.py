"""A call with Chromium whose path is exchanged in the middle: by us, by it, by force."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from softphone.opus import Encoder
from softphone.rtp import RtpPayload
from softphone.webrtc import ConnectionState, IceConfig, Peer, PeerConfig
from tests.support.browser import browser_obstacle, browser_page, longest_silence
from tests.support.namespaces import Namespace
from tests.support.nat_lab import Kind, NatLab


class BrowserCall:
    """A softphone's peer in one namespace, Chromium in another, signalling by hand."""

    page: Any
    peer: Peer

    def __init__(self, place: Namespace, browser: Namespace) -> None:
        self.place = place
        self.browser = browser
        self.arrivals: list[float] = []
        self.states: list[ConnectionState] = []
        self.restarts = 0
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._negotiating = False
        self._candidates: list[str | None] = []
        self._repairs = False

    def on_candidate(self, candidate: dict[str, Any] | None) -> None:
        """Chromium tells a candidate; what comes before its description must wait for that."""
        self._candidates.append(candidate["candidate"] if candidate is not None else None)
        if not self._negotiating:
            self._forward()

    def _forward(self) -> None:
        while self._candidates:
            self.place.submit(self.peer.add_remote_candidate(self._candidates.pop(0)))

    async def evaluate(self, script: str, argument: object = None) -> Any:
        return await self.browser.run(self.page.evaluate(script, argument))

    async def on_peer(self, work: Callable[[Peer], Any]) -> Any:
        async def body() -> Any:
            return await work(self.peer)

        return await self.place.run(body())

    async def begin(self, *, we_offer: bool) -> None:
        """Connect, and talk in both directions from then on."""

        async def make() -> None:
            self.peer = Peer(PeerConfig(ice=IceConfig()))
            self.peer.receiver.on_packet = lambda _, arrival: self.arrivals.append(arrival)
            self.peer.on_state = self.states.append

        await self.place.run(make())
        await self.negotiate(we_offer=we_offer)
        await self.on_peer(lambda peer: peer.wait_connected(10))
        self._talking = self.place.submit(self._talk())
        await asyncio.sleep(1.5)

    async def negotiate(self, *, we_offer: bool, restart: bool = False) -> None:
        self._negotiating = True
        if we_offer:
            offer = await self.on_peer(lambda peer: peer.create_offer(ice_restart=restart))
            answer = await self.evaluate("(sdp) => caller.answer(sdp)", offer)
            await self.on_peer(lambda peer: peer.accept_answer(answer))
        else:
            offer = await self.evaluate("(restart) => caller.offer(restart)", restart)
            answer = await self.on_peer(lambda peer: peer.accept_offer(offer))
            await self.evaluate("(sdp) => caller.take(sdp)", answer)
        self._negotiating = False
        self._forward()

    def repair(self) -> None:
        """Answer the wish for a restart as a room would."""

        self._repairs = True
        self.peer.on_restart_needed = lambda: self._loop.call_soon_threadsafe(self._restart)

    def on_network(self) -> None:
        """Chromium has a network again: a page asks for a restart then, as that of a room does."""
        if self._repairs:
            self._loop.call_soon_threadsafe(self._restart)

    def _restart(self) -> None:
        if not self._negotiating:
            self.restarts += 1
            self._tasks.add(self._loop.create_task(self.negotiate(we_offer=True, restart=True)))

    async def end(self) -> tuple[float, float]:
        """Longest silence, in seconds, that the browser heard and that we heard."""
        levels = await self.evaluate("caller.heard()")
        self.arrivals.append(time.monotonic())
        self._talking.cancel()
        await self.on_peer(lambda peer: peer.close())
        silences = longest_silence(levels), max(b - a for a, b in pairwise(self.arrivals))
        print(f"silence: browser {silences[0]:.2f} s, phone {silences[1]:.2f} s, {self.restarts} restarts")
        return silences

    async def _talk(self) -> None:
        encoder = Encoder()
        began = time.monotonic()
        for k in range(10**6):
            tone = 0.3 * np.sin(2 * np.pi * 440 * (960 * k + np.arange(960)) / 48_000)
            self.peer.sender.send(RtpPayload(111, 960 * k, encoder.encode(tone.astype(np.float32))))
            await asyncio.sleep(max(0.0, began + 0.02 * (k + 1) - time.monotonic()))


@pytest.fixture
async def browser_call(lab: NatLab) -> AsyncIterator[BrowserCall]:
    """The phone is uplink 1 of the lab, Chromium uplink 2."""
    if reason := browser_obstacle():
        pytest.skip(reason)
    place, browser = lab.client(Kind.NONE), lab.client(Kind.NONE)
    async with AsyncExitStack() as stack:
        call = BrowserCall(place, browser)
        page = browser_page(call.on_candidate, call.on_network)
        call.page = await browser.run(page.__aenter__())
        stack.push_async_callback(lambda: browser.run(page.__aexit__(None, None, None)))
        yield call


async def test_restarts_of_either_side(browser_call: BrowserCall) -> None:
    await browser_call.begin(we_offer=False)
    for restarter_is_us in (True, False):
        await browser_call.negotiate(we_offer=restarter_is_us, restart=True)
        await asyncio.sleep(1.0)
    silences = await browser_call.end()
    assert max(silences) < 0.6
    assert ConnectionState.RECONNECTING not in browser_call.states


@pytest.mark.parametrize("we_offer", [True, False], ids=["we-offered", "chromium-offered"])
async def test_our_address_changes(lab: NatLab, browser_call: BrowserCall, we_offer: bool) -> None:
    await browser_call.begin(we_offer=we_offer)
    browser_call.repair()
    lab.disconnect(browser_call.place, 1)
    lab.connect(browser_call.place, Kind.CONE)
    await asyncio.sleep(4.0)
    # A browser that is not told to prefer the new path clings to the old one for 2.5 s.
    assert max(await browser_call.end()) <= 2.0


async def test_the_address_of_chromium_changes(lab: NatLab, browser_call: BrowserCall) -> None:
    await browser_call.begin(we_offer=True)
    browser_call.repair()
    lab.disconnect(browser_call.browser, 2)
    lab.connect(browser_call.browser, Kind.CONE)
    await asyncio.sleep(4.0)
    assert max(await browser_call.end()) <= 3.0
    assert browser_call.restarts >= 1
