import asyncio
import socket
from collections.abc import Callable

import pytest
from aioice import stun

from softphone.errors import ConfigError
from softphone.webrtc import IceConfig, IceServer, Peer
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


@pytest.mark.parametrize(
    "bad",
    [
        {"addresses": ("localhost",)},
        {"ports": (5, 4)},
        {"ports": (0, 70000)},
        {"relay_only": True},
        {"relay_only": True, "servers": (IceServer("stun:127.0.0.1"),)},
    ],
)
def test_nonsense_is_refused_at_once(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        IceConfig(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url", ["127.0.0.1", "http://127.0.0.1", "stun:", "turn:h?transport=x", "turn:a b", "turn:h:99999"]
)
def test_nonsense_for_a_server_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        IceServer(url)


@pytest.mark.parametrize(
    ("url", "address", "relays", "transport", "tls"),
    [
        ("stun:example.org", ("example.org", 3478), False, "udp", False),
        ("stun:[2001:db8::1]:5000", ("2001:db8::1", 5000), False, "udp", False),
        ("turn:192.0.2.1:80?transport=tcp", ("192.0.2.1", 80), True, "tcp", False),
        ("turn:192.0.2.1", ("192.0.2.1", 3478), True, "udp", False),
        ("turns:example.org", ("example.org", 5349), True, "tcp", True),
        ("turns:example.org:443?transport=tcp", ("example.org", 443), True, "tcp", True),
    ],
)
def test_what_the_name_of_a_server_says(
    url: str, address: tuple[str, int], relays: bool, transport: str, tls: bool
) -> None:
    server = IceServer(url, "user", "secret")
    assert (server.address, server.relays, server.transport, server.tls) == (address, relays, transport, tls)
    assert "secret" not in repr(server)


async def test_a_stun_server_tells_our_public_address(make_peer: MakePeer) -> None:
    """A server that answers every binding request with 198.51.100.7."""

    class StunServer(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            request = stun.parse_message(data)
            response = stun.Message(
                message_method=stun.Method.BINDING,
                message_class=stun.Class.RESPONSE,
                transaction_id=request.transaction_id,
            )
            response.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.7", 4242)
            self.transport.sendto(bytes(response), addr)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    offer = await make_peer(servers=(IceServer(f"stun:127.0.0.1:{port}"),)).create_offer()
    transport.close()
    assert ("198.51.100.7", 4242) in hosts(offer)


async def test_no_server_is_asked_unless_given(make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", lambda *address, **_: asked.append(address))
    peer = make_peer()
    await peer.create_offer()
    assert not asked
    assert not peer.server_failures


async def test_ipv6_loopback(make_peer: MakePeer) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback address")
    await connect(make_peer(addresses=("::1",)), make_peer(addresses=("::1",)))
