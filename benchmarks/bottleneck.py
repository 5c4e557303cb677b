"""What a bottleneck does to a call, with a sender that backs off and with others that don't.

Simulates the same speech over links with and without a bottleneck, with loss of their own
and without, and prints one row per link and sender.

    python benchmarks/bottleneck.py
    python benchmarks/bottleneck.py --match "48 kb/s" --plans auto --reports browser --verbose

Rates of links count whole IP packets: at 20 ms, headers take 20 kb/s of them. The queue is
the time that packets wait before the bottleneck; "gone" is what nothing could repair.
PLCMOS needs the scoring models: pip install 'softphone[bench]'.
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.audio.files import read_file
from softphone.data import sample_speech
from softphone.errors import SoftphoneError
from softphone.playout import PlayoutConfig
from softphone.sending import SendingConfig
from softphone.sim.call import OneWayCall, Reports, SimulationConfig, simulate_call
from softphone.sim.presets import parse_profile
from softphone.sim.profile import NetworkProfile
from softphone.sim.scoring import plcmos

SECONDS = 60
PLANS = {
    "auto": SendingConfig(),
    "auto, no back-off": SendingConfig(back_off=False),
    "fixed 48, LBRR+DRED": SendingConfig(mode="both"),
    "fixed 32, DRED": SendingConfig(mode="dred", bitrate=32_000),
    "fixed 24, none": SendingConfig(mode="none", bitrate=24_000),
}


def links() -> Iterator[tuple[str, NetworkProfile]]:
    """The links of the table by name."""
    clean = parse_profile("delay=40,jitter=2,dist=gamma")
    yield "no loss", clean
    for loss in (10, 20, 30):
        yield f"{loss} % random", parse_profile(f"delay=40,jitter=2,dist=gamma,loss={loss}")
    for loss, burst in ((10, 3), (20, 3), (30, 6)):
        yield (
            f"{loss} %, runs of {burst}",
            parse_profile(f"delay=40,jitter=2,dist=gamma,loss={loss},burst={burst}"),
        )
    for rate, queue in ((24, 300), (32, 200), (32, 500), (40, 300), (48, 200), (48, 500), (64, 300)):
        yield f"{rate} kb/s, {queue} ms", replace(clean, rate=1000.0 * rate, queue=queue / 1000)
    narrow, wide = (replace(clean, rate=rate, queue=0.3) for rate in (32_000.0, 80_000.0))
    yield "80, at 20 s 32 kb/s", replace(wide, timeline=((20.0, narrow),))
    yield "32, at 20 s 80 kb/s", replace(narrow, timeline=((20.0, wide),))
    yield "48 kb/s, 300 ms, 10 % random", replace(clean, rate=48_000.0, queue=0.3, loss=0.10)
    bursts = parse_profile("loss=10,burst=3").loss_model
    yield "48 kb/s, 300 ms, 10 %, runs of 3", replace(clean, rate=48_000.0, queue=0.3, loss_model=bursts)


@dataclass(frozen=True)
class Job:
    """One simulated call."""

    link: str
    profile: NetworkProfile
    plan: str
    speech: Path
    policy: str
    reports: Reports
    scored: bool


@lru_cache(maxsize=1)
def load(path: Path) -> NDArray[np.float32]:
    """A minute of speech at 48 kHz."""
    pcm = read_file(path)
    repeated = np.tile(pcm, -(-SECONDS * 48_000 // pcm.size))
    return np.asarray(repeated[: SECONDS * 48_000], np.float32)


def score(call: OneWayCall) -> float:
    """Mean PLCMOS of pieces of 10 s; NaN without the model."""
    try:
        pieces = [call.heard[begin : begin + 480_000] for begin in range(0, SECONDS * 48_000, 480_000)]
        return float(np.mean([plcmos(piece) for piece in pieces if piece.size == 480_000]))
    except SoftphoneError:
        return float("nan")


def run(job: Job) -> tuple[str, list[str]]:
    """The row of one call and its changes of plan."""
    call = simulate_call(
        load(job.speech),
        SimulationConfig(
            PLANS[job.plan],
            PlayoutConfig(policy=job.policy, max_delay=1.0),
            network=job.profile,
            seed=1,
            reports=job.reports,
        ),
    )
    waits = np.array([p.arrival - p.sent for p in call.packets if p.arrival is not None])
    waits = 1000 * (waits - job.profile.delay)
    delays, weights = call.mouth_to_ear()
    heard = 1000 * np.repeat(delays, weights // 120)
    media = sum(record.media for record in call.records)
    gone = sum(record.media for record in call.records if record.source.is_concealment)
    figures = (
        f"{call.sending.total_bps / 1000:.1f}",
        f"{100 * call.lost / len(call.packets):.1f}",
        f"{100 * gone / max(1, media):.1f}",
        f"{waits.mean():.0f} / {np.quantile(waits, 0.95):.0f}",
        f"{heard.mean():.0f} / {np.quantile(heard, 0.95):.0f}",
        *([f"{score(call):.2f}"] if job.scored else []),
    )
    row = " | ".join((job.link, job.plan, *figures))

    return f"| {row} |", [f"{record.at:6.2f} s  {record}" for record in call.plans]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, default=sample_speech(), help="a recording (default: shipped)")
    parser.add_argument("--match", default="", help="only links whose name contains this")
    parser.add_argument("--plans", nargs="+", choices=list(PLANS), default=list(PLANS), help="senders")
    parser.add_argument("--policy", default="histogram", help="playout policy (default histogram)")
    parser.add_argument(
        "--reports",
        choices=[kind.name.lower() for kind in Reports],
        default="softphone",
        help="how the receiver reports (default softphone)",
    )
    parser.add_argument(
        "--no-score", action="store_true", help="leave PLCMOS out, which takes most of the time"
    )
    parser.add_argument("--verbose", action="store_true", help="print each change of plan and its reason")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    jobs = [
        Job(name, profile, plan, args.speech, args.policy, Reports[args.reports.upper()], not args.no_score)
        for name, profile in links()
        if args.match in name
        for plan in args.plans
    ]
    columns = ["link", "sender", "kb/s", "lost %", "gone %", "queue ms, mean / p95", "mouth to ear"]
    columns += [] if args.no_score else ["PLCMOS"]
    print(f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", sep="\n")
    with ProcessPoolExecutor(args.jobs) as pool:
        for row, changes in pool.map(run, jobs):
            print(row, flush=True)
            if args.verbose:
                for change in changes:
                    print(f"    {change}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
