"""``softphone call``: ring somebody up who runs ``softphone listen``."""

import argparse
from typing import Any

from softphone.cli.options import AUDIO_HELP, add_call_options, phone_config
from softphone.cli.outcome import EXIT_REMOTE, describe_end, exit_code
from softphone.cli.talking import run_phone, talk
from softphone.cli.terminal import StoppedError, Terminal
from softphone.phone import Phone
from softphone.signaling import CallEndedError, CallTarget

__all__ = ["add_parser", "run"]

_EPILOG = f"""\
Once the call stands, both sides show the same eight digits. Read them to each other: if
they differ, somebody sits between you and listens.

examples:
  softphone call 192.0.2.7#k7d2-m9xq-4tzn        as "softphone listen" printed it there
  softphone call 127.0.0.1                       somebody on this machine
  softphone call '[2001:db8::7]:7638#SECRET' --name Alice --record calls/
  softphone call 192.0.2.7#SECRET --input file:speech.flac --output file:heard.wav --duration 30

{AUDIO_HELP}
exit status: 0 the call took place, 1 something is wrong here, 2 wrong arguments,
3 declined, busy, not reachable or lost on the way
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to what ``argparse.ArgumentParser.add_subparsers`` returned."""
    parser = subparsers.add_parser(
        "call",
        help="call somebody who runs softphone listen",
        description="Call somebody who runs 'softphone listen'. Audio goes straight from phone to phone, "
        "encrypted.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "target", metavar="HOST[:PORT][#SECRET]", help="whom to call; also ws:// and wss:// addresses"
    )
    add_call_options(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Call, talk, return how it went."""
    target = CallTarget.parse(args.target)
    phone = Phone(phone_config(args))

    async def body(terminal: Terminal) -> int:
        terminal.say(f"Calling {target.address} ...")
        try:
            call = await terminal.unless_stopped(
                phone.call(target, on_ringing=lambda: terminal.say("It rings there ..."))
            )
        except StoppedError:
            terminal.say("You gave up.")
            raise
        except CallEndedError as error:
            terminal.complain(describe_end(error.end))
            return exit_code(error.end) or EXIT_REMOTE
        return await talk(call, args, terminal)

    return run_phone(args, phone, body)
