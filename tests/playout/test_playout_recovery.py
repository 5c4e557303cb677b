"""Going back to words that were concealed, and the part of a hole that is known before the rest."""

import itertools
import random
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from softphone.playout import Action, Decision, Observation, PlayoutPolicy, PolicyConfig, Source
from softphone.rtp.packet import RtpPacket
from tests.support.stream import FRAME, PATH_DELAY, Receiver, opus_packets

OUTAGE = range(50, 62)


class Recovering(PlayoutPolicy):
    """Goes back whenever it can; else plays."""

    start_delay = 0.060

    def decide(self, observation: Observation) -> Decision:
        action = Action.RECOVER if observation.recoverable else Action.PLAY
        return Decision(action, observation.best, observation.delay)


class Obstinate(PlayoutPolicy):
    """Wants to go back at every step."""

    start_delay = 0.060

    def decide(self, observation: Observation) -> Decision:
        return Decision(Action.RECOVER, observation.best, observation.delay)


def receiver(max_delay: float = 1.0, policy: type[PlayoutPolicy] = Recovering, **packets: int) -> Receiver:
    return Receiver(policy(PolicyConfig(max_delay)), max_delay, packets=opus_packets(**packets))


def delayed(receiver: Receiver, frames: range) -> Mapping[int, float]:
    """``frames`` are held back until the packet after them."""
    arrivals = receiver.steady(120)
    for index in frames:
        arrivals[index] = arrivals[frames.stop]
    return arrivals


def heard_as(receiver: Receiver, source: Source) -> set[int]:
    """Frames of which everything was heard, made of ``source``."""
    media: dict[int, int] = {}
    for record in receiver.records:
        if record.source is source and record.action is not Action.RECOVER:
            frame = record.timestamp // FRAME
            media[frame] = media.get(frame, 0) + record.media
    return {frame for frame, samples in media.items() if samples >= FRAME}


def test_lost_words_come_back_from_dred() -> None:
    there = receiver()
    there.run(there.steady(120, lost=OUTAGE), 3.2)
    assert heard_as(there, Source.DRED) | heard_as(there, Source.LBRR) >= set(OUTAGE)
    recoveries = [record for record in there.records if record.action is Action.RECOVER]
    assert [record.samples for record in recoveries] == [0]
    assert -recoveries[0].media == there.engine.statistics.recovered_samples
    assert -recoveries[0].media == pytest.approx(0.18 * 48_000, abs=960)


def test_late_packets_are_kept_and_played_themselves() -> None:
    there = receiver(dred_ms=0)
    there.run(delayed(there, OUTAGE), 3.2)
    assert heard_as(there, Source.REGULAR) >= set(OUTAGE)
    assert there.engine.statistics.packets_late > 5


def test_nothing_to_go_back_to() -> None:
    there = receiver(dred_ms=0)
    there.run(there.steady(120, lost=OUTAGE), 3.2)
    assert not there.engine.statistics.recovered_samples
    assert there.engine.statistics.actions_masked == 0


