"""Whatever a peer sends, the playout core counts it and plays on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.playout import PlayoutConfig, PlayoutEngine
from softphone.rtp.packet import RtpPacket
from tests.support.stream import FRAME, Receiver, opus_packets

PACKETS = opus_packets()


def check(engine: PlayoutEngine, ticks: int = 30) -> None:
    for tick in range(ticks):
        pcm = engine.pull(tick * 0.01, 480)
        assert pcm.shape == (480,)
        assert pcm.dtype == np.float32
        assert np.isfinite(pcm).all()
        assert np.abs(pcm).max() <= 1.0


@st.composite
def rtp_packets(draw: st.DrawFn) -> RtpPacket:
    payload = draw(
        st.one_of(
            st.binary(max_size=80),
            st.sampled_from(PACKETS[:50]),
            st.tuples(st.sampled_from(PACKETS[:50]), st.integers(0, 200)).map(lambda p: p[0][: p[1]]),
            st.tuples(st.sampled_from(PACKETS[:50]), st.integers(0, 10_000), st.integers(0, 255)).map(
                lambda p: p[0][: p[1] % len(p[0])] + bytes([p[2]]) + p[0][p[1] % len(p[0]) + 1 :]
            ),
        )
    )
    return RtpPacket(
        draw(st.sampled_from([111, 63, 110, 0])),
        draw(st.integers(0, 65_535)),
        draw(st.one_of(st.integers(0, 40).map(lambda n: n * FRAME), st.integers(0, 2**32 - 1))),
        draw(st.sampled_from([1, 1, 1, 2])),
        payload,
    )


@settings(max_examples=120, deadline=None)
@given(st.lists(rtp_packets(), max_size=40), st.sampled_from(["fixed", "histogram"]))
def test_any_packets(packets: list[RtpPacket], policy: str) -> None:
    engine = PlayoutEngine(PlayoutConfig(policy=policy, max_delay=0.2))
    for number, packet in enumerate(packets):
        engine.insert(packet, number * 0.01)
    check(engine)


def test_ten_thousand_mutated_packets_are_counted() -> None:
    random = np.random.default_rng(11)
    receiver = Receiver("histogram", max_delay=0.3)
    engine, sent = receiver.engine, 10_000
    for number in range(sent):
        packet = receiver.packet(number % 500, copies=number % 3)
        payload = bytearray(packet.payload)
        for _ in range(random.integers(1, 4)):
            payload[random.integers(len(payload))] = random.integers(256)
        if number % 5 == 0:
            payload = payload[: random.integers(len(payload))]
        engine.insert(
            RtpPacket(packet.payload_type, number & 0xFFFF, number * FRAME, 1, bytes(payload)), number * 0.02
        )
        engine.pull(number * 0.02, 960)
    statistics = engine.statistics
    assert statistics.packets_received == sent
    assert statistics.packets_invalid + statistics.decode_errors > 100
    assert np.isfinite(engine.pull(sent * 0.02, 960)).all()


@pytest.mark.parametrize(
    ("packet", "counter"),
    [
        (RtpPacket(5, 1, 0, 1, b"x"), "packets_invalid"),
        (RtpPacket(63, 1, 0, 1, b"\xef"), "packets_invalid"),
        (RtpPacket(63, 1, 0, 1, b"\x6e" + PACKETS[0]), "packets_invalid"),
        (RtpPacket(111, 1, 0, 1, b"\xff\xff"), "packets_invalid"),
    ],
    ids=["unknown payload type", "RED cut short", "RED of something else", "no Opus packet"],
)
def test_what_is_not_what_it_claims_is_counted(packet: RtpPacket, counter: str) -> None:
    engine = PlayoutEngine()
    engine.insert(packet, 0.0)
    assert getattr(engine.statistics, counter) == 1
    check(engine)


def test_a_flood_far_ahead_is_bounded() -> None:
    receiver = Receiver("fixed")
    for number in range(2_000):
        receiver.engine.insert(receiver.packet(number % 500), 0.0)
        receiver.engine.insert(
            RtpPacket(111, number & 0xFFFF, number * FRAME, 0x5EED, receiver.packets[number % 500]), 0.001
        )
    assert receiver.engine.statistics.packets_discarded > 0
    assert len(receiver.engine._buffer) <= 1_001
