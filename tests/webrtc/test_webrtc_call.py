"""Two peers on 127.0.0.1: real ICE, DTLS, SRTP and RTCP."""

import asyncio
import os
from collections.abc import Callable

import pytest

from softphone.errors import ConfigError, PeerUnreachableError, RemoteProtocolError
from softphone.rtp import LossReport, ReceivedDigit, RtpPacket, RtpPayload
from softphone.sending.network import NetworkReport
from softphone.webrtc import Capabilities, ConnectionState, LocalAudio, Peer
from softphone.webrtc.sdp import parse_session
from tests.support.webrtc_calls import connect, send_all, until
from tests.support.webrtc_sdp import browser_offer

MakePeer = Callable[..., Peer]
Pair = tuple[Peer, Peer]


def collect(peer: Peer) -> list[RtpPacket]:
    packets: list[RtpPacket] = []
    peer.receiver.on_packet = lambda packet, arrival: packets.append(packet)
    return packets


async def test_payloads_arrive_byte_for_byte_both_ways(pair: Pair) -> None:
    payloads = [os.urandom(1 + 7 * k) for k in range(100)]
    received = [collect(peer) for peer in pair]
    await asyncio.gather(*(send_all(peer, payloads) for peer in pair))
    await until(lambda: all(len(packets) == 100 for packets in received))
    for packets in received:
        assert [packet.payload for packet in packets] == payloads
        first = packets[0]
        assert [(p.sequence_number - first.sequence_number) & 0xFFFF for p in packets] == list(range(100))
        assert [(p.timestamp - first.timestamp) & 0xFFFFFFFF for p in packets] == [
            960 * k for k in range(100)
        ]
        assert {p.ssrc for p in packets} == {first.ssrc}
        assert {p.audio_level for p in packets} == {40}
        assert {p.payload_type for p in packets} == {111}


async def test_sequence_numbers_and_timestamps_start_at_random(make_peer: MakePeer) -> None:
    first = []
    for _ in range(2):
        caller, callee = make_peer(), make_peer()
        packets = collect(callee)
        await connect(caller, callee)
        await send_all(caller, [b"x"])
        await until(lambda: bool(packets))  # noqa: B023
        first.append((packets[0].sequence_number, packets[0].timestamp, packets[0].ssrc))
    assert all(a != b for a, b in zip(*first, strict=True))


async def test_red_is_negotiated_and_carried(pair: Pair) -> None:
    caller, callee = pair
    packets = collect(callee)
    assert caller.negotiated is not None
    assert caller.negotiated.red_pt == 63
    await send_all(caller, [b"\x6fprimary"], payload_type=63)
    await until(lambda: bool(packets))
    assert (packets[0].payload_type, packets[0].payload) == (63, b"\x6fprimary")


async def test_a_peer_without_dred_and_red(make_peer: MakePeer) -> None:
    plain = LocalAudio(dred_ms=0, red=False, telephone_event=False)
    caller, callee = make_peer(), make_peer(plain)
    agreed = await connect(caller, callee, capabilities=False)
    assert agreed.peer_dred_ms == 0
    assert agreed.red_pt is None
    assert agreed.event_pt is None
    with pytest.raises(ConfigError, match="not negotiated"):
        caller.sender.send(RtpPayload(63, 0, b"x"))
    with pytest.raises(ConfigError, match="telephone events"):
        caller.sender.send_dtmf("1")
    packets = collect(callee)
    await send_all(caller, [b"audio"])
    await until(lambda: bool(packets))


async def test_digits_both_ways(pair: Pair) -> None:
    heard: list[list[ReceivedDigit]] = [[], []]
    audio = [collect(peer) for peer in pair]
    for peer, digits in zip(pair, heard, strict=True):
        peer.receiver.on_digit = digits.append
    caller, callee = pair
    caller.sender.send_dtmf("159#", duration=0.06, gap=0.03)
    callee.sender.send_dtmf("A0", duration=0.06, gap=0.03)
    # One side talks meanwhile; the other is silent, so nothing but the digits drives its clock.
    await send_all(caller, [b"speech"] * 40, interval=0.02)
    await until(lambda: [len(digits) for digits in heard] == [2, 4])
    assert "".join(digit.digit for digit in heard[1]) == "159#"
    assert "".join(digit.digit for digit in heard[0]) == "A0"
    assert caller.sender.counters.packets_replaced >= 4 * 3
    assert len(audio[1]) == 40 - caller.sender.counters.packets_replaced
    assert not audio[0]


