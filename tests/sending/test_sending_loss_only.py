"""Loss alone never lowers the rate: not with pauses in the speech, not from a machine that is late.

Arrivals go through the report that a softphone writes, so what is judged is the whole chain.
"""

import random
from dataclasses import dataclass

import pytest

from softphone.rtp.reports import LossReporter
from softphone.sending import NetworkReport, RateState, RedundancyPlanner, SendingConfig
from softphone.sim.network import NetworkEmulator
from softphone.sim.profile import GilbertElliott, NetworkProfile

FRAME = 0.02


@dataclass
class Talker:
    """Says something now and then; nothing is sent in between (DTX)."""

    seed: int
    pauses: bool = True
    late: float = 0.0
    """Longest time for which the sender stands still, seconds; then all that is due leaves at once."""

    def packets(self, seconds: float) -> list[tuple[int, int, float, bool]]:
        """(number, timestamp, time of leaving, marker) in order."""
        rng = random.Random(self.seed)
        made: list[tuple[int, int, float, bool]] = []
        media, awake, spurt, marker = 0.0, 0.0, 1.0, True
        while media < seconds:
            leaves = media + FRAME
            if leaves > awake and self.late and rng.random() < 0.02:
                awake = leaves + rng.uniform(0.0, self.late)
            made.append((len(made), round(48_000 * media), max(leaves, awake), marker))
            media, marker = media + FRAME, False
            spurt -= FRAME
            if self.pauses and spurt <= 0:
                media += FRAME * rng.randint(1, 20)
                spurt, marker = rng.uniform(0.1, 2.0), True
        return made


def run(talker: Talker, profile: NetworkProfile, seconds: float = 60.0) -> RedundancyPlanner:
    """A call of which the sender hears each second how its packets arrive."""
    planner, reporter = RedundancyPlanner(SendingConfig(dtx=talker.pauses)), LossReporter()
    network = NetworkEmulator(profile, seed=talker.seed)
    packets = talker.packets(seconds)
    arriving = sorted(
        (at, number, timestamp, marker)
        for number, timestamp, leaves, marker in packets
        for at in network.send(leaves, 120, "media")
    )
    now = 0.0
    for at, number, timestamp, marker in arriving:
        while now <= at:
            report = reporter.poll(now)
            if report is not None:
                planner.on_report(
                    NetworkReport(
                        now,
                        report.fraction_lost,
                        report.mean_burst,
                        round_trip=0.002,
                        jitter=0.002,
                        queueing_delay=report.queueing_delay,
                        delay_trend=report.delay_trend,
                        received_bps=report.received_bps,
                    )
                )
            planner.plan(now)
            now += FRAME
        reporter.on_packet(number & 0xFFFF, timestamp, at, 120, marker=marker)
    return planner


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("burst", [1.0, 3.0])
@pytest.mark.parametrize("late", [0.0, 0.06, 0.25])
@pytest.mark.parametrize("pauses", [False, True])
def test_loss_alone_isnt_congestion(seed: int, burst: float, late: float, pauses: bool) -> None:
    loss = {"loss": 0.2} if burst == 1.0 else {"loss_model": GilbertElliott.from_mean(0.2, burst)}
    planner = run(Talker(seed, pauses, late), NetworkProfile(delay=0.001, **loss))  # type: ignore[arg-type]
    assert {record.limit.state for record in planner.history} == {RateState.STEADY}
    assert planner.congestion.backoffs == 0
    assert planner.history[-1].network.mean_loss > 0.05


@pytest.mark.parametrize("pauses", [False, True])
def test_loss_with_a_queue_is(pauses: bool) -> None:
    profile = NetworkProfile(delay=0.001, loss=0.2, rate=30_000, queue=0.3)
    planner = run(Talker(1, pauses), profile)
    assert planner.congestion.backoffs >= 1
