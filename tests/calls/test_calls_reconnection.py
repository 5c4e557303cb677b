"""Calls whose path dies while their signalling lives."""

import asyncio
import time

import pytest
from live_calls import MakePhone, connect, line_of, until

from softphone.call import Call
from softphone.call_events import CallState, Reconnected, Reconnecting
from softphone.errors import ConfigError
from softphone.phone import PhoneConfig
from softphone.webrtc import IceServer
from tests.support.webrtc_calls import cut


def told(call: Call) -> list[type]:
    """What of the path the call has told so far."""
    events = list(call._events._queue)  # type: ignore[attr-defined]
    return [type(event) for event in events if isinstance(event, Reconnecting | Reconnected)]


async def test_a_dead_path_is_exchanged_through_signalling(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line:
        calls = await connect(alice, line)
        await asyncio.sleep(0.5)
        keys = [call.peer.remote_certificate_fingerprint for call in calls]
        began = time.monotonic()
        for call in calls:
            cut(call.peer)
        await until(lambda: all(told(call) == [Reconnecting] for call in calls), 2.0)
        await until(lambda: all(told(call) == [Reconnecting, Reconnected] for call in calls), 4.0)
        assert time.monotonic() - began < 4.0
        packets = [call.peer.counters()["receiver_packets_received"] for call in calls]
        await asyncio.sleep(0.5)
        for call, before, key in zip(calls, packets, keys, strict=True):
            assert call.state is CallState.TALKING
            assert call.peer.counters()["receiver_packets_received"] > before + 15
            assert call.peer.remote_certificate_fingerprint == key
        await calls[0].hang_up()


async def test_only_the_callee_notices(make_phone: MakePhone) -> None:
    """The caller is heard no more but hears everything: the callee asks, the caller offers."""
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line:
        from_alice, from_bob = await connect(alice, line)
        await asyncio.sleep(0.5)
        cut(from_alice.peer)
        await until(lambda: told(from_bob) == [Reconnecting, Reconnected], 6.0)
        assert from_alice.state is from_bob.state is CallState.TALKING
        await from_alice.hang_up()


def test_hiding_behind_a_relay_needs_one() -> None:
    with pytest.raises(ConfigError, match="TURN"):
        PhoneConfig(relay_only=True)
    assert PhoneConfig(relay_only=True, servers=(IceServer("turn:192.0.2.1", "u", "p"),)).ice.relay_only
