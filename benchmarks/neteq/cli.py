"""The command line of the comparison."""

import argparse
import os
import sys
from pathlib import Path

from benchmarks.neteq.front import measure_fronts
from benchmarks.neteq.front_report import draw, front_table, notes, write_front_section
from benchmarks.neteq.reference import load_reference
from benchmarks.neteq.report import write_report
from benchmarks.neteq.results import load_results
from benchmarks.neteq.runs import Matrix, perform
from benchmarks.neteq.schedules import SCHEDULES, select
from benchmarks.neteq.scoring import METRICS
from benchmarks.neteq.simulation import Outcome, Settings, progress, save, simulate, table
from benchmarks.neteq.streams import StreamSpec
from benchmarks.neteq.systems import SYSTEMS, parse_encoding
from softphone.errors import SoftphoneError
from softphone.playout import MAX_DELAY

__all__ = ["main"]

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "softphone" / "neteq"


def main() -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.neteq",
        description="The same packets through the same network into several receivers.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_simulate(commands.add_parser("simulate", help="softphone alone, in virtual time"))
    _add_front(commands.add_parser("front", help="delay against quality, in virtual time"))
    _add_run(commands.add_parser("run", help="every system, live, and the report"))
    _add_report(commands.add_parser("report", help="table and pictures of what was run"))
    _add_schedules(commands.add_parser("schedules", help="write the schedules as CSV files"))
    args = parser.parse_args()
    try:
        status: int = args.run(args)
        return status
    except SoftphoneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="FILE",
        help="speech: 4 s, segments of 10 s, 1 s (default: the sample)",
    )
    parser.add_argument(
        "--schedules",
        nargs="+",
        default=[],
        metavar="WHICH",
        help=f"any of {', '.join(SCHEDULES)}, _sN for seed N; CSV files (seq,send_ms,arrival_ms), folders",
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1], help="seeds of schedules named without one"
    )
    parser.add_argument("--match", default="", help="only schedules whose name contains this")
    parser.add_argument("--cache", type=Path, default=_CACHE, metavar="DIR", help="folder of encodings")


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    _add_virtual(parser)
    parser.set_defaults(run=_simulate)
    parser.add_argument("--policy", default="onnx", help="playout policy (default onnx)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")


