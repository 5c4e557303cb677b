"""The prediction of the encoder's bit split against the encoder itself."""

from statistics import mean, median

import numpy as np
import pytest
from numpy.typing import NDArray

from softphone.opus import Bandwidth, DredState, Encoder, capabilities, has_lbrr
from softphone.sending.budget import CHUNK_MS, lbrr_bandwidth, max_chunks, predict
from softphone.sending.inspection import dred_bytes

needs_dred = pytest.mark.skipif(not capabilities().dred, reason="libopus without DRED")

COMPLEXITY = 2
"""Fast, and without influence on DRED."""

WARM_UP_SECONDS = 1.2
"""The encoder needs a second of speech before it can describe one."""


class Measured:
    """What a real encoder did with one set of parameters."""

    def __init__(
        self,
        voice: NDArray[np.float32],
        bitrate: int,
        loss_perc: int,
        fec: bool,
        duration: int,
        frame_ms: int,
    ) -> None:
        encoder = Encoder()
        encoder.complexity = COMPLEXITY
        encoder.bitrate = bitrate
        encoder.packet_loss_perc = loss_perc
        encoder.inband_fec = fec
        encoder.dred_duration_ms = duration
        state = DredState()
        samples = frame_ms * 48
        packets = [
            encoder.encode(voice[i : i + samples]) for i in range(0, voice.size - samples + 1, samples)
        ]
        packets = packets[int(WARM_UP_SECONDS * 1000 / frame_ms) :]
        self.reach_ms = median(state.parse(packet, 48_000) / 48 for packet in packets)
        self.bps = 8000 * mean(map(len, packets)) / frame_ms
        self.dred_bps = 8000 * mean(map(dred_bytes, packets)) / frame_ms
        self.lbrr_share = mean(map(has_lbrr, packets))


@needs_dred
@pytest.mark.parametrize("frame_ms", [10, 20])
@pytest.mark.parametrize("fec", [False, True])
@pytest.mark.parametrize("loss_perc", [0, 1, 5, 10, 20, 30])
def test_reach_is_predicted_within_one_chunk(
    voice: NDArray[np.float32], frame_ms: int, fec: bool, loss_perc: int
) -> None:
    for bitrate in (16_000, 20_000, 24_000, 32_000, 48_000, 64_000, 96_000):
        budget = predict(bitrate, loss_perc, fec, 1000, frame_ms)
        measured = Measured(voice, bitrate, loss_perc, fec, 1000, frame_ms)
        assert abs(measured.reach_ms - budget.reach_ms) <= CHUNK_MS, (bitrate, budget, measured.reach_ms)
        assert (measured.dred_bps > 0) == (budget.chunks > 0), (bitrate, budget)


@needs_dred
@pytest.mark.parametrize("frame_ms", [40, 60])
@pytest.mark.parametrize("fec", [False, True])
def test_long_packets_reach_about_as_far_as_predicted(
    voice: NDArray[np.float32], frame_ms: int, fec: bool
) -> None:
    # In packets of several frames DRED gets what the first frame left: its depth varies.
    for bitrate in (32_000, 48_000, 64_000):
        budget = predict(bitrate, 20, fec, 1000, frame_ms)
        measured = Measured(voice, bitrate, 20, fec, 1000, frame_ms)
        assert budget.chunks >= 2
        assert abs(measured.reach_ms - budget.reach_ms) <= 3 * CHUNK_MS, (bitrate, budget, measured.reach_ms)


@needs_dred
@pytest.mark.parametrize(
    ("bitrate", "loss_perc", "fec", "frame_ms"),
    [
        (24_000, 5, False, 20),
        (32_000, 20, True, 20),
        (28_000, 30, True, 20),
        (56_000, 10, True, 20),
        (96_000, 1, False, 20),
        (32_000, 20, False, 10),
    ],
)
def test_one_chunk_cells_are_found_and_cost_more_than_the_target(
    voice: NDArray[np.float32], bitrate: int, loss_perc: int, fec: bool, frame_ms: int
) -> None:
    assert predict(bitrate, loss_perc, fec, 1000, frame_ms).one_chunk
    measured = Measured(voice, bitrate, loss_perc, fec, 1000, frame_ms)
    without = Measured(voice, bitrate, loss_perc, fec, 0, frame_ms)
    assert measured.bps > without.bps + 4_000
    assert measured.reach_ms <= CHUNK_MS


@needs_dred
@pytest.mark.parametrize("duration", [30, 70, 110, 230, 390])
def test_duration_bounds_the_reach(voice: NDArray[np.float32], duration: int) -> None:
    budget = predict(64_000, 20, False, duration, 20)
    assert budget.chunks == max_chunks(duration)
    measured = Measured(voice, 64_000, 20, False, duration, 20)
    assert abs(measured.reach_ms - budget.reach_ms) <= CHUNK_MS


@pytest.mark.parametrize(
    ("bitrate", "loss_perc", "fec", "duration", "frame_ms", "reach_ms"),
    [
        (24_000, 10, False, 1000, 20, 55),
        (24_000, 20, False, 1000, 20, 135),
        (32_000, 20, False, 1000, 20, 175),
        (40_000, 10, False, 1000, 20, 335),
        (48_000, 20, False, 1000, 20, 455),
        (48_000, 20, True, 1000, 20, 255),
        (64_000, 30, True, 1000, 20, 375),
        (48_000, 10, True, 1000, 20, 0),
        (48_000, 0, False, 1000, 20, 0),
        (48_000, 20, False, 0, 20, 0),
        (16_000, 30, False, 1000, 20, 0),
        (32_000, 20, False, 1040, 60, 1015),
    ],
)
def test_known_reaches(
    bitrate: int, loss_perc: int, fec: bool, duration: int, frame_ms: int, reach_ms: int
) -> None:
    budget = predict(bitrate, loss_perc, fec, duration, frame_ms)
    assert (budget.reach_ms, budget.one_chunk) == (reach_ms, False)


def test_dred_never_takes_more_than_the_rate() -> None:
    for bitrate in range(6_000, 128_000, 1_000):
        for loss_perc in range(0, 101, 5):
            for fec in (False, True):
                assert 0 <= predict(bitrate, loss_perc, fec, 1040, 20).dred_bps < bitrate


@pytest.mark.parametrize("loss_perc", [1, 5, 10, 20, 30])
def test_lbrr_is_predicted(voice: NDArray[np.float32], loss_perc: int) -> None:
    for bitrate in (12_000, 16_000, 20_000, 24_000, 28_000, 32_000, 48_000):
        expected = lbrr_bandwidth(bitrate, loss_perc, 20, complexity=COMPLEXITY)
        measured = Measured(voice, bitrate, loss_perc, True, 0, 20)
        assert (measured.lbrr_share > 0.2) == (expected is not None), (bitrate, expected)


def test_lbrr_gives_up_bandwidth_at_low_rates() -> None:
    assert lbrr_bandwidth(48_000, 10, 20) is Bandwidth.FULLBAND
    assert lbrr_bandwidth(20_000, 10, 20) is Bandwidth.MEDIUMBAND
    assert lbrr_bandwidth(28_000, 5, 20) is None
    assert lbrr_bandwidth(48_000, 0, 20) is None
