"""The length of packets and what headers leave."""

import pytest

from softphone.sending import CongestionTuning, SendingConfig
from softphone.sending.framing import FrameLengthChoice, overhead_bps


@pytest.mark.parametrize(("frame_ms", "overhead"), [(10, 40_000), (20, 20_000), (40, 10_000), (60, 6_666)])
def test_headers(frame_ms: int, overhead: int) -> None:
    assert overhead_bps(frame_ms) == overhead


@pytest.mark.parametrize(
    ("config", "wire", "frame_ms", "payload"),
    [
        (SendingConfig(), 68_000, 20, 48_000),
        (SendingConfig(), 100_000, 20, 48_000),
        (SendingConfig(), 36_000, 20, 16_000),
        (SendingConfig(), 34_000, 40, 24_000),
        (SendingConfig(), 26_000, 40, 16_000),
        (SendingConfig(), 24_000, 60, 17_334),
        (SendingConfig(max_frame_ms=40), 24_000, 40, 14_000),
        (SendingConfig(frame_ms=60), 24_000, 60, 17_334),
        # A low rate by choice.
        (SendingConfig(bitrate=16_000), 36_000, 20, 16_000),
        (SendingConfig(bitrate=12_000), 32_000, 40, 12_000),
        (SendingConfig(bitrate=12_000, max_frame_ms=20), 32_000, 20, 12_000),
    ],
)
def test_lengths(config: SendingConfig, wire: int, frame_ms: int, payload: int) -> None:
    assert FrameLengthChoice(config).choose(wire, 0.0) == (frame_ms, payload)


def test_longer_at_once_and_shorter_after_a_while() -> None:
    choice = FrameLengthChoice(SendingConfig())
    rates = [
        (0.0, 68_000),
        (1.0, 30_000),
        (2.0, 24_000),
        (3.0, 68_000),
        (16.9, 68_000),
        (17.1, 38_000),
        (17.2, 68_000),
    ]
    lengths = [choice.choose(rate, now)[0] for now, rate in rates]
    assert lengths == [20, 40, 60, 60, 60, 40, 40]
    assert choice.choose(68_000, 33.0)[0] == 20


def test_a_rate_at_the_border_doesnt_flap() -> None:
    choice = FrameLengthChoice(SendingConfig())
    lengths = [
        choice.choose(36_000 + (500 if second % 2 else -500), float(second))[0] for second in range(200)
    ]
    assert lengths == [40] * 200


def test_the_least_rate() -> None:
    assert FrameLengthChoice(SendingConfig()).least_wire_bps == 22_666
    assert FrameLengthChoice(SendingConfig(bitrate=10_000)).least_wire_bps == 16_666


def test_more_may_be_left_to_speech() -> None:
    """As in a room, where one bad path must not spoil it for all."""
    choice = FrameLengthChoice(SendingConfig(congestion=CongestionTuning(min_payload_bps=24_000)))
    assert choice.least_wire_bps == 30_666
    lengths = [choice.choose(wire, 20.0 * number) for number, wire in enumerate((44_000, 43_000, 30_666))]
    assert lengths == [(20, 24_000), (40, 33_000), (60, 24_000)]
