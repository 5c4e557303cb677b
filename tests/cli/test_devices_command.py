import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.virtual_audio import VirtualAudio, missing_for_virtual_audio

ROOT = Path(__file__).parents[2]
COMMAND = """
import argparse, sys
from softphone.cli import devices
parser = argparse.ArgumentParser()
devices.add_parser(parser.add_subparsers())
args = parser.parse_args()
sys.exit(args.func(args))
"""


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, "devices", *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(missing_for_virtual_audio() is not None, reason=str(missing_for_virtual_audio()))
def test_devices_are_listed_for_people_and_programs() -> None:
    with VirtualAudio(["alice"]) as audio:
        table, data = run(audio.env), run(audio.env, "--json")
    assert (table.returncode, data.returncode) == (0, 0)
    for name in ("alice_spk", "alice_mic", "ALSA", "default"):
        assert name in table.stdout
    devices = json.loads(data.stdout)
    assert {"alice_spk", "alice_mic_feed"} <= {device["name"] for device in devices}
    assert sum(device["default_output"] for device in devices) == 1


@pytest.mark.skipif(missing_for_virtual_audio() is not None, reason=str(missing_for_virtual_audio()))
def test_no_devices_are_no_error() -> None:
    audio = VirtualAudio(["alice"])
    with audio:
        audio.kill()
        result = run(audio.env)
    assert result.returncode == 0
    assert "no sound devices" in result.stdout
