"""``softphone devices``: the sound devices of this machine."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from softphone.audio.devices import DeviceInfo, list_devices
from softphone.errors import DeviceError

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the command to what ``argparse.ArgumentParser.add_subparsers`` returned."""
    parser = subparsers.add_parser("devices", help="list microphones and loudspeakers")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the devices; 1 when they can't be listed."""
    try:
        devices = list_devices()
    except DeviceError as error:
        print(f"softphone: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps([asdict(device) for device in devices], indent=2))
    elif not devices:
        print("no sound devices; a call can use files or tones instead")
    else:
        Console().print(_table(devices))
    return 0


def _table(devices: list[DeviceInfo]) -> Table:
    table = Table(title="Sound devices")
    for title in ("number", "name", "system", "microphone", "loudspeaker"):
        table.add_column(title, justify="right" if title == "number" else "left")
    for device in devices:
        table.add_row(
            str(device.index),
            device.name,
            device.host_api,
            _use(device.inputs, device.default_input),
            _use(device.outputs, device.default_output),
        )
    return table


def _use(channels: int, default: bool) -> str:
    return "" if channels == 0 else "default" if default else "yes"
