"""The emulator: what each impairment does, determinism, and rules that always hold."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.sim.network import (
    CrossTraffic,
    GilbertElliott,
    Handovers,
    JitterDistribution,
    MarkovLoss,
    NetworkEmulator,
    NetworkProfile,
    Outage,
    OutageMode,
    PeriodicOutage,
    Stalls,
    generate_trace,
    parse_profile,
    profile_names,
    random_profile,
)
from softphone.sim.trace import PacketTrace

LONG = 30_000


def deliveries(profile: NetworkProfile, packets: int, *, seed: int = 1, size: int = 160) -> list[list[float]]:
    emulator = NetworkEmulator(profile, seed, start=0.0)
    return [emulator.send(k * 0.02, size) for k in range(packets)]


def test_a_perfect_path() -> None:
    assert deliveries(NetworkProfile(delay=0.05), 3) == [[0.05], [pytest.approx(0.07)], [pytest.approx(0.09)]]


# Loss


@pytest.mark.parametrize("loss", [0.02, 0.1, 0.5])
def test_independent_loss(loss: float) -> None:
    bursts = generate_trace(NetworkProfile(loss=loss), LONG, seed=3).bursts
    assert bursts.fraction_lost == pytest.approx(loss, rel=0.05)
    assert bursts.mean_burst == pytest.approx(1 / (1 - loss), rel=0.05)


@pytest.mark.parametrize(("loss", "burst"), [(0.05, 2), (0.2, 3), (0.3, 6), (0.5, 10)])
def test_gilbert_loss_in_bursts(loss: float, burst: float) -> None:
    profile = NetworkProfile(loss_model=GilbertElliott.from_mean(loss, burst))
    bursts = generate_trace(profile, LONG, seed=5).bursts
    assert bursts.fraction_lost == pytest.approx(loss, rel=0.1)
    assert bursts.mean_burst == pytest.approx(burst, rel=0.1)


def test_gilbert_elliott_with_loss_in_both_states() -> None:
    model = GilbertElliott(p=0.02, r=0.1, loss_good=0.01, loss_bad=0.6)
    bad = 0.02 / 0.12
    trace = generate_trace(NetworkProfile(loss_model=model), LONG, seed=2)
    assert trace.fraction_lost == pytest.approx(bad * 0.6 + (1 - bad) * 0.01, rel=0.1)


def test_three_states() -> None:
    model = MarkovLoss.three_state(burst_rate=0.01, burst=8, gap_rate=0.01, gap=100, gap_loss=0.1)
    stationary = np.linalg.matrix_power(np.array(model.transitions), 4096)[0]
    trace = generate_trace(NetworkProfile(loss_model=model), LONG, seed=2)
    assert trace.fraction_lost == pytest.approx(float(stationary @ np.array(model.loss)), rel=0.1)
    assert trace.bursts.longest > 20


def test_losses_add_up() -> None:
    profile = NetworkProfile(loss=0.1, loss_model=GilbertElliott.from_mean(0.2, 3))
    assert generate_trace(profile, LONG, seed=2).fraction_lost == pytest.approx(1 - 0.9 * 0.8, rel=0.1)


# Delay


@pytest.mark.parametrize(
    ("distribution", "mean", "deviation"),
    [
        (JitterDistribution.NORMAL, 0.0, 1.0),
        (JitterDistribution.UNIFORM, 0.0, 1 / math.sqrt(3)),
        (JitterDistribution.GAMMA, 1.0, 1 / math.sqrt(2)),
        (JitterDistribution.PARETO, 1.0, None),
    ],
)
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_jitter_distributions(
    distribution: JitterDistribution, mean: float, deviation: float | None, correlation: float
) -> None:
    profile = NetworkProfile(
        delay=0.2,
        jitter=0.02,
        jitter_distribution=distribution,
        jitter_correlation=correlation,
        keep_order=False,
    )
    jitter = (generate_trace(profile, LONG, seed=7).delays - 0.2) / 0.02
    assert jitter.mean() == pytest.approx(mean, abs=0.06)
    if deviation is not None:
        assert jitter.std() == pytest.approx(deviation, rel=0.05)
    if distribution is JitterDistribution.UNIFORM:
        assert np.abs(jitter).max() <= 1.0
    if distribution in (JitterDistribution.GAMMA, JitterDistribution.PARETO):
        assert jitter.min() >= -1e-9
    ranks = np.argsort(np.argsort(jitter)).astype(float)
    assert np.corrcoef(ranks[:-1], ranks[1:])[0, 1] == pytest.approx(correlation, abs=0.05)


def test_pareto_has_a_heavier_tail_than_gamma() -> None:
    def tail(distribution: JitterDistribution) -> float:
        profile = NetworkProfile(jitter=0.02, jitter_distribution=distribution, keep_order=False)
        quantile = generate_trace(profile, LONG, seed=1).quantile(0.999)
        assert quantile is not None
        return quantile

    assert tail(JitterDistribution.PARETO) > 1.5 * tail(JitterDistribution.GAMMA)


@pytest.mark.parametrize("keep_order", [True, False])
def test_order(keep_order: bool) -> None:
    trace = generate_trace(NetworkProfile(delay=0.1, jitter=0.03, keep_order=keep_order), 2000, seed=1)
    assert (trace.reordered == 0) is keep_order


def test_drift() -> None:
    trace = generate_trace(NetworkProfile(delay=0.05, drift=0.001), 1001)
    assert trace.fate(1000) == pytest.approx(0.05 + 20 * 0.001)
    falling = generate_trace(NetworkProfile(delay=0.01, drift=-0.001), 1001)
    assert falling.fate(1000) == 0.0


def test_reordered_packets_are_overtaken() -> None:
    profile = NetworkProfile(delay=0.05, reorder=0.1, reorder_delay=0.045)
    trace = generate_trace(profile, 10_000, seed=1)
    held = trace.delays > 0.06
    assert held.mean() == pytest.approx(0.1, rel=0.1)
    assert trace.delays[held] == pytest.approx(0.095)
    assert trace.reordered > 800


def test_duplicates_arrive_twice() -> None:
    times = deliveries(NetworkProfile(delay=0.05, duplicate=0.2), 5000)
    twice = [packet for packet in times if len(packet) == 2]
    assert len(twice) / len(times) == pytest.approx(0.2, rel=0.1)
    assert all(0 < second - first <= 0.002 for first, second in twice)


# Outages, stalls, handovers


def test_outages_drop_or_hold() -> None:
    profile = NetworkProfile(
        delay=0.03, outages=(Outage(1.0, 0.1), Outage(2.0, 0.1, OutageMode.HOLD), Outage(2.09, 0.05))
    )
    trace = generate_trace(profile, 200)
    # Packets held until 2.1 s come out in the middle of the third outage.
    assert [k for k, fate in enumerate(trace) if fate is None] == [*range(50, 55), *range(100, 107)]


def test_held_packets_arrive_together() -> None:
    profile = NetworkProfile(delay=0.03, outages=(Outage(1.0, 0.1, OutageMode.HOLD),))
    trace = generate_trace(profile, 100)
    assert trace.fraction_lost == 0.0
    assert [trace.arrival(k) for k in range(50, 55)] == pytest.approx([1.13] * 5)
    assert trace.fate(55) == pytest.approx(0.03)


def test_periodic_outages_start_after_one_period() -> None:
    profile = NetworkProfile(periodic_outage=PeriodicOutage(period=5.0, length=0.4))
    lost = [k for k, fate in enumerate(generate_trace(profile, 750)) if fate is None]
    assert lost == [*range(250, 270), *range(500, 520)]


def test_outages_count_from_the_first_packet_unless_told() -> None:
    profile = NetworkProfile(outages=(Outage(0.5, 1.0),))
    relative = NetworkEmulator(profile)
    assert relative.send(1000.0, 100) == [1000.0]
    assert relative.send(1000.6, 100) == []
    absolute = NetworkEmulator(profile, start=1000.0)
    assert absolute.send(1000.6, 100) == []


def test_stalls_are_saw_teeth() -> None:
    profile = NetworkProfile(delay=0.03, stalls=Stalls(interval=2.0, shortest=0.2, longest=0.3))
    trace = generate_trace(profile, 30_000, seed=4)
    slow = trace.delays > 0.031
    starts = np.flatnonzero(np.diff(slow.astype(int)) == 1) + 1
    assert len(starts) == pytest.approx(600 / 2.25, rel=0.15)
    peaks = trace.delays[starts] - 0.03
    assert peaks.max() <= 0.3 + 1e-9
    assert peaks.min() >= 0.18 - 1e-9
    inside = slow[1:] & slow[:-1]
    assert np.median(np.diff(trace.delays)[inside]) == pytest.approx(-0.02)
    assert np.isclose(np.diff(trace.delays)[inside], -0.02).mean() > 0.98  # two may follow at once
    assert trace.fraction_lost == 0.0


def test_handovers_change_the_delay_for_good() -> None:
    profile = NetworkProfile(
        delay=0.04, handovers=Handovers(interval=2.0, outage=0.1, step=0.1, mode=OutageMode.DROP)
    )
    trace = generate_trace(profile, 30_000, seed=4)
    levels = np.unique(np.round(trace.delays[~np.isnan(trace.delays)], 6))
    assert len(levels) > 200
    assert levels.min() >= 0.04
    assert levels.max() <= 0.14 + 1e-9
    assert trace.bursts.bursts == pytest.approx(600 / 2.1, rel=0.2)
    assert trace.bursts.mean_burst == pytest.approx(5, abs=0.3)


# Bottleneck


def test_bottleneck_serialises() -> None:
    emulator = NetworkEmulator(NetworkProfile(delay=0.01, rate=80_000, queue=1.0), start=0.0)
    assert [emulator.send(0.0, 100)[0] for _ in range(3)] == pytest.approx([0.02, 0.03, 0.04])
    assert emulator.send(1.0, 100) == pytest.approx([1.02])


def test_full_queue_drops() -> None:
    emulator = NetworkEmulator(NetworkProfile(rate=80_000, queue=0.05), start=0.0)
    results = [emulator.send(0.0, 100) for _ in range(20)]
    delivered = [times[0] for times in results if times]
    assert len(delivered) == 6
    assert max(delivered) == pytest.approx(0.06)
    assert emulator.statistics.queue_lost == 14


def test_overload_settles_at_the_queue_and_the_rate() -> None:
    """64 kbit/s offered to 48 kbit/s with 300 ms of queue."""
    trace = generate_trace(NetworkProfile(rate=48_000, queue=0.3), 5000, size=160)
    assert trace.fraction_lost == pytest.approx(1 - 48 / 64, rel=0.05)
    assert float(np.nanmean(trace.delays[-500:])) == pytest.approx(0.31, abs=0.03)


def test_cross_traffic_fills_the_queue_and_leaves_it() -> None:
    profile = NetworkProfile(
        delay=0.02, rate=1e6, queue=0.4, cross_traffic=CrossTraffic(rate=1.25e6, on=4.0, off=4.0)
    )
    trace = generate_trace(profile, LONG, seed=6)
    assert trace.min_delay == pytest.approx(0.02, abs=0.005)
    assert trace.quantile(1.0) == pytest.approx(0.42, abs=0.01)
    full = trace.delays > 0.41
    assert 0.1 < full.mean() < 0.5
    assert 0.02 < trace.fraction_lost < 0.15
    assert trace.reordered == 0


def test_queue_is_shared_by_flows() -> None:
    emulator = NetworkEmulator(NetworkProfile(rate=80_000), start=0.0)
    assert emulator.send(0.0, 1000, "video") == pytest.approx([0.1])
    assert emulator.send(0.0, 100, "audio") == pytest.approx([0.11])


# Timeline and trace


def test_timeline_changes_the_profile() -> None:
    profile = NetworkProfile(
        delay=0.02, timeline=((1.0, NetworkProfile(delay=0.1)), (2.0, NetworkProfile(loss=1.0)))
    )
    trace = generate_trace(profile, 150)
    assert [trace.fate(k) for k in (0, 49, 50, 99, 100, 149)] == [
        pytest.approx(0.02),
        pytest.approx(0.02),
        pytest.approx(0.1),
        pytest.approx(0.1),
        None,
        None,
    ]


def test_queue_outlives_a_change_of_rate() -> None:
    profile = NetworkProfile(rate=80_000, timeline=((0.1, NetworkProfile(rate=160_000)),))
    emulator = NetworkEmulator(profile, start=0.0)
    emulator.send(0.0, 2000, "big")  # 200 ms at 80 kbit/s
    assert emulator.send(0.1, 20, "small") == pytest.approx([0.1 + 0.05 + 0.001])


def test_trace_is_followed_packet_by_packet_for_each_flow() -> None:
    recorded = PacketTrace([0.03, math.nan, 0.09, 0.02])
    emulator = NetworkEmulator(NetworkProfile(delay=0.01, trace=recorded), start=0.0)
    times = {flow: [emulator.send(k * 0.02, 1, flow) for k in range(4)] for flow in ("a",)}
    assert times["a"] == [
        [pytest.approx(0.04)],
        [],
        [pytest.approx(0.14)],
        [pytest.approx(0.09)],
    ]
    assert emulator.send(0.08, 1, "b") == pytest.approx([0.12])


# Determinism


@pytest.mark.parametrize("name", profile_names())
def test_same_seed_same_fate(name: str) -> None:
    profile = parse_profile(name)
    first = generate_trace(profile, 500, seed=9).delays
    assert np.array_equal(first, generate_trace(profile, 500, seed=9).delays, equal_nan=True)
    if profile.jitter:
        assert not np.array_equal(first, generate_trace(profile, 500, seed=10).delays, equal_nan=True)


@given(seed=st.integers(0, 2**32), other=st.lists(st.integers(0, 3), min_size=200, max_size=200))
@settings(max_examples=20)
def test_other_flows_change_nothing(seed: int, other: list[int]) -> None:
    profile = NetworkProfile(
        delay=0.05,
        jitter=0.01,
        loss_model=GilbertElliott.from_mean(0.2, 3),
        reorder=0.05,
        duplicate=0.05,
        stalls=Stalls(1.0, 0.1, 0.2),
        handovers=Handovers(2.0, 0.1, 0.05),
    )
    alone = NetworkEmulator(profile, seed, start=0.0)
    shared = NetworkEmulator(profile, seed, start=0.0)
    for k, count in enumerate(other):
        for _ in range(count):
            shared.send(k * 0.02, 1200, "other")
        assert shared.send(k * 0.02, 160, "voice") == alone.send(k * 0.02, 160, "voice")


def test_directions_differ() -> None:
    profile = NetworkProfile(loss=0.5)
    up = NetworkEmulator(profile, 1, direction="up")
    down = NetworkEmulator(profile, 1, direction="down")
    assert [up.send(k, 1) for k in range(100)] != [down.send(k, 1) for k in range(100)]


def test_the_size_of_other_impairments_leaves_losses_alone() -> None:
    model = GilbertElliott.from_mean(0.2, 3)
    plain = generate_trace(NetworkProfile(loss_model=model), 1000, seed=1)
    busy = generate_trace(
        NetworkProfile(loss_model=model, delay=0.1, jitter=0.05, reorder=0.1, duplicate=0.1), 1000, seed=1
    )
    assert np.array_equal(np.isnan(plain.delays), np.isnan(busy.delays))


# What always holds


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_random_profiles_keep_the_rules(seed: int) -> None:
    profile = random_profile(np.random.default_rng(seed))
    assert profile == random_profile(np.random.default_rng(seed))
    emulator = NetworkEmulator(profile, seed, start=0.0)
    arrivals = []
    for k in range(600):
        now = k * 0.05
        times = emulator.send(now, 160)
        assert len(times) <= 2
        assert all(now <= time < now + 30 for time in times)
        arrivals += times[:1]
    counts = emulator.statistics
    assert counts.sent == 600
    assert counts.sent - counts.lost - counts.outage_lost - counts.queue_lost == len(arrivals)
    ordered = all(
        part.keep_order and not part.reorder for part in (profile, *(p for _, p in profile.timeline))
    )
    if ordered:
        assert all(later >= earlier for earlier, later in pairwise(arrivals))


def test_random_profiles_vary_widely() -> None:
    rng = np.random.default_rng(0)
    traces = [generate_trace(random_profile(rng), 1500, seed) for seed in range(60)]
    losses = [trace.fraction_lost for trace in traces]
    assert min(losses) == 0.0
    assert max(losses) > 0.2
    assert 0.01 < float(np.median(losses)) < 0.15
    spreads = [(trace.quantile(0.95) or 0) - (trace.min_delay or 0) for trace in traces]
    assert min(spreads) < 0.01
    assert max(spreads) > 0.3
    assert any((trace.bursts.mean_burst or 0) > 4 for trace in traces)
    assert any(trace.reordered for trace in traces)


def test_time_never_runs_back() -> None:
    emulator = NetworkEmulator(NetworkProfile(delay=0.01))
    emulator.send(5.0, 1)
    assert emulator.send(4.0, 1) == [5.01]
