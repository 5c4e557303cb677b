"""``run``: every system on every schedule, a few live calls at a time, resumable."""

import asyncio
import contextlib
import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.neteq.live.chromium import Browser, open_browser
from benchmarks.neteq.live.deep_plc import deep_plc_environment
from benchmarks.neteq.live.realtime import real_time
from benchmarks.neteq.live.receivers import BrowserReceiver, ProcessReceiver, Receiver
from benchmarks.neteq.live.session import CONNECT_SECONDS, LiveCall, LiveResult, hold_calls
from benchmarks.neteq.offline import play
from benchmarks.neteq.recording import Recording
from benchmarks.neteq.reference import Reference
from benchmarks.neteq.results import RunResult
from benchmarks.neteq.schedules import Schedule
from benchmarks.neteq.scoring import METRICS, Score, score
from benchmarks.neteq.streams import Stream, encode
from benchmarks.neteq.systems import Encoding, System
from softphone.errors import RemoteError, SoftphoneError

__all__ = ["Matrix", "perform"]

_SCORING_SECONDS = 5.0
_BEFORE, _AFTER = 3.0, 0.3
"""A stall from so long before a segment to so long after it spoils it, seconds."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Matrix:
    """What to compare and how."""

    reference: Reference
    schedules: Sequence[Schedule]
    systems: Sequence[System]
    encodings: Sequence[Encoding]
    plan: str
    """Redundancy that softphone sends."""
    policy: str
    """Playout policy of softphone."""
    max_delay: float
    """Mouth to ear, of softphone, seconds."""
    parallel: int
    """Live calls at a time."""
    tries: int
    """How often a run in which the machine stood still is repeated, at most."""
    jobs: int
    """Processes that score."""
    cache: Path
    folder: Path
    """Where results go."""


@dataclass(frozen=True, slots=True)
class _Run:
    system: System
    encoding: Encoding
    schedule: Schedule
    matrix: Matrix

    @property
    def name(self) -> str:
        return f"{self.system.name}.{self.encoding}.{self.schedule.name}"

    @property
    def policy(self) -> str:
        return self.matrix.policy if self.system.planned else ""

    @property
    def key(self) -> str:
        spec = self.encoding.spec(self.system, self.matrix.plan)
        limit = self.matrix.max_delay if self.policy else 0
        words = f"{spec} {self.policy} {limit} {self.matrix.reference.digest}"
        return hashlib.sha256(words.encode() + self.schedule.trace.delays.tobytes()).hexdigest()[:16]

    def stream(self) -> Stream:
        matrix = self.matrix
        spec = self.encoding.spec(self.system, matrix.plan)
        return encode(spec, matrix.reference, self.schedule, matrix.cache)

    def earlier(self) -> RunResult | None:
        """What an earlier try of the same thing gave."""
        path = self.matrix.folder / f"{self.name}.json"
        with contextlib.suppress(SoftphoneError):
            if path.is_file() and (result := RunResult.load(path)).key == self.key:
                return result
        return None

    def result(self, scored: Score, stream: Stream, tries: int) -> RunResult:
        return RunResult(
            system=self.system.name,
            encoding=str(self.encoding),
            schedule=self.schedule.name,
            kind=self.schedule.kind,
            stream=self.encoding.title(self.system, stream.spec),
            kbps=stream.kbps,
            key=self.key,
            policy=self.policy,
            score=scored,
            tries=tries,
        )


def perform(matrix: Matrix, say: Say = lambda text: print(text, file=sys.stderr, flush=True)) -> None:
    """Run what is not there yet, and again what stalls of the machine have spoiled.

    Raises :class:`SoftphoneError` when a system can't be run at all.
    """
    matrix.folder.mkdir(parents=True, exist_ok=True)
    runs = [
        _Run(system, encoding, schedule, matrix)
        for system in matrix.systems
        for encoding in matrix.encodings
        for schedule in matrix.schedules
    ]
    with ProcessPoolExecutor(matrix.jobs) as pool:
        for number in range(matrix.tries):
            pending = [run for run in runs if _wanted(run, number)]
            if not pending:
                break
            word = "runs" if number == 0 else "runs again, in which the machine had stood still"
            say(f"{len(pending)} {word}; about {_estimate(matrix, pending) / 60:.0f} minutes")
            _pass(matrix, pending, pool, say)


def _wanted(run: _Run, tries: int) -> bool:
    earlier = run.earlier()
    return earlier is None or not (earlier.complete or earlier.tries > tries)


def _estimate(matrix: Matrix, runs: Sequence[_Run]) -> float:
    batch = matrix.reference.seconds + CONNECT_SECONDS
    live = sum(batch for group in _batches(matrix, runs) if group[0].system.name != "softphone-sim")
    return live + len(runs) * _SCORING_SECONDS / matrix.jobs


def _batches(matrix: Matrix, runs: Sequence[_Run]) -> Iterator[list[_Run]]:
    """Runs of one system, as many as are held together."""
    for system in dict.fromkeys(run.system for run in runs):
        group = [run for run in runs if run.system is system]
        for start in range(0, len(group), matrix.parallel):
            yield group[start : start + matrix.parallel]


def _pass(matrix: Matrix, runs: Sequence[_Run], pool: ProcessPoolExecutor, say: Say) -> None:
    began, done = time.monotonic(), 0
    for batch in _batches(matrix, runs):
        done += len(batch)
        streams = list(pool.map(_Run.stream, batch))
        if batch[0].system.name == "softphone-sim":
            results = list(pool.map(_simulate, batch, streams))
        else:
            try:
                with real_time():
                    held, version = asyncio.run(_hold(matrix, batch, streams))
            except (RemoteError, RuntimeError, TimeoutError) as error:
                say(f"failed, left for the next pass: {', '.join(run.name for run in batch)}: {error!r}")
                continue
            scored = pool.map(_score, batch, [each.captured.recording for each in held])
            results = [
                (_live_result(run, stream, each, figures, version), each.captured.recording)
                for run, stream, each, figures in zip(batch, streams, held, scored, strict=True)
            ]
        for run, (result, recording) in zip(batch, results, strict=True):
            _keep(run, result, recording)
        left = (time.monotonic() - began) / done * (len(runs) - done)
        spoiled = sum(len(result.score.segments) - result.valid for result, _ in results)
        say(
            f"{done}/{len(runs)}: {', '.join(run.name for run in batch)}"
            + (f"; {spoiled} segments spoiled by stalls" if spoiled else "")
            + (f"; {left / 60:.0f} min left" if left else "")
        )


def _keep(run: _Run, result: RunResult, recording: Recording) -> None:
    """Store this try, each segment of it that was spoiled replaced by one that was not."""
    earlier = run.earlier()
    if earlier is not None:
        result.tries = earlier.tries + 1
        if earlier.valid > result.valid:
            result.score.returns = earlier.score.returns
        result.score.segments = [
            old if old.valid and not new.valid else new
            for old, new in zip(earlier.score.segments, result.score.segments, strict=True)
        ]
    result.save(run.matrix.folder, recording)


def _simulate(run: _Run, stream: Stream) -> tuple[RunResult, Recording]:
    matrix = run.matrix
    call = play(stream, run.schedule, matrix.reference, policy=matrix.policy, max_delay=matrix.max_delay)
    return run.result(_score(run, call.recording), stream, 1), call.recording


def _score(run: _Run, recording: Recording) -> Score:
    return score(run.matrix.reference, run.schedule, recording, METRICS)


async def _hold(
    matrix: Matrix, batch: Sequence[_Run], streams: Sequence[Stream]
) -> tuple[list[LiveResult], str]:
    """The calls of a batch, all at the same time, and the version of the receiver."""
    system = batch[0].system
    async with contextlib.AsyncExitStack() as stack:
        browser, version = None, ""
        if system.in_browser:
            environment = deep_plc_environment(matrix.cache) if system.deep_plc else {}
            browser = await stack.enter_async_context(
                open_browser(field_trials=system.field_trials, environment=environment)
            )
            version = await browser.version()
        calls = [
            LiveCall(stream, run.schedule, _receiver(run, browser, number))
            for number, (run, stream) in enumerate(zip(batch, streams, strict=True))
        ]
        return await hold_calls(matrix.reference, calls), version


def _receiver(run: _Run, browser: Browser | None, number: int) -> Receiver:
    if browser is not None:
        return BrowserReceiver(browser, f"call{number}")
    if run.system.name == "aiortc":
        return ProcessReceiver("aiortc")
    matrix = run.matrix
    return ProcessReceiver("softphone", "--policy", matrix.policy, "--max-delay", str(matrix.max_delay))


def _live_result(run: _Run, stream: Stream, held: LiveResult, scored: Score, version: str) -> RunResult:
    for segment, (begin, end) in zip(scored.segments, run.matrix.reference.segments, strict=True):
        segment.valid = not any(begin - _BEFORE <= stall <= end + _AFTER for stall in held.stalls)
    late = 1000 * np.array([seconds for _, seconds in held.release.late])
    result = run.result(scored, stream, 1)
    result.stalls = held.stalls
    result.late_ms = {
        name: round(float(np.percentile(late, share)), 2)
        for name, share in (("p50", 50), ("p99", 99), ("max", 100))
    }
    result.missing = held.release.missing
    result.statistics = held.captured.statistics
    result.receiver = version
    return result
