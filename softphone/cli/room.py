"""``softphone room``: serve rooms, and invite people to them."""

import argparse
import re
import time
from typing import Any

from softphone.cli import room_serve
from softphone.errors import ConfigError
from softphone.rooms.config import DEFAULT_ROOM_PORT
from softphone.rooms.tokens import Invitation, TokenSigner
from softphone.rooms.values import RoomRole

__all__ = ["add_parser", "invite"]

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST = 366 * 86_400.0

_EPILOG = """\
examples:
  softphone room serve                                     rooms for this machine
  softphone room serve --listen 0.0.0.0 --self-signed      for the local network
  softphone room invite https://192.0.2.7:7640/r/standup --name Alice --moderator

See 'softphone room serve --help' and 'softphone room invite --help'.
"""

_INVITE_EPILOG = """\
The link is good for one room, until it expires; with --name, for that name only. Whoever
has the link can come in with it, so give it by a way you trust. It is signed with the
token secret of the server: on the machine of the server nothing else is needed, elsewhere
give a copy of the secret with --token-secret-file.

examples:
  softphone room invite standup                            guests, for a server on this machine
  softphone room invite https://meet.example.org/r/standup --name Alice --moderator --expires 2h
  softphone room invite https://meet.example.org/r/town-hall --expires 7d \\
      --token-secret-file /etc/softphone/token-secret
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to what ``argparse.ArgumentParser.add_subparsers`` returned."""
    parser = subparsers.add_parser(
        "room",
        help="serve rooms for several people, and invite to them",
        description="Rooms in which browsers and softphones talk to each other.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", title="actions", required=True)
    room_serve.add_parser(actions)
    _add_invite(actions)


def _add_invite(actions: Any) -> None:
    parser = actions.add_parser(
        "invite",
        help="make a link that lets somebody into a room",
        description="Make a link that lets somebody into a room.",
        epilog=_INVITE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("room", metavar="ROOM", help="its name, or its address: https://HOST[:PORT]/r/NAME")
    parser.add_argument("--name", default="", help="whom it is for; the holder can't take another name")
    parser.add_argument(
        "--moderator", action="store_true", help="may mute, remove, lock and let in from the lobby"
    )
    parser.add_argument(
        "--expires", default="2h", metavar="TIME", help="how long one can come in: 30m, 2h, 7d (default 2h)"
    )
    room_serve.add_token_secret(parser)
    parser.set_defaults(func=invite)


def invite(args: argparse.Namespace) -> int:
    """Print the link."""
    base, slash, room = args.room.rpartition("/r/")
    if not slash:
        base, room = f"http://localhost:{DEFAULT_ROOM_PORT}", args.room
    if not re.fullmatch(r"https?://[^\s/#?]+", base):
        raise ConfigError(f"{args.room!r} is no room: write a name, or https://HOST/r/NAME")
    now = time.time()
    invitation = Invitation(
        room=room.partition("#")[0],
        name=args.name,
        role=RoomRole.MODERATOR if args.moderator else RoomRole.PARTICIPANT,
        expires=now + _seconds(args.expires),
    )
    token = TokenSigner(room_serve.token_secret(args)).invite(invitation, now)
    print(f"{base}/r/{invitation.room}#{token}")
    return 0


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6})([mhd])", text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0.0 < seconds <= _LONGEST:
        raise ConfigError(f"{text!r} is no such time: write 30m, 2h or 7d (a year at most)")
    return seconds
