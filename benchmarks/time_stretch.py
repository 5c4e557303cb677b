"""What making speech faster or slower costs, and whether it can be heard.

Plays clips through the playout engine while a policy asks for a steady change of tempo, from
20 % faster to 20 % slower, and compares with the same packets played as they are. Audio is
taken from whole packets, or with bursts of loss that DRED repairs or that are concealed.

    python benchmarks/time_stretch.py
    python benchmarks/time_stretch.py --speech DIR --clips 12 --output DIR

Prints a table; --output writes it with the figures of each clip (JSON) and pictures. Needs
the scoring models: pip install 'softphone[bench]'.

manner     even: asked for in every frame. pauses: the change may run a quarter of a second
           ahead in pauses, and speech is touched only when that does not do.
reached %  samples added (+) or removed (-) per sample of media
pauses %   share of that in 10 ms frames without speech
PLCMOS     loss against the unchanged decode, mean over the clips and its 95 % interval
STOI       of the unchanged decode against the changed one, each frame of the one compared with
           the frame of the other in which the same media is heard
pitch      F0 after over F0 before, same voiced frames: median, and share off by more than 3 %
clicks %   joins where 1 ms of the second difference has more than twice the amplitude of all that is
           within 15 ms of the join; in brackets the same places of the unchanged decode
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from stretch_measures import aligned_stoi, clicks, edginess, pitch

from softphone.data import sample_speech
from softphone.opus import Decoder, Encoder
from softphone.playout import (
    Action,
    Decision,
    Effort,
    Observation,
    PlayoutConfig,
    PlayoutEngine,
    PlayoutPolicy,
    PolicyConfig,
    TraceRecord,
)
from softphone.playout.stretch import TimeStretcher
from softphone.rtp.packet import RtpPacket
from softphone.sim.scoring import ACTIVITY_FRAME, plcmos, speech_activity

Pcm = NDArray[np.float32]
Values = NDArray[np.float64]

RATE = 48_000
FRAME = 960
RATES = (-0.20, -0.15, -0.10, -0.05, 0.05, 0.10, 0.15, 0.20)
GENTLE = 0.10
"""Changes up to this are asked for with Effort.SPEECH, larger ones with Effort.URGENT."""
AHEAD = 0.25
"""How far a change may run ahead in pauses, seconds."""
BURST, EVERY = 5, 25
"""Of each 25 packets 5 in a row are lost where DRED or concealment is wanted."""
SOURCES = {"packets": (0, False), "dred": (1000, True), "concealed": (0, True)}
"""Milliseconds of DRED, and whether packets are lost."""


class TempoPolicy(PlayoutPolicy):
    """Plays everything, ``tempo`` (share of the media, negative: faster) shorter or longer."""

    def __init__(self, tempo: float, start: float, manner: str) -> None:
        super().__init__(PolicyConfig(max_delay=60.0))
        self._tempo = tempo
        self._start = start
        self._ahead = AHEAD if manner == "pauses" else 0.0
        self._first: tuple[float, float] | None = None

    @property
    def start_delay(self) -> float:
        """Enough to take from."""
        return self._start

    def decide(self, observation: Observation) -> Decision:
        """Follow the line that the tempo gives."""
        media = observation.now - observation.delay
        if self._first is None:
            self._first = media, observation.delay
        line = self._first[1] + self._tempo * (media - self._first[0])
        sign = -1.0 if self._tempo < 0.0 else 1.0
        behind = sign * (line - observation.delay)
        if not self._tempo or behind <= -self._ahead:
            return Decision(Action.PLAY, observation.best, observation.delay)
        effort = Effort.SPEECH if abs(self._tempo) <= GENTLE else Effort.URGENT
        if self._ahead and behind <= 0.0:
            effort = Effort.PAUSES
        action = Action.COMPRESS if sign < 0.0 else Action.STRETCH
        # A little beyond the line, so that a whole period fits.
        target = line + sign * max(self._ahead, 0.020)
        return Decision(action, observation.best, target, effort)


@dataclass(frozen=True)
class Job:
    """One clip, changed in one way."""

    clip: Path
    source: str
    manner: str
    tempo: float


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    clip: str
    source: str
    manner: str
    tempo: float
    reached: float
    in_pauses: float
    plcmos_loss: float
    stoi: float
    pitch_ratio: float
    pitch_wrong: float
    joins: int
    clicks: int
    clicks_before: int


@dataclass(frozen=True)
class Playback:
    """What was heard, and which media it was."""

    pcm: Pcm
    records: tuple[TraceRecord, ...]

    def starts(self) -> NDArray[np.int64]:
        """Sample at which each record begins in `pcm`."""
        return np.round([RATE * record.time for record in self.records]).astype(np.int64)

    def places(self, media: Values) -> Values:
        """Samples of `pcm` at which samples of media are heard."""
        starts, last = self.starts(), self.records[-1]
        timestamps = [record.timestamp for record in self.records]
        ends = [*timestamps, last.timestamp + last.media], [*starts, starts[-1] + last.samples]
        return np.asarray(np.interp(media, *ends))

    def spoken(self) -> Pcm:
        """`pcm` from the first frame to the last."""
        starts = self.starts()
        return self.pcm[starts[0] : starts[-1] + self.records[-1].samples]


@lru_cache(maxsize=4)
def load(path: Path) -> Pcm:
    """A clip as mono float32 at 48 kHz."""
    pcm, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = pcm.mean(axis=1)
    return np.asarray(mono if rate == RATE else soxr.resample(mono, rate, RATE), np.float32)


@lru_cache(maxsize=8)
def encode(path: Path, dred_ms: int) -> tuple[RtpPacket, ...]:
    """The packets of a clip."""
    encoder = Encoder()
    encoder.bitrate = 48_000
    encoder.packet_loss_perc = 20 if dred_ms else 0
    encoder.dred_duration_ms = dred_ms
    pcm = load(path)
    return tuple(
        RtpPacket(111, number, number * FRAME, 1, encoder.encode(pcm[at : at + FRAME]))
        for number, at in enumerate(range(0, pcm.size - FRAME + 1, FRAME))
    )


@lru_cache(maxsize=4)
def play(path: Path, source: str, manner: str, tempo: float) -> Playback:
    """Play a clip through the engine at a tempo; 0 changes nothing."""
    dred_ms, lossy = SOURCES[source]
    packets = [
        packet
        for packet in encode(path, dred_ms)
        if not (lossy and packet.sequence_number % EVERY >= EVERY - BURST)
    ]
    length = len(packets) * FRAME / RATE * (EVERY / (EVERY - BURST) if lossy else 1.0)
    # All that a frame could be made of is there before it is due, at any tempo.
    start = 1.0 + max(0.0, -tempo) * length + AHEAD
    records: list[TraceRecord] = []
    engine = PlayoutEngine(
        PlayoutConfig(max_delay=60.0), TempoPolicy(tempo, start, manner), on_trace=records.append
    )
    heard: list[Pcm] = []
    waiting = iter(packets)
    packet = next(waiting, None)
    end = packets[-1].timestamp
    while not records or records[-1].timestamp < end:
        now = len(heard) * 480 / RATE
        while packet is not None and (packet.timestamp + FRAME) / RATE <= now:
            engine.insert(packet, (packet.timestamp + FRAME) / RATE)
            packet = next(waiting, None)
        heard.append(engine.pull(now, 480))
    heard.append(engine.pull(len(heard) * 480 / RATE, 480))
    kept = tuple(record for record in records if record.timestamp < end)
    return Playback(np.concatenate(heard), kept)


def run(job: Job) -> Outcome:
    """Play one clip and measure."""
    plain = play(job.clip, job.source, "even", 0.0)
    changed = play(job.clip, job.source, job.manner, job.tempo)
    added = np.array([record.samples - record.media for record in changed.records])
    active = speech_activity(load(job.clip))
    first = np.array([record.timestamp // ACTIVITY_FRAME for record in changed.records])
    paused = ~(active[first] | active[np.minimum(first + 1, active.size - 1)])
    hop = RATE // 100
    media = np.arange(2 * FRAME, plain.records[-1].timestamp - 2 * FRAME, hop, dtype=np.float64)
    spoken = active[np.minimum((media // ACTIVITY_FRAME).astype(int), active.size - 1)]
    before, after = plain.places(media), changed.places(media)
    ratio = pitch(changed.pcm, after[spoken]) / pitch(plain.pcm, before[spoken])
    ratio = ratio[np.isfinite(ratio)]
    joins, clicked, clicked_before = count_clicks(plain, changed)
    return Outcome(
        clip=job.clip.stem,
        source=job.source,
        manner=job.manner,
        tempo=job.tempo,
        reached=float(added.sum()) / sum(record.media for record in changed.records),
        in_pauses=float(np.abs(added[paused]).sum() / max(1, np.abs(added).sum())),
        plcmos_loss=score(job.clip, job.source, "even", 0.0)
        - score(job.clip, job.source, job.manner, job.tempo),
        stoi=aligned_stoi(plain.pcm, before[spoken], changed.pcm, after[spoken]),
        pitch_ratio=float(np.median(ratio)) if ratio.size else 1.0,
        pitch_wrong=float(np.mean(np.abs(ratio - 1.0) > 0.03)) if ratio.size else 0.0,
        joins=joins,
        clicks=clicked,
        clicks_before=clicked_before,
    )


@lru_cache(maxsize=64)
def score(path: Path, source: str, manner: str, tempo: float) -> float:
    """PLCMOS of a clip at a tempo."""
    return plcmos(play(path, source, manner, tempo).spoken())


# Clicks --------------------------------------------------------------------------


def count_clicks(plain: Playback, changed: Playback) -> tuple[int, int, int]:
    """Joins, joins that click, and clicks at the same places of the unchanged decode.

    A join is where a changed frame first and last differs from the same frame unchanged.
    """
    edges = [edginess(signal.pcm) for signal in (plain, changed)]
    joins = clicked = before = 0
    rows = zip(plain.records, plain.starts(), changed.records, changed.starts(), strict=True)
    for old, old_start, new, new_start in rows:
        if old.samples == new.samples:
            continue
        a = plain.pcm[old_start : old_start + old.samples]
        b = changed.pcm[new_start : new_start + new.samples]
        shared = min(a.size, b.size)
        head = _run(a[:shared] == b[:shared])
        tail = _run(a[a.size - shared :][::-1] == b[b.size - shared :][::-1])
        joins += 1
        begin, end = sorted((head, b.size - tail))
        clicked += clicks(edges[1], new_start + begin, new_start + end)
        begin, end = sorted((head, a.size - tail))
        before += clicks(edges[0], old_start + begin, old_start + end)
    return joins, clicked, before


def _run(same: NDArray[np.bool_]) -> int:
    return int(same.size if same.all() else np.argmin(same))


# Report --------------------------------------------------------------------------


def table(outcomes: Iterable[Outcome]) -> str:
    """The means per source, manner and tempo as a Markdown table."""
    rows = [
        "| audio | manner | asked % | reached % | pauses % | PLCMOS loss | STOI | pitch (off %) | clicks % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (source, manner, tempo), group in groupby(outcomes, lambda o: (o.source, o.manner, o.tempo)):
        some = list(group)
        loss = np.array([o.plcmos_loss for o in some])
        joins = max(1, sum(o.joins for o in some))
        clicked = 100 * sum(o.clicks for o in some) / joins
        before = 100 * sum(o.clicks_before for o in some) / joins
        mean = {
            name: float(np.mean([getattr(o, name) for o in some]))
            for name in ("reached", "in_pauses", "stoi", "pitch_ratio", "pitch_wrong")
        }
        rows.append(
            f"| {source} | {manner} | {100 * tempo:+.0f} | {100 * mean['reached']:+.1f} "
            f"| {100 * mean['in_pauses']:.0f} "
            f"| {loss.mean():+.3f} ±{1.96 * loss.std() / len(some) ** 0.5:.3f} | {mean['stoi']:.3f} "
            f"| {mean['pitch_ratio']:.4f} ({100 * mean['pitch_wrong']:.1f}) | {clicked:.1f} ({before:.1f}) |"
        )
    return "\n".join(rows)


def cost(clip: Path) -> str:
    """What a frame costs, beside decoding it: both in this process, in turns."""
    packets = encode(clip, 0)
    decoder, stretcher = Decoder(complexity=5), TimeStretcher()
    spent = {"decode": 0.0, "stretch": 0.0}
    for _ in range(5):
        for packet in packets:
            began = time.thread_time()
            pcm = decoder.decode(packet.payload)
            decoded = time.thread_time()
            result = stretcher.compress(pcm, pause=False, effort=Effort.SPEECH)
            stretcher.push(result.pcm)
            spent["decode"] += decoded - began
            spent["stretch"] += time.thread_time() - decoded
    decode, stretch = (1e6 * value / len(packets) / 5 for value in spent.values())
    return f"cost: {stretch:.0f} us a frame of 20 ms, {stretch / decode:.2f} of decoding it"


def draw(outcomes: list[Outcome], folder: Path) -> None:
    """PLCMOS loss, STOI and what was reached, against what was asked for."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for source, manner in dict.fromkeys((o.source, o.manner) for o in outcomes):
        some = [o for o in outcomes if (o.source, o.manner) == (source, manner)]
        tempi = sorted({o.tempo for o in some})
        for axis, name in zip(axes, ("plcmos_loss", "stoi", "reached"), strict=True):
            scale = 100 if name == "reached" else 1
            values = [scale * np.mean([getattr(o, name) for o in some if o.tempo == t]) for t in tempi]
            axis.plot([100 * t for t in tempi], values, marker="o", label=f"{source}, {manner}")
    for axis, title in zip(axes, ("PLCMOS loss", "STOI", "reached, %"), strict=True):
        axis.set(title=title, xlabel="change of length asked for, %")
        axis.grid(alpha=0.3)
    axes[0].axhline(0.05, color="grey", linestyle="--", linewidth=1)
    axes[0].legend(fontsize=8)
    figure.savefig(folder / "time_stretch.png", dpi=110)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--speech", type=Path, help="folder of WAV or FLAC clips (default: the shipped sample)"
    )
    parser.add_argument("--clips", type=int, default=0, help="at most so many clips (0: all)")
    parser.add_argument("--sources", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    parser.add_argument("--manners", nargs="+", choices=("even", "pauses"), default=["even", "pauses"])
    parser.add_argument("--tempi", nargs="+", type=float, default=[100 * r for r in RATES], metavar="PERCENT")
    parser.add_argument("--output", type=Path, help="folder for table.md, time_stretch.json and .png")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    clips = sorted(p for p in args.speech.iterdir() if p.suffix in (".flac", ".wav")) if args.speech else []
    clips = clips or [sample_speech()]
    step = max(1, len(clips) // args.clips) if args.clips else 1
    clips = clips[::step][: args.clips or None]
    ways = [(s, m, t / 100) for s in args.sources for m in args.manners for t in args.tempi]
    jobs = [Job(clip, *way) for clip in clips for way in ways]
    outcomes = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for number, outcome in enumerate(pool.map(run, jobs, chunksize=len(ways)), 1):
            outcomes.append(outcome)
            print(f"\r{number}/{len(jobs)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    order = {way: number for number, way in enumerate(ways)}
    outcomes.sort(key=lambda o: order[o.source, o.manner, o.tempo])
    text = table(outcomes) + "\n\n" + cost(clips[0])
    print(text)
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "table.md").write_text(text + "\n", encoding="utf-8")
        rows = [asdict(outcome) for outcome in outcomes]
        (args.output / "time_stretch.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
        draw(outcomes, args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
