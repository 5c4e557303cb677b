"""The bad network of the tests, and calls over it."""

import asyncio
import contextlib
import socket
import time

import pytest

from softphone.rtp import RtpPayload
from softphone.webrtc import ConnectionState, Peer, PeerConfig
from tests.support.impaired_link import ImpairedLink, Profiles
from tests.support.namespaces import obstacle
from tests.support.webrtc_calls import until


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    if reason := obstacle():
        pytest.skip(reason)


def valid(link: ImpairedLink) -> None:
    """Skip the test when the machine was too slow for it."""
    report = link.report()
    print(report)
    if report.void:
        pytest.skip(f"void: {report.void}")


def send_datagrams(link: ImpairedLink, count: int) -> list[tuple[int, float]]:
    """RTP from a to b; numbers and delays (in seconds) of those that arrive."""
    receiver = link.nodes["b"].call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sender = link.nodes["a"].call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    arrived = []
    with receiver, sender:
        receiver.bind((link.address("b"), 5004))
        receiver.settimeout(0.3)
        sent = []
        for k in range(count):
            sent.append(time.monotonic())
            sender.sendto(bytes((0x80, 111)) + k.to_bytes(2, "big") + bytes(8), receiver.getsockname())
            # The rest of the world must make no difference.
            sender.sendto(b"something else", (link.address("b"), 9))
            time.sleep(0.005)
        with contextlib.suppress(TimeoutError):
            while True:
                data = receiver.recv(2_000)
                k = int.from_bytes(data[2:4], "big")
                arrived.append((k, time.monotonic() - sent[k]))
    return arrived


def test_the_same_packets_are_lost_in_each_run() -> None:
    runs = []
    for seed in (7, 7, 8):
        with ImpairedLink({"a": Profiles(up="loss=20"), "b": Profiles(down="loss=10")}, seed=seed) as link:
            runs.append([k for k, _ in send_datagrams(link, 200)])
            assert sum(link.report().lost.values()) >= 200 - len(runs[-1])
    assert runs[0] == runs[1] != runs[2]
    assert 120 <= len(runs[0]) <= 166


def test_delays_are_kept_and_profiles_can_change() -> None:
    with ImpairedLink({"a": Profiles(up="delay=30"), "b": Profiles(down="delay=50")}) as link:
        first = min(delay for _, delay in send_datagrams(link, 1))
        link.change("b", "down", "loss=100")
        assert not send_datagrams(link, 5)
        valid(link)
    assert first == pytest.approx(0.08, abs=0.02)


async def test_heavy_loss_is_not_taken_for_a_dead_path() -> None:
    """30 % in bursts both ways: everybody stays connected, nobody is told of a reconnection."""
    bad = Profiles(up="loss=30,burst=4,delay=60")
    with ImpairedLink({"a": bad, "b": bad}, seed=3) as link:
        states: list[ConnectionState] = []
        received: list[int] = [0, 0]

        async def make(index: int) -> Peer:
            peer = Peer(PeerConfig())
            peer.on_state = states.append
            peer.receiver.on_packet = lambda *_: received.__setitem__(index, received[index] + 1)
            return peer

        async def talk(peer: Peer, seconds: float) -> None:
            began = time.monotonic()
            for k in range(round(seconds * 50)):
                peer.sender.send(RtpPayload(111, 960 * k, b"speech"))
                await asyncio.sleep(max(0.0, began + 0.02 * k - time.monotonic()))

        a, b = link.nodes.values()
        caller, callee = await a.run(make(0)), await b.run(make(1))
        answer = await b.run(callee.accept_offer(await a.run(caller.create_offer())))
        await a.run(caller.accept_answer(answer))
        await asyncio.gather(a.run(caller.wait_connected(15)), b.run(callee.wait_connected(15)))
        await until(lambda: caller.sender.started and callee.sender.started)
        await asyncio.gather(a.run(talk(caller, 4.0)), b.run(talk(callee, 4.0)))
        valid(link)
        assert ConnectionState.RECONNECTING not in states
        assert min(received) > 100
        await a.run(caller.close())
        await b.run(callee.close())
