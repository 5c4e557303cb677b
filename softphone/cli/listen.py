"""``softphone listen``: wait for calls."""

import argparse
import asyncio
from typing import Any

from softphone.cli.options import AUDIO_HELP, add_call_options, phone_config
from softphone.cli.outcome import EXIT_LOCAL, EXIT_OK, EXIT_REMOTE
from softphone.cli.talking import run_phone, talk
from softphone.cli.terminal import Terminal
from softphone.errors import ConfigError, LocalError, RemoteError
from softphone.phone import Phone, PhoneLine, Ring
from softphone.signaling import DEFAULT_PORT, CallEndedError, ListenConfig, Listener
from softphone.signaling.addresses import reachable_addresses

__all__ = ["add_parser", "run"]

_EPILOG = f"""\
Without --host only this machine can call. With it, callers need the secret in the line
that is printed; give them that line by a way you trust. It is good for one call; --token
sets one that stays, --open does without.

examples:
  softphone listen                                  calls from this machine
  softphone listen --host 0.0.0.0 --name Bob        calls from anywhere, with the secret
  softphone listen --host 0.0.0.0 --token "$TOKEN" --auto-answer --record calls/
  softphone listen --auto-answer --input file:speech.flac,loop --output null --once

{AUDIO_HELP}
exit status: 0 all went well, 1 something is wrong here, 2 wrong arguments,
3 (with --once) the call was lost
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to what ``argparse.ArgumentParser.add_subparsers`` returned."""
    parser = subparsers.add_parser(
        "listen",
        help="wait for calls",
        description="Wait for calls, show who calls, and ask whether to answer.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 is all (default: only this machine)",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"default {DEFAULT_PORT}; 0: any that is free"
    )
    access = parser.add_mutually_exclusive_group()
    access.add_argument("--token", default="", help="what callers must know, 8 characters at least")
    access.add_argument("--open", action="store_true", help="let anybody ring who reaches this machine")
    parser.add_argument("--auto-answer", action="store_true", help="answer every call at once")
    parser.add_argument("--once", action="store_true", help="exit after one call that was answered")
    add_call_options(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Listen until the user has enough, or for one call."""
    config = ListenConfig(host=args.host, port=args.port, token=args.token, open=args.open)
    phone = Phone(phone_config(args))

    async def body(terminal: Terminal) -> int:
        if not args.auto_answer and not terminal.keyboard.available:
            raise ConfigError("nobody can be asked whether to answer: add --auto-answer, or use a terminal")
        async with phone.listen(config) as line:
            while True:
                code = await _take_one(line, args, terminal)
                if terminal.stopping or (args.once and code is not None):
                    return code or EXIT_OK

    return run_phone(args, phone, body)


async def _take_one(line: PhoneLine, args: argparse.Namespace, terminal: Terminal) -> int | None:
    """Wait for a call and take it to its end; None when it was not answered."""
    _announce(line.listener, args.host, terminal)
    ring = await terminal.unless_stopped(anext(line))
    who = f"{ring.name} ({ring.address})" if ring.name else ring.address
    terminal.say(f"{who} calls.", style="bold")
    if not args.auto_answer and not await _ask(ring, terminal):
        return None
    try:
        call = await terminal.unless_stopped(ring.answer())
    except CallEndedError:
        terminal.say("The caller has given up.")
        return None
    except LocalError as error:
        terminal.complain(str(error))
        return EXIT_LOCAL
    except RemoteError as error:
        terminal.complain(f"this call can't be answered: {error}")
        return EXIT_REMOTE
    return await talk(call, args, terminal)


async def _ask(ring: Ring, terminal: Terminal) -> bool:
    """Whether the user wants the call; tells the caller when not."""
    terminal.keyboard.forget()
    terminal.console.bell()
    terminal.say("Answer? [y/n]")
    gone = asyncio.ensure_future(ring.gone())
    try:
        while True:
            key = asyncio.ensure_future(terminal.keyboard.key())
            await terminal.unless_stopped(asyncio.wait({key, gone}, return_when=asyncio.FIRST_COMPLETED))
            if gone.done():
                key.cancel()
                terminal.say("The caller has given up.")
                return False
            if key.result().lower() == "y":
                return True
            if key.result().lower() in ("n", "q"):
                await ring.decline()
                terminal.say("Declined.")
                return False
    finally:
        gone.cancel()


def _announce(listener: Listener, host: str, terminal: Terminal) -> None:
    """Say how this phone can be reached."""
    for address in reachable_addresses(host):
        terminal.say(f"Waiting; to reach this phone: softphone call {listener.invitation(address).argument}")
    if listener.secret_is_one_time:
        terminal.say("The part after # is good for one call; another one needs the next line like this.")
