"""The playout core on real packets in virtual time: which source each frame gets."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from softphone.playout import Action, PlayoutConfig, PlayoutEngine, Source, playout_policies
from softphone.rtp.packet import RtpPacket
from tests.support.stream import FRAME, PATH_DELAY, Receiver, opus_packets, speech

NEEDS_ONNX = pytest.mark.skipif("onnx" not in playout_policies.names(), reason="onnx is not installed")


def similarity(heard: np.ndarray, sent: np.ndarray) -> float:
    """Largest normalised correlation of two signals over lags of up to 0.5 s."""
    size = 1 << (heard.size + sent.size).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)), size)[:24_000]
    return float(product.max() / np.sqrt(np.dot(heard, heard) * np.dot(sent, sent)))


def test_clean_call_plays_everything_at_the_fixed_delay() -> None:
    receiver = Receiver()
    receiver.run(receiver.steady(150), 3.2)
    assert receiver.sources()[:150] == ["regular"] * 150
    # The last tick before the limit: within one tick of it.
    assert np.all(np.abs(receiver.mouth_to_ear() - 0.160) <= 0.010 + 1e-9)
    assert similarity(receiver.pcm, speech()[: 150 * FRAME]) > 0.85
    assert receiver.engine.statistics.concealed_samples == sum(
        record.samples for record in receiver.records if record.source.is_concealment
    )


@pytest.mark.parametrize(
    ("lost", "packets", "copies", "expected"),
    [
        ({40}, {"dred_ms": 0}, 0, ["lbrr"]),
        ({40}, {"fec": False}, 0, ["dred"]),
        ({40}, {"fec": False, "dred_ms": 0}, 0, ["plc"]),
        ({40}, {}, 1, ["red"]),
        ({40, 41, 42}, {}, 0, ["dred", "dred", "lbrr"]),
        ({40, 41, 42}, {}, 1, ["dred", "lbrr", "red"]),
        ({40, 41, 42}, {"dred_ms": 0}, 0, ["plc", "plc", "lbrr"]),
        ({40, 41, 42}, {"dred_ms": 0}, 3, ["red", "red", "red"]),
    ],
)
def test_best_source_of_each_lost_frame(
    lost: set[int], packets: dict[str, int | bool], copies: int, expected: list[str]
) -> None:
    receiver = Receiver(packets=opus_packets(**packets))
    receiver.run(receiver.steady(60, lost=lost), 1.3, make=lambda i: receiver.packet(i, copies=copies))
    sources = receiver.sources()
    assert [sources[index] for index in sorted(lost)] == expected
    assert set(sources[:40] + sources[43:60]) == {"regular"}


def test_a_late_packet_replaces_a_worse_source_until_its_time() -> None:
    receiver = Receiver()
    arrivals = receiver.steady(60)
    arrivals[40] += 0.095  # in time: the fixed delay leaves about 100 ms
    arrivals[50] += 0.150  # too late
    receiver.run(arrivals, 1.3)
    sources = receiver.sources()
    assert sources[40] == "regular"
    assert sources[50] in ("lbrr", "dred")
    assert receiver.engine.statistics.packets_late == 1


def test_a_frame_is_never_played_twice() -> None:
    receiver = Receiver("histogram", max_delay=0.4)
    chance = random.Random(5)
    arrivals = [
        (index, at + chance.uniform(0, 0.15))
        for index, at in receiver.steady(300).items()
        for _ in range(chance.choice([0, 1, 1, 1, 2]))
    ]
    receiver.run(arrivals, 6.5)
    played = [record for record in receiver.records if record.media]
    ends = [record.timestamp + record.media for record in played]
    assert all(begin.timestamp >= end for end, begin in zip(ends, played[1:], strict=False))


@pytest.mark.parametrize(
    ("first_sequence", "first_timestamp"),
    [(0, 0), (65_530, 0), (0, 2**32 - 5 * FRAME), (65_500, 2**32 - 960)],
)
def test_numbers_wrap_without_a_sound(first_sequence: int, first_timestamp: int) -> None:
    plain = Receiver()
    plain.run(plain.steady(60, lost={30}), 1.3)
    wrapped = Receiver(first_sequence=first_sequence, first_timestamp=first_timestamp)
    wrapped.run(wrapped.steady(60, lost={30}), 1.3)
    assert np.array_equal(plain.pcm, wrapped.pcm)


def test_reordering_and_duplicates_change_nothing() -> None:
    plain = Receiver()
    plain.run(plain.steady(100), 2.2)
    shuffled = Receiver()
    arrivals = shuffled.steady(100)
    pairs = [(index, at + (0.05 if index % 7 == 3 else 0.0)) for index, at in arrivals.items()]
    shuffled.run(pairs + pairs[::3], 2.2)
    assert shuffled.sources()[:100] == ["regular"] * 100
    assert np.array_equal(plain.pcm, shuffled.pcm)
    assert shuffled.engine.statistics.packets_duplicated == len(pairs[::3])


def test_ticks_of_10_and_20_ms_give_the_same_audio() -> None:
    outputs = []
    for tick in (480, 960):
        receiver = Receiver(tick=tick, max_delay=0.1565)
        receiver.run(receiver.steady(60, lost={20, 21, 35}), 1.3)
        outputs.append(receiver.pcm)
        assert receiver.pcm.size == int(1.3 * 48_000 / tick) * tick
    size = min(map(len, outputs)) - 2 * FRAME
    assert similarity(outputs[0][:size], outputs[1][:size]) > 0.999


@pytest.mark.parametrize("frame", [480, 960, 1920, 2880])
def test_frame_lengths(frame: int) -> None:
    packets = opus_packets(frame=frame)
    receiver = Receiver(packets=packets, frame=frame, max_delay=0.3)
    count = int(2 * 48_000 / frame)
    receiver.run(receiver.steady(count, lost={count // 2}), 2.3)
    media = [record for record in receiver.records if record.media]
    assert [record.media for record in media[:count]] == [frame] * count
    assert media[count // 2].source in (Source.LBRR, Source.DRED)
    assert receiver.sources().count("regular") == count - 1


def test_frame_length_changes_in_mid_stream() -> None:
    short, long = opus_packets(frame=960), opus_packets(frame=2880)
    engine = PlayoutEngine(PlayoutConfig(policy="fixed", max_delay=0.25))
    records = []
    engine._on_trace = records.append
    sends = [(i * 960, short[i]) for i in range(30)]
    sends += [(30 * 960 + i * 2880, long[10 + i]) for i in range(10)]
    sends += [(60 * 960 + i * 960, short[60 + i]) for i in range(30)]
    queue = [
        (timestamp / 48_000 + 0.06, RtpPacket(111, number, timestamp, 1, payload))
        for number, (timestamp, payload) in enumerate(sends)
    ]
    for tick in range(210):
        while queue and queue[0][0] <= tick * 0.01:
            engine.insert(queue[0][1], queue.pop(0)[0])
        engine.pull(tick * 0.01, 480)
    media = [record.media for record in records if record.source is Source.REGULAR]
    assert media == [960] * 30 + [2880] * 10 + [960] * 30


def test_another_ssrc_takes_over_after_two_packets() -> None:
    receiver = Receiver()
    first = [(receiver.packet(i), receiver.sent(i) + PATH_DELAY) for i in range(50)]
    second = [
        (
            RtpPacket(111, i, 777_000 + i * FRAME, 0xBEEF, receiver.packets[i + 50]),
            receiver.sent(i + 50) + PATH_DELAY,
        )
        for i in range(50)
    ]
    stray = [(RtpPacket(111, 9, 5, 0xDEAD, receiver.packets[0]), receiver.sent(20) + PATH_DELAY)]
    queue = sorted(first + second + stray, key=lambda pair: pair[1])
    for tick in range(230):
        while queue and queue[0][1] <= tick * 0.01:
            receiver.engine.insert(*queue.pop(0))
        receiver.engine.pull(tick * 0.01, 480)
    statistics = receiver.engine.statistics
    assert statistics.stream_resets == 1
    assert [r.timestamp for r in receiver.records if r.source is Source.REGULAR][-50:] == [
        777_000 + i * FRAME for i in range(50)
    ]


def test_a_jump_of_the_senders_clock_is_followed() -> None:
    receiver = Receiver()

    def jumping(index: int) -> RtpPacket:
        packet = receiver.packet(index)
        shift = 0x4000_0000 if index >= 60 else 0
        return RtpPacket(111, packet.sequence_number, packet.timestamp + shift, packet.ssrc, packet.payload)

    receiver.run(receiver.steady(120), 2.6, make=jumping)
    assert receiver.sources().count("regular") >= 115
    assert receiver.engine.statistics.stream_resets == 1


@pytest.mark.parametrize("policy", ["fixed", "histogram", pytest.param("onnx", marks=NEEDS_ONNX)])
@pytest.mark.parametrize("longer_by", [0.3, 0.64, 2.0])
def test_a_path_longer_than_the_limit_is_heard(policy: str, longer_by: float) -> None:
    """So it is as well when the sender's microphone stood still, and its clock of media with it."""
    receiver = Receiver(policy, max_delay=0.5)
    count, change = 600, 200
    arrivals = receiver.steady(count, lost=range(change, count, 7))
    arrivals.update({index: at + longer_by for index, at in arrivals.items() if index >= change})
    receiver.run(arrivals, receiver.sent(count) + longer_by)
    heard = [record.timestamp // FRAME for record in receiver.records if not record.source.is_concealment]
    first = next(index for index in heard if index >= change)
    # What was taken for lost while nothing came is over; most of a second is enough to notice the rest.
    assert first <= change + 40 + longer_by / 0.02
    assert sum(index > first for index in heard) >= 0.95 * (count - first - 30)


def test_dtx_gap_is_comfort_noise_and_keeps_the_delay() -> None:
    receiver = Receiver()
    queue = []
    number = 0
    for index in range(120):
        if 50 <= index < 80 and index != 50:
            continue  # the sender sends nothing
        payload = receiver.packets[index]
        if index == 50:
            payload = bytes([payload[0] & 0xFC])  # a table of contents and nothing behind it
        queue.append((RtpPacket(111, number, index * FRAME, 1, payload), receiver.sent(index) + PATH_DELAY))
        number += 1
    for tick in range(260):
        while queue and queue[0][1] <= tick * 0.01:
            receiver.engine.insert(*queue.pop(0))
        receiver.engine.pull(tick * 0.01, 480)
    sources = receiver.sources()
    assert set(sources[51:80]) == {"cng"}
    assert set(sources[81:120]) == {"regular"}
    assert np.ptp(receiver.mouth_to_ear()) < 0.011
    assert receiver.engine.statistics.concealment_events <= 1  # only after the last packet


@pytest.mark.parametrize("policy", ["histogram", pytest.param("onnx", marks=NEEDS_ONNX)])
def test_silence_ends_with_the_first_packet_though_it_is_late(policy: str) -> None:
    receiver = Receiver(policy, max_delay=0.5)
    arrivals = receiver.steady(200)
    for index in range(51, 80):
        del arrivals[index]  # the sender is silent
    arrivals.update({index: at + 0.15 for index, at in arrivals.items() if index >= 80})

    def with_silence(index: int) -> RtpPacket:
        packet = receiver.packet(index)
        payload = packet.payload if index != 50 else bytes([packet.payload[0] & 0xFC])
        return replace(packet, sequence_number=index if index <= 50 else index - 29, payload=payload)

    receiver.run(arrivals, 4.5, make=with_silence)
    spoken = [r.timestamp // FRAME for r in receiver.records if r.source is Source.REGULAR]
    again = [index for index in spoken if index >= 80]
    assert again[0] < 80 + 15
    assert again == list(range(again[0], 200))


def test_long_loss_fades_to_comfort_noise_and_speech_returns() -> None:
    receiver = Receiver(packets=opus_packets(dred_ms=0))
    receiver.run(receiver.steady(150, lost=range(50, 100)), 3.2)
    sources = receiver.sources()
    assert sources[50:56] == ["plc"] * 6
    assert set(sources[70:99]) == {"cng"}
    assert set(sources[101:150]) == {"regular"}
    silence = [record.level_dbov for record in receiver.records if record.source is Source.CNG]
    assert max(silence) < -35.0


@pytest.mark.parametrize("burst_ms", [200, 400])
@pytest.mark.parametrize("lossy", [True, False], ids=["lost", "delayed"])
def test_delay_returns_within_two_seconds_of_a_burst(burst_ms: int, lossy: bool) -> None:
    receiver = Receiver("histogram", max_delay=0.6)
    count, begin = 400, 150
    end = begin + burst_ms // 20
    arrivals = receiver.steady(count, lost=range(begin, end) if lossy else ())
    if not lossy:
        release = receiver.sent(end) + PATH_DELAY
        arrivals.update({index: max(arrivals[index], release) for index in range(begin, end)})
    receiver.run(arrivals, 8.2)
    back = receiver.sent(end) + PATH_DELAY + 2.0
    spoken = [record for record in receiver.records if record.media and not record.source.is_concealment]
    after = [record for record in spoken if back <= record.time <= back + 1.0]
    assert after
    assert all(record.delay_ms <= record.target_ms + 45.0 for record in after)
    # Nothing that came in time was thrown away: each packet was played, or it was late.
    played = {record.sequence for record in receiver.records if record.source is Source.REGULAR}
    missing = set(arrivals) - played - set(range(count - 5, count))
    assert len(missing) <= receiver.engine.statistics.packets_late


def test_histogram_waits_for_repairs() -> None:
    """Isolated losses with LBRR: the delay makes room for the next packet, and they are repaired."""
    packets = opus_packets(dred_ms=0)
    lost = set(range(30, 700, 6))
    targets, repaired = [], []
    for fec in (packets, opus_packets(fec=False, dred_ms=0)):
        receiver = Receiver("histogram", max_delay=0.4, packets=fec)
        receiver.run(receiver.steady(700, lost=lost), 14.3)
        late = [record for record in receiver.records if record.timestamp > 350 * FRAME]
        targets.append(np.mean([record.target_ms for record in late]))
        repaired.append(sum(record.source is Source.LBRR for record in late))
    assert targets[0] >= targets[1] + 15.0
    assert repaired[0] > 30
    assert repaired[1] == 0


def test_every_step_leaves_a_record_that_adds_up() -> None:
    receiver = Receiver("histogram", max_delay=0.4)
    chance = random.Random(3)
    arrivals = {
        i: at + chance.expovariate(50) for i, at in receiver.steady(400).items() if chance.random() > 0.2
    }
    receiver.run(arrivals, 8.5)
    statistics = receiver.engine.statistics
    records = receiver.records
    for before, after in itertools.pairwise(records):
        assert after.timestamp == before.timestamp + before.media
        assert after.time == pytest.approx(before.time + before.samples / 48_000, abs=1e-6)
    added = sum(r.samples - r.media for r in records if r.action is Action.STRETCH)
    removed = sum(r.media - r.samples for r in records if r.action is Action.COMPRESS)
    assert added == statistics.inserted_samples_for_deceleration
    assert removed == statistics.removed_samples_for_acceleration
    assert sum(r.samples for r in records if r.action is Action.WAIT) == statistics.waited_samples
    assert sum(r.media for r in records if r.action is Action.SKIP) == statistics.skipped_samples
    for source in Source:
        counted = sum(
            r.samples if r.action is Action.WAIT else r.media
            for r in records
            if r.source is source and r.action is not Action.SKIP
        )
        assert counted == statistics.samples_by_source[source]
    assert statistics.jitter_buffer_emitted_count == statistics.samples_by_source[Source.REGULAR]


def test_same_input_gives_the_same_bytes() -> None:
    outputs = []
    for _ in range(2):
        receiver = Receiver("histogram", max_delay=0.3)
        receiver.run(receiver.steady(200, lost=range(40, 70)), 4.2)
        outputs.append(receiver.pcm.tobytes())
    assert outputs[0] == outputs[1]


def test_drifting_clock_is_absorbed() -> None:
    """A sender whose clock runs 0.1 % fast for 40 s: no packet is lost to it."""
    packets = opus_packets() * 3
    receiver = Receiver("histogram", max_delay=0.4, packets=packets)
    arrivals = {index: receiver.sent(index) * 0.999 + PATH_DELAY for index in range(2_000)}
    receiver.run(arrivals, 39.0)
    delays = receiver.mouth_to_ear()
    statistics = receiver.engine.statistics
    assert statistics.packets_late == 0
    assert statistics.removed_samples_for_acceleration > 1_000
    assert receiver.sources()[:1900].count("regular") == 1_900
    assert len(delays) > 1_900
