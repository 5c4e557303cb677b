"""``softphone room serve``: the room server."""

import argparse
import asyncio
import secrets
import socket
import time
from pathlib import Path
from typing import Any

from softphone.cli.options import port_range
from softphone.cli.terminal import Terminal
from softphone.conference import ConferenceConfig
from softphone.errors import ConfigError
from softphone.rooms.access import Access
from softphone.rooms.certificate import ServerCertificate, load_certificate, self_made_certificate
from softphone.rooms.config import DEFAULT_ROOM_PORT, RoomServerConfig
from softphone.rooms.engines import ENGINES
from softphone.rooms.keeping import kept_token_secret, read_secret
from softphone.rooms.room import RoomConfig
from softphone.rooms.server import RoomServer
from softphone.rooms.tokens import Invitation
from softphone.rooms.turn import IceProvider
from softphone.rooms.values import RoomRole
from softphone.rooms.whip import WhipGateway
from softphone.signaling.addresses import ANY_ADDRESS, reachable_addresses
from softphone.signaling.target import is_loopback
from softphone.webrtc import IceServer

__all__ = ["add_parser", "add_token_secret", "run", "token_secret"]

_LINK_LIFETIME = 24 * 3600.0
_ROOM_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
_FILES = 65_536

_EPILOG = """\
Everybody opens a printed link in a browser, or gives it to "softphone join". Rooms are made by
coming in: change the name in the link and it is another room.

who comes in:
  on loopback          anybody on this machine
  elsewhere            whoever has the printed link; its secret changes with each start
  --invite-only        whoever has a signed invitation: softphone room invite
  --open               anybody who reaches this server
Without --invite-only, who opens a room moderates it.

Browsers give a page the microphone on https:// and on localhost only: use --cert and --key,
or --self-signed (browsers warn once; compare the fingerprint), or a proxy that does TLS
(--public-url, --proxy). People behind different routers need a TURN server (coturn with
use-auth-secret): --turn and --turn-secret-file. No server is used that you do not name.

In the engine "mesh" everybody sends to everybody, which is good for 8 or so.

Programs that know WHIP publish to /whip/ROOM, those that know WHEP listen to /whep/ROOM; the
bearer token is what stands behind # in a link. Their audio passes through this server.

examples:
  softphone room serve
  softphone room serve --listen 0.0.0.0 --self-signed
  softphone room serve --listen 0.0.0.0 --cert chain.pem --key key.pem --invite-only --lobby \\
      --turn turn:turn.example.org --turn 'turn:turn.example.org?transport=tcp' \\
      --turn-secret-file turn-secret
  softphone room serve --public-url https://meet.example.org --proxy 127.0.0.1 --invite-only
"""


def add_parser(actions: Any) -> None:
    """Add the action to what ``argparse.ArgumentParser.add_subparsers`` returned."""
    parser = actions.add_parser(
        "serve",
        help="run the room server and its web page",
        description="Run the room server and its web page until Ctrl-C.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--listen", default="127.0.0.1", metavar="ADDR", help="0.0.0.0 is all (default: this machine only)"
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_ROOM_PORT, help=f"default {DEFAULT_ROOM_PORT}; 0: any free one"
    )
    parser.add_argument("--room", metavar="NAME", help="room in the printed links (default: one made up)")

    people = parser.add_argument_group("people")
    who = people.add_mutually_exclusive_group()
    who.add_argument("--invite-only", action="store_true", help="ask everybody for a signed invitation")
    who.add_argument("--open", action="store_true", help="let anybody in who reaches this server")
    people.add_argument("--lobby", action="store_true", help="newcomers wait until a moderator lets them in")
    people.add_argument(
        "--max-participants", type=int, metavar="N", help="of a room (default: what suits the engine)"
    )
    add_token_secret(people)

    tls = parser.add_argument_group("TLS")
    tls.add_argument("--cert", type=Path, metavar="FILE", help="certificate chain (PEM)")
    tls.add_argument("--key", type=Path, metavar="FILE", help="its private key (PEM)")
    tls.add_argument("--self-signed", action="store_true", help="use a certificate made here, and kept")
    tls.add_argument("--public-url", default="", metavar="URL", help="https://HOST of the proxy in front")
    tls.add_argument(
        "--proxy", action="append", default=[], metavar="IP", help="believe X-Forwarded-For of this proxy"
    )

    media = parser.add_argument_group("media")
    media.add_argument(
        "--engine", default="mesh", metavar="NAME", help=f"{', '.join(ENGINES.names())} (default mesh)"
    )
    media.add_argument(
        "--engine-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of the engine; may be repeated",
    )
    media.add_argument("--stun", action="append", default=[], metavar="URL", help="stun:HOST[:PORT]")
    media.add_argument(
        "--turn", action="append", default=[], metavar="URL", help="turn:HOST[:PORT] or turns:...; repeatable"
    )
    media.add_argument(
        "--turn-secret-file", type=Path, metavar="FILE", help="holds coturn's static-auth-secret"
    )
    media.add_argument("--relay-only", action="store_true", help="hide addresses behind the TURN server")

    whip = parser.add_argument_group("WHIP and WHEP")
    whip.add_argument(
        "--no-whip", action="store_true", help="serve pages and softphones only: no /whip/ROOM, no /whep/ROOM"
    )
    whip.add_argument(
        "--bind-address",
        action="append",
        metavar="IP",
        help="exchange the audio of their sessions on this address only; may be repeated (default: all)",
    )
    whip.add_argument("--udp-ports", metavar="A-B", help="UDP ports for that audio (default: any)")
    parser.set_defaults(func=run)


