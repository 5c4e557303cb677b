"""Whatever arrives: no crash, no NaN, nothing beyond full scale."""

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from softphone.errors import RemoteProtocolError
from softphone.opus import (
    Decoder,
    DredRangeError,
    DredState,
    MissingLbrrError,
    has_lbrr,
    packet_samples,
    parse_toc,
)

hostile = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_sound(pcm: NDArray[np.float32], samples: int) -> None:
    assert pcm.shape == (samples,)
    assert pcm.dtype == np.float32
    assert np.isfinite(pcm).all()
    assert np.abs(pcm).max() <= 1.0


def feed(decoder: Decoder, state: DredState, packet: bytes) -> None:
    """Do everything with a packet that the phone would."""
    try:
        samples = packet_samples(packet)
        toc = parse_toc(packet)
        assert samples == round(toc.frames * toc.frame_ms * 48)
        assert 120 <= samples <= 5760
    except RemoteProtocolError:
        for touch in (
            decoder.decode,
            has_lbrr,
            lambda p: state.parse(p, 48_000),
            lambda p: decoder.decode_fec(p, 960),
        ):
            with pytest.raises(RemoteProtocolError):
                touch(packet)
        return
    try:
        reach = state.parse(packet, 48_000)
        for offset in {reach, reach // 2, 960, 480}:
            try:
                assert_sound(decoder.decode_dred(state, offset, 480), 480)
            except DredRangeError:
                assert not state.covers(offset, 480)
    except RemoteProtocolError:
        assert state.reach == 0
    try:
        assert_sound(decoder.decode_fec(packet, 2880), 2880)
    except MissingLbrrError:
        assert not has_lbrr(packet)
    with contextlib.suppress(RemoteProtocolError):
        assert_sound(decoder.decode(packet), samples)
    assert_sound(decoder.conceal(480), 480)


@pytest.fixture(scope="module")
def consume() -> Callable[[bytes], None]:
    """One decoder for all examples: the damage of one packet must not break the next."""
    decoder, state = Decoder(complexity=7), DredState()
    return lambda packet: feed(decoder, state, packet)


@hostile
@given(packet=st.binary(max_size=400))
def test_random_bytes(consume: Callable[[bytes], None], packet: bytes) -> None:
    consume(packet)


@hostile
@given(toc=st.integers(0, 255), body=st.binary(max_size=1500))
def test_random_bytes_behind_every_toc(consume: Callable[[bytes], None], toc: int, body: bytes) -> None:
    consume(bytes([toc]) + body)


@hostile
@given(index=st.integers(0, 150), data=st.data())
def test_truncated_packets(
    consume: Callable[[bytes], None], dred_packets: list[bytes], index: int, data: st.DataObject
) -> None:
    packet = dred_packets[index]
    consume(packet[: data.draw(st.integers(0, len(packet)))])


@hostile
@given(
    index=st.integers(0, 150),
    which=st.booleans(),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12
    ),
)
def test_mutated_packets(
    consume: Callable[[bytes], None],
    dred_packets: list[bytes],
    lbrr_packets: list[bytes],
    index: int,
    which: bool,
    changes: list[tuple[float, int]],
) -> None:
    packet = bytearray((dred_packets if which else lbrr_packets)[index])
    for place, value in changes:
        packet[int(place * len(packet))] = value
    consume(bytes(packet))


def test_ten_thousand_mutations(
    consume: Callable[[bytes], None], dred_packets: list[bytes], lbrr_packets: list[bytes]
) -> None:
    rng = np.random.default_rng(3)
    decoder, state = Decoder(), DredState()
    for _ in range(10_000):
        packet = np.frombuffer(
            (dred_packets, lbrr_packets)[rng.integers(2)][rng.integers(20, 190)], np.uint8
        ).copy()
        places = rng.integers(0, len(packet), rng.integers(1, 5))
        packet[places] = rng.integers(0, 256, len(places))
        hostile_packet = packet.tobytes()
        try:
            samples = packet_samples(hostile_packet)
            state.parse(hostile_packet, 4800)
            assert_sound(decoder.decode(hostile_packet), samples)
        except RemoteProtocolError:
            continue
