"""The same call live and simulated, side by side.

Makes the demo call (two processes, real SRTP over loopback) over a trace, simulates the
same speech over the same trace, and prints both. What differs is the noise of a real
machine: the phase of the playout clock and the scheduling of threads.

    python benchmarks/live_and_simulated.py [--input FILE] [--trace FILE] [--policy fixed]
"""

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from softphone.audio.files import read_file
from softphone.data import sample_speech
from softphone.demo.config import DemoConfig
from softphone.demo.run import run_demo
from softphone.playout import PlayoutConfig
from softphone.report import CallSummary
from softphone.report.one_way import summarize_call
from softphone.sending import SendingConfig
from softphone.sim.call import SimulationConfig, simulate_call
from softphone.sim.network import generate_trace
from softphone.sim.presets import parse_profile
from softphone.sim.trace import PacketTrace

_TAIL = 0.8


def rows(summary: CallSummary) -> dict[str, str]:
    """The figures to compare."""
    frames, delay = summary.frames, summary.delay_ms
    missing = frames.repaired + frames.plc + frames.cng
    shares = {name: f"{100 * count / frames.total:.1f}" for name, count in asdict(frames).items()}
    return {f"{name} %": share for name, share in shares.items()} | {
        "lost %": f"{100 * summary.packets.lost / summary.packets.sent:.1f}",
        "late": f"{summary.packets.late}",
        "repaired %": f"{100 * frames.repaired / max(missing, 1):.1f}",
        "delay mean ms": f"{delay.mean:.0f}",
        "delay p95 ms": f"{delay.p95:.0f}",
        "interruptions": f"{summary.interruptions_150ms.count}",
        "kb/s": f"{summary.bitrate_bps.total / 1000:.1f}",
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, default=sample_speech())
    parser.add_argument("--trace", type=Path, help="default: a bursty one of 20 %%, made here")
    parser.add_argument("--policy", default="fixed")
    parser.add_argument("--max-delay", type=float, default=160.0, metavar="MS")
    parser.add_argument("--bitrate", type=int, default=48_000)
    args = parser.parse_args()
    speech = read_file(args.input)
    with tempfile.TemporaryDirectory() as folder:
        trace_path = args.trace
        if trace_path is None:
            trace_path = Path(folder) / "trace.csv"
            generate_trace(parse_profile("loss=20,burst=2,delay=30"), 1500, 1).save(trace_path)
        padded = np.concatenate((speech, np.zeros(round(_TAIL * 48_000), np.float32)))
        soundfile.write(Path(folder) / "speech.wav", padded, 48_000)
        live = run_demo(
            DemoConfig(
                caller_source=f"file:{folder}/speech.wav",
                network=f"trace={trace_path}",
                bitrate=args.bitrate,
                policy=args.policy,
                max_delay=args.max_delay / 1000,
            ),
            media_seconds=speech.size / 48_000,
        ).summary
        call = simulate_call(
            speech,
            SimulationConfig(
                SendingConfig(bitrate=args.bitrate),
                PlayoutConfig(policy=args.policy, max_delay=args.max_delay / 1000),
                PacketTrace.load(trace_path),
            ),
        )
    simulated = summarize_call(call, speech)
    print("| figure | live | simulated |\n|---|---|---|")
    for name, value in rows(live).items():
        print(f"| {name} | {value} | {rows(simulated)[name]} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
