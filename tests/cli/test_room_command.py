"""The command line of rooms, with real processes and sockets."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from softphone.cli.main import main

LINK = re.compile(r"https?://\S+/r/\S+")


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@contextmanager
def serving(*options: str, lines: int) -> Iterator[list[str]]:
    """Run ``softphone room serve``; gives the first lines that it prints."""
    command = [sys.executable, "-m", "softphone", "room", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        printed = [process.stdout.readline().rstrip("\n") for _ in range(lines)]
        yield printed
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=10)
        assert (process.returncode, complaints) == (0, "")
    finally:
        process.kill()
        process.wait()


def links(printed: list[str]) -> tuple[str, str]:
    """For everybody, and for a moderator."""
    first, second = LINK.findall("\n".join(printed))
    return first, second


async def join(link: str, name: str = "Zoë", **options: Any) -> dict[str, Any]:
    """What the server answers to somebody who follows `link`."""
    address, _, token = link.partition("#")
    base, _, room = address.partition("/r/")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{base}/ws", **options) as socket:
        await socket.send_str(json.dumps({"type": "hello", "versions": [1], "name": name}))
        assert (await socket.receive_json())["type"] == "welcome"
        await socket.send_str(json.dumps({"type": "join", "room": room, "token": token}))
        answer: dict[str, Any] = await socket.receive_json()
        await socket.send_str('{"type":"bye"}')
        return answer


async def test_serve_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    with serving("--room", "standup", lines=4) as printed:
        everybody, moderator = links(printed)
        assert "#" not in everybody
        assert (await join(everybody))["room"] == "standup"
        assert (await join(moderator))["role"] == "moderator"
        # An invitation made by the same user on the same machine opens it too.
        base = everybody.partition("/r/")[0]
        assert main(["room", "invite", f"{base}/r/town-hall", "--name", "Alice"]) == 0
        invited = await join(capsys.readouterr().out.strip())
        assert (invited["room"], invited["name"]) == ("town-hall", "Alice")


async def test_serve_for_others(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x" * 40)
    options = ["--listen", "0.0.0.0", "--self-signed", "--token-secret-file", str(secret)]
    with serving(*options, lines=5) as printed:
        fingerprint = re.search(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", printed[4])
        assert fingerprint
        trust = aiohttp.Fingerprint(bytes.fromhex(fingerprint[0].replace(":", "")))
        for link in links(printed):
            assert link.startswith("https://")
            here = re.sub(r"//[^/]+:(\d+)/", r"//127.0.0.1:\1/", link)
            # The one who opens a room moderates it, and so does the other by invitation.
            assert (await join(here, ssl=trust))["role"] == "moderator"
            assert (await join(here.partition("#")[0], ssl=trust))["code"] == "unauthorized"


async def test_serve_by_invitation(tmp_path: Path) -> None:
    (tmp_path / "turn").write_text("north\n")
    stun, turn, secret = "stun:192.0.2.1", "turn:192.0.2.1", str(tmp_path / "turn")
    servers = ["--stun", stun, "--turn", turn, "--turn-secret-file", secret, "--relay-only"]
    people = ["--invite-only", "--lobby", "--max-participants", "3"]
    with serving(*people, *servers, lines=4) as printed:
        everybody, moderator = links(printed)
        assert (await join(everybody))["type"] == "waiting"
        answer = await join(moderator)
        assert (answer["role"], answer["lobby"], answer["max_participants"]) == ("moderator", True, 3)
        urls = [server["urls"] for server in answer["ice_servers"]]
        assert urls == [[stun], [turn]]
        assert answer["relay_only"]
        expiry = int(answer["ice_servers"][1]["username"].partition(":")[0])
        assert 3500 < expiry - time.time() <= 3600


def test_invite(capsys: pytest.CaptureFixture[str], own_data_folder: Path) -> None:
    assert main(["room", "invite", "standup"]) == 0
    link = capsys.readouterr().out.strip()
    assert link.startswith("http://localhost:7640/r/standup#eyJ")
    assert [path.name for path in (own_data_folder / "softphone").iterdir()] == ["room-token-secret"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["invite", "Stand Up"], "can't be a room"),
        (["invite", "ftp://host/r/x"], "is no room"),
        (["invite", "https://a b/r/x"], "is no room"),
        (["invite", "x", "--expires", "soon"], "is no such time"),
        (["invite", "x", "--expires", "0h"], "is no such time"),
        (["invite", "x", "--expires", "999d"], "is no such time"),
        (["invite", "x", "--token-secret-file", "/does/not/exist"], "can't read the secret"),
        (["serve", "--cert", "x.pem"], "belong together"),
        (["serve", "--cert", "x.pem", "--key", "x.pem"], "PEM"),
        (["serve", "--cert", "x.pem", "--key", "x.pem", "--self-signed"], "either"),
        (["serve", "--engine", "carrier-pigeon"], "carrier-pigeon"),
        (["serve", "--engine-option", "nonsense"], "KEY=VALUE"),
        (["serve", "--turn", "turn:x"], "secret"),
        (["serve", "--relay-only"], "TURN"),
        (["serve", "--max-participants", "0"], "1 to"),
        (["serve", "--public-url", "example"], "public URL"),
        (["serve", "--room", "No Such"], "can't be a room"),
        (["serve", "--port", "99999"], "no port"),
    ],
)
def test_mistakes_are_explained(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(["room", *arguments]) == 1
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    "arguments", [["room"], ["room", "open"], ["room", "serve", "--open", "--invite-only"]]
)
def test_wrong_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "taught"),
    [
        (["room", "--help"], "softphone room serve"),
        (["room", "serve", "--help"], "--invite-only"),
        (["room", "invite", "--help"], "--expires 2h"),
    ],
)
def test_help(capsys: pytest.CaptureFixture[str], arguments: list[str], taught: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert taught in capsys.readouterr().out
