"""Measures what each source of a frame costs: ``python -m softphone_onnx_playout.training.calibrate``.

Real speech goes through the real encoder, loses bursts of known length, and is repaired
by one kind of redundancy with all the time it needs. PLCMOS (quality) and STOI (words)
of what is heard are fitted as a sum over the active frames: so much for the first 20 ms
of a hole, so much for the next, so much for each frame made of LBRR or DRED.

Prints the table and writes it as JSON (``--output``), in R·s per second of such audio.
Needs the scoring models (``pip install 'softphone[bench]'``). About five minutes on one core.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.audio.files import read_file
from softphone.data import sample_speech
from softphone.playout import PlayoutConfig, Source
from softphone.playout.trace import TraceRecord
from softphone.sending import SendingConfig
from softphone.sim.call import OneWayCall, SimulationConfig, simulate_call
from softphone.sim.scoring import align, plcmos, speech_activity, stoi
from softphone.sim.trace import PacketTrace
from softphone_onnx_playout.e_model import mos_to_r

__all__ = ["POSITIONS", "STOI_WEIGHT", "fit_costs", "main"]

POSITIONS = (0.0, 0.02, 0.04, 0.08, 0.16)
"""Edges of the positions within a run of concealment that are told apart, seconds."""

STOI_WEIGHT = 50.0
"""R for one unit of STOI: where 0.2 less of it (from all words to about half of them in
short sentences) is taken to be worth 10 R, beside what PLCMOS says of the sound."""

_PATIENCE = 1.3
_BURSTS = (1, 2, 3, 5, 8, 15)
_DENSITIES = (0.10, 0.25)
_SOURCES = (*(f"plc_{1000 * edge:.0f}" for edge in POSITIONS), "lbrr", "dred")
_RATE = ("rate_lbrr", "rate_dred")
"""What redundancy takes from the rate of the speech itself: fitted, but no cost of playout."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One call: what it was made of and what that did to it."""

    mode: str
    burst: int
    density: float
    shares: NDArray[np.float64]
    """Active speech made by each of the columns, as a share of all active speech."""
    quality: float
    """Loss of R by PLCMOS."""
    words: float
    """Loss of STOI."""


def measure(speech: NDArray[np.float32], bitrate: int, seed: int) -> Iterator[Measurement]:
    """Calls over one clip with every kind of redundancy and length of burst."""
    clean = _call(speech, "none", bitrate, PacketTrace.perfect())
    best = _scores(speech, clean)
    active = speech_activity(speech)
    for mode in ("none", "lbrr", "dred"):
        for burst, density in product(_BURSTS[:1] if mode == "lbrr" else _BURSTS, _DENSITIES):
            trace = _bursts(burst, density, speech.size // 960, seed)
            call = _call(speech, mode, bitrate, trace)
            quality, words = _scores(speech, call)
            shares = _shares(call.records, active)
            yield Measurement(mode, burst, density, shares, best[0] - quality, best[1] - words)


def fit_costs(measurements: list[Measurement]) -> dict[str, float]:
    """R per second of audio of each column, by non-negative least squares."""
    nnls = import_module("scipy.optimize").nnls
    shares = np.array(
        [[*each.shares, float(each.mode == "lbrr"), float(each.mode == "dred")] for each in measurements]
    )
    loss = np.array([each.quality + STOI_WEIGHT * each.words for each in measurements])
    costs, _ = nnls(shares, loss)
    return dict(zip(_SOURCES + _RATE, (round(float(cost), 1) for cost in costs), strict=True))


def _call(speech: NDArray[np.float32], mode: str, bitrate: int, trace: PacketTrace) -> OneWayCall:
    config = SimulationConfig(
        SendingConfig(bitrate=bitrate, mode=mode), PlayoutConfig(policy="fixed", max_delay=_PATIENCE), trace
    )
    return simulate_call(speech, config)


def _bursts(length: int, density: float, packets: int, seed: int) -> PacketTrace:
    """Bursts of one length at random places, a share ``density`` of all packets."""
    rng = np.random.default_rng((seed, length))
    delays = np.zeros(packets)
    cycle = round(length / density)
    for start in range(0, packets - cycle, cycle):
        first = start + int(rng.integers(0, cycle - length))
        delays[first : first + length] = np.nan
    return PacketTrace(delays)


def _scores(speech: NDArray[np.float32], call: OneWayCall) -> tuple[float, float]:
    sent, heard = align(speech, call.heard, max_delay=2.0)
    return float(mos_to_r(plcmos(heard))), stoi(sent, heard)


def _shares(records: list[TraceRecord], active: NDArray[np.bool_]) -> NDArray[np.float64]:
    seconds = np.zeros(len(_SOURCES))
    total = run = 0.0
    for record in records:
        length = record.samples / 48_000
        spoken = active[record.timestamp // 480 : (record.timestamp + record.media) // 480]
        weight = length * (float(spoken.mean()) if spoken.size else 0.0)
        total += weight
        if record.source.is_concealment:
            seconds[int(np.searchsorted(POSITIONS, run + 1e-9, "right")) - 1] += weight
            run += length
            continue
        run = 0.0
        if record.source is Source.LBRR:
            seconds[-2] += weight
        elif record.source is Source.DRED:
            seconds[-1] += weight
    return seconds / max(total, 1e-9)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--speech", type=Path, help="folder of WAV or FLAC clips (default: the shipped sample)"
    )
    parser.add_argument("--clips", type=int, default=8, help="at most so many clips (default 8)")
    parser.add_argument("--bitrate", type=int, default=48_000, help="bit/s (default 48000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write the costs as JSON")
    args = parser.parse_args(arguments)
    folder = sorted(args.speech.glob("*.flac")) + sorted(args.speech.glob("*.wav")) if args.speech else []
    clips = folder[:: max(1, len(folder) // args.clips)][: args.clips] or [sample_speech()]
    measurements: list[Measurement] = []
    for number, clip in enumerate(clips):
        measurements += measure(read_file(str(clip)), args.bitrate, args.seed + number)
        print(f"{clip.name}: {len(measurements)} calls measured", file=sys.stderr, flush=True)
    print("| redundancy | burst | lost | PLCMOS loss as R | STOI loss |\n|---|---|---|---|---|")
    for kind in sorted({(each.mode, each.burst, each.density) for each in measurements}):
        group = [each for each in measurements if (each.mode, each.burst, each.density) == kind]
        quality = np.mean([each.quality for each in group])
        words = np.mean([each.words for each in group])
        print(f"| {kind[0]} | {kind[1]} | {kind[2]:.0%} | {quality:.1f} | {words:.3f} |")
    costs = fit_costs(measurements)
    print(json.dumps(costs, indent=1))
    if args.output:
        args.output.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
