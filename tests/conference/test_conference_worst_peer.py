"""One stream for everybody: for whose network it is made."""

from dataclasses import replace
from typing import Any

import pytest

from softphone.conference.worst_peer import LEAST_BITRATE, MOST_LOSS, STALE, WorstPeer
from softphone.sending import NetworkReport, SendingConfig
from softphone.webrtc import NegotiatedAudio

SOFTPHONE = NegotiatedAudio(
    opus_pt=111,
    red_pt=63,
    event_pt=110,
    receive_payload_types={111: "opus"},
    red_preferred=False,
    peer_dred_ms=1040,
    peer_sends_dred_ms=1040,
    peer_fec=True,
    peer_loss_reports=True,
    max_average_bitrate=128_000,
    stereo=False,
    cbr=False,
    dtx=True,
    max_playback_rate=48_000,
    ptime=20,
    direction="sendrecv",
    mid="0",
    extensions={},
)
BROWSER = replace(SOFTPHONE, peer_dred_ms=0, peer_loss_reports=False, max_average_bitrate=None)
PLAIN = replace(SOFTPHONE, peer_dred_ms=0, red_pt=None, max_average_bitrate=16_000)


def report(at: float, lost: float, **members: Any) -> NetworkReport:
    return NetworkReport(at=at, fraction_lost=lost, **members)


def settled(peers: dict[str, float], *, rounds: int = 20) -> WorstPeer:
    """After many reports of constant loss."""
    worst = WorstPeer()
    for number, peer in enumerate(peers):
        worst.add(peer, SOFTPHONE if number == 0 else BROWSER)
    for number in range(rounds):
        for offset, (peer, lost) in enumerate(peers.items()):
            worst.on_report(peer, report(number + offset / 10, lost))
    return worst


@pytest.mark.parametrize(
    ("losses", "worst", "planned"),
    [
        ({"a": 0.0, "b": 0.0}, None, 0.0),
        ({"a": 0.1, "b": 0.0}, "a", 0.1),
        ({"a": 0.1, "b": 0.3}, "b", 0.3),
        ({"a": 0.2, "b": 0.21}, "a", 0.2),  # as good as the same: stay
        ({"a": 0.1, "b": 0.9}, "b", MOST_LOSS),
    ],
)
def test_the_plan_is_made_for_who_loses_most(
    losses: dict[str, float], worst: str | None, planned: float
) -> None:
    peers = settled(losses)
    assert peers.worst == worst
    merged = peers.on_report("a", report(100.0, losses["a"]))
    assert merged is not None
    if worst == "a" or worst is None:
        assert merged.fraction_lost == pytest.approx(planned)
    else:
        merged = peers.on_report("b", report(100.1, losses["b"]))
        assert merged is not None
        assert merged.fraction_lost == pytest.approx(planned)


def test_bursts_are_those_of_the_worst_and_not_of_the_last_to_report() -> None:
    peers = settled({"a": 0.2, "b": 0.0})
    peers.on_report("a", report(50.0, 0.2, mean_burst=4.0))
    merged = peers.on_report("b", report(50.5, 0.0))
    assert merged is not None
    assert (merged.at, merged.fraction_lost, merged.mean_burst) == (50.5, 0.2, 4.0)


def test_abilities_are_those_of_the_worst_peer() -> None:
    config = SendingConfig()
    assert settled({"a": 0.2, "b": 0.0}).fit(config).peer_dred_ms == 1040
    assert settled({"a": 0.0, "b": 0.2}).fit(config).peer_dred_ms == 0, "a browser can't use DRED"
    assert settled({"a": 0.0, "b": 0.0}).fit(config).peer_dred_ms == 1040, "whoever comes to need it"


def test_limits_of_the_rate() -> None:
    worst = WorstPeer()
    assert worst.fit(SendingConfig()).bitrate == 48_000
    worst.add("a", SOFTPHONE)
    worst.add("b", PLAIN)
    fitted = worst.fit(SendingConfig())
    assert fitted.bitrate == LEAST_BITRATE, "one who asks for less does not spoil it for all"
    assert fitted.congestion.min_payload_bps == LEAST_BITRATE
    worst.remove("b")
    assert worst.fit(SendingConfig()).bitrate == 48_000


def test_the_longest_queue_counts_wherever_it_is() -> None:
    peers = settled({"a": 0.0, "b": 0.0})
    peers.on_report("a", report(50.0, 0.0, queueing_delay=0.2, delay_trend=0.1, received_bps=30_000.0))
    merged = peers.on_report("b", report(50.5, 0.0, round_trip=0.05))
    assert merged is not None
    assert (merged.queueing_delay, merged.delay_trend, merged.received_bps) == (0.2, 0.1, 30_000.0)
    merged = peers.on_report("b", report(51.0, 0.0, round_trip=0.65))
    assert merged is not None
    assert merged.queueing_delay == pytest.approx(0.3), "half of the round trip above its shortest"
    merged = peers.on_report("a", report(51.5, 0.0, queueing_delay=0.0))
    assert merged is not None
    assert merged.queueing_delay == pytest.approx(0.3)


def test_old_reports_and_those_who_left_do_not_count() -> None:
    peers = settled({"a": 0.0, "b": 0.3})
    merged = peers.on_report("a", report(20.0 + STALE, 0.0))
    assert merged is not None
    assert peers.worst is None
    assert merged.fraction_lost == 0.0
    peers = settled({"a": 0.05, "b": 0.3})
    peers.remove("b")
    assert peers.worst == "a"
    assert peers.on_report("b", report(90.0, 0.9)) is None


def test_nonsense_is_dropped() -> None:
    peers = settled({"a": 0.0})
    assert peers.on_report("a", report(90.0, 1.5)) is None
    assert peers.on_report("a", report(5.0, 0.5)) is None, "older than the last"
    assert peers.on_report("nobody", report(99.0, 0.5)) is None


def test_packets_are_as_long_as_everybody_takes_them() -> None:
    worst = WorstPeer()
    worst.add("phone", SOFTPHONE)
    assert worst.fit(SendingConfig()).max_frame_ms == SendingConfig().max_frame_ms
    worst.add("small", replace(SOFTPHONE, max_ptime=20))
    assert worst.fit(SendingConfig(frame_ms=40)).max_frame_ms == 20
    assert worst.fit(SendingConfig(frame_ms=40)).frame_ms == 20
