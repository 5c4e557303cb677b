"""Who gets through which translator, over what, and how fast."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from softphone.errors import ConfigError, PeerUnreachableError
from softphone.rtp import RtpPayload
from softphone.webrtc import IceConfig, IceServer, Peer, PeerConfig
from softphone.webrtc.sdp import parse_session
from tests.support.namespaces import Namespace
from tests.support.nat_lab import SERVER, Kind, NatLab, credentials

STUN = f"stun:{SERVER}"
TURN_UDP = f"turn:{SERVER}"
TURN_TCP = f"turn:{SERVER}?transport=tcp"
TURN_TLS = f"turns:{SERVER}:443"


def servers(*urls: str, lifetime: float = 600.0) -> tuple[IceServer, ...]:
    user, password = credentials(lifetime)
    return tuple(IceServer(url) if url.startswith("stun") else IceServer(url, user, password) for url in urls)


class End:
    """A peer in a namespace."""

    def __init__(self, place: Namespace, config: IceConfig, *, trickle: bool = False) -> None:
        self._place = place
        self._config = PeerConfig(ice=config, trickle=trickle)
        self.received = 0

    async def do(self, work: Callable[[Peer], Awaitable[Any]]) -> Any:
        """Have something done to the peer, on its event loop."""

        async def body() -> Any:
            return await work(self.peer)

        return await self._place.run(body())

    async def __aenter__(self) -> "End":
        async def make() -> None:
            self.peer = Peer(self._config)
            self.peer.receiver.on_packet = self._count

        await self._place.run(make())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.do(lambda peer: peer.close())

    @property
    def types(self) -> tuple[str, str]:
        """Types of the candidates in use, ours and the peer's."""
        (pair,) = [s for s in self.peer.statistics().values() if s["type"] == "candidate-pair"]
        return pair["localCandidateType"], pair["remoteCandidateType"]

    async def say(self) -> None:
        for k in range(50):
            self.peer.sender.send(RtpPayload(111, 960 * k, b"hello"))
            await asyncio.sleep(0.01)

    def _count(self, *_: object) -> None:
        self.received += 1


async def connect(caller: End, callee: End, patience: float = 8.0) -> float:
    """Call, talk both ways and return how long it took until both were connected."""
    began = time.monotonic()
    offer = await caller.do(lambda peer: peer.create_offer())
    answer = await callee.do(lambda peer: peer.accept_offer(offer))
    await caller.do(lambda peer: peer.accept_answer(answer))
    await asyncio.gather(*(end.do(lambda peer: peer.wait_connected(patience)) for end in (caller, callee)))
    took = time.monotonic() - began
    await asyncio.gather(*(end.do(lambda _, end=end: end.say()) for end in (caller, callee)))
    await asyncio.sleep(0.1)
    assert min(caller.received, callee.received) >= 40
    return took


