"""Calls whose network is emulated while they run: what is sent comes back as reports."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from softphone.playout import PlayoutConfig
from softphone.sending import RateState, SendingConfig
from softphone.sim.call import OneWayCall, Reports, SimulationConfig, simulate_call
from softphone.sim.network import generate_trace
from softphone.sim.presets import parse_profile
from softphone.sim.profile import NetworkProfile
from tests.support.stream import speech

SPEECH = speech()
LONG = np.tile(SPEECH, -(-48_000 * 30 // SPEECH.size))[: 48_000 * 30]
NARROW = NetworkProfile(delay=0.04, rate=32_000, queue=0.3)


def simulate(
    profile: NetworkProfile, reports: Reports = Reports.SOFTPHONE, sending: SendingConfig | None = None
) -> OneWayCall:
    return simulate_call(
        LONG,
        SimulationConfig(
            sending or SendingConfig(),
            PlayoutConfig(policy="histogram", max_delay=1.0),
            network=profile,
            seed=3,
            reports=reports,
        ),
    )


def waits(call: OneWayCall, begin: float = 0.0) -> np.ndarray:
    arrived = [p for p in call.packets if p.arrival is not None and p.sent >= begin]
    return np.array([p.arrival - p.sent for p in arrived if p.arrival is not None]) - 0.04


def test_without_a_bottleneck_it_is_the_trace() -> None:
    profile = parse_profile("wifi-busy")
    emulated = simulate(profile)
    traced = simulate_call(
        LONG, SimulationConfig(playout=PlayoutConfig(max_delay=1.0), trace=generate_trace(profile, 2000, 3))
    )
    pairs = zip(emulated.packets, traced.packets, strict=True)
    for one, other in pairs:
        assert (one.arrival is None) == (other.arrival is None)
        if one.arrival is not None:
            assert one.arrival == pytest.approx(other.arrival)


@pytest.mark.parametrize("reports", list(Reports))
def test_the_queue_is_as_long_as_what_is_sent_makes_it(reports: Reports) -> None:
    stubborn = simulate(NARROW, reports, SendingConfig(back_off=False))
    careful = simulate(NARROW, reports)
    assert waits(stubborn, 15.0).mean() > 0.28
    assert waits(careful, 15.0).mean() < (0.10 if reports is Reports.SOFTPHONE else 0.15)
    assert careful.lost < 0.6 * stubborn.lost
    assert careful.sending.backoffs >= 1
    assert careful.sending.limited_seconds > 15.0
    assert stubborn.sending.backoffs == 0
    assert stubborn.sending.rate_state == "steady"


def test_packets_of_changing_length_are_played_without_a_gap() -> None:
    profile = replace(NARROW, timeline=((15.0, replace(NARROW, rate=200_000)),))
    call = simulate(profile)
    lengths = {after.timestamp - before.timestamp for before, after in pairwise(call.packets)}
    assert {960, 1920} <= lengths
    late = [record for record in call.records if record.timestamp > 8 * 48_000]
    assert sum(record.media for record in late if record.source.is_concealment) == 0
    assert not any(packet.arrival is None for packet in call.packets if packet.sent > 8.0)


def test_a_browser_is_heard_from_every_five_seconds() -> None:
    call = simulate(NARROW, Reports.BROWSER)
    changes = [record.at for record in call.plans if record.limit.state is not RateState.STEADY]
    assert changes
    assert {round(at % 5.0, 1) for at in changes} <= {0.0, 0.1}


def test_the_same_input_gives_the_same_call() -> None:
    one, other = simulate(NARROW), simulate(NARROW)
    assert one.heard.tobytes() == other.heard.tobytes()
    assert one.plans == other.plans