async def test_muted_means_that_no_audio_leaves(pair: Pair) -> None:
    caller, callee = pair
    packets = collect(callee)
    caller.sender.muted = True
    await send_all(caller, [b"secret"] * 20)
    caller.sender.muted = False
    await send_all(caller, [b"public"] * 2, first=20)
    await until(lambda: len(packets) == 2)
    assert {packet.payload for packet in packets} == {b"public"}
    assert [packet.marker for packet in packets] == [True, False]
    assert caller.sender.counters.packets_muted == 20


async def test_reports_travel_back(pair: Pair) -> None:
    caller, callee = pair
    reports: list[NetworkReport] = []
    losses: list[LossReport] = []
    caller.sender.on_report = reports.append
    caller.sender.on_loss_report = losses.append
    # Every sixth and seventh packet gets lost below SRTP.
    sent = 0

    def lossy(datagram: bytes, transmit: Callable[[bytes], None]) -> None:
        nonlocal sent
        if 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223:
            sent += 1
            if sent % 7 in (5, 6):
                return
        transmit(datagram)

    caller.outgoing_hook = lossy
    for _ in range(60):
        callee.receiver.loss_reporter.on_audio(960, concealed=False)
    await send_all(caller, [b"x" * 80] * 140, interval=0.02)
    await until(lambda: len(reports) >= 2 and bool(losses))
    assert reports[-1].fraction_lost == pytest.approx(2 / 7, abs=0.08)
    assert reports[-1].round_trip is not None
    assert 0 <= reports[-1].round_trip < 0.1
    assert reports[-1].mean_burst == pytest.approx(2, abs=0.3)
    assert losses[-1].fraction_lost == pytest.approx(2 / 7, abs=0.05)
    statistics = callee.statistics()
    (inbound,) = [s for s in statistics.values() if s["type"] == "inbound-rtp"]
    assert inbound["packetsReceived"] == 100
    assert inbound["packetsLost"] in (38, 39, 40)


async def test_loss_reports_are_not_sent_to_strangers(make_peer: MakePeer) -> None:
    caller, callee = make_peer(), make_peer()
    losses: list[LossReport] = []
    caller.sender.on_loss_report = losses.append
    await connect(caller, callee, capabilities=False)
    await send_all(caller, [b"x"] * 70, interval=0.02)
    await until(lambda: caller.sender.counters.reports_received > 0)
    assert not losses
    assert caller.sender.counters.feedback_unknown == 0


async def test_statistics_have_w3c_names(pair: Pair) -> None:
    caller, callee = pair
    await send_all(caller, [b"x" * 50] * 80, interval=0.02)
    await until(lambda: caller.sender.remote_inbound is not None)
    statistics = caller.statistics()
    by_type = {entry["type"]: entry for entry in statistics.values()}
    assert {"transport", "candidate-pair", "outbound-rtp", "remote-inbound-rtp"} <= set(by_type)
    assert by_type["outbound-rtp"]["packetsSent"] == 80
    assert by_type["outbound-rtp"]["bytesSent"] == 4000
    assert by_type["transport"]["dtlsState"] == "connected"
    assert by_type["candidate-pair"]["remoteAddress"] == "127.0.0.1"
    assert by_type["remote-inbound-rtp"]["fractionLost"] == 0
    from softphone.playout import PlayoutStatistics

    playout = PlayoutStatistics(concealed_samples=960, jitter_buffer_delay=1.5, packets_received=7)
    (inbound,) = [s for s in callee.statistics(playout).values() if s["type"] == "inbound-rtp"]
    assert inbound["concealedSamples"] == 960
    assert inbound["jitterBufferDelay"] == 1.5
    assert inbound["packetsReceived"] == 80


async def test_states_and_farewell(make_peer: MakePeer) -> None:
    caller, callee = make_peer(), make_peer()
    states: list[ConnectionState] = []
    farewells: list[str] = []
    callee.on_state = states.append
    callee.receiver.on_bye = lambda: farewells.append("bye")
    callee.receiver.on_end = lambda: farewells.append("end")
    assert caller.state is ConnectionState.NEW
    await connect(caller, callee)
    await send_all(caller, [b"x"])
    await until(lambda: callee.receiver.counters.packets_received == 1)
    await caller.close()
    await until(lambda: callee.state is ConnectionState.CLOSED)
    assert farewells == ["bye", "end"]
    assert states == [ConnectionState.CONNECTING, ConnectionState.CONNECTED, ConnectionState.CLOSED]
    assert caller.sender.send(RtpPayload(111, 0, b"late")) is False
    await caller.close()


