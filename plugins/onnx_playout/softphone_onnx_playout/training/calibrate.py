"""Measures what playout costs: ``python -m softphone_onnx_playout.training.calibrate``.

Real speech goes through the real encoder and playout core and is damaged in one way only:
bursts of lost packets concealed, or repaired by one kind of redundancy with all the time it
needs, or passed over; waits while the speech is there; changes of tempo. What is heard is
scored twice: PLCMOS says how it sounds, STOI, after each frame was put back to where it
belongs in time, which words are left. Both are fitted as sums over the active frames: so
much for the first 20 ms of a hole, so much for the next, for each frame made of LBRR or DRED,
each frame passed over, each change of tempo.

Prints the tables and writes the prices as JSON (``--output``), in R·s per second of such
audio, and per change of tempo. Needs the scoring models (``pip install 'softphone[bench]'``).
About ten minutes on one core.
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
from softphone.playout import PlayoutConfig, PlayoutPolicy, Source
from softphone.playout.frames import Action
from softphone.playout.trace import TraceRecord
from softphone.sending import SendingConfig
from softphone.sim.call import OneWayCall, SimulationConfig, simulate_call
from softphone.sim.scoring import align, plcmos, speech_activity, stoi
from softphone.sim.trace import PacketTrace
from softphone_onnx_playout.e_model import mos_to_r
from softphone_onnx_playout.training.scripts import PATIENCE, Skipping, Tempo, Waiting

__all__ = ["COLUMNS", "POSITIONS", "STOI_WEIGHT", "fit_costs", "main"]

POSITIONS = (0.0, 0.02, 0.04, 0.08, 0.16)
"""Edges of the positions within a run of concealment that are told apart, seconds."""

STOI_WEIGHT = 50.0
"""R for one unit of STOI: where 0.2 less of it (from all words to about half of them in
short sentences) is taken to be worth 10 R, beside what PLCMOS says of the sound."""

_BURSTS = (1, 2, 3, 5, 8, 15)
_DENSITIES = (0.10, 0.25)
_SKIP_DENSITIES = (0.05, 0.10)
_RUNS = tuple(f"{1000 * edge:.0f}" for edge in POSITIONS)
COLUMNS = (
    *(f"plc_{run}" for run in _RUNS),
    *(f"wait_{run}" for run in _RUNS),
    "lbrr",
    "dred",
    "skip",
    "tempo",
)
"""What is told apart; ``plc`` and ``wait`` by the position in the run, milliseconds."""
_RATE = ("rate_lbrr", "rate_dred")
"""What redundancy takes from the rate of the speech itself: fitted, but no cost of playout."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One call: what it was made of and what that did to it."""

    kind: str
    length: int
    density: float
    shares: NDArray[np.float64]
    """`COLUMNS`: seconds, or changes of tempo, per second of active speech."""
    quality: float
    """Loss of R by PLCMOS."""
    words: float
    """Loss of STOI."""


def measure(speech: NDArray[np.float32], bitrate: int, seed: int) -> Iterator[Measurement]:
    """Calls over one clip with every kind of damage."""
    # The call goes on until the last word is heard, however patient the listener.
    speech = np.append(speech, np.zeros(round(PATIENCE * 48_000), np.float32))
    active = speech_activity(speech)
    packets = speech.size // 960
    clean = _call(speech, "none", bitrate, PacketTrace.perfect())
    best = _scores(speech, clean)

    def measured(kind: str, length: int, density: float, call: OneWayCall) -> Measurement:
        quality, words = _scores(speech, call)
        shares = _shares(call.records, active)
        return Measurement(kind, length, density, shares, best[0] - quality, best[1] - words)

    for mode in ("none", "lbrr", "dred"):
        for burst, density in product(_BURSTS[:1] if mode == "lbrr" else _BURSTS, _DENSITIES):
            trace = _bursts(burst, density, packets, seed)
            yield measured(mode, burst, density, _call(speech, mode, bitrate, trace))
    for burst, density in product(_BURSTS, _SKIP_DENSITIES):
        call = _call(speech, "dred", bitrate, _bursts(burst, density, packets, seed), Skipping())
        yield measured("skip", burst, density, call)
    for burst, density in product(_BURSTS, _DENSITIES):
        holes = np.isnan(_bursts(burst, density, packets, seed).delays)
        yield measured(
            "wait", burst, density, _call(speech, "none", bitrate, PacketTrace.perfect(), Waiting(holes))
        )
    for every in (1, 2, 4):
        yield measured(
            "tempo", every, 0.0, _call(speech, "none", bitrate, PacketTrace.perfect(), Tempo(every))
        )


