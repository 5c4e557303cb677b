"""How libopus 1.6 divides the bits of a packet between speech, LBRR and DRED.

The application can't ask for a DRED depth: it gives the encoder a total rate, an
expected loss, FEC on or off and an upper bound, and the encoder works out the rest.
This module repeats that sum, so that the planner knows what it will get before it
asks. The rules are those of ``compute_dred_bitrate`` and ``decide_fec`` in
``src/opus_encoder.c``, for variable bitrate, which is what softphone sends.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from softphone.opus import Bandwidth

__all__ = [
    "CHUNK_MS",
    "DRED_DURATION_MAX_MS",
    "REACH_OFFSET_MS",
    "DredBudget",
    "lbrr_bandwidth",
    "max_chunks",
    "predict",
]

CHUNK_MS: Final = 40
"""Speech that one DRED chunk (a pair of latent vectors) describes, in ms."""

DRED_DURATION_MAX_MS: Final = 1040
"""Largest value of the encoder's DRED duration, in ms."""

REACH_OFFSET_MS: Final = 25
"""The newest chunk ends this far after the start of the packet that carries it."""

_MAX_CHUNKS: Final = 26

# Bits of one chunk at each of the 16 quantiser levels, finest first.
_CHUNK_BITS: Final = (
    73.2, 68.1, 62.5, 57.0, 51.5, 45.7, 39.9, 32.4, 26.4, 20.4, 16.3, 13.0, 9.3, 8.2, 7.2, 6.4,
)  # fmt: skip
_COARSEST: Final = 15
# Sixteenths of a quantiser level by which each older chunk is coarser: index 3 or 5 of the table.
_SLOPE_HIGH_RATE: Final = 4
_SLOPE: Final = 8
# Extension header, experimental tag and the initial decoder state.
_FIXED_BITS: Final = 8 * (3 + 2) + 50.0


# Rate in bit/s above which the encoder affords LBRR at each bandwidth, for no loss.
_LBRR_THRESHOLDS: Final = {
    Bandwidth.FULLBAND: 22_000,
    Bandwidth.SUPERWIDEBAND: 20_000,
    Bandwidth.WIDEBAND: 16_000,
    Bandwidth.MEDIUMBAND: 14_000,
    Bandwidth.NARROWBAND: 12_000,
}
_LBRR_HYSTERESIS: Final = 1_000


@dataclass(frozen=True, slots=True)
class DredBudget:
    """What the encoder will do about DRED with one set of parameters."""

    dred_bps: int
    """Rate taken from the main codec for DRED, in bit/s."""
    chunks: int
    """Chunks of 40 ms in each packet, 0..26."""
    reach_ms: int
    """How far before the start of its packet DRED describes the speech, in ms; 0 = none.
    Digital silence before the packet costs nothing and makes the real reach longer."""
    one_chunk: bool
    """True in the cells to avoid: the budget holds exactly one chunk, which the encoder
    sends without subtracting it from the main codec's rate. It reaches back 15 ms, less
    than a frame, so 5 to 17 kb/s over the target buy nothing."""


def max_chunks(dred_duration_ms: int) -> int:
    """Chunks that a DRED duration in ms allows at most, 0..26."""
    duration = dred_duration_ms // 10
    return min((duration + 5) // 4, _MAX_CHUNKS) if duration > 0 else 0


def predict(bitrate: int, loss_perc: int, fec: bool, dred_duration_ms: int, frame_ms: int) -> DredBudget:
    """Predict the DRED of an encoder with variable bitrate.

    `bitrate` is the encoder's total in bit/s, `loss_perc` its packet loss percentage
    (0..100), `fec` its in-band FEC switch, `dred_duration_ms` the upper bound (0..1040,
    a multiple of 10), `frame_ms` the packet length (10..60).
    """
    if dred_duration_ms < 10:
        return DredBudget(0, 0, 0, False)
    offset = 20_000 if fec else 12_000
    spare = bitrate - offset
    target_bps = max(0, int(_dred_fraction(loss_perc, fec, frame_ms) * np.float32(spare)))
    finest = min(_COARSEST, max(4, 51 - 3 * max(1, spare).bit_length()))
    slope = _SLOPE_HIGH_RATE if spare > 36_000 else _SLOPE
    target_bits = target_bps * frame_ms // 1000

    chunks = 0
    bits = _FIXED_BITS + _CHUNK_BITS[finest]
    for i in range(max_chunks(dred_duration_ms)):
        bits += _CHUNK_BITS[min(_COARSEST, finest + (slope * i + 8) // 16)]
        if bits < target_bits:
            chunks = i + 1
    if chunks < 2:
        return DredBudget(0, chunks, max(0, CHUNK_MS * chunks - REACH_OFFSET_MS), chunks == 1)
    dred_bps = min(target_bps, int(bits + 0.5) * 1000 // frame_ms)
    return DredBudget(dred_bps, chunks, CHUNK_MS * chunks - REACH_OFFSET_MS, False)


def lbrr_bandwidth(bitrate: int, loss_perc: int, frame_ms: int, complexity: int = 10) -> Bandwidth | None:
    """Widest audio bandwidth at which the encoder adds LBRR, None when it adds none.

    `bitrate` is what DRED leaves of the total, in bit/s. Above 5 % loss the encoder gives
    up bandwidth to make room for LBRR, so a narrow answer is a warning. LBRR then still
    exists only in packets with active speech.
    """
    if loss_perc <= 0:
        return None
    rate = bitrate
    if frame_ms < 20:
        rate -= 60 * (1000 // frame_ms - 50)
    rate = rate * (90 + complexity) // 100
    rate -= rate * loss_perc // (6 * loss_perc + 10)
    scale = (125 - min(loss_perc, 25)) / 100
    # Full band counts: which band the speaker really fills is the encoder's business.
    if loss_perc <= 5:
        enters = rate > (_LBRR_THRESHOLDS[Bandwidth.FULLBAND] + _LBRR_HYSTERESIS) * scale
        return Bandwidth.FULLBAND if enters else None
    if rate <= (_LBRR_THRESHOLDS[Bandwidth.NARROWBAND] + _LBRR_HYSTERESIS) * scale:
        return None
    for bandwidth, threshold in _LBRR_THRESHOLDS.items():
        # Once LBRR is on, its hysteresis works the other way.
        if rate > (threshold - _LBRR_HYSTERESIS) * scale:
            return bandwidth
    return None


def _dred_fraction(loss_perc: int, fec: bool, frame_ms: int) -> np.float32:
    """Share of the rate above the offset that goes to DRED; single precision as in libopus."""
    loss = np.float32(loss_perc)
    hundred = np.float32(100)
    if fec:
        fraction = min(np.float32(0.7), np.float32(3) * loss / hundred)
    elif loss_perc > 5:
        fraction = min(np.float32(0.8), np.float32(0.55) + loss / hundred)
    else:
        fraction = np.float32(12 * loss_perc) / hundred
    if fraction <= 0:
        return np.float32(0)
    longer = np.float32(frame_ms * 50) / np.float32(1000)
    return np.float32(fraction / (fraction + (np.float32(1) - fraction) * longer))
