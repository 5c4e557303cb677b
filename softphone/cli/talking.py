"""A call on the terminal: what happens, how it goes, keys."""

import argparse
import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from softphone.call import Call
from softphone.call_events import (
    CallOver,
    Connected,
    DigitReceived,
    Reconnected,
    Reconnecting,
    SignalingLost,
    SignalingRestored,
    Unverified,
    Verified,
)
from softphone.call_statistics import CallStatistics
from softphone.cli.outcome import EXIT_OK, describe_end, exit_code, print_table, write_json
from softphone.cli.terminal import StoppedError, Terminal
from softphone.errors import SoftphoneError
from softphone.phone import Phone
from softphone.rtp.telephone_event import DTMF_DIGITS
from softphone.sending import Means
from softphone.signaling import CallEnd

__all__ = ["run_phone", "status_line", "talk"]

_STATUS_INTERVAL = 1.0


def run_phone(args: argparse.Namespace, phone: Phone, body: Callable[[Terminal], Awaitable[int]]) -> int:
    """Run a command that needs a phone on an event loop of its own; returns its exit code."""

    async def command() -> int:
        await phone.check()
        # A long garbage collection would be heard.
        gc.collect()
        gc.freeze()
        with Terminal(quiet=args.quiet) as terminal:
            try:
                return await body(terminal)
            except StoppedError:
                return EXIT_OK
            finally:
                await phone.close()

    # Threads of audio must not wait 5 ms for a turn.
    sys.setswitchinterval(0.001)
    return asyncio.run(command())


async def talk(call: Call, args: argparse.Namespace, terminal: Terminal) -> int:
    """Follow a call to its end and return the exit code."""
    helpers = [
        asyncio.create_task(helper)
        for helper in (_show_events(call, terminal), _show_status(call, terminal), _obey_keys(call, terminal))
    ]
    try:
        end = await terminal.unless_stopped(_until_over(call, args.duration))
    except StoppedError:
        end = await call.hang_up()
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        terminal.end_status()
    code = exit_code(end)
    if code == EXIT_OK:
        terminal.say(f"Call over: {describe_end(end)}.")
    else:
        terminal.complain(describe_end(end))
    statistics = call.statistics()
    if not args.quiet and statistics.duration:
        plans = call.media.pipeline.plan_history
        await asyncio.to_thread(print_table, terminal.console, statistics, plans)
    if args.stats_json:
        write_json(Path(args.stats_json), call, end)
    return code


async def _until_over(call: Call, duration: float | None) -> CallEnd:
    try:
        async with asyncio.timeout(duration):
            return await call.closed()
    except TimeoutError:
        return await call.hang_up()


async def _show_events(call: Call, terminal: Terminal) -> None:
    async for event in call:
        match event:
            case Connected():
                terminal.say(f"Connected with {_who(call)}.", style="bold")
            case Verified(digits=digits):
                terminal.say(
                    f"Read these digits to each other: {digits}. "
                    "If they differ, somebody sits between you: hang up."
                )
            case Unverified(reason=reason):
                terminal.say(
                    f"This call could not be verified ({reason}): others might listen.", style="yellow"
                )
            case SignalingLost():
                terminal.say("The signalling connection is lost; the call goes on.", style="yellow")
            case SignalingRestored():
                terminal.say("The signalling connection works again.")
            case Reconnecting():
                terminal.say("The connection is interrupted; reconnecting ...", style="yellow")
            case Reconnected():
                terminal.say("The connection works again.")
            case DigitReceived(digit=digit):
                terminal.say(f"Key pressed by the other side: {digit}")
            case CallOver():
                return


async def _show_status(call: Call, terminal: Terminal) -> None:
    warned: tuple[str, ...] = ()
    while True:
        statistics = call.statistics()
        terminal.status(status_line(statistics) if statistics.duration else "connecting ...")
        for warning in set(statistics.warnings) - set(warned):
            terminal.say(warning, style="yellow")
        warned = statistics.warnings
        await asyncio.sleep(_STATUS_INTERVAL)


async def _obey_keys(call: Call, terminal: Terminal) -> None:
    while True:
        key = (await terminal.keyboard.key()).lower()
        try:
            if key == "m":
                call.muted = not call.muted
                terminal.say("Muted." if call.muted else "The other side hears you again.")
            elif key == "q":
                await call.hang_up()
            elif key.upper() in DTMF_DIGITS[:12]:
                call.send_digits(key)
        except SoftphoneError as error:
            terminal.say(str(error), style="yellow")


def status_line(statistics: CallStatistics) -> str:
    """How a call goes, in one line of less than 100 characters."""
    minutes, seconds = divmod(int(statistics.duration), 60)
    parts = [f"{minutes:02}:{seconds:02}"]
    if statistics.delay is not None:
        parts.append(f"delay {1000 * statistics.delay:.0f} ms")
    parts.append(f"loss {100 * statistics.fraction_lost:.0f} %")
    if statistics.repaired_share is not None:
        parts.append(f"repaired {100 * statistics.repaired_share:.0f} %")
    if statistics.plan is not None:
        parts.append(f"sending {_plan(statistics.plan.means)}")
    if statistics.silent_for > 3.0:
        parts.append(f"nothing heard for {statistics.silent_for:.0f} s")
    if statistics.muted:
        parts.append("MUTED")
    return " | ".join(parts)


def _plan(means: Means) -> str:
    names = [
        name
        for mean, name in ((Means.LBRR, "LBRR"), (Means.DRED, "DRED"), (Means.RED, "RED"))
        if mean & means
    ]
    return "+".join(names) or "no redundancy"


def _who(call: Call) -> str:
    return f"{call.remote_name} ({call.remote_address})" if call.remote_name else call.remote_address
