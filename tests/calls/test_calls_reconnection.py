"""Calls whose path dies while their signalling lives."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from live_calls import MakePhone, connect, line_of, until

from softphone.call import Call
from softphone.call_events import CallState, Reconnected, Reconnecting
from softphone.errors import ConfigError
from softphone.phone import PhoneConfig
from softphone.signaling import EndReason
from softphone.webrtc import IceServer
from softphone.webrtc.reconnection import ReconnectConfig
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


def sever(call: Call, *, for_good: bool = False) -> None:
    """Let nothing out of the present session any more, whatever ICE does; a new one may be heard."""
    connection = call.peer._connection
    severed = connection.ice

    def pass_on(data: bytes, send: Callable[[bytes], None]) -> None:
        if connection.ice is not severed and not for_good:
            send(data)

    call.peer.outgoing_hook = pass_on
    connection._reconnect = ReconnectConfig(session_after=1.0, give_up=6.0)
    connection.keeper.config = connection._reconnect


async def test_a_new_session_helps_where_a_restart_does_not(make_phone: MakePhone) -> None:
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line:
        calls = await connect(alice, line)
        await until(lambda: all(call.verification for call in calls))
        kept = [(call.peer.sender, call.peer.receiver, call.peer.sender.ssrc) for call in calls]
        keys = [call.peer.remote_certificate_fingerprint for call in calls]
        former = [call.peer._connection.dtls for call in calls]
        sockets = len(open_sockets())
        for call in calls:
            sever(call)
        await until(lambda: all(told(call) == [Reconnecting, Reconnected] for call in calls), 10.0)
        packets = [call.peer.counters()["receiver_packets_received"] for call in calls]
        await asyncio.sleep(0.5)
        for k, call in enumerate(calls):
            assert call.state is CallState.TALKING
            assert call.peer.counters()["receiver_packets_received"] > packets[k] + 15
            assert (call.peer.sender, call.peer.receiver, call.peer.sender.ssrc) == kept[k]
            assert call.peer._connection.dtls is not former[k]
            assert former[k].state == "closed"
            assert call.peer.remote_certificate_fingerprint == keys[k], "who was verified still is"
        # And it is a session like any other: its path can be exchanged, too.
        for call in calls:
            cut(call.peer)
        await until(lambda: all(told(call) == [Reconnecting, Reconnected] * 2 for call in calls), 6.0)
        assert len(open_sockets()) <= sockets + 2, "the former sockets are closed"
        await calls[0].hang_up()


async def test_a_call_ends_where_no_new_session_stands_in_time(
    make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softphone.webrtc.connection._SESSION_PATIENCE", 1.5)
    alice, bob = make_phone("Alice"), make_phone("Bob")
    async with line_of(bob) as line:
        calls = await connect(alice, line)
        await asyncio.sleep(0.3)
        for call in calls:
            sever(call, for_good=True)
        ends = await asyncio.wait_for(asyncio.gather(*(call.closed() for call in calls)), 15.0)
        assert {end.reason for end in ends} <= {EndReason.REMOTE_GONE, EndReason.HUNG_UP}
        assert any("gone" in end.detail for end in ends)


def open_sockets() -> list[str]:
    """The open UDP sockets of this process."""
    inodes = {line.split()[9] for line in Path("/proc/net/udp").read_text().splitlines()[1:]}
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(link))
    return [link for link in links if link.startswith("socket:[") and link[8:-1] in inodes]


def test_hiding_behind_a_relay_needs_one() -> None:
    with pytest.raises(ConfigError, match="TURN"):
        PhoneConfig(relay_only=True)
    assert PhoneConfig(relay_only=True, servers=(IceServer("turn:192.0.2.1", "u", "p"),)).ice.relay_only
