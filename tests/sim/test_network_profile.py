"""Profiles: validation, names, and the short strings of command lines."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.errors import ConfigError, MediaFileError
from softphone.sim.network import (
    CrossTraffic,
    GilbertElliott,
    Handovers,
    JitterDistribution,
    MarkovLoss,
    NetworkProfile,
    Outage,
    OutageMode,
    PeriodicOutage,
    Stalls,
    parse_profile,
    profile_names,
    register_profile,
)
from softphone.sim.trace import PacketTrace


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NetworkProfile(delay=-0.01), "delay must be a time"),
        (lambda: NetworkProfile(jitter=float("nan")), "jitter must be a time"),
        (lambda: NetworkProfile(loss=1.1), "loss must be between 0 and 1"),
        (lambda: NetworkProfile(duplicate=-0.1), "duplicate must be"),
        (lambda: NetworkProfile(jitter_correlation=1.0), "correlation"),
        (lambda: NetworkProfile(rate=0), "rate must be greater"),
        (lambda: NetworkProfile(cross_traffic=CrossTraffic(1e6, 1, 1)), "needs a bottleneck"),
        (lambda: NetworkProfile(drift=0.5), "drift"),
        (lambda: NetworkProfile(timeline=((2.0, NetworkProfile()), (1.0, NetworkProfile()))), "ascending"),
        (
            lambda: NetworkProfile(timeline=((1.0, NetworkProfile(timeline=((2.0, NetworkProfile()),))),)),
            "of its own",
        ),
        (lambda: GilbertElliott(1.2, 0.1), "Gilbert-Elliott p"),
        (lambda: GilbertElliott.from_mean(0.8, 2), "impossible"),
        (lambda: GilbertElliott.from_mean(0.1, 0.5), "impossible"),
        (lambda: GilbertElliott.from_mean(1.0, 5), "impossible"),
        (lambda: MarkovLoss(((0.5, 0.4), (0.5, 0.5)), (0, 1)), "sum to 1"),
        (lambda: MarkovLoss(((1.0,),), (0, 1)), "n rows"),
        (
            lambda: MarkovLoss.three_state(burst_rate=0.1, burst=0.5, gap_rate=0.1, gap=5, gap_loss=0.1),
            "at least one packet",
        ),
        (lambda: Outage(1.0, 0.0), "length of an outage"),
        (lambda: PeriodicOutage(1.0, 1.5), "longer than an outage"),
        (lambda: Stalls(1.0, 0.3, 0.2), "longest stall"),
        (lambda: Stalls(0.0, 0.1, 0.2), "interval of stalls"),
        (lambda: Handovers(1.0, -0.1, 0.1), "outage of handovers"),
        (lambda: CrossTraffic(1e6, 0, 1), "cross traffic on"),
    ],
)
def test_impossible_profiles(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_gilbert_from_mean() -> None:
    model = GilbertElliott.from_mean(0.2, 4)
    assert model.r == 0.25
    assert model.p / (model.p + model.r) == pytest.approx(0.2)


@given(
    burst_rate=st.floats(0, 0.5),
    gap_rate=st.floats(0, 0.5),
    burst=st.floats(1, 100),
    gap=st.floats(1, 100),
    gap_loss=st.floats(0, 1),
)
def test_three_states_always_make_a_chain(
    burst_rate: float, gap_rate: float, burst: float, gap: float, gap_loss: float
) -> None:
    MarkovLoss.three_state(burst_rate=burst_rate, burst=burst, gap_rate=gap_rate, gap=gap, gap_loss=gap_loss)


def test_the_promised_names_exist() -> None:
    promised = (
        "clean wifi lte 3g congested bursty20 bursty30 random10 random20 spikes outage400 jitter80 perfect"
    )
    assert set(promised.split()) <= set(profile_names())
    for name in profile_names():
        assert isinstance(parse_profile(name), NetworkProfile)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", NetworkProfile()),
        ("loss=20", NetworkProfile(loss=0.2)),
        ("bursty20", parse_profile("bursty20")),
        (
            "loss=20,burst=3,delay=40,jitter=10",
            NetworkProfile(delay=0.04, jitter=0.01, loss_model=GilbertElliott.from_mean(0.2, 3)),
        ),
        (
            " delay = 5 , dist=uniform, corr=0.5, order=no",
            NetworkProfile(
                delay=0.005,
                jitter_distribution=JitterDistribution.UNIFORM,
                jitter_correlation=0.5,
                keep_order=False,
            ),
        ),
        ("ge=2:30", NetworkProfile(loss_model=GilbertElliott(0.02, 0.3))),
        ("ge=2:30:1:80", NetworkProfile(loss_model=GilbertElliott(0.02, 0.3, 0.01, 0.8))),
        ("reorder=5,gap=40,dup=1", NetworkProfile(reorder=0.05, reorder_delay=0.04, duplicate=0.01)),
        (
            "rate=200,queue=500,cross=300:2:3",
            NetworkProfile(rate=200_000, queue=0.5, cross_traffic=CrossTraffic(300_000, 2, 3)),
        ),
        (
            "outage=3:400,outage=6:200:hold",
            NetworkProfile(outages=(Outage(3, 0.4), Outage(6, 0.2, OutageMode.HOLD))),
        ),
        ("period=5:400:drop", NetworkProfile(periodic_outage=PeriodicOutage(5, 0.4))),
        ("stalls=4:150:350", NetworkProfile(stalls=Stalls(4, 0.15, 0.35))),
        ("handover=8:100:50", NetworkProfile(handovers=Handovers(8, 0.1, 0.05))),
        ("drift=1", NetworkProfile(drift=0.001)),
    ],
)
def test_strings(text: str, expected: NetworkProfile) -> None:
    assert parse_profile(text) == expected


def test_settings_change_a_named_profile() -> None:
    lte = parse_profile("lte")
    slower = parse_profile("lte,delay=200")
    assert slower.delay == 0.2
    assert slower.handovers == lte.handovers
    changed = parse_profile("bursty20,loss=5")
    assert (changed.loss, changed.loss_model) == (0.05, None)


def test_trace_in_a_string(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    PacketTrace([0.03, 0.05]).save(path)
    trace = parse_profile(f"trace={path}").trace
    assert trace is not None
    assert list(trace) == pytest.approx([0.03, 0.05])
    with pytest.raises(MediaFileError):
        parse_profile(f"trace={tmp_path / 'none.csv'}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "no network profile is called 'nonsense'"),
        ("delay=40,lte", "no network setting"),
        ("delya=40", "no network setting"),
        ("delay=forty", "delay= takes a number"),
        ("burst=3", "needs loss="),
        ("dist=weird", "dist= takes"),
        ("order=maybe", "order= takes"),
        ("ge=1", "ge= takes"),
        ("cross=1:2", "cross= takes"),
        ("outage=1", "outage= takes"),
        ("period=5:100:later", "period= takes"),
        ("loss=120", "loss must be between"),
        ("loss=80,burst=2", "impossible"),
    ],
)
def test_wrong_strings(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_profile(text)


@given(st.text(max_size=60) | st.from_regex(r"[a-z]{3,6}=[-0-9.:a-z]{0,12}(,[a-z]{3,6}=[0-9:]{1,5})?"))
@settings(max_examples=60)
def test_any_string_gives_a_profile_or_an_error_of_ours(text: str) -> None:
    try:
        profile = parse_profile(text)
    except (ConfigError, MediaFileError):
        return
    assert isinstance(profile, NetworkProfile)


@pytest.mark.parametrize("name", ["", "a=b", "a,b", " a", "clean"])
def test_unusable_or_taken_names(name: str) -> None:
    with pytest.raises(ConfigError):
        register_profile(name, NetworkProfile())
