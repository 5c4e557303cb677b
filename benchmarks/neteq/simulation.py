"""``simulate``: softphone in virtual time on every schedule, next to NetEq and the targets."""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.neteq.offline import play
from benchmarks.neteq.reference import Reference
from benchmarks.neteq.results import plain
from benchmarks.neteq.schedules import Schedule
from benchmarks.neteq.scoring import Score, score
from benchmarks.neteq.streams import StreamSpec, encode
from benchmarks.neteq.summary import Summary, summarize
from benchmarks.neteq.targets import NETEQ, TARGETS, Figures
from softphone.playout import Action, Source, TraceRecord

__all__ = ["Outcome", "Settings", "progress", "save", "simulate", "simulate_one", "table"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What to simulate, apart from the schedule."""

    stream: StreamSpec
    policy: str
    max_delay: float
    """Mouth to ear, seconds."""
    complexity: int
    """Of the decoder."""
    phase: float
    """Of the output against the packets, seconds."""
    metrics: tuple[str, ...]
    cache: Path | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One schedule."""

    schedule: str
    kind: str
    kbps: float
    score: Score
    shares: dict[str, float]
    """Shares of the output: by source, and what waiting and stretching added and removed."""


def simulate(
    reference: Reference, schedules: Sequence[Schedule], settings: Settings, jobs: int
) -> Iterator[Outcome]:
    """Simulate all schedules on ``jobs`` processes; outcomes come in their order.

    Raises :class:`softphone.errors.ConfigError` for an unknown policy or plan, and for
    quality models that are not installed.
    """
    work = partial(simulate_one, reference, settings)
    if jobs <= 1 or len(schedules) == 1:
        yield from map(work, schedules)
        return
    with ProcessPoolExecutor(min(jobs, len(schedules))) as pool:
        yield from pool.map(work, schedules)


def simulate_one(reference: Reference, settings: Settings, schedule: Schedule) -> Outcome:
    """Play one schedule and score it; raises as `simulate` does."""
    stream = encode(settings.stream, reference, schedule, settings.cache)
    call = play(
        stream,
        schedule,
        reference,
        policy=settings.policy,
        max_delay=settings.max_delay,
        phase=settings.phase,
        complexity=settings.complexity,
    )
    shares = _shares_of(call.records, reference.pcm.size)
    scored = score(reference, schedule, call.recording, settings.metrics)
    return Outcome(schedule.name, schedule.kind, stream.kbps, scored, shares)


def _shares_of(records: Sequence[TraceRecord], length: int) -> dict[str, float]:
    spoken = [record for record in records if record.timestamp < length]
    total = max(1, sum(record.samples for record in spoken))

    def share(samples: Iterable[int]) -> float:
        return sum(samples) / total

    def changed(action: Action) -> float:
        return share(abs(record.samples - record.media) for record in spoken if record.action is action)

    shares = {
        str(source): share(record.samples for record in spoken if record.source is source)
        for source in Source
    }
    actions = {
        "waited": Action.WAIT,
        "stretched": Action.STRETCH,
        "compressed": Action.COMPRESS,
        "skipped": Action.SKIP,
    }
    return shares | {name: changed(action) for name, action in actions.items()}


_HEADER = (
    "schedule", "kb/s", "lost %", "PLCMOS", "PESQ", "STOI", "m2e p50", "p95", "int./10s", "back s",
    "repaired % / concealed %", "waited / stretched / compressed / skipped %", "target", "NetEq RED",
)  # fmt: skip


def table(outcomes: Iterator[Outcome]) -> Iterator[str]:
    """The rows of a Markdown table as outcomes come in, and the mean at the end.

    A figure that misses its target is marked with ``!``.
    """
    yield "| " + " | ".join(_HEADER) + " |"
    yield "|---" * len(_HEADER) + "|"
    scores = []
    for outcome in outcomes:
        scores.append(outcome.score)
        yield _row(outcome.schedule, f"{outcome.kbps:.1f}", summarize([outcome.score]), outcome)
    if len(scores) > 1:
        yield _row("mean", "", summarize(scores), None)


def _row(name: str, kbps: str, summary: Summary, outcome: Outcome | None) -> str:
    target = TARGETS.get(outcome.kind) if outcome else None
    back = (
        "-"
        if math.isnan(summary.return_median)
        else f"{summary.return_median:.1f} ({summary.return_worst:.1f})"
    )
    cells = [
        name,
        kbps,
        f"{100 * summary.lost:.1f}",
        _marked(summary.plcmos.mean, 2, target, "plcmos"),
        _marked(summary.pesq.mean, 2, target, "pesq"),
        _marked(summary.stoi.mean, 3, target, "stoi"),
        _marked(summary.delay_p50.mean, 0, target, "delay_ms"),
        f"{summary.delay_p95.mean:.0f}",
        f"{summary.interruptions:.1f}",
        back,
        *(_shares(outcome.shares) if outcome else ("", "")),
        str(target or ""),
        str(NETEQ.get(outcome.kind, "")) if outcome else "",
    ]
    return "| " + " | ".join(cells) + " |"


def _marked(value: float, digits: int, target: Figures | None, name: str) -> str:
    if math.isnan(value):
        return "-"
    text = f"{value:.{digits}f}"
    if target is None:
        return text
    wanted = getattr(target, name)
    missed = float(text) > wanted if name == "delay_ms" else float(text) < wanted
    return f"{text}!" if missed else text


def _shares(shares: dict[str, float]) -> tuple[str, str]:
    repaired = shares["red"] + shares["lbrr"] + shares["dred"]
    concealed = shares["plc"] + shares["cng"]
    moved = (shares[name] for name in ("waited", "stretched", "compressed", "skipped"))
    return f"{100 * repaired:.1f} / {100 * concealed:.1f}", " / ".join(
        f"{100 * share:.1f}" for share in moved
    )


def save(outcomes: Sequence[Outcome], settings: Settings, path: Path) -> None:
    """Write everything measured as JSON; NaN becomes null."""
    document = {
        "settings": asdict(settings) | {"cache": str(settings.cache)},
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(plain(document), indent=1), encoding="utf-8")


def progress(outcomes: Iterator[Outcome], total: int, kept: list[Outcome]) -> Iterator[Outcome]:
    """Pass outcomes on, keep them, and count them on standard error."""
    for number, outcome in enumerate(outcomes, 1):
        kept.append(outcome)
        if sys.stderr.isatty():
            print(f"\r{number}/{total} schedules", end="\r", file=sys.stderr, flush=True)
        yield outcome