def _add_virtual(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument(
        "--plan", default="auto", help="redundancy: a mode, or fec=1,loss=20,dred=1040,red=0,rate=N"
    )
    parser.add_argument("--bitrate", type=int, default=48_000, help="of the payload, bit/s (default 48000)")
    parser.add_argument(
        "--max-delay",
        type=float,
        default=1000 * MAX_DELAY,
        metavar="MS",
        help="mouth to ear (default %(default)g)",
    )
    parser.add_argument("--complexity", type=int, default=7, help="of the decoder, 0..10 (default 7)")
    parser.add_argument(
        "--phase", type=float, default=5.0, metavar="MS", help="output against packets, 0..10 (default 5)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    for metric in METRICS:
        parser.add_argument(f"--no-{metric}", action="store_true", help=f"leave {metric} out")


def _settings(args: argparse.Namespace, policy: str) -> Settings:
    return Settings(
        stream=StreamSpec(args.plan, args.bitrate),
        policy=policy,
        max_delay=args.max_delay / 1000,
        complexity=args.complexity,
        phase=args.phase / 1000,
        metrics=tuple(metric for metric in METRICS if not getattr(args, f"no_{metric}")),
        cache=args.cache,
    )


def _simulate(args: argparse.Namespace) -> int:
    reference = load_reference(args.reference)
    schedules = select(args.schedules, args.seeds, reference.packets, args.match)
    settings = _settings(args, args.policy)
    outcomes: list[Outcome] = []
    for row in table(progress(simulate(reference, schedules, settings, args.jobs), len(schedules), outcomes)):
        print(row, flush=True)
    if args.json:
        save(outcomes, settings, args.json)
    return 0


def _add_front(parser: argparse.ArgumentParser) -> None:
    _add_virtual(parser)
    parser.set_defaults(run=_front)
    parser.add_argument(
        "--delays",
        nargs="+",
        type=float,
        default=[50, 60, 75, 90, 105, 120, 135, 150, 175, 200, 250, 300],
        metavar="MS",
        help="fixed ones, mouth to ear (default 50 to 300)",
    )
    parser.add_argument(
        "--policies", nargs="+", default=["onnx", "histogram"], help="adaptive ones (default onnx histogram)"
    )
    parser.add_argument("--pictures", type=Path, metavar="STEM", help="draw STEM-plcmos.png and so on")
    parser.add_argument(
        "--page", type=Path, metavar="FILE.md", help="write tables and pictures into their section"
    )


def _front(args: argparse.Namespace) -> int:
    reference = load_reference(args.reference)
    schedules = select(args.schedules, args.seeds, reference.packets, args.match)
    delays = [delay / 1000 for delay in args.delays]
    settings = _settings(args, "fixed")
    fronts = []
    for front in measure_fronts(reference, schedules, settings, delays, args.policies, args.jobs):
        fronts.append(front)
        print("\n".join(front_table(front)), end="\n\n", flush=True)
    stream = f"plan `{args.plan}` at {args.bitrate / 1000:g} kb/s"
    print(notes(fronts, stream))
    if args.pictures:
        draw(fronts, args.pictures)
    if args.page:
        write_front_section(fronts, stream, args.page)
    return 0


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    _add_page(parser)
    parser.set_defaults(run=_run)
    parser.add_argument(
        "--systems", nargs="+", choices=list(SYSTEMS), default=["chromium", "softphone", "aiortc"]
    )
    parser.add_argument(
        "--encodings",
        nargs="+",
        default=["best48", "lbrr32"],
        help="best (of each system) or lbrr (the same for all) and kb/s of payload (default best48 lbrr32)",
    )
    parser.add_argument("--policy", default="onnx", help="softphone's playout policy (default onnx)")
    parser.add_argument("--plan", default="auto", help="softphone's redundancy, as for simulate")
    parser.add_argument(
        "--max-delay",
        type=float,
        default=1000 * MAX_DELAY,
        metavar="MS",
        help="softphone's, mouth to ear (default %(default)g)",
    )
    parser.add_argument("--parallel", type=int, default=3, help="live calls at a time (default 3)")
    parser.add_argument(
        "--tries", type=int, default=3, help="of a run in which the machine stood still (default 3)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that score")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="results; what is there is kept"
    )


def _run(args: argparse.Namespace) -> int:
    reference = load_reference(args.reference)
    matrix = Matrix(
        reference=reference,
        schedules=select(args.schedules, args.seeds, reference.packets, args.match),
        systems=[SYSTEMS[name] for name in args.systems],
        encodings=[parse_encoding(text) for text in args.encodings],
        plan=args.plan,
        policy=args.policy,
        max_delay=args.max_delay / 1000,
        parallel=args.parallel,
        tries=args.tries,
        jobs=args.jobs,
        cache=args.cache,
        folder=args.out,
    )
    perform(matrix)
    write_report(load_results(args.out), args.page or args.out / "results.md")
    return 0


def _add_report(parser: argparse.ArgumentParser) -> None:
    _add_page(parser)
    parser.set_defaults(run=_report)
    parser.add_argument("folder", type=Path, help="what run was given as --out")


def _add_page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE.md",
        help="the report; text above its mark is kept (default DIR/results.md)",
    )


def _report(args: argparse.Namespace) -> int:
    write_report(load_results(args.folder), args.page or args.folder / "results.md")
    return 0


def _add_schedules(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.set_defaults(run=_write_schedules)
    parser.add_argument("folder", type=Path)


def _write_schedules(args: argparse.Namespace) -> int:
    reference = load_reference(args.reference)
    args.folder.mkdir(parents=True, exist_ok=True)
    for schedule in select(args.schedules, args.seeds, reference.packets, args.match):
        schedule.trace.save(args.folder / f"{schedule.name}.csv")
    return 0
