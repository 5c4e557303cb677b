"""The congestion control against a bottleneck of a few lines, with quick and with rare reports."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.sending import (
    CongestionControl,
    CongestionTuning,
    Means,
    NetworkReport,
    RateState,
    RedundancyPlanner,
    SendingConfig,
)
from softphone.sending.framing import overhead_bps

STEADY, BACKING_OFF, HOLDING, PROBING = RateState


def always(rate: float) -> Callable[[float], float]:
    return lambda now: rate


UNLIMITED = always(math.inf)
STRAIGHT = always(0.0)


@dataclass
class Link:
    """A planner that sends through a fluid queue; reports come back as a peer would write them."""

    rate: Callable[[float], float] = UNLIMITED
    """Capacity in bit/s at a time, headers included."""
    queue: float = 0.3
    """Seconds that the queue holds."""
    loss: float = 0.0
    """Of the packets that get through."""
    base: float = 0.04
    every: float = 1.0
    own_peer: bool = True
    path: Callable[[float], float] = STRAIGHT
    """Delay on top of the base at a time, seconds."""
    config: SendingConfig = field(default_factory=SendingConfig)
    sent: list[tuple[float, int, float]] = field(default_factory=list)
    """(time, rate with headers, waiting time) each 20 ms."""

    def run(self, seconds: float) -> RedundancyPlanner:
        planner = RedundancyPlanner(self.config)
        planner.on_round_trip(2 * self.base)
        rng = random.Random(1)
        backlog = offered = dropped = passed = 0.0
        waits: list[float] = []
        due = self.every
        for step in range(round(seconds / 0.02)):
            now = 0.02 * step
            plan = planner.plan(now)
            wire = plan.total_bitrate + overhead_bps(plan.frame_ms)
            rate = self.rate(now)
            arriving = 0.02 * wire
            backlog += arriving
            leaving = min(backlog, 0.02 * rate)
            backlog -= leaving
            over = max(0.0, backlog - self.queue * rate) if math.isfinite(rate) else 0.0
            backlog -= over
            offered, dropped, passed = offered + arriving, dropped + over, passed + leaving
            waits.append((backlog / rate if math.isfinite(rate) else 0.0) + self.path(now))
            self.sent.append((now, wire, waits[-1]))
            if now >= due:
                due += self.every
                lost = min(1.0, dropped / offered + self.loss * rng.uniform(0.6, 1.4))
                report = NetworkReport(now, lost, round_trip=2 * self.base + waits[-1], jitter=0.002)
                if self.own_peer:
                    then = waits[-50] if len(waits) >= 50 else waits[0]
                    report = replace(
                        report,
                        mean_burst=1.2 if lost else None,
                        queueing_delay=min(waits[-25:]),
                        delay_trend=waits[-1] - then,
                        received_bps=passed / self.every * plan.total_bitrate / wire * (1 - self.loss),
                    )
                planner.on_report(report)
                offered = dropped = passed = 0.0
        return planner

    def mean_wait(self, begin: float) -> float:
        waits = [wait for at, _, wait in self.sent if at >= begin]
        return sum(waits) / len(waits)

    def mean_rate(self, begin: float, end: float = math.inf) -> float:
        rates = [wire for at, wire, _ in self.sent if begin <= at < end]
        return sum(rates) / len(rates)


def states(planner: RedundancyPlanner) -> list[RateState]:
    return [record.limit.state for record in planner.history]


@pytest.mark.parametrize("own_peer", [True, False])
@pytest.mark.parametrize("queue", [0.2, 0.5])
@pytest.mark.parametrize("kbps", [24, 32, 48, 60])
def test_a_bottleneck_is_filled_but_not_its_queue(kbps: int, queue: float, own_peer: bool) -> None:
    every = 1.0 if own_peer else 5.0
    link = Link(always(1000.0 * kbps), queue, every=every, own_peer=own_peer)
    planner = link.run(120.0)
    stubborn = Link(
        always(1000.0 * kbps), queue, every=every, own_peer=own_peer, config=SendingConfig(back_off=False)
    )
    stubborn.run(120.0)
    assert stubborn.mean_wait(20.0) > 0.9 * queue
    assert link.mean_wait(20.0) < (0.06 if own_peer else 0.15)
    assert 0.75 * 1000 * kbps < link.mean_rate(20.0) < 1.02 * 1000 * kbps
    assert planner.congestion.backoffs >= 1
    assert {BACKING_OFF, HOLDING, PROBING} <= set(states(planner))


def test_the_first_reports_that_show_it_are_enough() -> None:
    link = Link(always(32_000.0))
    link.run(10.0)
    assert link.mean_rate(3.0, 5.0) < 32_000


@pytest.mark.parametrize("own_peer", [True, False])
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_loss_without_a_queue_is_no_congestion(loss: float, own_peer: bool) -> None:
    planner = Link(loss=loss, own_peer=own_peer, every=1.0 if own_peer else 5.0).run(60.0)
    assert set(states(planner)) == {STEADY}
    assert all(46_000 < record.plan.total_bitrate <= 48_000 for record in planner.history)
    assert bool(planner.history[-1].plan.means) == (loss > 0)


def test_redundancy_isnt_added_for_what_the_queue_drops() -> None:
    planner = Link(always(30_000.0)).run(60.0)
    late = [record.plan for record in planner.history if record.at > 20]
    assert all(plan.means is Means.NONE for plan in late)


def test_a_lossy_bottleneck_gets_less_and_stays_protected() -> None:
    link = Link(always(48_000.0), loss=0.1)
    planner = link.run(90.0)
    assert link.mean_wait(20.0) < 0.06
    late = [record.plan for record in planner.history if record.at > 20]
    assert all(plan.means for plan in late)


@pytest.mark.parametrize("own_peer", [True, False])
def test_the_rate_comes_back_when_the_bottleneck_opens(own_peer: bool) -> None:
    link = Link(
        lambda now: 30_000.0 if now < 30 else 200_000.0, own_peer=own_peer, every=1.0 if own_peer else 5.0
    )
    planner = link.run(240.0)
    assert link.mean_rate(20.0, 30.0) < 31_000
    assert link.mean_rate(230.0) == pytest.approx(68_000)
    last = planner.history[-1]
    assert (last.limit.state, last.limit.wire_bps, last.plan.frame_ms) == (STEADY, None, 20)


def test_probes_that_fail_become_rarer() -> None:
    planner = Link(always(40_000.0)).run(300.0)
    failed = [record.at for record in planner.history if "probe has failed" in record.reason]
    gaps = [after - before for before, after in pairwise(failed)]
    assert len(failed) >= 4
    assert gaps[0] < gaps[-1]
    assert min(gaps[2:]) >= CongestionTuning().hold_max


def test_a_longer_path_costs_little() -> None:
    link = Link(path=lambda now: 0.13 if now > 20 else 0.0)
    planner = link.run(60.0)
    assert link.mean_rate(26.0) == pytest.approx(68_000)
    assert "longer" in planner.history[-1].reason
    again = Link(path=lambda now: 0.13 if now > 20 else 0.0, every=5.0, own_peer=False)
    again.run(90.0)
    assert again.mean_rate(60.0) == pytest.approx(68_000)


def test_somebody_elses_queue_doesnt_take_everything_at_once() -> None:
    """The queue stays full whatever we send: after three decreases the losses count as such."""
    planner = RedundancyPlanner(SendingConfig())
    planner.plan(0.0)
    for second in range(1, 12):
        planner.on_report(
            NetworkReport(float(second), 0.15, 1.3, 0.38, 0.002, queueing_delay=0.3, received_bps=40_000.0)
        )
        plan = planner.plan(float(second))
    assert planner.congestion.backoffs == 3
    assert any("whatever we send" in record.reason for record in planner.history)
    assert plan.means


@pytest.mark.parametrize("arrived", [47_000.0, None])
def test_each_further_decrease_is_one(arrived: float | None) -> None:
    """Also when what arrives was overestimated, as it is while a queue still fills."""
    planner = RedundancyPlanner(SendingConfig())
    planner.on_round_trip(0.08)
    rates = []
    for number in range(1, 4):
        planner.plan(5.0 * number - 1)
        planner.on_report(
            NetworkReport(
                5.0 * number,
                0.03,
                None,
                0.58,
                queueing_delay=None if arrived is None else 0.5,
                received_bps=arrived,
            )
        )
        rates.append(planner.congestion.limit.wire_bps or 0)
    assert all(after < 0.9 * before for before, after in pairwise([68_000, *rates]))


def test_a_link_below_the_least_rate_isnt_probed() -> None:
    link = Link(always(18_000.0))
    planner = link.run(120.0)
    assert link.mean_rate(20.0) < 24_000
    assert min(wire for _, wire, _ in link.sent) >= 15_700 + overhead_bps(60)
    assert planner.congestion.probes == 0
    assert planner.plan(120.0).means, "what the queue drops is lost for good here"


def test_a_mode_that_is_forced_in_mid_call_lifts_the_limit() -> None:
    planner = Link(always(30_000.0)).run(10.0)
    planner.reconfigure(SendingConfig(mode="lbrr"))
    plan = planner.plan(10.0)
    assert (plan.bitrate, plan.frame_ms) == (48_000, 20)
    assert planner.congestion.limit.state is STEADY


def test_an_outage_is_no_invitation_to_probe() -> None:
    planner = Link(always(30_000.0)).run(8.0)
    limit = planner.congestion.limit
    assert limit.state is HOLDING
    for second in range(9, 30):
        planner.on_report(NetworkReport(float(second), 1.0, None, 0.08))
    assert planner.congestion.limit == limit


def test_long_packets_where_headers_would_dominate_and_short_ones_again() -> None:
    link = Link(lambda now: 26_000.0 if now < 40 else 200_000.0)
    planner = link.run(200.0)
    lengths = [record.plan.frame_ms for record in planner.history]
    assert max(lengths) == 60
    assert lengths[-1] == 20
    changes = [b for a, b in pairwise(planner.history) if a.plan.frame_ms != b.plan.frame_ms]
    shorter = [b.at for a, b in pairwise(planner.history) if b.plan.frame_ms < a.plan.frame_ms]
    assert len(changes) <= 6
    assert all(after - before >= 15.0 for before, after in pairwise(shorter))


@pytest.mark.parametrize(("longest", "expected"), [(20, 20), (40, 40), (60, 60)])
def test_packets_are_no_longer_than_allowed(longest: int, expected: int) -> None:
    planner = Link(always(20_000.0), config=SendingConfig(max_frame_ms=longest)).run(30.0)
    assert max(record.plan.frame_ms for record in planner.history) == expected
    assert min(record.plan.total_bitrate for record in planner.history) >= 15_700


@pytest.mark.parametrize("mode", ["none", "lbrr", "dred", "both"])
def test_forced_modes_dont_back_off(mode: str) -> None:
    link = Link(always(32_000.0), config=SendingConfig(mode=mode))
    planner = link.run(20.0)
    assert set(states(planner)) == {STEADY}
    assert {record.plan.frame_ms for record in planner.history} == {20}


def test_every_change_has_a_reason() -> None:
    planner = Link(always(40_000.0), loss=0.05).run(60.0)
    assert all(record.reason for record in planner.history)
    assert any("backing off: a queue of" in str(record) for record in planner.history)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.1, 10.0),
            st.floats(0, 1),
            st.none() | st.floats(0, 5),
            st.floats(-5, 5),
            st.none() | st.floats(0, 1e6),
            st.none() | st.floats(0, 5),
        ),
        max_size=60,
    ),
    st.sampled_from([6_000, 16_000, 24_000, 48_000, 128_000]),
)
def test_any_reports_leave_a_call_that_works(
    reports: list[tuple[float, float, float | None, float, float | None, float | None]], bitrate: int
) -> None:
    planner = RedundancyPlanner(SendingConfig(bitrate=bitrate))
    now = 0.0
    for interval, loss, delay, trend, received, round_trip in reports:
        now += interval
        planner.on_report(
            NetworkReport(
                now,
                loss,
                round_trip=round_trip,
                queueing_delay=delay,
                delay_trend=trend,
                received_bps=received,
            )
        )
        plan = planner.plan(now)
        assert 0.98 * min(bitrate, 16_000) <= plan.total_bitrate <= bitrate
        assert plan.frame_ms in (20, 40, 60)
        limit = planner.congestion.limit
        assert (limit.wire_bps is None) == (limit.state is STEADY)


def test_a_control_without_reports_limits_nothing() -> None:
    assert CongestionControl().limit.wire_bps is None
