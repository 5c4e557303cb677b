"""The report on a model: ``python -m softphone_onnx_playout.training.report --traces DIR``.

Plays calls over networks and speakers that the model has not seen, with `onnx`,
`histogram` and `fixed` at several delays, beside the bound of the teacher who knows the
future, and writes a Markdown page with pictures. With ``--real`` the calls run through the
encoder and the playout core itself instead of the simulator that the training uses.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.audio.files import read_file
from softphone.data import sample_speech
from softphone.sending import SendingConfig
from softphone.sim.network import generate_trace
from softphone.sim.random_profile import random_profile
from softphone_onnx_playout.model import PlayoutModel, shipped_model
from softphone_onnx_playout.training.evaluate import Case, Outcome, evaluate, policies
from softphone_onnx_playout.training.networks import read_traces
from softphone_onnx_playout.training.pictures import draw_costs, draw_front, draw_learning

__all__ = ["main"]

_FIXED_MS = (60, 100, 150, 200, 300)
_WEIGHTS = (0.25, 0.35, 0.5, 0.7, 2.0, 4.0)
_SEED = 77_000
_CLIPS_A_CALL = 6


def _speech(clips: list[Path], number: int, seconds: float) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    while sum(part.size for part in parts) < 48_000 * seconds:
        parts.append(read_file(str(clips[(_CLIPS_A_CALL - 1) * number % len(clips)])))
        number += 1
    return np.concatenate(parts)[: round(48_000 * seconds)]


def _cases(args: argparse.Namespace) -> list[Case]:
    clips = sorted(args.speech.glob("*.flac")) + sorted(args.speech.glob("*.wav")) if args.speech else []
    clips = clips or [sample_speech()]
    cases: list[Case] = []
    sending = SendingConfig(bitrate=args.bitrate)
    for folder in args.traces:
        for name, trace in read_traces(folder).items():
            kind = _kind(name)
            cases.append(Case(kind, name, trace, _speech(clips, len(cases), args.seconds), sending))
    packets = round(args.seconds / 0.02) + 50
    for number in range(args.random):
        profile = random_profile(np.random.default_rng(_SEED + number), duration=args.seconds)
        trace = generate_trace(profile, packets, _SEED + number)
        speech = _speech(clips, len(cases), args.seconds)
        cases.append(Case("random", f"random {number}", trace, speech, sending))
    return cases


def _kind(name: str) -> str:
    """The folder of a trace; congested and idle links are two kinds of network."""
    folder = Path(name).parent.name or "traces"
    for ending in ("_alone", "_cross"):
        if Path(name).stem.endswith(ending):
            return folder + ending
    return folder


def _mean(outcomes: list[Outcome], policy: str, kind: str | None, value: Callable[[Outcome], float]) -> float:
    found = [value(each) for each in outcomes if each.policy == policy and kind in (None, each.kind)]
    return float(np.mean(found))


def _total(outcome: Outcome) -> float:
    return outcome.cost["total"]


def _kind_table(outcomes: list[Outcome], names: list[str]) -> str:
    kinds = sorted({each.kind for each in outcomes})
    head = ["network", "calls", *names, "onnx against histogram"]
    rows = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for kind in [*kinds, None]:
        count = len({(each.kind, each.name) for each in outcomes if kind in (None, each.kind)})
        totals = {name: _mean(outcomes, name, kind, _total) for name in names}
        change = 100.0 * (totals["onnx"] / totals["histogram"] - 1.0)
        cells = [
            kind or "**all**",
            str(count),
            *(f"{totals[name]:.2f}" for name in names),
            f"{change:+.0f} %",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _part_table(outcomes: list[Outcome], names: list[str]) -> str:
    parts = [part for part in outcomes[0].cost if part != "total"]
    head = ["policy", *parts, "total", "mean delay ms", "concealed %"]
    rows = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name in names:
        cells = [name]
        cells += [
            f"{_mean(outcomes, name, None, lambda each, p=part: each.cost[p]):.2f}"  # type: ignore[misc]
            for part in (*parts, "total")
        ]
        cells.append(f"{1000 * _mean(outcomes, name, None, lambda each: each.delay):.0f}")
        cells.append(f"{100 * _mean(outcomes, name, None, lambda each: each.concealed):.2f}")
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _losing(outcomes: list[Outcome], most: int = 8) -> str:
    """Calls in which `onnx` is dearer than `histogram`, worst first."""
    by = {(each.policy, each.kind, each.name): each for each in outcomes}
    pairs = [
        (by["onnx", kind, name], each) for (policy, kind, name), each in by.items() if policy == "histogram"
    ]
    lost = sorted(
        ((_total(ours) - _total(theirs), ours.name, ours, theirs) for ours, theirs in pairs),
        key=lambda each: -each[0],
    )
    worse = [each for each in lost if each[0] > 0.0]
    rows = ["| call | onnx | histogram | delay ms | concealed % |", "|---|---|---|---|---|"]
    for _, name, ours, theirs in worse[:most]:
        rows.append(
            f"| {name} | {_total(ours):.2f} | {_total(theirs):.2f} | {1000 * ours.delay:.0f} and "
            f"{1000 * theirs.delay:.0f} | {100 * ours.concealed:.2f} and {100 * theirs.concealed:.2f} |"
        )
    return f"{len(worse)} of {len(pairs)} calls cost more than with `histogram`; the worst:\n\n" + "\n".join(
        rows
    )


def _equal_delay(outcomes: list[Outcome], names: list[str]) -> str:
    """Concealed time of `onnx`, its price of delay changed, at the mean delay of `histogram`."""
    rows = [
        "| network | mean delay ms | concealed by `histogram` % | by `onnx` % | difference |",
        "|---|---|---|---|---|",
    ]
    for kind in [*sorted({each.kind for each in outcomes}), None]:
        points = [_point(outcomes, name, kind) for name in names if name.startswith("onnx")]
        delay, theirs = _point(outcomes, "histogram", kind)
        label = f"| {kind or '**all**'} | {1000 * delay:.0f} | {100 * theirs:.2f} |"
        ours = _interpolated(delay, points)
        if ours is None:
            rows.append(f"{label}  |  |")
        else:
            change = f"{100 * (ours / theirs - 1):+.0f} %" if theirs > 0.0 else ""
            rows.append(f"{label} {100 * ours:.2f} | {change} |")
    return "\n".join(rows)


def _point(outcomes: list[Outcome], policy: str, kind: str | None) -> tuple[float, float]:
    """Mean delay, seconds, and share of concealed speech."""
    delay = _mean(outcomes, policy, kind, lambda each: each.delay)
    return delay, _mean(outcomes, policy, kind, lambda each: each.concealed)


def _interpolated(delay: float, points: list[tuple[float, float]]) -> float | None:
    """The second value at ``delay``; None outside of what was tried."""
    first, second = zip(*sorted(points), strict=True)
    return float(np.interp(delay, first, second)) if first[0] <= delay <= first[-1] else None


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--traces", type=Path, nargs="*", default=[], help="folders of trace CSV files")
    parser.add_argument("--random", type=int, default=40, help="calls over generated networks (default 40)")
    parser.add_argument("--speech", type=Path, help="folder of clips (default: the shipped sample)")
    parser.add_argument("--seconds", type=float, default=24.0, help="length of a call (default 24)")
    parser.add_argument("--bitrate", type=int, default=48_000, help="bit/s (default 48000)")
    parser.add_argument("--model", type=Path, default=shipped_model())
    parser.add_argument("--real", action="store_true", help="with the playout core instead of the simulator")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--output", type=Path, default=Path("report.md"), help="page; pictures go beside it")
    args = parser.parse_args(arguments)
    fixed, weights = ((), ()) if args.real else (_FIXED_MS, _WEIGHTS)
    cases = _cases(args)
    outcomes = evaluate(
        cases, policies(fixed, weights, args.model), real=args.real, bound=True, jobs=args.jobs
    )
    named = list(dict.fromkeys(each.policy for each in outcomes))
    played = [name for name in named if name != "bound"]
    compared = [name for name in named if not name.startswith("onnx x")]
    engine = "the playout core itself" if args.real else "the simulator that the training uses"
    page = [
        "# Report on the model",
        f"{len(cases)} calls of {args.seconds:g} s at {args.bitrate / 1000:g} kb/s, redundancy `auto`, "
        f"played by {engine}. Costs are mean losses of R (ITU-T G.107); `bound` is the teacher, who "
        "knows the future.",
        "## By kind of network",
        _kind_table(outcomes, compared),
        "## By part",
        _part_table(outcomes, played),
    ]
    stem = args.output.with_suffix("")
    if not args.real:
        page += [
            "## At equal delay",
            "`onnx` with its price of delay so changed that its mean delay on the kind of network is that of "
            "`histogram` there; empty where none that was tried does.",
            _equal_delay(outcomes, played),
            f"![Delay against concealment]({stem.name}-front.png)",
        ]
        draw_front(outcomes, played, Path(f"{stem}-front.png"))
    draw_costs(outcomes, compared, Path(f"{stem}-costs.png"))
    page += [f"![Costs by network]({stem.name}-costs.png)", "## Where it loses", _losing(outcomes)]
    curves = PlayoutModel(args.model).training.get("curves", [])
    if curves:
        draw_learning(curves, Path(f"{stem}-learning.png"))
        page += ["## Learning curves", f"![Learning curves]({stem.name}-learning.png)"]
    args.output.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    print(f"{args.output} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
