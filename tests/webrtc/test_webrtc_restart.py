"""A new path under a living call: restart of ICE, roaming, trickled candidates."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from softphone.errors import RemoteProtocolError
from softphone.rtp import RtpPayload
from softphone.webrtc import ConnectionState, IceConfig, OfferCollisionError, Peer, PeerConfig
from softphone.webrtc.sdp import parse_session
from tests.support.webrtc_calls import connect, cut, send_all, until

MakePeer = Callable[..., Peer]
Pair = tuple[Peer, Peer]


class Talk:
    """Speech from one peer to another, 50 packets a second."""

    def __init__(self, sender: Peer, receiver: Peer) -> None:
        self.received: list[tuple[float, int]] = []
        receiver.receiver.on_packet = lambda packet, arrival: self.received.append(
            (arrival, packet.sequence_number)
        )
        self._task = asyncio.create_task(self._run(sender))

    async def _run(self, sender: Peer) -> None:
        for k in range(10**6):
            sender.sender.send(RtpPayload(111, 960 * k, b"speech"))
            await asyncio.sleep(0.02)

    def stop(self) -> float:
        """The longest time without a packet."""
        self._task.cancel()
        times = [arrival for arrival, _ in self.received]
        return max(b - a for a, b in pairwise(times))


async def restart(offerer: Peer, answerer: Peer) -> None:
    answer = await answerer.accept_offer(await offerer.create_offer(ice_restart=True))
    await offerer.accept_answer(answer)


def ports(peer: Peer) -> tuple[int, int]:
    pair = peer._connection.ice.current.selected_pair
    assert pair is not None
    return pair[0][1], pair[1][1]


@pytest.mark.parametrize("who", ["caller", "callee"])
async def test_a_restart_loses_nothing(pair: Pair, who: str) -> None:
    offerer, answerer = pair if who == "caller" else pair[::-1]
    talks = [Talk(offerer, answerer), Talk(answerer, offerer)]
    before = ports(offerer), ports(answerer)
    keys = [peer.remote_certificate_fingerprint for peer in pair]
    await asyncio.sleep(0.3)
    began = time.monotonic()
    await restart(offerer, answerer)
    await until(lambda: not {*before[0], *before[1]} & {*ports(offerer), *ports(answerer)})
    assert time.monotonic() - began < 0.5
    await asyncio.sleep(0.5)
    for talk in talks:
        assert talk.stop() < 0.2
        numbers = [number for _, number in talk.received]
        assert [(n - numbers[0]) & 0xFFFF for n in numbers] == list(range(len(numbers)))
    assert keys == [peer.remote_certificate_fingerprint for peer in pair]
    assert all(peer.state is ConnectionState.CONNECTED for peer in pair)


async def test_a_dead_path_is_told_and_repaired_by_a_restart(pair: Pair) -> None:
    caller, callee = pair
    states: list[tuple[float, ConnectionState]] = []
    callee.on_state = lambda state: states.append((time.monotonic(), state))
    restarts: list[asyncio.Task[None]] = []

    def broken() -> None:
        raise RuntimeError("bug in the application")

    callee.on_restart_needed = broken
    caller.on_restart_needed = lambda: restarts.append(asyncio.create_task(restart(caller, callee)))
    talks = [Talk(caller, callee), Talk(callee, caller)]
    await asyncio.sleep(0.5)
    for peer in pair:
        cut(peer)
    began = time.monotonic()
    await until(lambda: len(states) == 2)
    assert [state for _, state in states] == [ConnectionState.RECONNECTING, ConnectionState.CONNECTED]
    assert states[0][0] - began < 1.5
    assert states[1][0] - began < 2.5
    assert len(restarts) == 1
    await asyncio.sleep(0.3)
    for talk in talks:
        assert talk.stop() < 2.0
    await send_all(caller, [b"on"])


async def test_a_path_that_comes_back_needs_no_signalling(pair: Pair) -> None:
    caller, callee = pair
    states: list[ConnectionState] = []
    caller.on_state = states.append
    talk = Talk(callee, caller)
    await asyncio.sleep(0.3)
    mend = [cut(peer) for peer in pair]
    await until(lambda: states == [ConnectionState.RECONNECTING])
    for repair in mend:
        repair()
    await until(lambda: states == [ConnectionState.RECONNECTING, ConnectionState.CONNECTED], 2.0)
    talk.stop()


async def test_silence_alone_is_no_reason_to_worry(pair: Pair) -> None:
    caller, callee = pair
    states: list[ConnectionState] = []
    caller.on_state = callee.on_state = states.append
    await send_all(caller, [b"x"] * 30, interval=0.02)
    await asyncio.sleep(3.0)
    assert not states


async def test_the_first_offerer_goes_first_when_both_restart(pair: Pair) -> None:
    caller, callee = pair
    before = ports(caller)
    ours, theirs = (
        await caller.create_offer(ice_restart=True),
        await callee.create_offer(ice_restart=True),
    )
    with pytest.raises(OfferCollisionError):
        await caller.accept_offer(theirs)
    await caller.accept_answer(await callee.accept_offer(ours))
    await until(lambda: not {*before} & {*ports(caller)} and not {*before} & {*ports(callee)})


async def test_answers_to_a_restart_that_do_not_fit(pair: Pair) -> None:
    caller, callee = pair
    before = ports(caller)
    plain = await callee.accept_offer(await caller.create_offer())
    await caller.accept_answer(plain)
    offer = await caller.create_offer(ice_restart=True)
    with pytest.raises(RemoteProtocolError, match="does not restart"):
        await caller.accept_answer(plain)
    answer = await callee.accept_offer(offer)
    forged = answer.replace(callee.local_fingerprint, ":".join(["AB"] * 32))
    with pytest.raises(RemoteProtocolError, match="certificate"):
        await caller.accept_answer(forged)
    assert ports(caller) == before
    await caller.accept_answer(answer)
    await until(lambda: not {*before} & {*ports(caller)})


async def test_a_restart_that_nobody_answers_does_no_harm(pair: Pair) -> None:
    caller, callee = pair
    before = ports(caller)
    for _ in range(3):
        await caller.create_offer(ice_restart=True)
    talk = Talk(caller, callee)
    await asyncio.sleep(0.5)
    assert talk.stop() < 0.2
    assert ports(caller) == before
    # The last one still counts.
    await restart(caller, callee)
    await until(lambda: not {*before} & {*ports(caller)})


async def test_a_peer_that_is_gone_for_good(make_peer: MakePeer) -> None:

    caller, callee = make_peer(), make_peer()
    keeper = caller._connection.keeper
    keeper.config = replace(keeper.config, session_after=0.5, give_up=1.5)
    told: list[str] = []
    caller.on_session_needed = lambda: told.append("session")
    await connect(caller, callee)
    cut(callee)
    await until(lambda: caller.state is ConnectionState.FAILED, 8.0)
    assert told == ["session"]


async def test_candidates_are_trickled_both_ways() -> None:
    config = PeerConfig(ice=IceConfig(addresses=("127.0.0.1",)), trickle=True)
    caller, callee = Peer(config), Peer(config)
    told: dict[str, list[str | None]] = {"caller": [], "callee": []}
    caller.on_local_candidate = told["caller"].append
    callee.on_local_candidate = told["callee"].append
    try:
        offer = await caller.create_offer()
        hosts = list(parse_session(offer).media[0].values("candidate"))
        assert "a=end-of-candidates" not in offer
        stripped = "\r\n".join(line for line in offer.split("\r\n") if "candidate:" not in line)
        answer = await callee.accept_offer(stripped)
        await caller.accept_answer(answer.replace("a=candidate", "a=x-candidate"))
        ufrag = parse_session(offer).media[0].value("ice-ufrag")
        for candidate in hosts:
            assert not await callee.add_remote_candidate(f"candidate:{candidate} ufrag other")
            assert await callee.add_remote_candidate(f"candidate:{candidate} ufrag {ufrag}")
        assert await callee.add_remote_candidate("")
        assert not await callee.add_remote_candidate(f"candidate:{hosts[0]}")
        await asyncio.gather(caller.wait_connected(5), callee.wait_connected(5))
        assert told == {"caller": [None], "callee": [None]}
    finally:
        await asyncio.gather(caller.close(), callee.close())


async def test_a_flood_of_candidates_is_cut_off(pair: Pair) -> None:
    caller, _ = pair
    caller._candidates_complete = False
    taken = [
        await caller.add_remote_candidate(f"candidate:1 1 udp 1 127.0.0.1 {1024 + k} typ host")
        for k in range(200)
    ]
    assert sum(taken) == 64
