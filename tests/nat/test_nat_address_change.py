"""The address of a phone changes in the middle of a call: another network, another cable."""

import asyncio
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from softphone.call import Call
from softphone.call_events import CallEvent, CallState, Reconnected, Reconnecting, SignalingRestored
from softphone.phone import Phone, PhoneConfig
from softphone.signaling import EndReason, ListenConfig
from tests.calls.live_calls import read_audio
from tests.support.namespaces import Namespace
from tests.support.nat_lab import Kind, NatLab

FRAME = 960
LOUD = 0.02


class User:
    """Somebody who hums into a phone in a namespace and keeps what the phone plays."""

    def __init__(self, name: str, place: Namespace, folder: Path) -> None:
        self.place = place
        self.heard = folder / f"{name}.wav"
        self._config = PhoneConfig(name=name, source="tone:440", sink=f"file:{self.heard}")

    async def __aenter__(self) -> "User":
        async def make() -> None:
            self.phone = Phone(self._config)

        await self.place.run(make())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.place.run(self.phone.close())

    def longest_gap(self) -> float:
        """Seconds in which nothing was heard, after the first second of the tone."""
        pcm = read_audio(self.heard)
        levels = np.sqrt(np.mean(pcm[: pcm.size // FRAME * FRAME].reshape(-1, FRAME) ** 2, axis=1)) > LOUD
        first, last = np.flatnonzero(levels)[[0, -1]]
        edges = np.flatnonzero(levels[first : last + 1])
        assert edges.size * 0.02 > 4, "hardly anything was heard"
        return float(np.max(np.diff(edges)) - 1) * 0.02


class Conversation:
    """A call between two users, and what it told each."""

    def __init__(self, caller: User, callee: User, address: str) -> None:
        self._users = caller, callee
        self._address = address
        self.calls: list[Call] = []
        self.events: list[list[type[CallEvent]]] = [[], []]

    async def __aenter__(self) -> "Conversation":
        caller, callee = self._users
        listening: Future[None] = Future()
        answered = callee.place.submit(self._answer(callee.phone, listening))
        await asyncio.wrap_future(listening)
        target = f"{self._address}:7000"
        self.calls = [await caller.place.run(caller.phone.call(target)), await asyncio.wrap_future(answered)]
        for user, call, events in zip(self._users, self.calls, self.events, strict=True):
            user.place.submit(self._follow(call, events))
        async with asyncio.timeout(10):
            while {call.state for call in self.calls} != {CallState.TALKING}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._users[0].place.run(self.calls[0].hang_up())
        await self._users[1].place.run(self.calls[1].closed())

    @property
    def alive(self) -> bool:
        return [call.state for call in self.calls] == [CallState.TALKING] * 2

    async def _answer(self, phone: Phone, listening: "Future[None]") -> Call:
        line = phone.listen(ListenConfig(host=self._address, port=7000, open=True))
        await line.__aenter__()
        listening.set_result(None)
        return await (await anext(line)).answer()

    async def _follow(self, call: Call, events: list[type[CallEvent]]) -> None:
        async for event in call:
            events.append(type(event))  # noqa: PERF401


async def test_a_phone_that_moves_to_another_network_goes_on_talking(lab: NatLab, tmp_path: Path) -> None:
    """The caller's cable is pulled and another one plugged in; its signalling connection dies with it."""
    mover, other = lab.client(Kind.CONE), lab.client(Kind.NONE)
    async with User("mover", mover, tmp_path) as caller, User("other", other, tmp_path) as callee:
        async with Conversation(caller, callee, "198.51.100.102") as talk:
            await asyncio.sleep(2.0)
            lab.disconnect(mover, 1)
            lab.connect(mover, Kind.CONE)
            await asyncio.sleep(3.0)
            assert talk.alive
            interrupted = [call.statistics().interrupted for call in talk.calls]
            async with asyncio.timeout(10):
                while SignalingRestored not in talk.events[0]:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        # The farewell of the mover came over its other connection.
        end = talk.calls[1].end
        assert end is not None
        assert end.reason is EndReason.HUNG_UP
        gaps = [user.longest_gap() for user in (caller, callee)]
    print(f"silence: {gaps} s, concealed: {interrupted} s")
    assert max(gaps) <= 1.0
    assert max(interrupted) <= 1.0


async def test_the_user_hears_of_a_path_that_stays_dead(lab: NatLab, tmp_path: Path) -> None:
    mover, other = lab.client(Kind.CONE), lab.client(Kind.NONE)
    async with (
        User("mover", mover, tmp_path) as caller,
        User("other", other, tmp_path) as callee,
        Conversation(caller, callee, "198.51.100.102") as talk,
    ):
        await asyncio.sleep(1.0)
        lab.disconnect(mover, 1)
        await asyncio.sleep(2.0)
        assert all(events[-1] is Reconnecting for events in talk.events)
        lab.connect(mover, Kind.CONE)
        await asyncio.sleep(1.5)
        assert talk.alive
        for events in talk.events:
            assert [event for event in events if event in (Reconnecting, Reconnected)] == [
                Reconnecting,
                Reconnected,
            ]
