"""From networks to a model: ``python -m softphone_onnx_playout.training.train``.

Rounds: a student drives through simulated calls (in the first round: chance), the teacher
marks each step with what each target would have cost, and a new student learns from all
that was marked so far. Everything follows from ``--seeds``.

Needs ``pip install 'softphone[training]'`` (PyTorch and onnx). About forty minutes on two cores.
"""

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from softphone.data import sample_speech
from softphone_onnx_playout.features import FEATURES, TARGETS
from softphone_onnx_playout.model import shipped_model
from softphone_onnx_playout.training.collect import Lesson, collect
from softphone_onnx_playout.training.cost import CostTable
from softphone_onnx_playout.training.export import export
from softphone_onnx_playout.training.networks import NetworkGenerator, read_traces
from softphone_onnx_playout.training.speech import SpeechLibrary
from softphone_onnx_playout.training.student import HIDDEN, Student, fit
from softphone_onnx_playout.training.teacher import COMMITMENT

__all__ = ["main", "train"]


def _lesson(generator: NetworkGenerator, student: Student | None, seed: int) -> Lesson:
    return collect(generator.draw(seed), student, seed=seed)


def train(
    generator: NetworkGenerator, *, seeds: Sequence[int], rounds: int, calls: int, epochs: int, jobs: int
) -> tuple[Student, dict[str, Any]]:
    """Teach a student; returns it and a description of the training (for the model's metadata).

    ``seeds``: one course for each, with calls of its own; of several courses the last student
    learns everything together, since each course ends with a liking of its own. ``calls``: new
    calls per round. The description has the curve of errors of each fit.
    """
    lessons: list[Lesson] = []
    curves: list[list[tuple[float, float]]] = []
    with ProcessPoolExecutor(jobs) as pool:
        for seed in seeds:
            course = _Course(generator, seed, calls, pool)
            curves += course.run(rounds, epochs)
            lessons += course.lessons
    student = course.student
    if len(seeds) > 1:
        random.Random(1).shuffle(lessons)
        student, curve = fit(*_joined(lessons), seed=max(seeds) + 1, epochs=2 * epochs)
        curves.append(curve)
    assert student is not None
    data = hashlib.sha256()
    for lesson in lessons:
        data.update(np.ascontiguousarray(lesson.labels).tobytes())
    description = {
        "seeds": list(seeds),
        "rounds": rounds,
        "calls": calls,
        "epochs": epochs,
        "steps": sum(len(lesson.features) for lesson in lessons),
        "commitment": COMMITMENT,
        "features": FEATURES,
        "targets_ms": [round(1000 * float(target)) for target in TARGETS],
        "hidden": list(HIDDEN),
        "weights": student.size,
        "costs": asdict(CostTable()),
        "lessons": data.hexdigest(),
        "curves": [[[round(each, 3) for each in epoch] for epoch in curve] for curve in curves],
    }
    return student, description


class _Course:
    """Rounds in which a student meets calls and learns from all that it has met."""

    def __init__(self, generator: NetworkGenerator, seed: int, calls: int, pool: ProcessPoolExecutor) -> None:
        self.student: Student | None = None
        self.lessons: list[Lesson] = []
        self._generator, self._seed, self._calls, self._pool = generator, seed, calls, pool
        self._began = time.monotonic()

    def run(self, rounds: int, epochs: int) -> list[list[tuple[float, float]]]:
        """Drive, have it marked, learn; again and again. Returns the errors by epoch of each round."""
        curves = []
        for number in range(rounds):
            first = (self._seed * 1000 + number) * 100_000
            work = partial(_lesson, self._generator, self.student)
            self.lessons += self._pool.map(work, range(first, first + self._calls), chunksize=4)
            features, labels = _joined(self.lessons)
            last = number == rounds - 1
            self.student, curve = fit(
                features, labels, seed=self._seed, epochs=2 * epochs if last else epochs
            )
            curves.append(curve)
            print(
                f"seed {self._seed}, round {number + 1}: {len(self.lessons)} calls, {len(features)} "
                f"steps, error {curve[-1][0]:.2f}, unseen {curve[-1][1]:.2f}, "
                f"{time.monotonic() - self._began:.0f} s",
                file=sys.stderr,
                flush=True,
            )
        return curves


def _joined(lessons: list[Lesson]) -> tuple[Any, Any]:
    # The newest calls come last: the part held out by `fit` is made of whole calls.
    return (
        np.concatenate([lesson.features for lesson in lessons]),
        np.concatenate([lesson.labels for lesson in lessons]),
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--traces", type=Path, help="folder of trace CSV files to train on too")
    parser.add_argument("--speech", type=Path, help="folder of clips (default: the shipped sample)")
    parser.add_argument("--output", type=Path, default=shipped_model(), help="where the model goes")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[4, 5, 6], help="a course of its own for each (default 4 5 6)"
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--calls", type=int, default=190, help="calls of 25 to 90 s per round")
    parser.add_argument("--epochs", type=int, default=6, help="per round; the last takes twice as many")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    args = parser.parse_args(arguments)
    clips = sorted(args.speech.glob("*.flac")) + sorted(args.speech.glob("*.wav")) if args.speech else []
    generator = NetworkGenerator(
        SpeechLibrary(clips or [sample_speech()]),
        read_traces(args.traces) if args.traces else None,
    )
    student, description = train(
        generator, seeds=args.seeds, rounds=args.rounds, calls=args.calls, epochs=args.epochs, jobs=args.jobs
    )
    export(student, args.output, description)
    print(f"{args.output}: {student.size} weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
