"""``softphone demo``: a call between two processes of this machine over a lossy network."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from softphone.audio.files import read_file
from softphone.audio.stream import SAMPLE_RATE
from softphone.data import sample_speech
from softphone.demo.config import DemoConfig
from softphone.demo.run import Event, run_demo
from softphone.errors import ConfigError
from softphone.playout import playout_policies
from softphone.report import render_table, write_call_report
from softphone.sending import MODES
from softphone.sim.presets import parse_profile, profile_names

__all__ = ["add_parser", "run"]

_TAIL = 0.8
"""Seconds of silence after the input, so that later packets can repair the last words."""

_EPILOG = """\
Two processes call each other: real signalling, ICE, DTLS-SRTP and UDP over the loopback
interface, and below SRTP an emulated network that loses and delays packets. The caller
speaks; the page shows and plays what was said, what was heard, and what the same packets
give when losses are only concealed.

examples:
  softphone demo
  softphone demo --input speech.wav --network loss=30,burst=5,delay=60
  softphone demo --network trace=lte.csv --policy fixed --max-delay 160
  softphone demo --live --seconds 30        # hear yourself through it; use a headset
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to what ``argparse.ArgumentParser.add_subparsers`` returned."""
    defaults = DemoConfig("")
    parser = subparsers.add_parser(
        "demo",
        help="make a call between two processes over a lossy network, and show what was heard",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", metavar="FILE", help="speech of the caller (default: the shipped sample)")
    parser.add_argument(
        "--live", action="store_true", help="speak yourself: microphone to loudspeaker of this machine"
    )
    parser.add_argument(
        "--seconds", type=float, default=None, help="how long to talk (default: the input; live: 20)"
    )
    parser.add_argument(
        "--network",
        default=defaults.network,
        metavar="PROFILE",
        help=f"network by name ({', '.join(profile_names())}), by figures, or trace=FILE.csv "
        f"(default {defaults.network})",
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the network (default 1)")
    parser.add_argument(
        "--bitrate", type=int, default=defaults.bitrate, metavar="BPS", help="payload rate (default 48000)"
    )
    parser.add_argument(
        "--redundancy", choices=tuple(MODES), default=defaults.redundancy, help="default: auto"
    )
    parser.add_argument(
        "--policy",
        default=defaults.policy,
        metavar="NAME",
        help=f"playout policy: {', '.join(playout_policies.names())} (default {defaults.policy})",
    )
    parser.add_argument(
        "--max-delay",
        type=float,
        default=1000 * defaults.max_delay,
        metavar="MS",
        help="largest mouth-to-ear delay that the policy may choose (default %(default)g)",
    )
    parser.add_argument(
        "-o", "--output", default="demo-call", metavar="DIR", help="folder of the report (default demo-call)"
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Make the call, print the table, write the page."""
    parse_profile(args.network)
    playout_policies.load(args.policy)
    if not 30.0 <= args.max_delay <= 10_000.0:
        raise ConfigError(f"--max-delay must be 30 to 10000 ms, not {args.max_delay:g}")
    if args.seconds is not None and args.seconds <= 0.0:
        raise ConfigError("--seconds must be above 0")
    with tempfile.TemporaryDirectory(prefix="softphone-demo-") as scratch:
        source, sink, seconds = _audio(args, Path(scratch))
        config = DemoConfig(
            caller_source=source,
            callee_sink=sink,
            network=args.network,
            seed=args.seed,
            bitrate=args.bitrate,
            redundancy=args.redundancy,
            policy=args.policy,
            max_delay=args.max_delay / 1000,
            seconds=seconds if args.live else None,
        )
        with _Meter(seconds) as meter:
            report = run_demo(config, media_seconds=seconds, on_event=meter.on_event)
    page = write_call_report(Path(args.output), report)
    console = Console()
    console.print(render_table(report))
    console.print(f"open [bold]{page}[/bold] to see and hear the call", highlight=False)
    return 0


def _audio(args: argparse.Namespace, scratch: Path) -> tuple[str, str, float]:
    """Audio specs of the caller's microphone and the callee's loudspeaker, and the length, seconds."""
    if args.live:
        return "soundcard", "soundcard", args.seconds or 20.0
    speech = read_file(args.input or sample_speech())
    if args.seconds is not None:
        speech = speech[: round(args.seconds * SAMPLE_RATE)]
    path = scratch / "caller.wav"
    tail = np.zeros(round(_TAIL * SAMPLE_RATE), np.float32)
    soundfile.write(path, np.concatenate((speech, tail)), SAMPLE_RATE, subtype="PCM_16")
    return f"file:{path}", "null", speech.size / SAMPLE_RATE


class _Meter:
    """Shows how the call goes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} s  {task.fields[news]}"),
            console=Console(file=sys.stderr),
        )
        self._task: TaskID = self._progress.add_task("setting up", total=seconds, news="")
        self._plan = ""

    def __enter__(self) -> "_Meter":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_event(self, role: str, event: Event) -> None:
        """Take in what an end reports."""
        match event["event"]:
            case "talking":
                self._progress.update(self._task, description="talking")
            case "progress" if role == "caller":
                self._plan = event["plan"] or "no redundancy"
            case "progress":
                frames = event["frames"]
                repaired = frames["red"] + frames["lbrr"] + frames["dred"]
                self._progress.update(
                    self._task,
                    completed=min(event["elapsed"], self._seconds),
                    news=f"repaired {repaired}, concealed {frames['plc'] + frames['cng']}, "
                    f"buffer {event['buffer_ms']:.0f} ms, {self._plan}",
                )
