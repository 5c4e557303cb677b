"""Does the receive core hold out? Thousands of minutes over random networks, in virtual time.

Each call lasts two minutes: 90 s over a network drawn at random from its seed, then 30 s of calm
on the same path. Speech is encoded once, with several kinds of redundancy, frame lengths and
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

Besides, on a clean network (constant delay, and up to 5 ms of jitter): is anything stretched, and
is what is heard what the decoder gives? Ends with status 1 when a check fails.
"""

import argparse
import json
import math
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from softphone.data import sample_speech
from softphone.opus import DTX_BYTES, Encoder
from softphone.playout import Action, PlayoutConfig, PlayoutEngine, PlayoutStatistics, TraceRecord
from softphone.playout.config import CODEC_DELAY
from softphone.playout.trace import write_trace
from softphone.rtp.packet import RtpPacket
from softphone.rtp.red import RedBlock, pack_red
from softphone.sim.network import NetworkEmulator
from softphone.sim.profile import JitterDistribution, NetworkProfile
from softphone.sim.random_profile import random_profile
from softphone.sim.scoring import speech_activity

Pcm = NDArray[np.float32]

RATE = 48_000
TICK = 480
CALL = 120.0
CALM = 30.0
"""The end of each call, without disturbance, seconds."""
MAX_DELAY = 0.5
EXCESS, PATIENCE = 0.080, 6.0
RETURNED = 0.060
SLACK = 0.200
"""Dead air allowed beyond the outage, seconds."""
WEAKER_DB = 25.0
QUIET_DBFS = -65.0


@dataclass(frozen=True)
class Stream:
    """How the sender encodes."""

    bitrate: int = 48_000
    frame_ms: int = 20
    fec: bool = False
    dred_ms: int = 0
    red: bool = False
    dtx: bool = False


STREAMS = (
    Stream(),
    Stream(fec=True),
    Stream(dred_ms=1000),
    Stream(fec=True, dred_ms=1000),
    Stream(32_000, dred_ms=1000, dtx=True),
    Stream(fec=True, red=True),
    Stream(32_000, 10),
    Stream(32_000, 40, fec=True),
    Stream(48_000, 60, dred_ms=1000),
)


@dataclass(frozen=True)
class Tape:
    """Speech and its packets; played round and round."""

    pcm: Pcm
    active: NDArray[np.bool_]
    """Somebody speaks, for each 10 ms."""
    packets: tuple[tuple[int, int, bytes], ...]
    """Timestamp, payload type, payload."""


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


# Speech --------------------------------------------------------------------------


