"""A simulated call behaves like a call."""

import numpy as np
import pytest

from softphone.playout import (
    Action,
    Decision,
    Observation,
    PlayoutConfig,
    PlayoutPolicy,
    PolicyConfig,
    Source,
)
from softphone.report.one_way import summarize_call
from softphone.sending import SendingConfig
from softphone.sim.call import OneWayCall, SimulationConfig, simulate_call
from softphone.sim.network import generate_trace
from softphone.sim.presets import parse_profile
from softphone.sim.trace import PacketTrace
from tests.support.stream import speech

SPEECH = speech()[: 48_000 * 8]
BURSTY = generate_trace(parse_profile("loss=20,burst=2,delay=30"), 600, 4)


def simulate(
    trace: PacketTrace = BURSTY,
    *,
    mode: str = "auto",
    policy: str = "fixed",
    max_delay: float = 0.160,
    **sending,
) -> OneWayCall:
    return simulate_call(
        SPEECH,
        SimulationConfig(
            SendingConfig(mode=mode, **sending), PlayoutConfig(policy=policy, max_delay=max_delay), trace
        ),
    )


def share_repaired(call: OneWayCall) -> float:
    media = {source: sum(r.media for r in call.records if r.source is source) for source in Source}
    repaired = media[Source.RED] + media[Source.LBRR] + media[Source.DRED]
    return repaired / (repaired + media[Source.PLC] + media[Source.CNG])


def test_perfect_network_plays_every_packet() -> None:
    call = simulate(PacketTrace.perfect(0.030))
    assert call.lost == 0
    assert {record.source for record in call.records} == {Source.REGULAR}
    delays, _ = call.mouth_to_ear()
    assert delays == pytest.approx(0.1565)
    assert len(call.records) == len(call.packets) == 400


@pytest.mark.parametrize("policy", ["fixed", "histogram"])
@pytest.mark.parametrize("mode", ["dred", "both", "auto"])
def test_redundancy_repairs_bursts(policy: str, mode: str) -> None:
    assert share_repaired(simulate(mode=mode, policy=policy, max_delay=0.200)) > 0.6
    assert share_repaired(simulate(mode="none", policy=policy, max_delay=0.200)) == 0.0


def test_red_copies_are_used_when_the_peer_takes_them() -> None:
    call = simulate(mode="auto", peer_dred_ms=0, peer_red=True, peer_fec=False)
    used = {record.source for record in call.records}
    assert Source.RED in used
    assert Source.DRED not in used


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_frame_lengths(frame_ms: int) -> None:
    call = simulate(frame_ms=frame_ms, max_delay=0.300)
    assert len(call.packets) == pytest.approx(8000 / frame_ms, abs=1)
    assert share_repaired(call) > 0.3


def test_a_clean_network_is_paid_nothing_after_a_while() -> None:
    call = simulate(PacketTrace.perfect(0.030))
    assert call.plans[0].plan.means
    assert not call.plans[-1].plan.means


def test_same_input_gives_the_same_call() -> None:
    one, other = (simulate(policy="histogram", max_delay=0.5) for _ in range(2))
    assert one.heard.tobytes() == other.heard.tobytes()
    assert one.records == other.records


def test_summary_adds_up() -> None:
    call = simulate(policy="histogram", max_delay=0.5)
    summary = summarize_call(call, SPEECH, elapsed=0.4)
    assert summary.packets.sent == len(call.packets)
    assert summary.packets.lost == call.lost
    lost = summary.packets.lost / summary.packets.sent
    assert lost == pytest.approx(BURSTY.fraction_lost, abs=0.05)
    assert summary.frames.regular == summary.packets.sent - summary.packets.lost - summary.packets.late
    assert summary.delay_ms.p50 <= summary.delay_ms.p95 <= summary.delay_ms.max
    assert 15_000 < summary.bitrate_bps.media < summary.bitrate_bps.total < 48_500
    assert summary.duration_s == pytest.approx(8.0, abs=0.5)
    assert summary.real_time_factor == pytest.approx(0.4 / summary.duration_s)


@pytest.mark.parametrize("max_delay", [0.3, 0.7, 1.2, 3.0])
def test_a_long_buffer_is_played_to_its_end(max_delay: float) -> None:
    call = simulate(PacketTrace.perfect(0.030), max_delay=max_delay)
    delays, _ = call.mouth_to_ear()
    assert delays == pytest.approx(max_delay, abs=0.02)
    assert [record.sequence for record in call.records] == list(range(400))
    assert call.heard.size / 48_000 == pytest.approx(8.0 + max_delay, abs=0.05)


def test_packets_that_come_all_at_once_at_the_end_are_played() -> None:
    arrival = 8.6
    late = [arrival - 0.02 * number for number in range(430)]
    call = simulate(PacketTrace(late), max_delay=2.0)
    assert {record.source for record in call.records} == {Source.REGULAR}
    assert len(call.records) == 400


class Waiting(PlayoutPolicy):
    """Would wait for ever."""

    start_delay = 0.1

    def decide(self, observation: Observation) -> Decision:
        return Decision(Action.WAIT, observation.best, 1.0)


def test_a_call_ends_whatever_the_policy_does() -> None:
    config = SimulationConfig(playout=PlayoutConfig(max_delay=5.0), trace=PacketTrace.perfect(0.030))
    call = simulate_call(SPEECH, config, Waiting(PolicyConfig(max_delay=5.0)))
    assert call.heard.size / 48_000 < 8.0 + 0.6 + 2 * 5.0


def test_nothing_arrives() -> None:
    call = simulate(PacketTrace([np.nan]))
    assert call.lost == len(call.packets)
    assert not call.records
    summary = summarize_call(call, SPEECH)
    assert summary.frames.total == 0
    assert not np.any(call.heard)


def test_empty_input() -> None:
    call = simulate_call(np.zeros(0, np.float32), SimulationConfig())
    assert call.packets == []
