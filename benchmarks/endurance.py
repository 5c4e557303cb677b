"""Does the receive core hold out? Thousands of minutes over random networks, in virtual time.

Each call lasts two minutes: 90 s over a network drawn at random from its seed, then 30 s of calm
(--calm) on the same path. Speech is encoded once, with several kinds of redundancy, frame lengths and
DTX; a call plays one of them through the real playout core, decoder included.

    python benchmarks/endurance.py                                   # 1,000 minutes with histogram
    python benchmarks/endurance.py --policy onnx --speech DIR --minutes 100
    python benchmarks/endurance.py --policy onnx --seed 4711 --output DIR   # one call again: sound, trace

Checked in each call:

- Nothing is raised, the policy never fails, what is heard is finite and within [-1, 1].
- No dead air longer than the outage it comes from plus 200 ms. Dead air: the sender spoke, and what is
  heard in its place is 25 dB weaker, or nothing. Outage: time in which no packet came that could
  still be played (later than the largest delay is as good as never).
- The delay does not stay more than 80 ms above what the policy wants for 6 s with packets coming in.
- After the calm the delay is no more than 60 ms above that of a network that was always calm.

Besides: how long does the delay take to return after a single outage? And on a clean network
(constant delay, and up to 5 ms of jitter): is anything stretched, and is what is heard what the
decoder gives? Ends with status 1 when a check fails.
"""

import argparse
import json
import math
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile
from endurance_call import RATE, STREAMS, TICK, Call, Pcm, Stream, packets_from, play, tape
from numpy.typing import NDArray

from softphone.opus import DEEP_PLC_COMPLEXITY, Decoder
from softphone.playout import MAX_DELAY, Action
from softphone.playout.config import CODEC_DELAY
from softphone.playout.trace import write_trace
from softphone.sim.profile import JitterDistribution, NetworkProfile, Outage, OutageMode
from softphone.sim.random_profile import random_profile
from softphone.sim.scoring import plcmos

CALL = 90.0
"""Length of a call over its random network, seconds."""
CALM = 30.0
"""What follows without disturbance, seconds."""
EXCESS, PATIENCE = 0.080, 6.0
RETURNED = 0.060
SETTLED = 2.0
"""By when the delay of a clean network must have been found, seconds."""
SLACK = 0.200
"""Dead air allowed beyond the outage, seconds."""
WEAKER_DB = 25.0
QUIET_DBFS = -65.0


@dataclass
class Result:
    """What was found in one call."""

    seed: int
    policy: str
    stream: str = ""
    error: str = ""
    """The exception, or what is wrong with the counters."""
    lost: float = 0.0
    dead_air: float = 0.0
    """Longest dead air that went beyond its outage most, seconds."""
    outage: float = 0.0
    """The outage it came from, seconds."""
    dead_at: float = 0.0
    excess: float = 0.0
    """Longest time that the delay stayed above the target, seconds."""
    excess_at: float = 0.0
    delay: float = math.nan
    """At the end, above that of the network, seconds."""
    failures: list[str] = field(default_factory=list)


def profile_of(seed: int, seconds: float) -> tuple[NetworkProfile, Stream, float]:
    """The network of a call, how its sender encodes, and where in the tape it begins (0..1)."""
    rng = np.random.default_rng(seed)
    profile = random_profile(rng, duration=seconds)
    quiet = NetworkProfile(delay=profile.delay)
    timeline = tuple(change for change in profile.timeline if change[0] < seconds)
    stream = STREAMS[0 if rng.random() < 0.1 else int(rng.integers(len(STREAMS)))]
    return replace(profile, timeline=(*timeline, (seconds, quiet))), stream, float(rng.random())


def run(seed: int, policy: str, folder: Path | None, seconds: float = CALL, calm: float = CALM) -> Result:
    """One call over the network of a seed, and what is wrong with it."""
    profile, stream, where = profile_of(seed, seconds)
    result = Result(seed, policy, stream=str(stream))
    recording = tape(stream, folder)
    try:
        call = play(recording, int(where * len(recording.packets)), profile, seed, policy, seconds + calm)
    except Exception:
        result.error = traceback.format_exc()
        result.failures.append("exception")
        return result
    examine(call, result, profile.delay + stream.frame_ms / 1000 + CODEC_DELAY)
    return result


