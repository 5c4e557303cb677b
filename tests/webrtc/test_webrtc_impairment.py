import asyncio
from collections.abc import Callable

import numpy as np

from softphone.rtp import RtpPacket
from softphone.sim.network import GilbertElliott, NetworkEmulator, NetworkProfile
from softphone.sim.trace import PacketTrace
from softphone.webrtc import Peer
from softphone.webrtc.impairment import Impairment
from tests.support.webrtc_calls import connect, send_all, until

MakePeer = Callable[..., Peer]
LOST = [False, False, True, True, False, True, False, False]


def trace() -> PacketTrace:
    return PacketTrace(np.where(LOST, np.nan, 0.02))


async def impaired_pair(make_peer: MakePeer, emulator: NetworkEmulator) -> tuple[Peer, Peer, Impairment]:
    """Connect through the emulated network: STUN and DTLS pass it too."""
    caller, callee = make_peer(), make_peer()
    impairment = Impairment(emulator)
    caller.outgoing_hook = impairment
    await connect(caller, callee)
    return caller, callee, impairment


async def test_the_kth_media_packet_meets_the_kth_fate(make_peer: MakePeer) -> None:
    emulator = NetworkEmulator(NetworkProfile(trace=trace()))
    caller, callee, impairment = await impaired_pair(make_peer, emulator)
    packets: list[RtpPacket] = []
    callee.receiver.on_packet = lambda packet, arrival: packets.append(packet)
    payloads = [bytes([k]) * 60 for k in range(80)]
    await send_all(caller, payloads)
    expected = [payload for k, payload in enumerate(payloads) if not LOST[k % len(LOST)]]
    await until(lambda: len(packets) == len(expected))
    assert sorted(packet.payload for packet in packets) == expected
    assert impairment.counters.media == 80
    assert impairment.counters.media_lost == 30
    assert impairment.counters.control >= 3


async def test_the_same_seed_gives_the_same_loss(make_peer: MakePeer) -> None:
    profile = NetworkProfile(delay=0.005, loss_model=GilbertElliott.from_mean(0.3, 3.0))
    survivors = []
    for _ in range(2):
        caller, callee, _ = await impaired_pair(make_peer, NetworkEmulator(profile, seed=7))
        packets: list[RtpPacket] = []
        callee.receiver.on_packet = lambda packet, arrival, p=packets: p.append(packet)
        await send_all(caller, [bytes([k]) for k in range(100)])
        await asyncio.sleep(0.1)
        survivors.append(sorted(packet.payload[0] for packet in packets))
    assert survivors[0] == survivors[1]
    assert 30 < len(survivors[0]) < 95


async def test_a_call_can_be_set_up_over_a_network_that_loses_everything(make_peer: MakePeer) -> None:
    emulator = NetworkEmulator(NetworkProfile(loss=1.0))
    caller, callee, impairment = await impaired_pair(make_peer, emulator)
    await send_all(caller, [b"x"] * 10)
    await asyncio.sleep(0.05)
    assert callee.receiver.counters.packets_received == 0
    assert impairment.counters.media_lost == 10
    impairment.close()


async def test_delay_is_kept(make_peer: MakePeer) -> None:
    caller, callee, impairment = await impaired_pair(make_peer, NetworkEmulator(NetworkProfile(delay=0.05)))
    arrivals: list[float] = []
    callee.receiver.on_packet = lambda packet, arrival: arrivals.append(arrival)
    sent = asyncio.get_running_loop().time()
    await send_all(caller, [b"x"], interval=0)
    await until(lambda: bool(arrivals))
    assert 0.05 <= arrivals[0] - sent < 0.1
    await until(lambda: impairment.counters.pending == 0)
