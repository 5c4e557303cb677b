"""``softphone doctor``: what works on this machine, what does not, and what to do about it."""

import argparse
import asyncio
import importlib
import json
import platform
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from softphone.errors import ConfigError, SoftphoneError

__all__ = ["Check", "Status", "add_parser", "examine", "run"]

NEEDED_PACKAGES = ("aiohttp", "aioice", "aiortc", "av", "numpy", "soundfile", "soxr")
"""Distributions without which there is no call."""
OTHER_PACKAGES = ("sounddevice", "onnxruntime", "matplotlib", "rich")
STUN_TIMEOUT = 3.0
"""Seconds to wait for a STUN server."""


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    """Something is missing that a call can do without."""
    FAILED = "failed"
    """No call is possible."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    """What was looked at."""
    status: Status
    """How it came out."""
    detail: str
    """What was found."""
    advice: str = ""
    """What to do, when it is not all well."""


def add_parser(subparsers: Any) -> None:
    """Add the command to what ``argparse.ArgumentParser.add_subparsers`` returned."""
    parser = subparsers.add_parser("doctor", help="check what works on this machine")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--stun", metavar="HOST:PORT", help="also ask this STUN server for our address")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 when no call is possible, 2 when the arguments make no sense."""
    try:
        stun = None if args.stun is None else parse_server(args.stun)
    except ConfigError as error:
        print(f"softphone: {error}", file=sys.stderr)
        return 2
    checks = examine(stun)
    able = all(check.status is not Status.FAILED for check in checks)
    if args.json:
        print(json.dumps({"can_call": able, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        _print(checks, able)
    return 0 if able else 1


def examine(stun: tuple[str, int] | None = None) -> list[Check]:
    """Make every check; the one for STUN only when a server (host, port) is given."""
    checks = [_python(), *_packages(), _guarded("libopus", _libopus), _guarded("network", _network)]
    checks += [_guarded("sound", _sound, Status.WARNING), _guarded("ONNX Runtime", _onnx, Status.WARNING)]
    if stun is not None:
        host, port = stun
        checks.append(_guarded("STUN", lambda: _stun(host, port), Status.WARNING))
    return checks


def parse_server(text: str) -> tuple[str, int]:
    """``HOST:PORT``, or ``[ADDRESS]:PORT`` for IPv6, or a host alone with STUN's port 3478.

    Raises:
        ConfigError: when it is neither.
    """
    bracketed = re.fullmatch(r"\[([^]]+)](?::(\d+))?", text)
    plain = re.fullmatch(r"([^:\[\]]+)(?::(\d+))?", text)
    match = bracketed or plain
    port = int(match[2] or "3478") if match else 0
    if match is None or not 0 < port < 65536:
        raise ConfigError(f"{text!r} is no server; write HOST:PORT, such as stun.example.org:3478")
    return match[1], port


def _guarded(name: str, check: Callable[[], Check], severity: Status = Status.FAILED) -> Check:
    """Run a check; a doctor must never fall ill itself."""
    try:
        return check()
    except Exception as error:
        hint = "" if isinstance(error, SoftphoneError) else f"{type(error).__name__}: "
        return Check(name, severity, f"{hint}{error}")


def _python() -> Check:
    name, version = platform.python_implementation(), platform.python_version()
    return Check("Python", Status.OK, f"{name} {version} on {platform.platform(terse=True)}")


def _packages() -> Iterator[Check]:
    versions: dict[str, str | None] = {}
    for name in NEEDED_PACKAGES + OTHER_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    found = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    yield Check("packages", Status.OK, found)
    for name, version in versions.items():
        if version is None:
            status = Status.FAILED if name in NEEDED_PACKAGES else Status.WARNING
            yield Check("packages", status, f"{name} is missing", f"pip install {name}")


def _libopus() -> Check:
    opus = importlib.import_module("softphone.opus")
    able = opus.capabilities()
    features = {"DRED": able.dred, "deep PLC": able.deep_plc, "OSCE": able.osce, "OSCE BWE": able.osce_bwe}
    present = ", ".join(name for name, there in features.items() if there) or "no neural features"
    detail = f"{able.version}: {present}"
    missing = ", ".join(name for name, there in features.items() if not there)
    if missing:
        advice = f"calls work, but {missing} would repair more; let softphone build its own libopus"
        return Check("libopus", Status.WARNING, detail, advice)
    return Check("libopus", Status.OK, detail)


def _network() -> Check:
    from aioice.ice import get_host_addresses

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
    addresses = get_host_addresses(use_ipv4=True, use_ipv6=True)
    if not addresses:
        return Check("network", Status.WARNING, "loopback only", "connect to a network to call others")
    return Check("network", Status.OK, ", ".join(addresses))


def _sound() -> Check:
    from softphone.audio.devices import choose_device, list_devices

    devices = list_devices()
    names = [choose_device(devices, None, direction).name for direction in ("input", "output")]
    return Check("sound", Status.OK, f"{len(devices)} devices; microphone {names[0]}, loudspeaker {names[1]}")


def _onnx() -> Check:
    runtime = importlib.import_module("onnxruntime")
    providers = ", ".join(runtime.get_available_providers())
    return Check("ONNX Runtime", Status.OK, f"{runtime.__version__}: {providers}")


def _stun(host: str, port: int) -> Check:
    started = time.perf_counter()
    try:
        address = asyncio.run(_ask_stun(host, port))
    except (OSError, TimeoutError) as error:
        reason = str(error) or f"no answer within {STUN_TIMEOUT:g} s"
        advice = "check the server's name and port, and that UDP may leave this network"
        return Check("STUN", Status.WARNING, f"{host}:{port}: {reason}", advice)
    elapsed = (time.perf_counter() - started) * 1e3
    return Check("STUN", Status.OK, f"{host}:{port} sees us as {address[0]}:{address[1]} ({elapsed:.0f} ms)")


async def _ask_stun(host: str, port: int) -> tuple[str, int]:
    """Our address as the STUN server sees it (RFC 8489, binding request over UDP)."""
    from aioice import stun

    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    family, server = found[0][0], (str(found[0][4][0]), port)
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)

    class Client(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.transaction: Any = None

        def send_stun(self, message: Any, address: Any) -> None:
            transport.sendto(bytes(message))

        def datagram_received(self, data: bytes, address: Any) -> None:
            try:
                message = stun.parse_message(data)
            except ValueError:
                return
            if message.transaction_id == request.transaction_id:
                self.transaction.response_received(message, address)

        def error_received(self, error: Exception) -> None:
            """Refused by the host; the time limit reports it, or a retransmission gets through."""

    transport, client = await loop.create_datagram_endpoint(Client, remote_addr=server, family=family)
    try:
        client.transaction = stun.Transaction(request, server, client)
        async with asyncio.timeout(STUN_TIMEOUT):
            response, _ = await client.transaction.run()
    except stun.TransactionError as error:
        raise OSError(str(error)) from error
    finally:
        transport.close()
    mapped = response.attributes.get("XOR-MAPPED-ADDRESS") or response.attributes.get("MAPPED-ADDRESS")
    if mapped is None:
        raise OSError("the answer holds no address")
    return str(mapped[0]), int(mapped[1])


def _print(checks: list[Check], able: bool) -> None:
    colours = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "red"}
    table = Table(show_header=False, box=None, padding=(0, 1))
    for check in checks:
        detail = Text(check.detail)
        if check.advice:
            detail.append(f"\n{check.advice}", style="italic")
        table.add_row(Text(check.status, style=colours[check.status]), check.name, detail)
    console = Console()
    console.print(table)
    console.print(f"This machine {'can' if able else 'cannot'} make calls.", style="bold")
