"""Calls whose signalling connection is lost: it comes back, and all that needs it works again."""

import asyncio
import time

import pytest
from live_calls import MakePhone, address_of, connect, line_of, relay_to, until

from softphone.call import Call
from softphone.call_events import (
    CallState,
    Reconnected,
    Reconnecting,
    SignalingLost,
    SignalingRestored,
)
from softphone.errors import RemoteError
from softphone.signaling import CallEndedError, EndReason, Side
from softphone.webrtc.reconnection import ReconnectConfig
from tests.support.webrtc_calls import cut


def told(call: Call, *kinds: type) -> list[type]:
    """What of these kinds the call has told so far."""
    return [type(event) for event in list(call._events._queue) if isinstance(event, kinds)]  # type: ignore[attr-defined]


def back(*calls: Call, times: int = 1) -> bool:
    """Whether each has lost its signalling so many times, and has it again."""
    expected = [SignalingLost, SignalingRestored] * times
    return all(told(call, SignalingLost, SignalingRestored) == expected for call in calls)


async def test_another_connection_carries_restarts_and_the_farewell(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line, relay_to(line) as relay:
        calls = from_alice, from_bob = await connect(alice, line, relay.address)
        relay.cut()
        await until(lambda: back(*calls), 3.0)
        assert not any(call.statistics().signaling_lost for call in calls)
        await until(lambda: from_alice.verification)
        assert from_alice.verification == from_bob.verification
        for call in calls:
            cut(call.peer)
        await until(
            lambda: all(
                told(call, Reconnecting, Reconnected) == [Reconnecting, Reconnected] for call in calls
            ),
            6.0,
        )
        assert line.listener.busy
        await from_alice.hang_up("so long")
        end = await from_bob.closed()
        assert (end.reason, end.by, end.detail) == (EndReason.HUNG_UP, Side.REMOTE, "so long")


async def test_the_path_is_repaired_as_soon_as_the_signalling_is_back(make_phone: MakePhone) -> None:
    """Both die at once, as they do when an address changes."""
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line, relay_to(line) as relay:
        calls = await connect(alice, line, relay.address)
        await until(lambda: all(call.verification for call in calls))
        relay.refuses = True
        relay.cut()
        for call in calls:
            call.peer._connection.keeper.config = ReconnectConfig(restart_interval=60.0)
            cut(call.peer)
        await until(lambda: all(told(call, Reconnecting) for call in calls), 3.0)
        await asyncio.sleep(0.3)  # the only attempts of their own, in vain
        assert not any(told(call, Reconnected) for call in calls)
        relay.refuses = False
        await until(lambda: back(*calls), 5.0)
        await until(lambda: all(told(call, Reconnected) for call in calls), 1.5)
        await calls[1].hang_up()
        assert (await calls[0].closed()).reason is EndReason.HUNG_UP


async def test_a_dead_path_makes_a_dead_connection_show(make_phone: MakePhone) -> None:
    """Nothing passes any more and nobody says so: the heartbeats would need up to 7.5 s."""
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line, relay_to(line) as relay:
        calls = await connect(alice, line, relay.address)
        await until(lambda: all(call.verification for call in calls))
        began = time.monotonic()
        relay.fall_silent()
        for call in calls:
            cut(call.peer)
        await until(lambda: all(told(call, Reconnected) for call in calls), 5.0)
        assert time.monotonic() - began < 5.0
        await calls[0].hang_up()
        assert (await calls[1].closed()).reason is EndReason.HUNG_UP


async def test_a_stranger_takes_no_call_over(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line, relay_to(line) as relay:
        calls = await connect(alice, line, relay.address)
        relay.refuses = True
        relay.cut()
        await until(lambda: all(call.statistics().signaling_lost for call in calls))
        # While the callee waits for its caller, it is busy for everybody else, whatever he calls himself.
        with pytest.raises(CallEndedError) as caught:
            await make_phone("Alice").call(address_of(line))
        assert caught.value.end.reason is EndReason.BUSY
        relay.refuses = False
        await until(lambda: back(*calls), 5.0)
        assert all(call.state is CallState.TALKING for call in calls)
        await calls[0].hang_up()


async def test_the_far_end_is_really_gone(make_phone: MakePhone) -> None:
    """Neither signalling nor media come back: the call ends as soon as without another try."""
    alice, bob = make_phone("Alice", media_timeout=1.5), make_phone("Bob", media_timeout=1.5)
    async with line_of(bob) as line, relay_to(line) as relay:
        calls = await connect(alice, line, relay.address)
        relay.refuses = True
        relay.cut()
        for call in calls:
            call.peer.outgoing_hook = lambda datagram, transmit: None
        async with asyncio.timeout(6):
            ends = await asyncio.gather(*(call.closed() for call in calls))
        assert [end.reason for end in ends] == [EndReason.REMOTE_GONE] * 2
        await until(lambda: not line.listener._answered and not line.listener._running)
        with pytest.raises(RemoteError):
            await alice.call(relay.address)
