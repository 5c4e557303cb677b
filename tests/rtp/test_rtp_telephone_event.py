"""Telephone events against RFC 4733: payload, sender, receiver."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.rtp.packet import RtpPayload
from softphone.rtp.telephone_event import (
    DTMF_DIGITS,
    DtmfReceiver,
    DtmfSender,
    ScheduledEvent,
    TelephoneEvent,
    digit_to_event,
    event_packets,
    event_to_digit,
    parse_events,
)

events = st.builds(
    TelephoneEvent,
    event=st.integers(0, 255),
    end=st.booleans(),
    volume=st.integers(0, 63),
    duration=st.integers(0, 0xFFFF),
)


def test_layout_of_section_2_3() -> None:
    assert TelephoneEvent(11, True, 10, 0x1234).pack() == bytes([11, 0x8A, 0x12, 0x34])


@given(events)
def test_round_trip(event: TelephoneEvent) -> None:
    assert TelephoneEvent.parse(event.pack()) == event


def test_reserved_bit_is_ignored() -> None:
    assert TelephoneEvent.parse(bytes([1, 0x40 | 10, 0, 160])) == TelephoneEvent(1, False, 10, 160)


@pytest.mark.parametrize("change", [{"event": 256}, {"volume": 64}, {"duration": 65_536}, {"event": -1}])
def test_values_out_of_range_are_not_packed(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        TelephoneEvent(**{"event": 1, "end": False, "volume": 10, "duration": 160, **change}).pack()  # type: ignore[arg-type]


@given(st.binary(max_size=60))
def test_any_bytes_give_events_or_a_protocol_error(payload: bytes) -> None:
    receiver = DtmfReceiver()
    try:
        parsed = parse_events(payload)
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            receiver.receive(payload, 0)
        return
    assert b"".join(event.pack() for event in parsed) == bytes(
        byte & 0xBF if index % 4 == 1 else byte for index, byte in enumerate(payload)
    )
    receiver.receive(payload, 0xFFFF_FFFF)


def test_ten_thousand_mutated_payloads() -> None:
    rng = random.Random(4733)
    receiver = DtmfReceiver()
    refused = 0
    for _ in range(10_000):
        data = bytearray(TelephoneEvent(rng.randrange(16), False, 10, 960).pack())
        data = data * rng.randint(0, 10) if rng.random() < 0.3 else data
        for _ in range(rng.randint(0, 3)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            data = data[: rng.randint(0, len(data))]
        try:
            for digit in receiver.receive(bytes(data), rng.randrange(2**32)):
                assert digit.digit in DTMF_DIGITS
        except RemoteProtocolError:
            refused += 1
    assert 500 < refused < 9_000


def test_digits_and_events() -> None:
    assert [digit_to_event(digit) for digit in "09*#ADd"] == [0, 9, 10, 11, 12, 15, 15]
    assert [event_to_digit(event) for event in (0, 10, 15, 16, -1)] == ["0", "*", "D", None, None]
    for wrong in ("E", "", "12"):
        with pytest.raises(ConfigError):
            digit_to_event(wrong)


def rows(packets: list[ScheduledEvent]) -> list[tuple[int, int, bool, bool, int]]:
    """(due, timestamp, marker, end, duration)"""
    return [(p.due, p.timestamp, p.marker, p.payload.end, p.payload.duration) for p in packets]


def test_an_event_begins_with_the_marker_and_ends_three_times() -> None:
    assert rows(list(event_packets(5, 1000, 2500, interval=960))) == [
        (1960, 1000, True, False, 960),
        (2920, 1000, False, False, 1920),
        (3500, 1000, False, True, 2500),
        (4460, 1000, False, True, 2500),
        (5420, 1000, False, True, 2500),
    ]


def test_a_short_event_has_marker_and_end_at_once() -> None:
    assert rows(list(event_packets(5, 0, 500, interval=960)))[0] == (500, 0, True, True, 500)


def test_a_long_event_goes_on_in_segments() -> None:
    packets = rows(list(event_packets(5, 0, 70_000, interval=20_000)))
    assert packets == [
        (20_000, 0, True, False, 20_000),
        (40_000, 0, False, False, 40_000),
        (60_000, 0, False, False, 60_000),
        (65_535, 0, False, False, 65_535),
        (65_535, 0, False, False, 65_535),
        (65_535, 0, False, False, 65_535),
        (70_000, 65_535, False, True, 4_465),
        (90_000, 65_535, False, True, 4_465),
        (110_000, 65_535, False, True, 4_465),
    ]


def transmit(sender: DtmfSender, frames: int, first: int = 0) -> list[RtpPayload]:
    return [payload for k in range(first, first + frames) for payload in sender.advance(k * 960)]


def test_sender_paces_digits_and_falls_silent() -> None:
    sender = DtmfSender(101)
    sender.queue("1#", duration=0.1, gap=0.07)
    assert sender.active
    assert sender.pending == 2
    payloads = transmit(sender, 100)
    assert {payload.payload_type for payload in payloads} == {101}
    starts = [payload.timestamp for payload in payloads if payload.marker]
    assert len(starts) == 2
    assert starts[1] - starts[0] >= round(0.17 * 48_000)
    assert not sender.active
    assert sender.advance(10**7) == []


def test_sender_at_the_recommended_spacing_of_updates() -> None:
    sender = DtmfSender(interval=0.05)
    sender.queue("1", duration=0.2)
    durations = [TelephoneEvent.parse(payload.payload).duration for payload in transmit(sender, 50)]
    assert durations == [2400, 4800, 7200, 9600, 9600, 9600]


def test_next_digit_waits_for_the_repeated_ends() -> None:
    sender = DtmfSender(interval=0.05)
    sender.queue("12", duration=0.04, gap=0.03)
    codes = [TelephoneEvent.parse(payload.payload).event for payload in transmit(sender, 50)]
    assert codes == [1, 1, 1, 2, 2, 2]


def test_sender_rejects_the_whole_string_with_one_wrong_digit() -> None:
    sender = DtmfSender()
    with pytest.raises(ConfigError, match="'x'"):
        sender.queue("12x")
    assert not sender.active


def test_comma_waits_and_cancel_drops_what_has_not_begun() -> None:
    sender = DtmfSender()
    sender.queue("1,2")
    starts = [payload.timestamp for payload in transmit(sender, 200) if payload.marker]
    assert starts[1] - starts[0] >= 2 * 48_000
    sender.queue("345")
    sender.advance(200 * 960)
    sender.cancel()
    codes = {TelephoneEvent.parse(payload.payload).event for payload in transmit(sender, 100, 201)}
    assert codes == {3}


def digits_heard(payloads: list[RtpPayload], offset: int = 0) -> str:
    receiver = DtmfReceiver()
    heard = ""
    for payload in payloads:
        for digit in receiver.receive(payload.payload, payload.timestamp + offset):
            heard += digit.digit
    return heard


@given(
    digits=st.text(alphabet=DTMF_DIGITS, min_size=1, max_size=8),
    seed=st.integers(0, 10_000),
    offset=st.integers(0, 2**32 - 1),
)
def test_what_is_sent_is_heard_once_in_spite_of_loss_and_duplicates(
    digits: str, seed: int, offset: int
) -> None:
    sender = DtmfSender()
    sender.queue(digits)
    payloads = transmit(sender, 20 * len(digits))
    rng = random.Random(seed)
    received: list[RtpPayload] = []
    kept: set[int] = set()
    for k, payload in enumerate(payloads):
        last_chance = k + 1 == len(payloads) or payloads[k + 1].timestamp != payload.timestamp
        if rng.random() < 0.5 and not (last_chance and payload.timestamp not in kept):
            continue
        kept.add(payload.timestamp)
        received += [payload] * rng.randint(1, 3)
    assert digits_heard(received, offset) == digits


def test_a_late_end_of_an_earlier_digit_is_no_new_digit() -> None:
    sender = DtmfSender()
    sender.queue("77")
    payloads = transmit(sender, 60)
    end_of_first = next(k for k, payload in enumerate(payloads) if payload.payload[1] & 0x80)
    late = payloads[:end_of_first] + payloads[end_of_first + 3 :] + payloads[end_of_first : end_of_first + 3]
    assert digits_heard(late) == "77"


def test_a_long_tone_is_one_digit() -> None:
    sender = DtmfSender()
    sender.queue("8", duration=5.0)
    payloads = transmit(sender, 300)
    assert len({payload.timestamp for payload in payloads}) == 4
    assert digits_heard(payloads) == "8"


def test_several_events_in_one_packet() -> None:
    payload = TelephoneEvent(1, True, 10, 800).pack() + TelephoneEvent(2, True, 10, 800).pack()
    receiver = DtmfReceiver()
    first = receiver.receive(payload, 5000)
    assert [(digit.digit, digit.timestamp) for digit in first] == [("1", 5000), ("2", 5800)]
    assert receiver.receive(payload, 5000) == []


def test_other_events_are_ignored() -> None:
    assert DtmfReceiver().receive(TelephoneEvent(16, False, 10, 800).pack(), 0) == []
