"""The options that ``softphone call`` and ``softphone listen`` share."""

import argparse
import os
import re
from pathlib import Path

from softphone.errors import ConfigError
from softphone.phone import PhoneConfig
from softphone.playout import MAX_DELAY, default_policy, playout_policies
from softphone.recording import recorders
from softphone.rooms.trust import ServerTrust
from softphone.sending import MODES
from softphone.webrtc import IceServer

__all__ = [
    "AUDIO_HELP",
    "add_call_options",
    "add_trust_options",
    "phone_config",
    "port_range",
    "server_trust",
]

_TURN_PASSWORD = "SOFTPHONE_TURN_PASSWORD"

AUDIO_HELP = """\
microphones and loudspeakers (--input, --output):
  soundcard            the system's default; soundcard:USB is the one with "USB" in its
                       name, soundcard:3 number 3 of "softphone devices"
  file:speech.flac     play this file into the call; file:speech.flac,loop for ever;
                       as a loudspeaker, write a WAV file: file:heard.wav
  tone:440             a sine; tone:dtmf,123# presses keys
  null                 silence

keys during a call:
  m  mute and unmute      0-9 * #  press that key      q  hang up (so does Ctrl-C)
"""


def add_call_options(parser: argparse.ArgumentParser) -> None:
    """Add them to the parser of a command."""
    parser.add_argument("--name", default="", help="what the other side sees of you")
    parser.add_argument(
        "--duration", type=float, metavar="S", help="hang up by yourself so many seconds into the call"
    )
    parser.add_argument("--stats-json", metavar="FILE", help="write the numbers of the call when it is over")
    parser.add_argument("-q", "--quiet", action="store_true", help="no live line, no table at the end")

    audio = parser.add_argument_group("audio")
    audio.add_argument("--input", default="soundcard", metavar="SPEC", help="microphone (default soundcard)")
    audio.add_argument(
        "--output", default="soundcard", metavar="SPEC", help="loudspeaker (default soundcard)"
    )
    audio.add_argument(
        "--record", type=Path, metavar="DIR", help="record what was said and heard, a new folder each call"
    )
    audio.add_argument(
        "--recorder",
        default="files",
        metavar="NAME",
        help=f"what records: {', '.join(recorders.names())} (default files)",
    )

    quality = parser.add_argument_group("quality")
    quality.add_argument(
        "--bitrate",
        type=int,
        default=48_000,
        metavar="BPS",
        help="to send, redundancy included (default 48000)",
    )
    quality.add_argument(
        "--redundancy",
        choices=tuple(MODES),
        default="auto",
        help="what protects your speech against loss (default auto: what the network asks for)",
    )
    quality.add_argument(
        "--policy",
        default=default_policy(),
        metavar="NAME",
        help=f"playout policy: {', '.join(playout_policies.names())} (default %(default)s)",
    )
    quality.add_argument(
        "--max-delay",
        type=float,
        default=1000 * MAX_DELAY,
        metavar="MS",
        help="largest delay from mouth to ear that the policy may choose (default %(default)g)",
    )

    network = parser.add_argument_group("network")
    network.add_argument(
        "--bind-address",
        action="append",
        metavar="IP",
        help="send and receive audio on this address only; may be repeated "
        "(default: all but loopback, or loopback on a machine that has nothing else)",
    )
    network.add_argument("--udp-ports", metavar="A-B", help="UDP ports for audio (default: any)")
    network.add_argument("--stun", metavar="HOST[:PORT]", help="ask this server for your public address")
    network.add_argument(
        "--turn", metavar="URL", help="relay audio when there is no other way: turn:HOST[:PORT] or turns:..."
    )
    network.add_argument("--turn-user", metavar="NAME", help=f"its password is in ${_TURN_PASSWORD}")
    network.add_argument(
        "--relay-only", action="store_true", help="send audio through --turn only: hides your address"
    )


def add_trust_options(parser: argparse.ArgumentParser) -> None:
    """Add those for a server whose certificate no authority vouches for."""
    parser.add_argument(
        "--fingerprint", default="", metavar="AA:BB:...", help="of the server's certificate (SHA-256)"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="believe any certificate: others might listen"
    )


def server_trust(args: argparse.Namespace) -> ServerTrust:
    """What they say. Raises :class:`softphone.errors.ConfigError`."""
    return ServerTrust(args.fingerprint, args.insecure)


def phone_config(args: argparse.Namespace) -> PhoneConfig:
    """The settings that the options ask for.

    Raises :class:`softphone.errors.ConfigError` for what makes no sense.
    """
    if args.duration is not None and not args.duration > 0:
        raise ConfigError("--duration must be above 0 seconds")
    return PhoneConfig(
        name=args.name,
        source=args.input,
        sink=args.output,
        bitrate=args.bitrate,
        redundancy=args.redundancy,
        policy=args.policy,
        max_delay=args.max_delay / 1000.0,
        addresses=tuple(args.bind_address) if args.bind_address else None,
        ports=port_range(args.udp_ports) if args.udp_ports else None,
        servers=tuple(_servers(args)),
        relay_only=args.relay_only,
        record=args.record,
        recorder=args.recorder,
    )


def port_range(text: str) -> tuple[int, int]:
    """Read ``FIRST-LAST``. Raises :class:`softphone.errors.ConfigError`."""
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if match is None:
        raise ConfigError(f"{text!r} is no range of ports; write FIRST-LAST, such as 40000-40100")
    return int(match[1]), int(match[2])


def _servers(args: argparse.Namespace) -> list[IceServer]:
    servers = []
    if args.stun:
        servers.append(IceServer("stun:" + args.stun.removeprefix("stun:")))
    if args.turn:
        url = args.turn if args.turn.startswith(("turn:", "turns:")) else f"turn:{args.turn}"
        servers.append(IceServer(url, args.turn_user, os.environ.get(_TURN_PASSWORD)))
    elif args.turn_user:
        raise ConfigError("--turn-user belongs to --turn; name the server")
    return servers
