"""Run the demo call: two processes, a lossy network between them, and a report of it all."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

from softphone.audio.stream import SAMPLE_RATE
from softphone.demo.collector import Collected
from softphone.demo.config import DemoConfig
from softphone.demo.outcome import join_ends
from softphone.demo.plc_only import play_with_concealment_only
from softphone.errors import LocalError, PeerUnreachableError
from softphone.playout import PlayoutConfig
from softphone.report import CallReport
from softphone.report.one_way import report_call, summarize_call

__all__ = ["Event", "run_demo"]

Event = Mapping[str, Any]
"""What an end reports: ``event`` says what, the rest depends on it."""

_SILENCE = 20.0
"""Seconds without a word from either end after which the demo gives up."""
_GOODBYE = 10.0


def run_demo(
    config: DemoConfig,
    *,
    media_seconds: float | None = None,
    on_event: Callable[[str, Event], None] | None = None,
) -> CallReport:
    """Make the call and return its report; ``on_event(role, event)`` hears of the progress.

    ``media_seconds`` limits what the report speaks of; None: all that was said. Raises
    :class:`softphone.errors.LocalError` when an end fails, and
    :class:`softphone.errors.PeerUnreachableError` when nothing was heard.
    """
    with tempfile.TemporaryDirectory(prefix="softphone-demo-") as scratch:
        config = replace(config, directory=scratch)
        done = _run_ends(config, on_event or (lambda role, event: None))
        caller = Collected.load(Path(config.directory), "caller")
        callee = Collected.load(Path(config.directory), "callee")
    samples = caller.said.size if media_seconds is None else round(media_seconds * SAMPLE_RATE)
    call = join_ends(
        caller,
        callee,
        samples,
        done["caller"]["sending"],
        done["callee"]["playout"],
        done["caller"]["plans"],
    )
    sent = caller.said[:samples]
    summary = summarize_call(
        call,
        sent,
        inputs={"audio": config.caller_source, "network": config.network},
        settings={
            "bitrate": config.bitrate,
            "redundancy": config.redundancy,
            "policy": config.policy,
            "seed": config.seed,
            "max_delay_ms": 1000 * config.max_delay,
        },
    )
    plc_only = play_with_concealment_only(
        callee.received,
        PlayoutConfig(max_delay=config.max_delay),
        caller.said_start,
        call.heard.size / SAMPLE_RATE,
    )
    return report_call(
        call,
        sent,
        summary,
        title="Demo call",
        subtitle=f"{config.bitrate / 1000:g} kb/s, {config.redundancy}, {config.policy}, "
        f"network {config.network}, seed {config.seed}",
        plc_only=plc_only,
    )


def _run_ends(config: DemoConfig, on_event: Callable[[str, Event], None]) -> dict[str, Event]:
    """Run both processes to their end; returns the last event of each."""
    events: Queue[tuple[str, Event]] = Queue()
    done: dict[str, Event] = {}
    with ExitStack() as stack:
        processes = {"callee": _start(stack, ["callee", config.to_json()], events, "callee")}
        while len(done) < 2:
            try:
                role, event = events.get(timeout=_SILENCE)
            except Empty:
                raise PeerUnreachableError("the demo call fell silent; run it again with -v") from None
            on_event(role, event)
            match event["event"]:
                case "listening":
                    target = f"127.0.0.1:{event['port']}"
                    processes["caller"] = _start(
                        stack, ["caller", config.to_json(), target], events, "caller"
                    )
                case "done":
                    done[role] = event
                case "error":
                    raise LocalError(f"the {role} of the demo failed: {event['message']}")
                case "ended" if role not in done:
                    raise LocalError(f"the {role} of the demo ended without a result")
        for process in processes.values():
            process.wait(_GOODBYE)
    return done


def _start(
    stack: ExitStack, arguments: list[str], events: "Queue[tuple[str, Event]]", role: str
) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "softphone.demo.endpoint", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(_finish, process)
    assert process.stdout is not None
    Thread(target=_listen, args=(process.stdout, events, role), daemon=True).start()
    return process


def _listen(stream: IO[str], events: "Queue[tuple[str, Event]]", role: str) -> None:
    for event in _events(stream):
        events.put((role, event))
    events.put((role, {"event": "ended"}))


def _events(stream: IO[str]) -> Iterator[Event]:
    for line in stream:
        if line.startswith("{"):
            yield json.loads(line)


def _finish(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            process.kill()
    if process.stdout is not None:
        process.stdout.close()