@lru_cache(maxsize=1)
def speech(folder: Path | None, seconds: float = 120.0) -> Pcm:
    """Clips in a row with pauses between, mono float32 at 48 kHz, in whole 120 ms."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".flac", ".wav")) if folder else []
    pieces: list[Pcm] = []
    total = 0
    for number, path in enumerate(files[::3] or [sample_speech()]):
        pcm, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = pcm.mean(axis=1)
        clip = np.asarray(mono if rate == RATE else soxr.resample(mono, rate, RATE), np.float32)
        pieces += [clip, np.zeros(round(RATE * (0.3 + 0.2 * (number % 5))), np.float32)]
        total += pieces[-1].size + clip.size
        if total > seconds * RATE:
            break
    joined = np.concatenate(pieces)
    return joined[: joined.size // 5760 * 5760]


@lru_cache(maxsize=None)
def tape(stream: Stream, folder: Path | None) -> Tape:
    """The speech as a stream of packets."""
    pcm = speech(folder)
    encoder = Encoder()
    encoder.bitrate = stream.bitrate
    encoder.inband_fec = stream.fec
    encoder.packet_loss_perc = 20 if stream.fec or stream.dred_ms else 0
    encoder.dred_duration_ms = stream.dred_ms
    encoder.dtx = stream.dtx
    length = stream.frame_ms * 48
    packets: list[tuple[int, int, bytes]] = []
    silent, before = False, b""
    for at in range(0, pcm.size, length):
        payload = encoder.encode(pcm[at : at + length])
        announced, silent = silent, stream.dtx and len(payload) <= DTX_BYTES
        if silent and announced:
            continue
        if stream.red and before:
            packets.append((at, 63, pack_red(111, payload, [RedBlock(111, length, before)])))
        else:
            packets.append((at, 111, payload))
        before = payload
    return Tape(pcm, speech_activity(pcm), tuple(packets))


def packets_from(recording: Tape, start: int, seconds: float) -> Iterator[tuple[int, int, bytes]]:
    """Packets of ``seconds`` from the ``start``-th on; the first has timestamp 0."""
    origin = recording.packets[start][0]
    turn, number = 0, start
    while True:
        timestamp, kind, payload = recording.packets[number]
        timestamp += turn * recording.pcm.size - origin
        if timestamp >= seconds * RATE:
            return
        yield timestamp, kind, payload
        number += 1
        if number == len(recording.packets):
            turn, number = turn + 1, 0


# One call ------------------------------------------------------------------------


@dataclass
class Call:
    """What went in and what came out."""

    sent: Pcm
    active: NDArray[np.bool_]
    heard: Pcm
    records: list[TraceRecord]
    arrivals: list[tuple[float, float]]
    """Arrival and delay of each packet that came, seconds."""
    packets: int
    statistics: PlayoutStatistics


def play(
    recording: Tape, start: int, profile: NetworkProfile, seed: int, policy: str, seconds: float
) -> Call:
    """One call in virtual time; the speaker begins at 0."""
    frame = recording.packets[1][0] - recording.packets[0][0]
    emulator = NetworkEmulator(profile, seed, start=0.0)
    deliveries: list[tuple[float, int, RtpPacket]] = []
    arrivals: list[tuple[float, float]] = []
    count = 0
    for number, (timestamp, kind, payload) in enumerate(packets_from(recording, start, seconds)):
        sent_at = (timestamp + frame) / RATE
        packet = RtpPacket(kind, number & 0xFFFF, timestamp, 1, payload)
        times = emulator.send(sent_at, len(payload) + 40)
        deliveries += [(at, len(deliveries) + k, packet) for k, at in enumerate(times)]
        arrivals += [(at, at - sent_at) for at in times[:1]]
        count += 1
    deliveries.sort(key=lambda each: each[:2])
    records: list[TraceRecord] = []
    engine = PlayoutEngine(PlayoutConfig(policy=policy, max_delay=MAX_DELAY), on_trace=records.append)
    engine.set_path_delay(profile.delay, 2 * profile.delay)
    heard = []
    following = 0
    for tick in range(round(seconds * RATE / TICK)):
        now = tick * TICK / RATE
        while following < len(deliveries) and deliveries[following][0] <= now:
            engine.insert(deliveries[following][2], deliveries[following][0])
            following += 1
        heard.append(engine.pull(now, TICK))
    origin = recording.packets[start][0]
    places = np.arange(origin, origin + round((seconds + 1) * RATE)) % recording.pcm.size
    return Call(
        sent=recording.pcm[places],
        active=recording.active[np.minimum(places[::TICK] // TICK, recording.active.size - 1)],
        heard=np.concatenate(heard),
        records=records,
        arrivals=sorted(arrivals),
        packets=count,
        statistics=engine.statistics,
    )


def profile_of(seed: int, seconds: float, calm: float) -> tuple[NetworkProfile, Stream, float]:
    """The network of a call, how its sender encodes, and where in the tape it begins (0..1)."""
    rng = np.random.default_rng(seed)
    profile = random_profile(rng, duration=seconds - calm)
    quiet = NetworkProfile(delay=profile.delay)
    timeline = tuple(change for change in profile.timeline if change[0] < seconds - calm)
    stream = STREAMS[0 if rng.random() < 0.1 else int(rng.integers(len(STREAMS)))]
    return replace(profile, timeline=(*timeline, (seconds - calm, quiet))), stream, float(rng.random())


def run(seed: int, policy: str, folder: Path | None, seconds: float = CALL, calm: float = CALM) -> Result:
    """One call over the network of a seed, and what is wrong with it."""
    profile, stream, where = profile_of(seed, seconds, calm)
    result = Result(seed, policy, stream=str(stream))
    recording = tape(stream, folder)
    try:
        call = play(recording, int(where * len(recording.packets)), profile, seed, policy, seconds)
    except Exception:
        result.error = traceback.format_exc()
        result.failures.append("exception")
        return result
    examine(call, result, seconds, profile.delay + stream.frame_ms / 1000 + CODEC_DELAY)
    return result


# What is wrong -------------------------------------------------------------------


def examine(call: Call, result: Result, seconds: float, least: float) -> None:
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
    result.error = ", ".join(f"{count} {name}" for name, count in wrong.items() if count)
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
    last = [r for r in call.records if r.time > seconds - 1.0 and r.media and not r.source.is_concealment]
    if last:
        delays = [r.time - r.timestamp / RATE + CODEC_DELAY for r in last]
        result.delay = float(np.median(delays)) - least
    if not result.delay <= calm_delay(result.policy) + RETURNED and "dtx=True" not in result.stream:
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
    limit = MAX_DELAY - least
    usable = [at for at, delay in call.arrivals if delay <= limit + (least - CODEC_DELAY)]
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


@lru_cache(maxsize=None)
def calm_delay(policy: str) -> float:
    """What a policy holds on a network that is always calm, above that of the network, seconds."""
    call = play(tape(Stream(), None), 0, NetworkProfile(delay=0.03), 0, policy, 40.0)
    last = [record.time - record.timestamp / RATE for record in call.records if record.time > 38.0]
    return float(np.median(last)) - 0.03 - 0.02


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
    """The same after the first 5 s."""
    difference: float
    """Largest difference from plain decoding after the last change, 0..2."""


def clean(policy: str, jitter: float, folder: Path | None, seconds: float = 60.0) -> Clean:
    """A call over a network that loses nothing, beside the same packets decoded as they are."""
    profile = NetworkProfile(delay=0.03, jitter=jitter, jitter_distribution=JitterDistribution.UNIFORM)
    recording = tape(Stream(), folder)
    call = play(recording, 0, profile, 1, policy, seconds)
    plain = play(recording, 0, NetworkProfile(delay=0.03), 1, "fixed", seconds)
    changes = [(r.time, abs(r.samples - r.media)) for r in call.records if r.samples != r.media]
    settled = max((at for at, _ in changes), default=0.0)
    kept = [record for record in call.records if record.time > settled]
    by_time = {record.timestamp: round(record.time * RATE) for record in plain.records}
    difference = 0.0
    for record in kept:
        here, there = round(record.time * RATE), by_time.get(record.timestamp)
        size = record.samples
        if there is not None and max(here, there) + size <= call.heard.size:
            gap = np.abs(call.heard[here : here + size] - plain.heard[there : there + size])
            difference = max(difference, float(gap.max(initial=0.0)))
    late = sum(size for at, size in changes if at > 5.0)
    return Clean(policy, 1000 * jitter, settled, sum(size for _, size in changes), late, difference)


# Command line --------------------------------------------------------------------


def replay(seed: int, policy: str, folder: Path | None, output: Path | None) -> Result:
    """One call again; writes what was heard, what was sent and the trace."""
    result = run(seed, policy, folder)
    profile, stream, where = profile_of(seed, CALL, CALM)
    print(profile)
    if output is not None and "exception" not in result.failures:
        recording = tape(stream, folder)
        call = play(recording, int(where * len(recording.packets)), profile, seed, policy, CALL)
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
    parser.add_argument("--speech", type=Path, help="folder of WAV or FLAC clips (default: the sample)")
    parser.add_argument("--output", type=Path, help="folder for the results, or for the call of --seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    if args.seed is not None:
        result = replay(args.seed, args.policy, args.speech, args.output)
        print(json.dumps(asdict(result), indent=1))
        return int(bool(result.failures))
    began = time.monotonic()
    for stream in STREAMS:  # before the processes part, so that they share it
        tape(stream, args.speech)
    calls = math.ceil(args.minutes * 60 / CALL)
    seeds = range(args.first_seed, args.first_seed + calls)
    results = []
    with ProcessPoolExecutor(args.jobs) as pool:
        one = partial(run, policy=args.policy, folder=args.speech)
        for result in pool.map(one, seeds, chunksize=4):
            results.append(result)
            print(f"\r{len(results)}/{calls}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    speed = calls * CALL / (time.monotonic() - began)
    tests = [clean(args.policy, jitter, args.speech) for jitter in (0.0, 0.0025, 0.005)]
    failed = report(results, tests, speed)
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        rows = [asdict(result) for result in results]
        (args.output / f"endurance_{args.policy}.json").write_text(json.dumps(rows), encoding="utf-8")
    return int(failed)


def report(results: list[Result], tests: list[Clean], speed: float) -> bool:
    """Print what was found; True when a check failed."""
    print(f"{len(results) * CALL / 60:.0f} minutes, {speed:.0f} times as fast as real time")
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
    print("\nclean network:")
    for test in tests:
        print(
            f"  {test.policy}, jitter +-{test.jitter_ms:.1f} ms: {test.changed} samples added or removed, "
            f"{test.changed_late} after 5 s, the last at {test.settled:.2f} s; "
            f"difference from plain decoding {test.difference:.1e}"
        )
    return any(result.failures for result in results) or any(test.changed_late for test in tests)


if __name__ == "__main__":
    sys.exit(main())
