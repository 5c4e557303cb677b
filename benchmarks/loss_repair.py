"""How much of what the network loses is repaired, and what that is worth to a listener.

Simulates calls over every clip and trace given, with redundancy, without, and without
loss, and prints one row per setting: share of lost frames repaired, PLCMOS, delay, rate.

    python benchmarks/loss_repair.py
    python benchmarks/loss_repair.py --speech DIR --traces DIR --match p20 --policy fixed histogram

Without arguments it takes the shipped sample and bursty traces that it makes itself.
Needs the scoring models: pip install 'softphone[bench]'.
"""

import argparse
import itertools
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from softphone.data import sample_speech
from softphone.playout import MAX_DELAY, PlayoutConfig, Source
from softphone.sending.config import SendingConfig
from softphone.sim.call import SimulationConfig, simulate_call
from softphone.sim.network import generate_trace
from softphone.sim.presets import parse_profile
from softphone.sim.scoring import plcmos
from softphone.sim.trace import PacketTrace


@dataclass(frozen=True)
class Job:
    """One simulated call."""

    clip: Path
    trace: Path | int | None
    """A file, the seed of a generated trace, or None for a network without loss."""
    setting: str
    policy: str
    max_delay: float
    mode: str
    bitrate: int


@dataclass(frozen=True)
class Outcome:
    """What came of a job."""

    setting: str
    lost: float
    repaired: float
    """NaN when nothing was lost."""
    score: float
    delay_ms: float
    kbps: float


@lru_cache(maxsize=4)
def load(path: Path) -> NDArray[np.float32]:
    """A clip as mono float32 at 48 kHz."""
    pcm, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = pcm.mean(axis=1)
    return np.asarray(mono if rate == 48_000 else soxr.resample(mono, rate, 48_000), np.float32)


def trace_of(job: Job) -> PacketTrace:
    """The network of a job."""
    if isinstance(job.trace, Path):
        return PacketTrace.load(job.trace)
    if job.trace is None:
        return PacketTrace.perfect(0.030)
    return generate_trace(parse_profile("loss=20,burst=2,delay=30"), 1500, job.trace)


def run(job: Job) -> Outcome:
    """Simulate and score one call."""
    call = simulate_call(
        load(job.clip),
        SimulationConfig(
            SendingConfig(bitrate=job.bitrate, mode=job.mode),
            PlayoutConfig(policy=job.policy, max_delay=job.max_delay),
            trace_of(job),
        ),
    )
    by_source = {source: sum(r.media for r in call.records if r.source is source) for source in Source}
    repaired = by_source[Source.RED] + by_source[Source.LBRR] + by_source[Source.DRED]
    missing = repaired + by_source[Source.PLC] + by_source[Source.CNG]
    delays, weights = call.mouth_to_ear()
    return Outcome(
        job.setting,
        call.lost / len(call.packets),
        repaired / missing if call.lost else float("nan"),
        plcmos(call.heard),
        1000 * float(np.average(delays, weights=weights)),
        call.sending.total_bps / 1000,
    )


def table(outcomes: Iterable[Outcome]) -> str:
    """The means per setting as a Markdown table."""
    rows = [
        "| setting | calls | lost % | repaired % | PLCMOS | delay ms | kb/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for setting, group in itertools.groupby(outcomes, key=lambda outcome: outcome.setting):
        calls = list(group)
        shares = np.array([(c.lost, c.repaired, c.score, c.delay_ms, c.kbps) for c in calls])
        lost, _, score, delay, kbps = shares.mean(axis=0)
        repaired = np.nanmean(shares[:, 1]) if lost else float("nan")
        spread = 1.96 * float(np.std(shares[:, 2])) / np.sqrt(len(calls))
        rows.append(
            f"| {setting} | {len(calls)} | {100 * lost:.1f} | {100 * repaired:.1f} "
            f"| {score:.2f} ±{spread:.2f} | {delay:.0f} | {kbps:.1f} |"
        )
    return "\n".join(rows)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--speech", type=Path, help="folder of WAV or FLAC clips (default: the shipped sample)"
    )
    parser.add_argument("--traces", type=Path, help="folder of trace CSV files (default: generated)")
    parser.add_argument("--match", default="", help="only traces whose name contains this")
    parser.add_argument("--clips", type=int, default=0, help="at most so many clips (0: all)")
    parser.add_argument("--bitrate", type=int, default=48_000, help="bit/s (default 48000)")
    parser.add_argument("--policy", nargs="+", default=["fixed", "histogram"], help="playout policies")
    parser.add_argument(
        "--modes", nargs="+", default=["none", "lbrr", "dred", "both", "auto"], help="redundancy modes"
    )
    parser.add_argument("--max-delay", type=float, default=160.0, help="mouth-to-ear limit of 'fixed', ms")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    clips = sorted(p for p in args.speech.iterdir() if p.suffix in (".flac", ".wav")) if args.speech else []
    clips = (clips or [sample_speech()])[: args.clips or None]
    traces: list[Path | int] = (
        sorted(p for p in args.traces.rglob("*.csv") if args.match in p.name and p.name != "MANIFEST.csv")
        if args.traces
        else [1, 2, 3]
    )
    jobs = []
    for policy in args.policy:
        limit = args.max_delay / 1000 if policy == "fixed" else MAX_DELAY
        jobs += [
            Job(clip, None, f"{policy}, no loss, auto", policy, limit, "auto", args.bitrate) for clip in clips
        ]
        for mode in args.modes:
            jobs += [
                Job(clip, trace, f"{policy}, {mode}", policy, limit, mode, args.bitrate)
                for clip in clips
                for trace in traces
            ]
    outcomes = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for number, outcome in enumerate(pool.map(run, jobs, chunksize=2), 1):
            outcomes.append(outcome)
            print(f"\r{number}/{len(jobs)} calls", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
