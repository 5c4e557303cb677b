"""What becomes of the words of an outage, and how long the delay takes to come back.

Simulates speech over a network on which, every few seconds, nothing arrives for 100 to 900
ms: the packets are lost, or (``--late``) all come at its end. One row per length, bitrate and
policy: the share of the words sent meanwhile that was heard after all, how much later than
others words were heard at most, and the time until the delay was what it was before.

    python benchmarks/outages.py
    python benchmarks/outages.py --policies onnx histogram --late --scores

Scores need the scoring models: pip install 'softphone[bench]'.
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.audio.files import read_file
from softphone.data import sample_speech
from softphone.errors import SoftphoneError
from softphone.playout import PlayoutConfig, default_policy
from softphone.sending import SendingConfig
from softphone.sim.call import OneWayCall, SimulationConfig, simulate_call
from softphone.sim.scoring import align, plcmos, speech_activity, stoi
from softphone.sim.trace import PacketTrace

LENGTHS_MS = (100, 200, 300, 400, 500, 600, 700, 800, 900)
SECONDS = 60.0
FIRST, EVERY = 6.0, 5.0
"""Seconds until the first outage, and from one to the next."""
DELAY = 0.040
RETURNED = 0.020
SOON = 3.0
RATE = 48_000
FRAME = 960
ACTIVITY = 480


@dataclass(frozen=True)
class Case:
    """One call."""

    length: float
    """Of each outage, seconds."""
    bitrate: int
    policy: str
    late: bool
    """The packets come at the end of the outage, instead of never."""


@dataclass(frozen=True)
class Row:
    """What became of it."""

    case: Case
    recovered: float
    """Share of the speech sent in the outages that was heard."""
    usual_ms: float
    """Median delay from mouth to ear."""
    peak_ms: float
    """Largest delay of speech that was heard, median over the outages."""
    returns: tuple[float, ...]
    """Seconds from the end of each outage until the delay was what it was before."""
    scores: tuple[float, float] | None
    """PLCMOS and STOI."""

    def __str__(self) -> str:
        case, back = self.case, self.returns
        scores = "" if self.scores is None else f" {self.scores[0]:.2f} / {self.scores[1]:.3f} |"
        return (
            f"| {1000 * case.length:.0f} | {case.bitrate // 1000} | {case.policy} | {self.recovered:.0%} | "
            f"{self.usual_ms:.0f} | {self.peak_ms:.0f} | {np.median(back):.1f} | "
            f"{sum(each <= SOON for each in back)} of {len(back)} |{scores}"
        )


@lru_cache
def speech(path: Path) -> NDArray[np.float32]:
    """A minute of speech."""
    pcm = read_file(str(path))
    return np.resize(pcm, round(SECONDS * RATE))


def outages(length: float) -> Iterator[tuple[float, float]]:
    """Begin and end of each, seconds."""
    begin = FIRST
    while begin + EVERY <= SECONDS:
        yield begin, begin + length
        begin += EVERY


def network(case: Case) -> PacketTrace:
    """The delay of each packet."""
    sent = (1 + np.arange(round(SECONDS * RATE) // FRAME)) * FRAME / RATE
    delays = np.full(sent.size, DELAY)
    for begin, end in outages(case.length):
        hit = (sent + DELAY >= begin) & (sent + DELAY < end)
        delays[hit] = end - sent[hit] if case.late else np.nan
    return PacketTrace(delays)


def run(case: Case, path: Path, scores: bool) -> Row:
    """Simulate and measure."""
    pcm = speech(path)
    config = SimulationConfig(
        SendingConfig(bitrate=case.bitrate), PlayoutConfig(policy=case.policy), network(case)
    )
    call = simulate_call(pcm, config)
    active = speech_activity(pcm)
    heard = np.zeros(active.size, np.bool_)
    times, delays = [], []
    for record in call.records:
        if record.media > 0 and record.samples and not record.source.is_concealment:
            first = record.timestamp // ACTIVITY
            heard[first : first + max(1, record.media // ACTIVITY)] = True
            times.append(record.time)
            delays.append(record.time - record.timestamp / RATE)
    at, delay = np.array(times), np.array(delays)
    said = np.zeros(active.size, np.bool_)
    peaks, returns = [], []
    for begin, end in outages(case.length):
        gone = round((begin - DELAY) * 100), round((end - DELAY) * 100)
        said[gone[0] : gone[1]] = True
        before = float(np.median(delay[(at > begin - 2.0) & (at < begin)]))
        after = (at >= begin) & (at < begin + EVERY)
        peaks.append(float(delay[after].max()))
        above = at[after & (delay > before + RETURNED)]
        returns.append(max(0.0, float(above.max(initial=end)) - end))
    lost = said & active
    return Row(
        case,
        float(heard[lost].mean()),
        1000 * float(np.median(delay)),
        1000 * float(np.median(peaks)),
        tuple(returns),
        _scores(pcm, call) if scores else None,
    )


def _scores(pcm: NDArray[np.float32], call: OneWayCall) -> tuple[float, float]:
    sent, kept = align(pcm, call.heard, max_delay=0.6)
    return plcmos(call.heard), stoi(sent, kept)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, default=sample_speech(), help="default: the shipped sample")
    parser.add_argument("--policies", nargs="+", default=[default_policy()])
    parser.add_argument("--kbps", nargs="+", type=int, default=[48, 64])
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS_MS, metavar="MS")
    parser.add_argument("--late", action="store_true", help="packets come late, instead of never")
    parser.add_argument("--scores", action="store_true", help="PLCMOS and STOI too")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    args = parser.parse_args()
    cases = [
        Case(length / 1000, 1000 * kbps, policy, args.late)
        for policy, kbps, length in product(args.policies, args.kbps, args.lengths)
    ]
    print(
        "| outage ms | kb/s | policy | words heard | delay ms | largest ms | back s | within 3 s |"
        + (" PLCMOS / STOI |" if args.scores else "")
    )
    print("|---|---|---|---|---|---|---|---|" + ("---|" if args.scores else ""))
    try:
        with ProcessPoolExecutor(args.jobs) as pool:
            for row in pool.map(partial(run, path=args.speech, scores=args.scores), cases):
                print(row, flush=True)
    except SoftphoneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
