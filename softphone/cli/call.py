"""``softphone call``: ring somebody up who runs ``softphone listen``, or stream to or from a server."""

import argparse
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from softphone.call import Call
from softphone.cli.options import AUDIO_HELP, add_call_options, add_trust_options, phone_config, server_trust
from softphone.cli.outcome import EXIT_REMOTE, describe_end, exit_code
from softphone.cli.talking import run_phone, talk
from softphone.cli.terminal import StoppedError, Terminal
from softphone.errors import ConfigError
from softphone.phone import Phone
from softphone.signaling import CallEndedError, CallTarget

__all__ = ["add_parser", "run"]

_TOKEN = "SOFTPHONE_WHIP_TOKEN"

_EPILOG = f"""\
Once the call stands, both sides show the same eight digits. Read them to each other: if
they differ, somebody sits between you and listens.

examples:
  softphone call 192.0.2.7#k7d2-m9xq-4tzn        as "softphone listen" printed it there
  softphone call 127.0.0.1                       somebody on this machine
  softphone call '[2001:db8::7]:7638#SECRET' --name Alice --record calls/
  softphone call 192.0.2.7#SECRET --input file:speech.flac --output file:heard.wav --duration 30

servers of WHIP and WHEP (RFC 9725), such as "softphone room serve": whip+https:// publishes,
whep+https:// listens. The token stands behind #, or in ${_TOKEN}:

  softphone call 'whip+https://meet.example.org/whip/standup#TOKEN' --input file:speech.flac
  softphone call whep+http://127.0.0.1:7640/whep/standup --output file:heard.wav

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
        "encrypted. Or publish to, or listen to, a server that knows WHIP and WHEP.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "target",
        metavar="HOST[:PORT][#SECRET]",
        help="whom to call; also ws:// and wss://, whip+https:// and whep+https:// addresses",
    )
    add_trust_options(parser.add_argument_group("WHIP and WHEP"))
    add_call_options(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Call, talk, return how it went."""
    streams = args.target.strip().lower().startswith(("whip+", "whep+"))
    if (args.fingerprint or args.insecure) and not streams:
        raise ConfigError("--fingerprint and --insecure are for whip+https:// and whep+https:// addresses")
    return _stream(args) if streams else _call(args)


def _call(args: argparse.Namespace) -> int:
    target = CallTarget.parse(args.target)
    phone = Phone(phone_config(args))

    def dial(terminal: Terminal) -> Coroutine[Any, Any, Call]:
        terminal.say(f"Calling {target.address} ...")
        return phone.call(target, on_ringing=lambda: terminal.say("It rings there ..."))

    return _talk(args, phone, dial)


def _stream(args: argparse.Namespace) -> int:
    from softphone.rooms.whip import WhipTarget

    target = WhipTarget.parse(args.target, token=os.environ.get(_TOKEN, ""))
    trust = server_trust(args)
    config = phone_config(args)
    # What is not needed need not exist.
    phone = Phone(replace(config, sink="null") if target.publishes else replace(config, source="null"))

    def open_session(terminal: Terminal) -> Coroutine[Any, Any, Call]:
        terminal.say(f"{'Publishing to' if target.publishes else 'Listening to'} {target.url} ...")
        return phone.stream(target, trust=trust)

    return _talk(args, phone, open_session)


def _talk(
    args: argparse.Namespace, phone: Phone, begin: Callable[[Terminal], Coroutine[Any, Any, Call]]
) -> int:
    async def body(terminal: Terminal) -> int:
        try:
            call = await terminal.unless_stopped(begin(terminal))
        except StoppedError:
            terminal.say("You gave up.")
            raise
        except CallEndedError as error:
            terminal.complain(describe_end(error.end))
            return exit_code(error.end) or EXIT_REMOTE
        return await talk(call, args, terminal)

    return run_phone(args, phone, body)