@pytest.mark.parametrize(("max_delay", "heard"), [(0.25, FRAME // 2), (0.22, 0)])
def test_only_words_that_can_still_be_heard_are_gone_back_to(max_delay: float, heard: int) -> None:
    there = receiver(max_delay=max_delay, dred_ms=0)
    arrivals = there.steady(120, lost=range(53, 62))
    for index in range(50, 53):
        arrivals[index] = there.steady(120)[61] - 0.001
    there.run(arrivals, 3.2)
    words = [record for record in there.records if record.source is Source.REGULAR]
    assert sum(record.media for record in words if record.timestamp // FRAME in OUTAGE) == heard
    assert bool(there.engine.statistics.recovered_samples) == bool(heard)


def test_dred_that_reaches_back_less_far_than_the_hole_gives_the_end_of_it() -> None:
    there = receiver(dred_ms=160)
    there.run(there.steady(120, lost=OUTAGE), 3.2)
    repaired = heard_as(there, Source.DRED) | heard_as(there, Source.LBRR)
    assert set(range(56, 62)) <= repaired
    assert not repaired & set(range(50, 53))


def test_words_are_never_later_than_the_limit() -> None:
    there = receiver(max_delay=0.25)
    there.run(there.steady(120, lost=OUTAGE), 3.2)
    assert there.engine.statistics.recovered_samples
    assert max(there.mouth_to_ear()) <= 0.25 + 1e-6


def test_a_policy_that_only_wants_to_go_back_goes_on() -> None:
    there = receiver(policy=Obstinate)
    there.run(there.steady(120, lost=OUTAGE), 3.2)
    assert {record.timestamp for record in there.records} >= {index * FRAME for index in range(120)}
    assert there.engine.statistics.actions_masked > 100
    assert len([record for record in there.records if record.action is Action.RECOVER]) == 1


def test_records_add_up_over_a_bad_network() -> None:
    there = receiver()
    chance = random.Random(9)
    arrivals = {
        index: at + chance.expovariate(8)
        for index, at in there.steady(400).items()
        if chance.random() > 0.3 and index % 100 > 20
    }
    there.run(arrivals, 8.5)
    for before, after in itertools.pairwise(there.records):
        assert after.timestamp == before.timestamp + before.media
        assert after.time == pytest.approx(before.time + before.samples / 48_000, abs=1e-6)
    back = sum(-record.media for record in there.records if record.action is Action.RECOVER)
    assert back == there.engine.statistics.recovered_samples > 0


def test_packets_that_are_late_for_long_do_not_keep_out_those_in_time() -> None:
    there = Receiver("fixed", max_delay=0.1, packets=opus_packets() * 4)
    arrivals = there.steady(1900)
    for index in range(50, 1500):
        arrivals[index] += 0.3
    there.run(arrivals, 37.0)
    assert heard_as(there, Source.REGULAR) >= set(range(1560, 1800))
    assert there.engine.statistics.packets_discarded == 0


@pytest.mark.parametrize("offset_ms", [0, 10])
def test_a_repair_that_comes_in_the_middle_of_a_frame_is_used_for_the_rest(offset_ms: int) -> None:
    """The packet after the loss comes too late for the first frame, or for its first half."""
    there = Receiver(max_delay=PATH_DELAY + 0.020 + 0.0065 + 0.045, packets=opus_packets(fec=False))
    lost = {50, 51, 52}
    arrivals = there.steady(120, lost=lost)
    arrivals[53] += 0.010 - offset_ms / 1000
    there.run(arrivals, 3.0)
    made = [
        (record.source, record.media)
        for record in there.records
        if record.timestamp // FRAME in lost and record.media
    ]
    concealed = sum(media for source, media in made if source is Source.PLC)
    assert concealed == (1440 if offset_ms == 0 else 960)
    assert sum(media for _, media in made) == 3 * FRAME


@pytest.mark.parametrize("copies", [0, 1])
def test_of_a_packet_that_comes_in_the_middle_of_its_time_the_rest_is_played(copies: int) -> None:
    """It is 5 ms late, or lost, and then its copy is."""
    packets = opus_packets(fec=False, dred_ms=0)
    delay = PATH_DELAY + 0.020 + 0.0065 + 0.045
    whole = Receiver(max_delay=delay, packets=packets)
    whole.run(whole.steady(80), 1.5)
    there = Receiver(max_delay=delay, packets=packets)
    arrivals = there.steady(80, lost=range(50, 50 + copies))
    arrivals[50 + copies] = there.sent(50) + PATH_DELAY + 0.045
    there.run(arrivals, 1.5, make=lambda index: there.packet(index, copies=copies))
    made = [record for record in there.records if record.timestamp // FRAME == 50 and record.media]
    assert [(record.source, record.media) for record in made] == [
        (Source.PLC, 480),
        (Source.RED if copies else Source.REGULAR, 480),
    ]
    statistics = there.engine.statistics
    assert statistics.concealed_samples - whole.engine.statistics.concealed_samples == 480
    assert statistics.jitter_buffer_emitted_count == sum(
        record.media for record in there.records if record.source in (Source.REGULAR, Source.RED)
    )
    assert_as_if_in_time(there, whole, made[1].time)


def assert_as_if_in_time(there: Receiver, whole: Receiver, time: float, fade: int = 120) -> None:
    """From ``time`` on the same is heard, faded in over ``fade`` samples."""
    begin = round(time * 48_000)
    assert np.array_equal(there.pcm[begin + fade :], whole.pcm[begin + fade :])
    assert not np.array_equal(there.pcm[begin - 480 : begin], whole.pcm[begin - 480 : begin])
    steps = np.abs(np.diff(there.pcm[begin - 240 : begin + 480]))
    assert steps.max() < 3 * np.abs(np.diff(whole.pcm)).max()


@pytest.mark.parametrize(("held", "silent"), [(range(50, 58), False), (range(50, 75), True)])
def test_after_late_packets_speech_goes_on_as_if_they_had_come_in_time(held: range, silent: bool) -> None:
    """The decoder is led through them unheard; its guesses are forgotten."""
    packets = opus_packets(fec=False, dred_ms=0)
    whole = Receiver(packets=packets)
    whole.run(whole.steady(100), 2.2)
    there = Receiver(packets=packets)
    arrivals = there.steady(100)
    for index in held:
        arrivals[index] = arrivals[held.stop] - 1e-4
    there.run(arrivals, 2.2)
    concealed = [record for record in there.records if record.source.is_concealment and record.time < 1.9]
    assert 0 < len(concealed) < 2 * len(held)
    assert (Source.CNG in {record.source for record in concealed}) is silent
    assert_as_if_in_time(there, whole, concealed[-1].time + 0.010, 240 if silent else 120)


def test_what_is_left_of_a_damaged_packet_is_concealed() -> None:
    packets = list(opus_packets(fec=False, dred_ms=0))
    packets[50] = bytes([packets[50][0] | 3]) + bytes([0xFF]) * 20  # a frame count that can't be
    there = Receiver(max_delay=PATH_DELAY + 0.020 + 0.0065 + 0.045, packets=tuple(packets))
    arrivals = there.steady(80)
    arrivals[50] += 0.045
    there.run(arrivals, 1.5)
    assert {record.source for record in there.records if record.timestamp // FRAME == 50} == {Source.PLC}


@pytest.mark.parametrize("shift", range(-959, 960, 137))
def test_packets_beside_the_raster_of_frames_are_no_danger(shift: int) -> None:
    """Only a broken or hostile sender shifts its timestamps by parts of a frame."""
    there = Receiver("histogram", packets=opus_packets())
    chance = random.Random(shift)
    arrivals = {index: at + chance.choice([0.0, 0.06, 0.12]) for index, at in there.steady(100).items()}

    def shifted(index: int) -> RtpPacket:
        packet = there.packet(index)
        return replace(packet, timestamp=(packet.timestamp + shift * (index % 3)) % 2**32)

    there.run(arrivals, 2.5, make=shifted)
    assert np.isfinite(there.pcm).all()
    for before, after in itertools.pairwise(there.records):
        assert after.timestamp >= before.timestamp + before.media
