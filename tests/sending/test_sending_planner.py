"""Reports in, plans out, in virtual time."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import ConfigError
from softphone.sending import MODES, Means, NetworkReport, RedundancyPlan, RedundancyPlanner, SendingConfig
from softphone.sending.plan import fit

NONE, LBRR, DRED, RED = Means.NONE, Means.LBRR, Means.DRED, Means.RED
BOTH, COPIES, SPACED = LBRR | DRED, LBRR | RED, DRED | RED


def settle(config: SendingConfig, loss: float, burst: float | None, every: float = 1.0) -> RedundancyPlan:
    """The plan after half a minute on a steady network."""
    planner = RedundancyPlanner(config)
    steps = int(30 / every)
    planner.plan(0.0)
    for step in range(1, steps + 1):
        planner.on_report(NetworkReport(step * every, loss, burst))
        plan = planner.plan(step * every)
    return plan


@pytest.mark.parametrize(
    ("bitrate", "loss", "burst", "means"),
    [
        # A clean network costs nothing at any rate.
        (24_000, 0.0, None, NONE),
        (48_000, 0.0, None, NONE),
        (96_000, 0.002, 1.0, NONE),
        # Independent losses.
        (24_000, 0.10, 1.1, LBRR),
        (32_000, 0.10, 1.1, LBRR),
        (32_000, 0.20, 1.25, LBRR),
        (40_000, 0.05, 1.05, LBRR),
        (48_000, 0.10, 1.1, LBRR),
        (48_000, 0.20, 1.25, BOTH),
        (64_000, 0.20, 1.25, BOTH),
        # Bursts.
        (24_000, 0.10, 3.0, DRED),
        (32_000, 0.20, 2.0, DRED),
        (36_000, 0.20, 5.0, DRED),
        (40_000, 0.20, 5.0, SPACED),
        (48_000, 0.10, 3.0, SPACED),
        (48_000, 0.20, 2.0, SPACED),
        (64_000, 0.20, 5.0, SPACED),
        # Outages rather than bursts.
        (48_000, 0.08, 20.0, DRED),
        (64_000, 0.20, 20.0, BOTH),
        # High loss is bursty even when independent.
        (32_000, 0.35, 1.39, DRED),
        (48_000, 0.35, 2.0, SPACED),
        # Reports that don't know bursts.
        (32_000, 0.05, None, LBRR),
        (32_000, 0.25, None, DRED),
        (48_000, 0.25, None, SPACED),
        # Where nothing better fits.
        (16_000, 0.20, 4.0, LBRR),
        (10_000, 0.20, 4.0, NONE),
    ],
)
def test_auto_on_a_steady_network(bitrate: int, loss: float, burst: float | None, means: Means) -> None:
    assert settle(SendingConfig(bitrate=bitrate), loss, burst).means == means


@pytest.mark.parametrize(
    ("bitrate", "means"),
    [(16_000, LBRR), (24_000, DRED), (32_000, DRED), (44_000, DRED), (45_000, BOTH), (64_000, BOTH)],
)
def test_a_call_starts_protected(bitrate: int, means: Means) -> None:
    assert RedundancyPlanner(SendingConfig(bitrate=bitrate)).plan(0.0).means == means


def test_a_clean_network_is_free_within_seconds() -> None:
    planner = RedundancyPlanner(SendingConfig(bitrate=48_000))
    planner.plan(0.0)
    for second in range(1, 9):
        planner.on_report(NetworkReport(float(second), 0.0))
        plan = planner.plan(float(second))
    assert plan == RedundancyPlan(bitrate=48_000, frame_ms=20)


def test_losses_on_a_clean_network_are_answered_at_once() -> None:
    planner = RedundancyPlanner(SendingConfig(bitrate=48_000))
    for second in range(1, 21):
        planner.on_report(NetworkReport(float(second), 0.0))
        planner.plan(float(second))
    planner.on_report(NetworkReport(21.0, 0.2, 3.0))
    assert planner.plan(21.0).means & DRED


def test_protection_doesnt_flicker_with_intermittent_loss() -> None:
    planner = RedundancyPlanner(SendingConfig(bitrate=48_000))
    planner.plan(0.0)
    for second in range(1, 121):
        lossy = second % 10 == 0
        planner.on_report(NetworkReport(float(second), 0.3 if lossy else 0.0, 3.0 if lossy else None))
        planner.plan(float(second))
    drops = sum(record.plan.means == NONE for record in planner.history)
    assert drops <= 2


def test_a_network_between_two_kinds_doesnt_flicker() -> None:
    planner = RedundancyPlanner(SendingConfig(bitrate=32_000))
    planner.plan(0.0)
    for step in range(1, 241):
        planner.on_report(NetworkReport(step * 0.5, 0.12, 1.25 if step % 2 else 1.45))
        planner.plan(step * 0.5)
    assert len({record.plan.means for record in planner.history if record.at > 20}) <= 1


@pytest.mark.parametrize(
    ("config", "loss", "burst", "means"),
    [
        (SendingConfig(bitrate=48_000, peer_dred_ms=0, peer_red=False), 0.2, 5.0, LBRR),
        (SendingConfig(bitrate=48_000, peer_dred_ms=0), 0.2, 5.0, COPIES),
        (SendingConfig(bitrate=32_000, peer_dred_ms=0), 0.2, 5.0, LBRR),
        (SendingConfig(bitrate=48_000, peer_dred_ms=0), 0.1, 1.1, LBRR),
        (SendingConfig(bitrate=48_000), 0.1, 1.1, LBRR),
        (SendingConfig(bitrate=48_000), 0.2, 2.0, SPACED),
        (SendingConfig(bitrate=40_000), 0.2, 2.0, SPACED),
        (SendingConfig(bitrate=32_000), 0.2, 2.0, DRED),
        (SendingConfig(bitrate=48_000), 0.35, 6.0, SPACED),
        (SendingConfig(bitrate=48_000, peer_fec=False), 0.2, 1.25, DRED),
        (SendingConfig(bitrate=48_000, peer_fec=False, peer_dred_ms=0, peer_red=False), 0.2, 1.25, NONE),
        (SendingConfig(bitrate=48_000, peer_dred_ms=20, peer_red=False), 0.2, 5.0, LBRR),
        (SendingConfig(bitrate=48_000, peer_red=False), 0.2, 2.0, BOTH),
        (SendingConfig(bitrate=48_000, peer_red=False), 0.2, 5.0, DRED),
        (SendingConfig(bitrate=64_000, peer_red=False), 0.2, 5.0, BOTH),
    ],
)
def test_the_peers_limits(config: SendingConfig, loss: float, burst: float, means: Means) -> None:
    assert settle(config, loss, burst).means == means


def test_dred_is_never_longer_than_the_peer_can_use() -> None:
    plan = settle(SendingConfig(bitrate=64_000, peer_dred_ms=155), 0.2, 8.0)
    assert 0 < plan.dred_duration_ms <= 155


def test_two_copies_need_room() -> None:
    roomy = settle(SendingConfig(bitrate=96_000, peer_dred_ms=0), 0.2, 5.0)
    tight = settle(SendingConfig(bitrate=48_000, peer_dred_ms=0), 0.2, 5.0)
    assert (roomy.red_copies, tight.red_copies) == (2, 1)
    assert roomy.total_bitrate <= 96_000
    assert tight.total_bitrate <= 48_000


def test_the_copy_beside_dred_follows_after_most_bursts() -> None:
    config = SendingConfig(bitrate=48_000)
    plans = [settle(config, 0.2, burst) for burst in (1.45, 2.0, 3.0, 6.0)]
    assert [plan.red_distance for plan in plans] == [2, 3, 4, 4]
    long_packets = settle(replace(config, frame_ms=40), 0.2, 3.0)
    assert (long_packets.red_copies, long_packets.red_distance) == (1, 2)
    for plan in plans:
        assert plan.red_copies == 1
        assert plan.dred.reach_ms >= 240
        assert 46_000 < plan.total_bitrate <= 48_000


@pytest.mark.parametrize(
    ("mode", "bitrate", "means"),
    [
        ("none", 48_000, NONE),
        ("lbrr", 24_000, LBRR),
        ("lbrr", 48_000, LBRR),
        ("dred", 24_000, DRED),
        ("dred", 48_000, DRED),
        ("dred", 16_000, NONE),
        ("both", 32_000, BOTH),
        ("both", 48_000, BOTH),
        ("both", 24_000, LBRR),
    ],
)
@pytest.mark.parametrize("loss", [0.0, 0.03, 0.2])
def test_forced_modes_hold_whatever_the_network(mode: str, bitrate: int, means: Means, loss: float) -> None:
    plan = settle(SendingConfig(bitrate=bitrate, mode=mode), loss, 1.0 if loss else None)
    assert plan.means == means
    if mode == "none":
        assert plan == RedundancyPlan(bitrate=bitrate, frame_ms=20)


def test_the_loss_figure_has_a_floor_while_redundancy_is_wanted() -> None:
    assert settle(SendingConfig(bitrate=48_000, mode="dred"), 0.0, None).packet_loss_perc >= 10
    assert settle(SendingConfig(bitrate=48_000, mode="both"), 0.0, None).packet_loss_perc >= 20
    assert settle(SendingConfig(bitrate=48_000, mode="lbrr"), 0.0, None).packet_loss_perc >= 5


def test_longer_bursts_get_deeper_dred() -> None:
    config = SendingConfig(bitrate=64_000, mode="dred")
    reaches = [settle(config, 0.2, burst).dred.reach_ms for burst in (2.0, 5.0, 9.0)]
    assert reaches == sorted(set(reaches))


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="auto, none"):
        RedundancyPlanner(SendingConfig(mode="magic"))
    planner = RedundancyPlanner(SendingConfig())
    with pytest.raises(ConfigError):
        planner.reconfigure(SendingConfig(mode="magic"))
    assert planner.config.mode == "auto"


def test_new_settings_hold_at_once() -> None:
    planner = RedundancyPlanner(SendingConfig(bitrate=64_000))
    assert planner.plan(0.0).means == BOTH
    planner.reconfigure(SendingConfig(bitrate=24_000, peer_dred_ms=0))
    plan = planner.plan(0.02)
    assert (plan.means, plan.bitrate) == (LBRR, 24_000)


def test_history_tells_what_each_plan_rested_on() -> None:
    planner = RedundancyPlanner(SendingConfig(bitrate=48_000))
    planner.plan(0.0)
    for second in range(1, 10):
        planner.on_report(NetworkReport(float(second), 0.2, 5.0))
        planner.plan(float(second))
    first, *_, last = planner.history
    assert first.at == 0.0
    assert first.network.state == "unknown"
    assert last.network.mean_burst == pytest.approx(5.0)
    assert last.plan == planner.plan(10.0)


def test_bad_reports_are_counted() -> None:
    planner = RedundancyPlanner(SendingConfig())
    planner.on_report(NetworkReport(1.0, 7.0))
    planner.on_report(NetworkReport(1.0, 0.0))
    planner.on_report(NetworkReport(1.0, 0.0))
    assert planner.reports_ignored == 2


configs = st.builds(
    SendingConfig,
    bitrate=st.integers(6_000, 128_000),
    mode=st.sampled_from(sorted(MODES)),
    frame_ms=st.sampled_from([10, 20, 40, 60]),
    peer_fec=st.booleans(),
    peer_dred_ms=st.sampled_from([0, 10, 20, 30, 100, 480, 1040]),
    peer_red=st.booleans(),
)
report_lists = st.lists(
    st.tuples(
        st.floats(0.1, 20.0),
        st.one_of(st.just(0.0), st.floats(0.0, 1.0)),
        st.one_of(st.none(), st.floats(1.0, 50.0)),
    ),
    max_size=40,
)


def check_valid(plan: RedundancyPlan, config: SendingConfig) -> None:
    assert not plan.dred.one_chunk
    assert plan.dred.chunks >= 2 or plan.dred_duration_ms == 0
    assert plan.total_bitrate <= config.bitrate
    assert 0 <= plan.packet_loss_perc <= 100
    assert plan.dred_duration_ms % 10 == 0
    assert plan.dred_duration_ms <= min(config.peer_dred_ms, 1040)
    assert config.peer_fec or not plan.inband_fec
    assert config.peer_red or plan.red_copies == 0
    if config.mode == "auto" and config.bitrate < 16_000:
        assert plan.frame_ms == {10: 20, 20: 40, 40: 60, 60: 60}[config.frame_ms]
    else:
        assert plan.frame_ms == config.frame_ms


@given(config=configs, reports=report_lists)
def test_any_reports_give_valid_plans_that_last(
    config: SendingConfig, reports: list[tuple[float, float, float | None]]
) -> None:
    planner = RedundancyPlanner(config)
    now = 0.0
    check_valid(planner.plan(now), config)
    for interval, loss, burst in reports:
        for _ in range(4):
            now += interval / 4
            check_valid(planner.plan(now), config)
        planner.on_report(NetworkReport(now, loss, burst))
        check_valid(planner.plan(now), config)
    history = planner.history
    for before, after in pairwise(history):
        assert before.plan != after.plan
        if before.plan.means != NONE:
            assert after.at - before.at >= config.tuning.step_up_after
    # Coming back to what was left costs the dwell time, whatever came between; only to and
    # from "no redundancy" are there other rules, and a clean verdict takes longer than that.
    for before, between, after in zip(history, history[1:], history[2:], strict=False):
        if before.plan.means == after.plan.means != between.plan.means:
            assert after.at - before.at >= config.tuning.dwell


@given(
    config=configs,
    means=st.sampled_from([NONE, LBRR, DRED, BOTH, RED, COPIES]),
    loss=st.floats(0, 1),
    burst=st.one_of(st.none(), st.floats(1, 100)),
)
def test_what_fits_is_valid(config: SendingConfig, means: Means, loss: float, burst: float | None) -> None:
    plan = fit(means, loss, burst, config)
    if plan is not None:
        assert plan.means == means
        assert not plan.dred.one_chunk
        assert plan.total_bitrate <= config.bitrate
