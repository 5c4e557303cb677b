import socket
from collections.abc import Callable

import pytest

from softphone.errors import ConfigError
from softphone.webrtc import IceConfig, Peer
from softphone.webrtc.sdp import parse_session
from tests.support.webrtc_calls import connect

MakePeer = Callable[..., Peer]


def hosts(sdp: str) -> list[tuple[str, int]]:
    found = []
    for candidate in parse_session(sdp).media[0].values("candidate"):
        words = candidate.split()
        found.append((words[4], int(words[5])))
    return found


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_loopback_can_be_chosen(make_peer: MakePeer) -> None:
    offer = await make_peer().create_offer()
    assert [host for host, _ in hosts(offer)] == ["127.0.0.1"]


async def test_several_addresses(make_peer: MakePeer) -> None:
    peer = make_peer(addresses=("127.0.0.1", "127.0.0.2"))
    assert [host for host, _ in hosts(await peer.create_offer())] == ["127.0.0.1", "127.0.0.2"]


async def test_ports_come_from_the_range(make_peer: MakePeer) -> None:
    first = free_port()
    caller, callee = make_peer(ports=(first, first)), make_peer()
    offer = await caller.create_offer()
    assert hosts(offer) == [("127.0.0.1", first)]
    with pytest.raises(ConfigError, match=rf"no UDP port from {first} to {first} is free"):
        await make_peer(ports=(first, first)).create_offer()
    answer = await callee.accept_offer(offer)
    await caller.accept_answer(answer)
    await caller.wait_connected(10)


async def test_a_busy_port_in_the_range_is_passed_over(make_peer: MakePeer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        busy = sock.getsockname()[1]
        low, high = max(1024, busy - 5), min(65535, busy + 5)
        for _ in range(5):
            peer = make_peer(ports=(low, high))
            ((_, port),) = hosts(await peer.create_offer())
            assert low <= port <= high
            assert port != busy


async def test_an_address_of_another_machine_is_refused(make_peer: MakePeer) -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1"):
        await make_peer(addresses=("192.0.2.1",)).create_offer()


@pytest.mark.parametrize("bad", [{"addresses": ("localhost",)}, {"ports": (5, 4)}, {"ports": (0, 70000)}])
def test_nonsense_is_refused_at_once(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        IceConfig(**bad)  # type: ignore[arg-type]


async def test_no_server_is_asked_unless_given(make_peer: MakePeer) -> None:
    peer = make_peer()
    assert peer._connection.ice.stun_server is None
    assert peer._connection.ice.turn_server is None


async def test_ipv6_loopback(make_peer: MakePeer) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback address")
    await connect(make_peer(addresses=("::1",)), make_peer(addresses=("::1",)))