async def test_both_sides_see_the_same_fingerprints(pair: Pair) -> None:
    caller, callee = pair
    assert caller.local_fingerprint == callee.remote_fingerprint
    assert callee.local_fingerprint == caller.remote_fingerprint
    assert caller.local_fingerprint != callee.local_fingerprint


async def test_a_forged_fingerprint_fails(make_peer: MakePeer) -> None:
    caller, callee = make_peer(), make_peer()
    offer = await caller.create_offer()
    answer = await callee.accept_offer(offer.replace(caller.local_fingerprint, callee.local_fingerprint))
    await caller.accept_answer(answer)
    with pytest.raises(PeerUnreachableError, match="failed"):
        await callee.wait_connected(10)


async def test_nobody_there(make_peer: MakePeer) -> None:
    peer = make_peer()
    await peer.accept_offer(browser_offer())
    with pytest.raises(PeerUnreachableError, match=r"0\.2 s"):
        await peer.wait_connected(0.2)
    await peer.close()
    assert peer.state is ConnectionState.CLOSED


async def test_trickled_candidates(make_peer: MakePeer) -> None:
    caller, callee = make_peer(), make_peer()
    offer = await caller.create_offer()
    (candidate,) = parse_session(offer).media[0].values("candidate")
    kept = [
        line for line in offer.split("\r\n") if not line.startswith(("a=candidate", "a=end-of-candidates"))
    ]
    assert not await callee.add_remote_candidate(candidate)
    answer = await callee.accept_offer("\r\n".join(kept))
    assert not await callee.add_remote_candidate("a=candidate:1 1 udp 1 not-an-address 5 typ host")
    assert await callee.add_remote_candidate(f"candidate:{candidate}")
    assert await callee.add_remote_candidate(None)
    await caller.accept_answer(answer)
    await asyncio.gather(caller.wait_connected(10), callee.wait_connected(10))


async def test_answers_that_do_not_fit(make_peer: MakePeer) -> None:
    caller, callee = make_peer(), make_peer()
    offer = await caller.create_offer()
    answer = await callee.accept_offer(offer)
    video = "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n"
    for bad in (answer + video, answer.replace("a=mid:0", "a=mid:7"), offer):
        with pytest.raises(RemoteProtocolError):
            await caller.accept_answer(bad)
    # None of them did harm.
    await caller.accept_answer(answer, Capabilities())
    await caller.wait_connected(10)


async def test_an_offer_after_the_answer_is_refused(pair: Pair) -> None:
    caller, _ = pair
    with pytest.raises(RemoteProtocolError):
        await caller.accept_answer(browser_offer().replace("actpass", "active"))
    assert caller.state is ConnectionState.CONNECTED


async def test_oversized_payloads_are_counted_not_sent(pair: Pair) -> None:
    caller, callee = pair
    packets = collect(callee)
    await send_all(caller, [bytes(3000), b"ok"])
    await until(lambda: len(packets) == 1)
    assert packets[0].payload == b"ok"
    assert caller.sender.counters.packets_oversized == 1


async def test_an_exception_in_a_callback_does_not_end_the_call(pair: Pair) -> None:
    caller, callee = pair

    def broken(packet: RtpPacket, arrival: float) -> None:
        raise RuntimeError("bug in the application")

    callee.receiver.on_packet = broken
    await send_all(caller, [b"x"] * 20)
    await until(lambda: callee.receiver.counters.packets_received == 20)
    assert callee.receiver.counters.callback_errors == 20
    assert callee.state is ConnectionState.CONNECTED


async def test_a_second_offer_puts_the_call_on_hold_and_takes_it_back(pair: Pair) -> None:
    caller, callee = pair
    offer = (await caller.create_offer()).replace("a=sendrecv", "a=sendonly")
    agreed = await caller.accept_answer(await callee.accept_offer(offer))
    assert agreed.direction == "sendonly"
    assert not callee.sender.send(RtpPayload(111, 0, b"held back"))
    packets = collect(callee)
    await send_all(caller, [b"music"])
    await until(lambda: len(packets) == 1)

    agreed = await callee.accept_answer(await caller.accept_offer(await callee.create_offer()))
    assert agreed.direction == "sendrecv"
    packets = collect(caller)
    await send_all(callee, [b"back again"])
    await until(lambda: len(packets) == 1)
    assert caller.state is callee.state is ConnectionState.CONNECTED