@pytest.mark.usefixtures("turn")
@pytest.mark.parametrize(
    ("kinds", "urls", "relayed", "limit"),
    [
        ((Kind.CONE, Kind.CONE), (STUN,), False, 1.5),
        ((Kind.CONE, Kind.NONE), (), False, 1.5),
        ((Kind.SYMMETRIC, Kind.CONE), (STUN, TURN_UDP), True, 1.5),
        ((Kind.SYMMETRIC, Kind.SYMMETRIC), (STUN, TURN_UDP), True, 1.5),
        # STUN never answers here; nobody may wait for it.
        ((Kind.NO_UDP, Kind.CONE), (STUN, TURN_UDP, TURN_TCP), True, 2.0),
        ((Kind.NO_UDP, Kind.NO_UDP), (STUN, TURN_UDP, TURN_TCP), True, 2.5),
        ((Kind.ONLY_443, Kind.SYMMETRIC), (STUN, TURN_UDP, TURN_TCP, TURN_TLS), True, 2.0),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else "",
)
async def test_a_way_through(
    lab: NatLab, kinds: tuple[Kind, Kind], urls: tuple[str, ...], relayed: bool, limit: float
) -> None:
    config = IceConfig(servers=servers(*urls))
    places = [lab.client(kind) for kind in kinds]
    async with End(places[0], config) as caller, End(places[1], config) as callee:
        took = await connect(caller, callee)
        print(f"{kinds}: {took:.2f} s, {caller.types} {callee.types}")
        assert ("relay" in caller.types + callee.types) == relayed
        assert took < limit


@pytest.mark.usefixtures("turn")
async def test_a_symmetric_translator_needs_a_relay(lab: NatLab) -> None:
    config = IceConfig(servers=servers(STUN))
    places = lab.client(Kind.SYMMETRIC), lab.client(Kind.CONE)
    async with End(places[0], config) as caller, End(places[1], config) as callee:
        with pytest.raises(PeerUnreachableError):
            await connect(caller, callee, 2.5)


@pytest.mark.usefixtures("turn")
@pytest.mark.parametrize("url", [TURN_UDP, TURN_TLS])
async def test_relay_only_tells_nobody_our_address(lab: NatLab, url: str) -> None:
    place, other = lab.client(Kind.CONE), lab.client(Kind.NONE)
    hidden = IceConfig(servers=servers(STUN, url), relay_only=True)
    async with End(place, hidden) as caller, End(other, IceConfig()) as callee:
        offer = await caller.do(lambda peer: peer.create_offer())
        candidates = list(parse_session(offer).media[0].values("candidate"))
        assert len(candidates) == 1
        assert f"{SERVER} " in candidates[0]
        assert "typ relay" in candidates[0]
        assert "192.168" not in offer
        assert "198.51.100.10" not in offer
        answer = await callee.do(lambda peer: peer.accept_offer(offer))
        await caller.do(lambda peer: peer.accept_answer(answer))
        await caller.do(lambda peer: peer.wait_connected(5))
        assert caller.types[0] == "relay"
        (pair,) = [s for s in callee.peer.statistics().values() if s["type"] == "candidate-pair"]
        assert pair["remoteAddress"] == SERVER


@pytest.mark.usefixtures("turn")
@pytest.mark.parametrize("url", [TURN_UDP, TURN_TCP])
async def test_expired_credentials_are_refused_and_it_is_said(lab: NatLab, url: str) -> None:
    place = lab.client(Kind.CONE)
    old = servers(url, lifetime=-60.0)
    async with End(place, IceConfig(servers=old, relay_only=True)) as end:
        with pytest.raises(ConfigError, match=r"turn:198\.51\.100\.1\S* refused the credentials.*expired"):
            await end.do(lambda peer: peer.create_offer())
    # Where other paths may do, the call goes on without the server.
    async with End(place, IceConfig(servers=old)) as end:
        await end.do(lambda peer: peer.create_offer())
        assert [failure.url for failure in end.peer.server_failures] == [url]
        assert "expired" in str(end.peer.server_failures[0])


async def test_a_server_that_is_not_there(lab: NatLab) -> None:
    """No coturn: UDP stays without answer, TCP is refused."""
    place = lab.client(Kind.CONE)
    async with End(place, IceConfig(servers=servers(STUN, TURN_UDP, TURN_TCP))) as end:
        began = time.monotonic()
        await end.do(lambda peer: peer.create_offer())
        assert time.monotonic() - began < 2.5
        assert any("can't be reached" in str(failure) for failure in end.peer.server_failures)


@pytest.mark.usefixtures("turn")
async def test_with_trickle_nobody_waits_for_servers(lab: NatLab) -> None:
    config = IceConfig(servers=servers(STUN, TURN_UDP, TURN_TCP))
    places = lab.client(Kind.NO_UDP), lab.client(Kind.SYMMETRIC)
    async with End(places[0], config, trickle=True) as caller, End(places[1], config, trickle=True) as callee:
        trickled: list[str | None] = []

        def forward(end: End, other: End) -> None:
            def tell(candidate: str | None) -> None:
                trickled.append(candidate)
                other._place.submit(other.peer.add_remote_candidate(candidate))

            end.peer.on_local_candidate = tell

        began = time.monotonic()
        offer = await caller.do(lambda peer: peer.create_offer())
        assert time.monotonic() - began < 0.2
        assert "typ relay" not in offer
        answer = await callee.do(lambda peer: peer.accept_offer(offer))
        forward(caller, callee)
        forward(callee, caller)
        await caller.do(lambda peer: peer.accept_answer(answer))
        await asyncio.gather(*(end.do(lambda peer: peer.wait_connected(5)) for end in (caller, callee)))
        assert any(candidate and "typ relay" in candidate for candidate in trickled)
        assert "relay" in caller.types + callee.types
