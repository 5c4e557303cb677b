"""The command ``softphone``: finds the command that is meant and runs it.

Each command is a module of its own with ``add_parser(subparsers)`` and ``run(args)``; only
the one that is asked for is imported.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from softphone.errors import LocalError, SoftphoneError

__all__ = ["main"]

_COMMANDS = {
    "demo": "make a call between two processes over a bad network, and show how it went",
    "call": "call somebody who runs softphone listen",
    "listen": "wait for calls",
    "join": "talk in a room, with browsers and other softphones",
    "room": "serve rooms for several people, and invite to them",
    "simulate": "run one direction of a call over a network trace, faster than real time",
    "devices": "list microphones and loudspeakers",
    "doctor": "check what works on this machine",
}

_DESCRIPTION = (
    "A voice endpoint that keeps a conversation whole on a network that loses a third of its packets."
)

_EPILOG = """\
examples:
  softphone demo                       hear what it does, without sound card or network
  softphone listen                     wait for a call from this machine
  softphone call 127.0.0.1             make it
  softphone COMMAND --help             all about a command
"""

_EXIT_LOCAL = 1
_EXIT_REMOTE = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; what goes wrong is said in one sentence."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(_command(arguments)).parse_args(arguments)
        _set_up_logging(args.verbose)
        code: int = args.func(args)
    except SoftphoneError as error:
        print(f"softphone: {error}", file=sys.stderr)
        return _EXIT_LOCAL if isinstance(error, LocalError) else _EXIT_REMOTE
    except ImportError as error:
        print(f"softphone: the installation is incomplete: {error}; see 'softphone doctor'", file=sys.stderr)
        return _EXIT_LOCAL
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more at exit.
        sys.stdout = None
        return _EXIT_LOCAL
    return code


def _command(arguments: Sequence[str]) -> str | None:
    """The command among the arguments, if there is one; options before it take no values."""
    return next((argument for argument in arguments if not argument.startswith("-")), None)


def _parser(command: str | None) -> argparse.ArgumentParser:
    """A parser that knows all commands by name and `command` by heart."""
    parser = argparse.ArgumentParser(
        prog="softphone",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    _add_verbose(parser, default=0)
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands", required=True)
    for name, summary in _COMMANDS.items():
        if name == command:
            import_module(f"softphone.cli.{name}").add_parser(subparsers)
            _add_verbose(subparsers.choices[name], default=argparse.SUPPRESS)
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def _add_verbose(parser: argparse.ArgumentParser, default: int | str) -> None:
    parser.add_argument(
        "-v", "--verbose", action="count", default=default, help="log more; twice: everything"
    )


def _version() -> str:
    from softphone import __version__

    return f"softphone {__version__}"


def _set_up_logging(verbose: int) -> None:
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("softphone").setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    if verbose < 2:
        # Their warnings are about things that a call survives, and that its statistics count.
        for name in ("aioice", "aiortc", "libav"):
            logging.getLogger(name).setLevel(logging.ERROR)