def fit_costs(measurements: list[Measurement]) -> tuple[dict[str, float], dict[str, float]]:
    """R by sound, and R by words, of each column, by non-negative least squares."""
    nnls = import_module("scipy.optimize").nnls
    shares = np.array(
        [
            [*each.shares, float(each.kind == "lbrr"), float(each.kind in ("dred", "skip"))]
            for each in measurements
        ]
    )
    quality = np.array([each.quality for each in measurements])
    words = STOI_WEIGHT * np.array([each.words for each in measurements])
    names = COLUMNS + _RATE
    fits = (nnls(shares, loss)[0] for loss in (quality, words))
    sound, lost = ({name: float(cost) for name, cost in zip(names, fit, strict=True)} for fit in fits)
    return sound, lost


def _call(
    speech: NDArray[np.float32],
    mode: str,
    bitrate: int,
    trace: PacketTrace,
    policy: PlayoutPolicy | None = None,
) -> OneWayCall:
    config = SimulationConfig(
        SendingConfig(bitrate=bitrate, mode=mode), PlayoutConfig(policy="fixed", max_delay=PATIENCE), trace
    )
    return simulate_call(speech, config, policy)


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
    sent, kept = align(speech, _in_place(call, speech.size), max_delay=0.1)
    return float(mos_to_r(plcmos(call.heard))), stoi(sent, kept)


def _in_place(call: OneWayCall, samples: int) -> NDArray[np.float32]:
    """What was heard, each frame back in its own time, silence where nothing was."""
    placed = np.zeros(samples + 960, np.float32)
    for record in call.records:
        if not record.media or not record.samples or record.timestamp >= samples:
            continue
        first = round(record.time * 48_000)
        heard = call.heard[first : first + record.samples]
        if heard.size != record.media and heard.size:
            places = np.linspace(0, heard.size - 1, record.media)
            heard = np.interp(places, np.arange(heard.size), heard).astype(np.float32)
        placed[record.timestamp : record.timestamp + heard.size] = heard[: placed.size - record.timestamp]
    return placed[:samples]


def _shares(records: list[TraceRecord], active: NDArray[np.bool_]) -> NDArray[np.float64]:
    seconds = dict.fromkeys(COLUMNS, 0.0)
    total = run = 0.0
    for record in records:
        first = record.timestamp // 480
        spoken = active[first : first + max(1, record.media // 480)]
        share = float(spoken.mean()) if spoken.size else 0.0
        audio, media = record.samples / 48_000, record.media / 48_000
        total += media * share
        position = _RUNS[int(np.searchsorted(POSITIONS, run + 1e-9, "right")) - 1]
        if record.action is Action.SKIP:
            seconds["skip"] += media * share
        elif record.action is Action.WAIT:
            seconds[f"wait_{position}"] += audio * share
            run += audio
        elif record.source.is_concealment:
            seconds[f"plc_{position}"] += audio * share
            run += audio
        else:
            run = 0.0
            if record.source in (Source.LBRR, Source.DRED):
                seconds[record.source.value] += audio * share
        if record.action in (Action.STRETCH, Action.COMPRESS):
            seconds["tempo"] += share
    return np.array([seconds[name] for name in COLUMNS]) / max(total, 1e-9)


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
    print("| damage | length | share | PLCMOS loss as R | STOI loss |\n|---|---|---|---|---|")
    for kind in sorted({(each.kind, each.length, each.density) for each in measurements}):
        group = [each for each in measurements if (each.kind, each.length, each.density) == kind]
        quality = np.mean([each.quality for each in group])
        words = np.mean([each.words for each in group])
        print(f"| {kind[0]} | {kind[1]} | {kind[2]:.0%} | {quality:.1f} | {words:.3f} |")
    sound, words_lost = fit_costs(measurements)
    print("\n| column | R by sound | R by words |\n|---|---|---|")
    for name, value in sound.items():
        print(f"| {name} | {value:.2f} | {words_lost[name]:.2f} |")
    costs = {
        name: round(value + words_lost[name], 2 if name == "tempo" else 1) for name, value in sound.items()
    }
    print(json.dumps(costs, indent=1))
    if args.output:
        args.output.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
