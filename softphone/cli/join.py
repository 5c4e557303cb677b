"""``softphone join``: talk in a room, with browsers and other softphones."""

import argparse
import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Any

from softphone.cli.in_room import in_room
from softphone.cli.options import AUDIO_HELP, add_call_options, add_trust_options, phone_config, server_trust
from softphone.cli.outcome import EXIT_LOCAL, EXIT_OK, EXIT_REMOTE
from softphone.cli.room_outcome import describe_over, print_room_table, write_room_json
from softphone.cli.terminal import StoppedError, Terminal
from softphone.conference import Conference, ConferenceConfig
from softphone.conference.events import ConferenceOver
from softphone.rooms.link import RoomLink

__all__ = ["add_parser", "run"]

_PASSPHRASE = "SOFTPHONE_ROOM_PASSPHRASE"

_EPILOG = f"""\
The link is what "softphone room serve" or "softphone room invite" printed; put quotes around
it. A server that made its certificate itself printed its fingerprint too: give that with
--fingerprint.

keys in the room:
  m  mute and unmute          t  type a line for all      h  raise or lower your hand
  w  who is there             s  how the audio goes       q  leave (so does Ctrl-C)
  1-9  somebody: then + and - change the volume
moderators also:
  1-9  somebody: then m mutes, x removes                  l  lock, unlock
  a  let in, d  turn away who waits                       b  lobby for newcomers, or none

{AUDIO_HELP.partition("keys during")[0].rstrip()}

examples:
  softphone join 'https://192.0.2.7:7640/r/standup#k7d2-m9xq-4tzn' --name Alice
  softphone join http://127.0.0.1:7640/r/test --record rooms/
  softphone join 'https://meet.example.org/r/standup#eyJhbGciOi...' --muted --policy onnx

exit status: 0 you left, or the room was closed, 1 something is wrong here, 2 wrong arguments,
3 not let in, removed, or not reachable
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to what ``argparse.ArgumentParser.add_subparsers`` returned."""
    parser = subparsers.add_parser(
        "join",
        help="talk in a room, with browsers and other softphones",
        description="Join a room. In a room without media server, audio goes straight from phone to phone, "
        "encrypted.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("link", metavar="LINK", help="https://HOST/r/ROOM#TOKEN, as the server printed it")
    parser.add_argument("--muted", action="store_true", help="come in with the microphone off")
    add_trust_options(parser)
    add_call_options(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Join, stay, return how it went."""
    link, config = RoomLink.parse(args.link), _config(args)

    async def command() -> int:
        # A long garbage collection would be heard.
        gc.collect()
        gc.freeze()
        with Terminal(quiet=args.quiet) as terminal:
            return await _join(Conference(link, config), args, terminal)

    # Threads of audio must not wait 5 ms for a turn.
    sys.setswitchinterval(0.001)
    return asyncio.run(command())


def _config(args: argparse.Namespace) -> ConferenceConfig:
    phone = phone_config(args)
    return ConferenceConfig(
        name=phone.name,
        source=phone.source,
        sink=phone.sink,
        bitrate=phone.bitrate,
        redundancy=phone.redundancy,
        policy=phone.policy,
        max_delay=phone.max_delay,
        addresses=phone.addresses,
        ports=phone.ports,
        servers=phone.servers,
        relay_only=phone.relay_only,
        trust=server_trust(args),
        passphrase=os.environ.get(_PASSPHRASE, ""),
        muted=args.muted,
        record=phone.record,
        recorder=phone.recorder,
    )


async def _join(conference: Conference, args: argparse.Namespace, terminal: Terminal) -> int:
    terminal.say(f"Joining {conference.link.room} at {conference.link.address} ...")
    try:
        await terminal.unless_stopped(conference.join())
    except StoppedError:
        return EXIT_OK
    over = await in_room(conference, args.duration, terminal)
    statistics = conference.statistics()
    code = _exit_code(over)
    if code == EXIT_OK:
        terminal.say(f"{describe_over(over)}.")
    else:
        terminal.complain(describe_over(over))
    if not args.quiet and statistics.participants:
        print_room_table(terminal.console, statistics)
    if args.stats_json:
        write_room_json(Path(args.stats_json), conference, over)
    return code


def _exit_code(over: ConferenceOver) -> int:
    if over.reason in ("left", "room-closed"):
        return EXIT_OK
    return EXIT_LOCAL if over.reason == "device" else EXIT_REMOTE