def add_token_secret(parser: Any) -> None:
    """Add the option for the secret that signs invitations."""
    parser.add_argument(
        "--token-secret-file",
        type=Path,
        metavar="FILE",
        help="holds the secret that signs invitations, 32 characters or more "
        "(default: one of your own, made and kept)",
    )


def token_secret(args: argparse.Namespace) -> bytes:
    """The secret that signs invitations. Raises `ConfigError`."""
    if args.token_secret_file is not None:
        return read_secret(args.token_secret_file).encode()
    return kept_token_secret()


def run(args: argparse.Namespace) -> int:
    """Serve until the user has enough."""
    certificate = _certificate(args)
    config = _config(args, certificate)
    room = args.room or "".join(secrets.choice(_ROOM_ALPHABET) for _ in range(8))
    server = RoomServer(config)
    streams = _streams(args)
    _allow_many_files()

    async def serve() -> int:
        with Terminal(quiet=True) as terminal:
            await server.start()
            gateway = WhipGateway(server, streams)
            try:
                if not args.no_whip:
                    gateway.mount()
                _announce(server, room, certificate, terminal)
                await terminal.stopped()
            finally:
                await gateway.close()
                await server.close()
        return 0

    return asyncio.run(serve())


def _config(args: argparse.Namespace, certificate: ServerCertificate | None) -> RoomServerConfig:
    access = Access.INVITATION if args.invite_only else Access.OPEN if args.open else None
    ice = IceProvider(
        stun=tuple(args.stun),
        turn=tuple(args.turn),
        secret=read_secret(args.turn_secret_file) if args.turn_secret_file else "",
    )
    return RoomServerConfig(
        host=args.listen,
        port=args.port,
        tls=certificate.context if certificate else None,
        token_secret=token_secret(args),
        access=access,
        room=RoomConfig(lobby=args.lobby),
        max_participants=args.max_participants,
        engine=args.engine,
        engine_options=dict(_option(text) for text in args.engine_option),
        ice=ice,
        relay_only=args.relay_only,
        public_url=args.public_url,
        proxies=frozenset(args.proxy),
    )


def _streams(args: argparse.Namespace) -> ConferenceConfig:
    """Settings of the audio of WHIP and WHEP."""
    return ConferenceConfig(
        source="null",
        sink="null",
        addresses=tuple(args.bind_address) if args.bind_address else None,
        ports=port_range(args.udp_ports) if args.udp_ports else None,
        servers=tuple(IceServer(url) for url in args.stun),
    )


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"{text!r} is no setting; write KEY=VALUE")
    return key, value


def _certificate(args: argparse.Namespace) -> ServerCertificate | None:
    if (args.cert is None) != (args.key is None):
        raise ConfigError("--cert and --key belong together: give both files")
    if args.cert is not None:
        if args.self_signed:
            raise ConfigError("give either --self-signed or --cert and --key")
        return load_certificate(args.cert, args.key)
    if not args.self_signed:
        return None
    hosts = ["localhost", socket.gethostname(), "127.0.0.1", *reachable_addresses(args.listen)]
    return self_made_certificate([*dict.fromkeys(host for host in hosts if host not in ANY_ADDRESS)])


def _announce(
    server: RoomServer, room: str, certificate: ServerCertificate | None, terminal: Terminal
) -> None:
    """Say how to come in."""
    now = time.time()

    def token(role: RoomRole) -> str:
        return server.invite(Invitation(room=room, role=role, expires=now + _LINK_LIFETIME), now)

    host = reachable_addresses(server.config.host)[0]
    for_guests = server.secret or (token(RoomRole.PARTICIPANT) if server.access is Access.INVITATION else "")
    terminal.say("A room is open; Ctrl-C closes it. The link for everybody:")
    terminal.say(f"  {server.link(host, room, for_guests)}", style="bold")
    terminal.say("For a moderator (good for a day):")
    terminal.say(f"  {server.link(host, room, token(RoomRole.MODERATOR))}", style="bold")
    if certificate is not None:
        terminal.say(f"Fingerprint of the certificate (SHA-256): {certificate.fingerprint}")
    elif not is_loopback(host) and not server.config.public_url:
        terminal.say(
            "Browsers will not give the microphone to http:// pages from here: use --self-signed, "
            "or --cert and --key. Softphones can join."
        )


def _allow_many_files() -> None:
    """Let connections be limited by our own caps, rather than by the number of open files."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
