"""``softphone simulate``: one direction of a call in virtual time."""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console

from softphone.audio.files import read_file
from softphone.audio.stream import SAMPLE_RATE, Pcm
from softphone.errors import ConfigError, MediaFileError
from softphone.playout import MAX_DELAY, PlayoutConfig, default_policy, playout_policies
from softphone.report import render_table, write_call_report
from softphone.report.one_way import report_call, summarize_call
from softphone.sending import FRAME_LENGTHS_MS, MODES, SendingConfig
from softphone.sim.call import Reports, SimulationConfig, simulate_call
from softphone.sim.network import generate_trace
from softphone.sim.presets import parse_profile, profile_names
from softphone.sim.profile import NetworkProfile
from softphone.sim.trace import PacketTrace

__all__ = ["add_parser", "run"]

_EPILOG = """\
A trace is a CSV file with the columns seq,send_ms,arrival_ms; an empty arrival means
lost. It is repeated when it is shorter than the input. Without --trace or --network
the network is perfect. Delays are from mouth to ear, without devices.

At a bottleneck (rate=, in kbit/s of whole IP packets, with a queue of queue= ms) what is
sent decides what arrives: the network is emulated while the call runs.

examples:
  softphone simulate speech.wav --network bursty20 -o heard.wav
  softphone simulate speech.flac --trace lte.csv --policy fixed --max-delay 160 --json report.json
  softphone simulate speech.wav --network loss=30,burst=4,delay=60 --report call/
  softphone simulate speech.wav --network rate=40,queue=300,delay=40 --report call/
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to what ``argparse.ArgumentParser.add_subparsers`` returned."""
    parser = subparsers.add_parser(
        "simulate",
        help="run one direction of a call over a network trace, faster than real time",
        description="Encode speech, lose and delay its packets as a trace says, and play what is left: "
        "with the same encoder, planner and playout core as a live call, in virtual time. "
        "The same input gives the same bytes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", metavar="INPUT", help="speech to send: WAV, FLAC or another audio file")
    network = parser.add_mutually_exclusive_group()
    network.add_argument("--trace", metavar="CSV", help="what the network does to each packet")
    network.add_argument(
        "--network",
        metavar="PROFILE",
        help=f"a network by name ({', '.join(profile_names())}) "
        "or by figures, as in loss=20,burst=3,delay=40",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the network made by --network (default 1)")
    parser.add_argument(
        "--bitrate", type=int, default=48_000, metavar="BPS", help="payload rate (default 48000)"
    )
    parser.add_argument("--frame", type=int, choices=FRAME_LENGTHS_MS, default=20, help="packet length, ms")
    parser.add_argument("--dtx", action="store_true", help="send nothing in silence")
    parser.add_argument(
        "--red",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the receiver takes copies (RED), as softphones do (default yes)",
    )
    parser.add_argument(
        "--redundancy", choices=tuple(MODES), default="auto", help="what protects the speech (default auto)"
    )
    parser.add_argument(
        "--no-back-off", action="store_true", help="send the full rate whatever the network carries"
    )
    parser.add_argument(
        "--reports",
        choices=[kind.name.lower() for kind in Reports],
        default="softphone",
        help="how the receiver reports: each second with delays, or as a browser (default softphone)",
    )
    parser.add_argument(
        "--policy",
        default=default_policy(),
        metavar="NAME",
        help=f"playout policy: {', '.join(playout_policies.names())} (default %(default)s)",
    )
    parser.add_argument(
        "--max-delay",
        type=float,
        default=1000 * MAX_DELAY,
        metavar="MS",
        help="largest mouth-to-ear delay that the policy may choose; 'fixed' holds it (default %(default)g)",
    )
    parser.add_argument("-o", "--output", metavar="WAV", help="write what the listener hears")
    parser.add_argument("--json", metavar="FILE", help="write the numbers (docs/simulate-report.md)")
    parser.add_argument("--report", metavar="DIR", help="write a page with picture and sound")
    parser.add_argument("-q", "--quiet", action="store_true", help="print no table")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Simulate, write what was asked for, print the table."""
    if not 30.0 <= args.max_delay <= 10_000.0:
        raise ConfigError(f"--max-delay must be 30 to 10000 ms, not {args.max_delay:g}")
    sent = read_file(args.input)
    profile = parse_profile(args.network) if args.network else None
    emulated = profile if profile is not None and profile.bottleneck else None
    began = time.perf_counter()
    call = simulate_call(
        sent,
        SimulationConfig(
            SendingConfig(
                bitrate=args.bitrate,
                mode=args.redundancy,
                frame_ms=args.frame,
                dtx=args.dtx,
                peer_red=args.red,
                back_off=not args.no_back_off,
            ),
            PlayoutConfig(policy=args.policy, max_delay=args.max_delay / 1000),
            trace=PacketTrace.perfect() if emulated else _trace(args, profile, sent),
            network=emulated,
            seed=args.seed,
            reports=Reports[args.reports.upper()],
        ),
    )
    elapsed = time.perf_counter() - began
    network = Path(args.trace).name if args.trace else args.network
    names = ("bitrate", "frame", "dtx", "red", "redundancy", "no_back_off", "reports", "policy", "seed")
    summary = summarize_call(
        call,
        sent,
        elapsed=elapsed,
        inputs={
            "audio": Path(args.input).name,
            "trace": Path(args.trace).name if args.trace else args.network,
        },
        settings={name: getattr(args, name) for name in names} | {"max_delay_ms": args.max_delay},
    )
    report = report_call(
        call,
        sent,
        summary,
        title="Simulated call",
        subtitle=f"{Path(args.input).name} over {network or 'a perfect network'}, "
        f"{args.bitrate / 1000:g} kb/s, {args.redundancy}, {args.policy}",
        link=emulated.bottleneck if emulated is not None else (),
    )
    if args.output:
        _write_wav(Path(args.output), call.heard)
    if args.json:
        _write_text(Path(args.json), summary.to_json())
    if args.report:
        write_call_report(Path(args.report), report)
    if not args.quiet:
        Console().print(render_table(report))
    return 0


def _trace(args: argparse.Namespace, profile: NetworkProfile | None, sent: Pcm) -> PacketTrace:
    interval = args.frame / 1000
    if args.trace:
        return PacketTrace.load(args.trace, interval)
    if profile is not None:
        packets = int(sent.size / SAMPLE_RATE / interval) + 100
        return generate_trace(profile, packets, args.seed, interval)
    return PacketTrace.perfect(interval=interval)


def _write_wav(path: Path, pcm: Pcm) -> None:
    try:
        soundfile.write(path, np.clip(pcm, -1.0, 1.0), SAMPLE_RATE, subtype="PCM_16", format="WAV")
    except (OSError, soundfile.LibsndfileError) as error:
        raise MediaFileError(f"can't write {path}: {error}; choose another file") from error


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MediaFileError(f"can't write {path}: {error.strerror or error}; choose another file") from error
