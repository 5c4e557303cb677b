"""What a room costs one participant: softphone beside stock aiortc, in one run.

One process is the participant that is measured: it encodes its speech, sends it, decodes
and mixes what N-1 others send. A second process plays the others: real connections over
UDP with ICE, DTLS and SRTP, which send packets encoded beforehand and decode nothing.

In a mesh (`--engine mesh`, the default) everybody is connected with everybody: softphone
is its own mesh (one encoder, a playout for each voice, a mixer); stock aiortc is N-1 peer
connections that share a track through its relay, whose received tracks are added up.

In a room on Janus (`--engine janus`; Janus must be installed) everybody sends once and
hears each of the others over a connection of its own. A Janus with the configuration of
the tests is started for that; its CPU does not count, `janus_cost.py` measures it.
softphone and the softphones that it hears protect their speech there with DRED, as they
do in every room on a media server; who aiortc hears does not.

"all" is a room in which everybody speaks at once, "one" a room in which one other person
speaks and the rest listen with open microphones: softphones then send nothing but a packet
every 400 ms, aiortc goes on at full rate.

Prints CPU seconds per second, kb/s on the wire (IP and UDP headers included), the ratio of
softphone to aiortc, and what one more voice costs: the slope over the sizes.

    python benchmarks/room_cost.py [--engine mesh|janus] [--sizes 2,4,6,8] [--seconds 10] [--rounds 1]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import janus_ends
import mesh_ends
from room_ends import Plan

from tests.support.janus_server import JanusProcess, missing_for_janus

_SETTLE = 10.0
"""By then a clean network is known to be clean."""
_VOID = 0.85
"""Share of its packets that a participant must have sent for its CPU to mean anything; pauses of
speech leave some out."""
_ATTEMPTS = 3
_ENGINES = {"mesh": mesh_ends, "janus": janus_ends}
_KINDS = ("softphone-all", "aiortc-all", "softphone-one", "aiortc-one")


@asynccontextmanager
async def open_room(janus: str | None, others: int) -> AsyncIterator[tuple[str, str]]:
    """What the measured participant and the puppets are told first: nothing in a mesh."""
    if janus is None:
        yield "", ""
    else:
        async with janus_ends.open_room(janus, others) as told:
            yield told


async def measure(plan: Plan, janus: str | None) -> dict[str, float]:
    """One room, on the Janus at this URL or as a mesh; returns what its measured participant reported."""
    async with open_room(janus, plan.others) as told:
        return await _measure(plan, "mesh" if janus is None else "janus", told)


async def _measure(plan: Plan, engine: str, told: tuple[str, str]) -> dict[str, float]:
    ends = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            *("--engine", engine, "--end", role, "--plan", json.dumps(asdict(plan))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=1 << 20,
        )
        for role in ("measured", "puppets")
    ]
    for end, line in zip(ends, told, strict=True):
        if line and end.stdin is not None:
            end.stdin.write(line.encode() + b"\n")

    async def carry(
        source: asyncio.subprocess.Process, target: asyncio.subprocess.Process
    ) -> dict[str, float]:
        assert source.stdout is not None
        assert target.stdin is not None
        while line := await source.stdout.readline():
            if line.startswith(b'{"result"'):
                return dict(json.loads(line)["result"])
            target.stdin.write(line)
        raise RuntimeError(f"{plan.kind}: one end has gone")

    back = asyncio.create_task(carry(ends[1], ends[0]))
    try:
        async with asyncio.timeout(plan.settle + plan.seconds + 60):
            return await carry(ends[0], ends[1])
    finally:
        back.cancel()
        for end in ends:
            if end.returncode is None:
                end.kill()
            await end.wait()


async def measure_well(plan: Plan, janus: str | None) -> dict[str, float]:
    """`measure`, again while the machine is too busy for it."""
    for _ in range(_ATTEMPTS):
        values = await measure(plan, janus)
        numbers = {name: round(value, 3) for name, value in values.items()}
        print(f"{plan.others + 1} in the room, {plan.kind}: {numbers}", file=sys.stderr, flush=True)
        if values["share"] >= _VOID:
            return values
        print("void: the machine was too busy", file=sys.stderr, flush=True)
    raise SystemExit("this machine is too busy to measure anything; try again when it is quiet")


def slope(sizes: list[int], values: list[float]) -> float:
    """What one more costs: least squares."""
    return float(np.polyfit(sizes, values, 1)[0]) if len(sizes) > 1 else float("nan")


async def compare(janus: str | None, sizes: list[int], seconds: float, rounds: int) -> None:
    """Measure everything and print the tables."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for size in sizes:
        results: dict[str, list[dict[str, float]]] = {kind: [] for kind in _KINDS}
        for _ in range(rounds):
            for kind in _KINDS:
                plan = Plan(kind, size - 1, _SETTLE, seconds)
                results[kind].append(await measure_well(plan, janus))
        for kind, many in results.items():
            found[kind, size] = {name: statistics.median(each[name] for each in many) for name in many[0]}
    for case, title in (("all", "everybody speaks"), ("one", "one other speaks, the rest is silent")):
        print(f"\n{title}:\n")
        print("| in the room | CPU | CPU, aiortc | ratio | kb/s up, down | kb/s up, down, aiortc |")
        print("|---|---|---|---|---|---|")
        for size in sizes:
            ours, theirs = found[f"softphone-{case}", size], found[f"aiortc-{case}", size]
            print(
                f"| {size} | {100 * ours['cpu']:.1f} % | {100 * theirs['cpu']:.1f} % "
                f"| {ours['cpu'] / theirs['cpu']:.2f} | {ours['up']:.0f}, {ours['down']:.0f} "
                f"| {theirs['up']:.0f}, {theirs['down']:.0f} |"
            )
        costs = {
            name: slope(sizes, [found[f"{name}-{case}", size]["cpu"] for size in sizes])
            for name in ("softphone", "aiortc")
        }
        print(
            f"\none more voice costs {100 * costs['softphone']:.2f} % of a core, "
            f"with aiortc {100 * costs['aiortc']:.2f} %"
        )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=_ENGINES, default="mesh", help="what carries the room")
    parser.add_argument("--sizes", default="2,4,6,8", help="people in the room, the measured one included")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured in each room")
    parser.add_argument("--rounds", type=int, default=1, help="the median of so many is printed")
    parser.add_argument("--end", choices=("measured", "puppets"), help=argparse.SUPPRESS)
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.end:
        run_end(args.engine, args.end, Plan(**json.loads(args.plan)))
        return 0
    with ExitStack() as stack:
        janus = None
        if args.engine == "janus":
            if missing := missing_for_janus():
                sys.exit(missing)
            janus = stack.enter_context(JanusProcess()).url
        sizes = [int(size) for size in args.sizes.split(",")]
        asyncio.run(compare(janus, sizes, args.seconds, args.rounds))
    return 0


def run_end(engine: str, role: str, plan: Plan) -> None:
    """One of the two processes of a room."""
    ends = _ENGINES[engine]
    if role == "puppets":
        asyncio.run(ends.puppets(plan))
    elif plan.kind.startswith("aiortc"):
        asyncio.run(ends.aiortc_end(plan))
    else:
        asyncio.run(ends.softphone_end(plan))


if __name__ == "__main__":
    sys.exit(main())