# What is wrong -------------------------------------------------------------------


def examine(call: Call, result: Result, least: float) -> None:
    """Fill in a result; ``least`` is the smallest possible delay, seconds."""
    statistics = call.statistics
    result.lost = 1.0 - len(call.arrivals) / call.packets
    wrong = {
        "policy failures": statistics.policy_failures,
        "decode errors": statistics.decode_errors,
        "invalid packets": statistics.packets_invalid,
        "damaged DRED": statistics.dred_damaged,
        "samples out of range": int(np.sum(~(np.abs(call.heard) <= 1.0))),
    }
    result.error = ", ".join(f"{count} {name}" for name, count in wrong.items() if count) or call.gave_up
    if result.error:
        result.failures.append("counters")
    worst = -math.inf
    for begin, length in dead_air(call):
        outage = outage_at(call, begin, begin + length, least)
        if length - outage > worst:
            worst = length - outage
            result.dead_at, result.dead_air, result.outage = begin, length, outage
    if worst > SLACK:
        result.failures.append("dead air")
    result.excess_at, result.excess = longest_excess(call)
    if result.excess > PATIENCE:
        result.failures.append("delay stays")
    spoken = [r for r in call.records if r.media and not r.source.is_concealment][-50:]
    delays = [r.time - r.timestamp / RATE + CODEC_DELAY for r in spoken]
    result.delay = float(np.median(delays)) - least if delays else math.inf
    if result.delay > calm_delay(result.policy) + RETURNED:
        result.failures.append("no return")


def dead_air(call: Call) -> list[tuple[float, float]]:
    """When it begins and how long it is, seconds, of each run of dead air."""
    frames = call.heard.size // TICK
    played = [record for record in call.records if record.samples]
    if not played:
        return [(0.0, call.heard.size / RATE)] if call.active.any() else []
    waited = 0
    media = []
    for record in played:
        # While it waits, the listener misses what would have been next.
        media.append(record.timestamp + waited)
        waited = waited + record.samples if record.action is Action.WAIT else 0
    starts = [record.time * RATE for record in played]
    middles = np.arange(frames) * TICK + TICK / 2
    place = np.interp(middles, starts, media)
    place = np.maximum(place, 0).astype(int) // TICK
    place = np.minimum(place, call.active.size - 1)
    got, said = _levels(call.heard), _levels(call.sent)
    # Words move by some milliseconds inside a frame: look around a little.
    near = np.maximum(got, np.maximum(np.append(got[1:], got[-1]), np.append(got[:1], got[:-1])))
    missed = call.active[place] & (near < np.maximum(said[place] - WEAKER_DB, QUIET_DBFS))
    missed &= middles >= starts[0]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missed, [False]))))
    return [(begin * TICK / RATE, (end - begin) * TICK / RATE) for begin, end in edges.reshape(-1, 2)]


def outage_at(call: Call, begin: float, end: float, least: float) -> float:
    """The longest time without a packet that could be played, seconds, around a time."""
    usable = [at for at, delay in call.arrivals if delay <= MAX_DELAY - least]
    times = np.array([0.0, *usable, call.heard.size / RATE])
    gaps = np.diff(times)
    near = (times[1:] >= begin - MAX_DELAY) & (times[:-1] <= end)
    return float(gaps[near].max(initial=0.0))


def longest_excess(call: Call) -> tuple[float, float]:
    """When the delay was above the target for longest while packets came in, and for how long, seconds."""
    began, longest, at = None, 0.0, 0.0
    for record in call.records:
        above = record.delay_ms - record.target_ms > 1000 * EXCESS
        if not above or record.source.is_concealment:
            began = None if not above else began
            continue
        began = record.time if began is None else began
        if record.time - began > longest:
            longest, at = record.time - began, began
    return at, longest


