"""Whatever comes in, the call goes on and the counters tell."""

import asyncio
import os
import random
import re
import socket
import struct
from collections.abc import Callable, Iterator

import pytest
from aiortc.rtp import (
    HeaderExtensionsMap,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
)

from softphone.errors import RemoteProtocolError
from softphone.rtp import LossReport
from softphone.webrtc import ConnectionState, Peer
from softphone.webrtc.guard import MAX_SSRCS
from softphone.webrtc.receiver import MAX_STREAMS
from softphone.webrtc.sdp import parse_session
from tests.support.webrtc_calls import send_all, until
from tests.support.webrtc_sdp import AUDIO, DATA, VIDEO, session

Pair = tuple[Peer, Peer]
OPUS, RED, EVENT = 111, 63, 110


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Flip, cut, repeat or insert some bytes."""
    mutated = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        position = rng.randrange(len(mutated) + 1)
        match rng.randrange(4):
            case 0 if position < len(mutated):
                mutated[position] = rng.randrange(256)
            case 1:
                del mutated[position:]
            case 2:
                mutated[position:position] = rng.randbytes(rng.randint(1, 8))
            case _:
                del mutated[position : position + rng.randint(1, 8)]
    return bytes(mutated)


def rtp_packets(rng: random.Random, ssrc: int) -> Iterator[bytes]:
    """Endless valid packets of all payload types, with extensions, contributors and padding."""
    sequence = 0
    while True:
        number = rng.choice((OPUS, OPUS, RED, EVENT))
        packet = RtpPacket(
            payload_type=number, sequence_number=sequence & 0xFFFF, timestamp=960 * sequence, ssrc=ssrc
        )
        packet.payload = bytes((5, 10, 1, 64)) if number == EVENT else rng.randbytes(rng.randint(1, 120))
        if rng.random() < 0.3:
            packet.csrc = [1, 2]
        if rng.random() < 0.3:
            packet.padding_size = 4
        data = bytearray(packet.serialize(HeaderExtensionsMap()))
        if rng.random() < 0.5:
            data[0] |= 0x10
            extension = bytes((0x10, 0x30, 0x20, 0x85)) + bytes(4)
            position = 12 + 4 * len(packet.csrc)
            data[position:position] = struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
        yield bytes(data)
        sequence += 1


def rtcp_packets(rng: random.Random, ours: int, theirs: int) -> Iterator[bytes]:
    """Endless valid packets of every kind a peer may send."""
    block = RtcpReceiverInfo(ours, 10, 3, 500, 20, 1, 1)
    loss = LossReport(100, 0.1, 2.0, 0.01, 0.0)
    kinds = [
        RtcpSrPacket(theirs, RtcpSenderInfo(1 << 40, 5, 6, 7), [block]),
        RtcpRrPacket(theirs, [block, block]),
        RtcpSdesPacket([RtcpSourceInfo(theirs, [(1, b"name")])]),
        RtcpPsfbPacket(15, theirs, ours, loss.pack()),
        RtcpPsfbPacket(15, theirs, 0, pack_remb_fci(64_000, [ours])),
        RtcpRtpfbPacket(1, theirs, ours, [1, 2, 3]),
    ]
    while True:
        chosen = rng.sample(kinds, rng.randint(1, 3))
        yield b"".join(map(bytes, chosen))


async def check_alive(caller: Peer, callee: Peer) -> None:
    """The call stands and carries audio both ways."""
    for sender, receiver in ((caller, callee), (callee, caller)):
        assert sender.state is ConnectionState.CONNECTED
        payloads: list[bytes] = []
        receiver.receiver.on_packet = lambda packet, arrival, p=payloads: p.append(packet.payload)
        await send_all(sender, [b"still here"] * 3)
        await until(lambda p=payloads: p.count(b"still here") == 3)


async def test_mutated_rtp(pair: Pair) -> None:
    caller, callee = pair
    rng = random.Random(1)
    delivered = 0

    def on_packet(packet: object, arrival: float) -> None:
        nonlocal delivered
        delivered += 1

    callee.receiver.on_packet = on_packet
    handle = callee._connection.dtls._handle_rtp_data
    packets = rtp_packets(rng, caller.sender.ssrc)
    for _ in range(5_000):
        await handle(mutate(rng, next(packets)), arrival_time_ms=0)
    counters = callee.counters()
    assert counters["srtp_rtp"] == 5_000
    accounted = sum(
        counters[name]
        for name in (
            "srtp_rtp_malformed",
            "srtp_rtp_unroutable",
            "receiver_packets_received",
            "receiver_packets_unknown",
        )
    )
    assert accounted == 5_000
    assert counters["srtp_rtp_malformed"] > 100
    assert counters["srtp_rtp_unroutable"] > 50
    assert counters["srtp_extensions_malformed"] > 100
    assert counters["srtp_handler_errors"] == counters["receiver_callback_errors"] == 0
    assert delivered > 1_000
    assert len(callee.receiver.streams) <= MAX_STREAMS
    assert len(callee._connection.dtls._rtp_router.ssrc_table) <= MAX_SSRCS
    await check_alive(caller, callee)


async def test_mutated_rtcp(pair: Pair) -> None:
    caller, callee = pair
    rng = random.Random(2)
    await send_all(caller, [b"x"])
    handle = callee._connection.dtls._handle_rtcp_data
    packets = rtcp_packets(rng, callee.sender.ssrc, caller.sender.ssrc)
    for _ in range(3_000):
        await handle(mutate(rng, next(packets)))
    counters = callee.counters()
    assert counters["srtp_rtcp"] >= 3_000
    assert counters["srtp_rtcp_malformed"] > 500
    assert counters["sender_reports_received"] > 100
    assert counters["sender_feedback_unknown"] > 0
    assert counters["srtp_handler_errors"] == 0
    await check_alive(caller, callee)


async def test_mutated_packets_through_srtp(pair: Pair) -> None:
    """A peer that holds the keys sends rubbish over the wire."""
    caller, callee = pair
    rng = random.Random(3)
    # Under another SSRC: SRTP's replay protection would take the caller's own stream for a replay.
    rtp = rtp_packets(rng, 0x5EED)
    rtcp = rtcp_packets(rng, callee.sender.ssrc, caller.sender.ssrc)
    writer = caller.sender._writer
    for k in range(1_000):
        writer.write(mutate(rng, next(rtp) if k % 2 else next(rtcp)))
        if k % 20 == 0:
            await asyncio.sleep(0.002)
    await until(lambda: not writer._waiting)
    assert writer.failed < 700  # libsrtp refuses to protect some of it
    await asyncio.sleep(0.05)
    counters = callee.counters()
    assert counters["srtp_rtp"] > 100
    assert counters["srtp_rtcp"] > 100
    assert counters["srtp_handler_errors"] == 0
    await check_alive(caller, callee)


async def test_garbage_datagrams(pair: Pair) -> None:
    """A stranger throws datagrams at the socket: empty, too long, of every first byte."""
    caller, callee = pair
    rng = random.Random(4)
    address = callee._connection.ice.current.selected_pair
    assert address is not None
    before = callee.counters()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for k in range(1_000):
            first = bytes((k % 256,))
            size = rng.choice((0, 1, 2, 11, 12, 40, 200, 1_499))
            sock.sendto(first + rng.randbytes(size), address[0])
            if k % 50 == 0:
                sock.sendto(b"", address[0])
                sock.sendto(b"\x80\x6f" + bytes(2_000), address[0])
                await asyncio.sleep(0.005)
    await until(lambda: callee.counters()["ice_datagrams"] - before["ice_datagrams"] >= 1_000)
    counters = callee.counters()
    assert counters["ice_dropped_empty"] == 20
    assert counters["ice_dropped_oversized"] == 20
    assert counters["ice_dropped_unknown"] > 300
    assert counters["srtp_rejected"] == 256
    assert counters["srtp_rtp"] == 0
    await check_alive(caller, callee)


async def test_mutated_offers(make_peer: Callable[..., Peer]) -> None:
    """All the way through aiortc: an offer leads to an answer that can be read, or is refused."""
    rng = random.Random(6)
    # Without candidates: their addresses would be mutated too, and asked.
    offer = re.sub(r"a=candidate:.*\r\n", "", session(AUDIO, VIDEO, DATA, bundle="0 1 2")).encode()
    answered = 0
    for _ in range(300):
        peer = make_peer()
        try:
            answer = await peer.accept_offer(mutate(rng, offer).decode("latin-1"))
        except RemoteProtocolError:
            pass
        else:
            answered += 1
            assert parse_session(answer).media
        await peer.close()
    assert 20 < answered < 280


async def test_stun_that_makes_no_sense(pair: Pair) -> None:
    caller, callee = pair
    rng = random.Random(5)
    address = callee._connection.ice.current.selected_pair
    assert address is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(300):
            kind = rng.choice((0x0001, 0x0101, 0x0111))
            attributes = b"".join(
                struct.pack("!HH", rng.choice((0x6, 0x8, 0x9, 0x20, 0x24, 0x8028, 0x8029)), size)
                + os.urandom(size)
                for size in (rng.choice((0, 4, 8, 20)) for _ in range(rng.randint(0, 4)))
            )
            sock.sendto(
                struct.pack("!HHL", kind, len(attributes), 0x2112A442) + bytes(12) + attributes, address[0]
            )
            await asyncio.sleep(0)
    await check_alive(caller, callee)


@pytest.mark.parametrize(
    "data",
    [
        # An audio level of three bytes: stock aiortc closes the call.
        bytes((0x90, OPUS)) + bytes(10) + struct.pack("!HH", 0xBEDE, 1) + bytes((0x22, 1, 2, 3)) + b"payload",
        # A tag that is not UTF-8.
        bytes((0x90, OPUS))
        + bytes(10)
        + struct.pack("!HH", 0xBEDE, 1)
        + bytes((0x11, 0xFF, 0xFE, 0))
        + b"payload",
    ],
)
async def test_bad_extensions_do_not_cost_the_packet(pair: Pair, data: bytes) -> None:
    caller, callee = pair
    packets: list[object] = []
    callee.receiver.on_packet = lambda packet, arrival: packets.append(packet)
    await callee._connection.dtls._handle_rtp_data(data, arrival_time_ms=0)
    assert len(packets) == 1
    assert callee.counters()["srtp_extensions_malformed"] == 1
    await check_alive(caller, callee)


async def test_a_bandwidth_estimate_that_promises_too_much(pair: Pair) -> None:
    """Stock aiortc closes the call: the count of SSRCs exceeds what follows."""
    caller, callee = pair
    fci = b"REMB" + bytes((255, 0, 0, 1))
    await callee._connection.dtls._handle_rtcp_data(bytes(RtcpPsfbPacket(15, 1, 0, fci)))
    assert callee.counters()["srtp_rtcp_malformed"] == 1
    await check_alive(caller, callee)


async def test_a_farewell_for_somebody_else(pair: Pair) -> None:
    caller, callee = pair
    callee.receiver.on_bye = lambda: pytest.fail("not for us")
    await callee._connection.dtls._handle_rtcp_data(bytes(RtcpByePacket(sources=[1, 2, 3])))
    await check_alive(caller, callee)


async def test_padding_only_is_no_audio(pair: Pair) -> None:
    caller, callee = pair
    callee.receiver.on_packet = lambda packet, arrival: pytest.fail("nothing to play")
    packet = RtpPacket(payload_type=OPUS, ssrc=caller.sender.ssrc)
    packet.padding_size = 100
    await callee._connection.dtls._handle_rtp_data(packet.serialize(), arrival_time_ms=0)
    assert callee.receiver.counters.packets_empty == 1


async def test_malformed_events_are_counted(pair: Pair) -> None:
    caller, callee = pair
    callee.receiver.on_digit = lambda digit: pytest.fail("no digit")
    for payload in (b"1", b"12345", bytes(400)):
        packet = RtpPacket(payload_type=EVENT, ssrc=caller.sender.ssrc, payload=payload)
        await callee._connection.dtls._handle_rtp_data(packet.serialize(), arrival_time_ms=0)
    assert callee.receiver.counters.events_malformed == 3


async def test_errors_in_our_own_code_are_contained(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    caller, callee = pair
    original: Callable[..., object] = callee.receiver._stream

    def broken(ssrc: int) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(callee.receiver, "_stream", broken)
    await send_all(caller, [b"x"] * 5)
    await until(lambda: callee.counters()["srtp_handler_errors"] == 5)
    monkeypatch.setattr(callee.receiver, "_stream", original)
    await check_alive(caller, callee)