def _levels(pcm: Pcm) -> NDArray[np.float64]:
    frames = pcm[: pcm.size // TICK * TICK].reshape(-1, TICK).astype(np.float64)
    return np.asarray(10.0 * np.log10(np.mean(frames**2, axis=1) + 1e-12))


@cache
def calm_delay(policy: str) -> float:
    """What a policy holds on a network that is always calm, above that of the network, seconds."""
    call = play(tape(Stream(), None), 0, NetworkProfile(delay=0.03), 0, policy, 40.0)
    last = [record.time - record.timestamp / RATE for record in call.records if record.time > 38.0]
    return float(np.median(last)) - 0.03 - 0.02


# One disturbance -----------------------------------------------------------------

DISTURBANCES = {
    f"{1000 * length:.0f} ms {mode}": NetworkProfile(delay=0.03, outages=(Outage(40.0, length, mode),))
    for length in (0.2, 0.5, 0.9)
    for mode in OutageMode
}


def comeback(policy: str, profile: NetworkProfile, folder: Path | None) -> float:
    """Seconds from the end of an outage until the delay is within 60 ms of what it was before."""
    call = play(tape(Stream(fec=True, dred_ms=1000), folder), 0, profile, 1, policy, 50.0)
    times = np.array([r.time for r in call.records if r.media and not r.source.is_concealment])
    delays = np.array(
        [r.time - r.timestamp / RATE for r in call.records if r.media and not r.source.is_concealment]
    )
    outage = profile.outages[0]
    before = np.median(delays[(times > outage.start - 2.0) & (times < outage.start)])
    above = times[(times > outage.start) & (delays > before + RETURNED)]
    return max(0.0, float(above.max(initial=0.0)) - outage.start - outage.length)


# Clean networks ------------------------------------------------------------------


@dataclass(frozen=True)
class Clean:
    """What a clean network did to the speech."""

    policy: str
    jitter_ms: float
    settled: float
    """When time was changed last, seconds; 0 when never."""
    changed: int
    """Samples added and removed in all."""
    changed_late: int
    """The same after the first 2 s."""
    difference: float
    """Largest difference from plain decoding after the last change, 0..2."""
    plcmos_loss: float
    """Against plain decoding, over the whole call; NaN when not measured."""


def clean(
    policy: str, jitter: float, folder: Path | None, *, seconds: float = 60.0, scored: bool = False
) -> Clean:
    """A call over a network that loses nothing, beside the same packets decoded as they are."""
    profile = NetworkProfile(delay=0.03, jitter=jitter, jitter_distribution=JitterDistribution.UNIFORM)
    recording = tape(Stream(), folder)
    call = play(recording, 0, profile, 1, policy, seconds)
    decoder = Decoder(complexity=DEEP_PLC_COMPLEXITY)
    plain = np.concatenate([decoder.decode(payload) for _, _, payload in packets_from(recording, 0, seconds)])
    changes = [(r.time, abs(r.samples - r.media)) for r in call.records if r.samples != r.media]
    settled = max((at for at, _ in changes), default=0.0)
    played = [(r, round(r.time * RATE)) for r in call.records if r.time + r.samples / RATE <= seconds]
    difference = max(
        float(np.abs(call.heard[at : at + r.samples] - plain[r.timestamp : r.timestamp + r.samples]).max())
        for r, at in played
        if r.time > settled
    )
    loss = math.nan
    if scored:
        begin, end = played[0][1], played[-1][1]
        loss = plcmos(plain[played[0][0].timestamp : played[-1][0].timestamp]) - plcmos(call.heard[begin:end])
    late = sum(size for at, size in changes if at > SETTLED)
    return Clean(policy, 1000 * jitter, settled, sum(size for _, size in changes), late, difference, loss)


# Command line --------------------------------------------------------------------


def replay(seed: int, policy: str, folder: Path | None, calm: float, output: Path | None) -> Result:
    """One call again; writes what was heard, what was sent and the trace."""
    result = run(seed, policy, folder, calm=calm)
    profile, stream, where = profile_of(seed, CALL)
    print(profile)
    if output is not None and "exception" not in result.failures:
        recording = tape(stream, folder)
        call = play(recording, int(where * len(recording.packets)), profile, seed, policy, CALL + calm)
        output.mkdir(parents=True, exist_ok=True)
        soundfile.write(output / "heard.wav", call.heard, RATE, subtype="PCM_16")
        soundfile.write(output / "sent.wav", call.sent[: call.heard.size], RATE, subtype="PCM_16")
        write_trace(output / "trace.jsonl", call.records)
    return result


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1000.0, help="simulated minutes (default 1000)")
    parser.add_argument("--policy", default="histogram", help="playout policy (default histogram)")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first call (default 1)")
    parser.add_argument("--seed", type=int, help="only the call of this seed")
    parser.add_argument(
        "--speech", type=Path, help="folder of WAV or FLAC clips (default: the shipped sample)"
    )
    parser.add_argument("--output", type=Path, help="folder for the results, or for the call of --seed")
    parser.add_argument("--calm", type=float, default=CALM, help="calm at the end of a call, s (default 30)")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    if args.seed is not None:
        result = replay(args.seed, args.policy, args.speech, args.calm, args.output)
        print(json.dumps(asdict(result), indent=1))
        return int(bool(result.failures))
    began = time.monotonic()
    for stream in STREAMS:  # before the processes part, so that they share it
        tape(stream, args.speech)
    calls = math.ceil(args.minutes * 60 / (CALL + args.calm))
    seeds = range(args.first_seed, args.first_seed + calls)
    results = []
    with ProcessPoolExecutor(args.jobs) as pool:
        one = partial(run, policy=args.policy, folder=args.speech, calm=args.calm)
        for result in pool.map(one, seeds, chunksize=4):
            results.append(result)
            if result.failures:
                print(f"--seed {result.seed}: {', '.join(result.failures)}", flush=True)
            print(f"\r{len(results)}/{calls}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    simulated = calls * (CALL + args.calm)
    print(f"{simulated / 60:.0f} minutes, {simulated / (time.monotonic() - began):.0f} times real time")
    scored = find_spec("speechmos") is not None
    tests = [clean(args.policy, jitter, args.speech, scored=scored) for jitter in (0.0, 0.0025, 0.005)]
    backs = {name: comeback(args.policy, profile, args.speech) for name, profile in DISTURBANCES.items()}
    failed = report(results, tests, backs)
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        rows = [asdict(result) for result in results]
        (args.output / f"endurance_{args.policy}.json").write_text(json.dumps(rows), encoding="utf-8")
    return int(failed)


def report(results: list[Result], tests: list[Clean], backs: dict[str, float]) -> bool:
    """Print what was found; True when a check failed."""
    for name in ("exception", "counters", "dead air", "delay stays", "no return"):
        print(f"{name:12s} {sum(name in result.failures for result in results)} calls")
    print("\ndead air, most beyond its outage:")
    for result in sorted(results, key=lambda r: r.outage - r.dead_air)[:8]:
        print(
            f"  --seed {result.seed}: {1000 * result.dead_air:.0f} ms at {result.dead_at:.2f} s, "
            f"outage {1000 * result.outage:.0f} ms; lost {result.lost:.0%}, {result.stream}"
        )
    print("\nlongest above the target:")
    for result in sorted(results, key=lambda r: -r.excess)[:5]:
        print(f"  --seed {result.seed}: {result.excess:.2f} s at {result.excess_at:.2f} s")
    print("\nlargest delay after the calm:")
    for result in sorted(results, key=lambda r: -np.nan_to_num(r.delay, nan=9.0))[:5]:
        print(f"  --seed {result.seed}: {1000 * result.delay:.0f} ms")
    for result in [r for r in results if r.error][:5]:
        print(f"\n--seed {result.seed}\n{result.error}")
    print("\ndelay back (within 60 ms) after an outage on a calm network:")
    print("  " + ", ".join(f"{name}: {seconds:.1f} s" for name, seconds in backs.items()))
    print("\nclean network:")
    for test in tests:
        print(
            f"  {test.policy}, jitter +-{test.jitter_ms:.1f} ms: {test.changed} samples added or removed, "
            f"{test.changed_late} after {SETTLED:.0f} s, the last at {test.settled:.2f} s; "
            f"from then on {test.difference:.1e} from plain decoding; PLCMOS loss {test.plcmos_loss:+.3f}"
        )
    return any(result.failures for result in results) or any(t.changed_late or t.difference for t in tests)


if __name__ == "__main__":
    sys.exit(main())
