"""The command ``softphone`` itself: help, versions, mistakes."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

import softphone
from softphone.cli import main as entry
from softphone.cli.main import main
from softphone.errors import PeerUnreachableError

SILENT = ("--input", "null", "--output", "null")


@pytest.fixture(autouse=True)
def same_switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def run(*arguments: str) -> int:
    """The exit code, argparse's included."""
    try:
        return main(arguments)
    except SystemExit as stopped:
        return int(stopped.code or 0)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    for command in ("demo", "call", "listen", "join", "room", "simulate", "devices", "doctor"):
        assert f"  {command} " in text


@pytest.mark.parametrize("command", ["call", "listen", "join", "room", "devices", "doctor"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert f"usage: softphone {command}" in capsys.readouterr().out


def test_help_and_version_load_next_to_nothing() -> None:
    code = (
        "import sys; from softphone.cli.main import main\n"
        "for option in ('--help', '--version'):\n"
        "    try: main([option])\n"
        "    except SystemExit: pass\n"
        "heavy = {'numpy', 'aiortc', 'aiohttp', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=30)


def test_python_m_softphone() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "softphone", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert result.stdout.startswith("softphone ")


def test_a_command_that_can_not_be_loaded_does_not_break_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(entry._COMMANDS, "teleport", "be there at once")
    assert run("teleport") == 1
    assert capsys.readouterr().err.startswith("softphone: the installation is incomplete: ")
    assert run("devices", "--help") == 0


def test_what_the_peer_did_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: object) -> int:
        raise PeerUnreachableError("nobody home")

    monkeypatch.setattr("softphone.cli.devices.run", fail)
    assert run("devices") == 3
    assert capsys.readouterr().err == "softphone: nobody home\n"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("call", "127.0.0.1", "--input", "gramophone", "--output", "null"), 1, "no kind of audio"),
        (("call", "127.0.0.1", "--input", "file:/nowhere/a.wav", "--output", "null"), 1, "/nowhere/a.wav"),
        (("call", "127.0.0.1", *SILENT, "--record", "/proc/nowhere"), 1, "can't record into /proc/nowhere"),
        (("call", "127.0.0.1", "--policy", "bogus"), 1, "no playout policy 'bogus'"),
        (("call", "127.0.0.1", "--bitrate", "1"), 1, "bitrate"),
        (("call", "127.0.0.1", "--max-delay", "1"), 1, "largest delay"),
        (("call", "127.0.0.1", "--bind-address", "here"), 1, "not an IP address"),
        (("call", "127.0.0.1", "--udp-ports", "x"), 1, "no range of ports"),
        (("call", "127.0.0.1", "--udp-ports", "9-5"), 1, "port range"),
        (("call", "127.0.0.1", "--turn-user", "me"), 1, "--turn"),
        (("call", "127.0.0.1", "--stun", "a b"), 1, "no STUN or TURN server"),
        (("call", "127.0.0.1", "--duration", "-1"), 1, "--duration"),
        (("call", "a@b"), 1, "no user name"),
        (("listen", *SILENT), 1, "--auto-answer"),
        (("listen", *SILENT, "--auto-answer", "--token", "x"), 1, "a token has"),
        (("listen", *SILENT, "--auto-answer", "--port", "99999"), 1, "no port"),
        (("listen", "--open", "--token", "correct-horse"), 2, "not allowed with"),
        (("call",), 2, "required"),
        (("call", "127.0.0.1", "--redundancy", "bogus"), 2, "invalid choice"),
        (("bogus",), 2, "invalid choice"),
        ((), 2, "required"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    arguments: tuple[str, ...], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == code
    errors = capsys.readouterr().err
    assert sentence in errors
    if code == 1:
        assert errors.count("\n") == 1
        assert errors.startswith("softphone: ")


def test_the_library_shows_a_handful_of_names() -> None:
    for name in softphone.__all__:
        assert getattr(softphone, name).__name__ == name
    assert softphone.__version__
    with pytest.raises(AttributeError):
        _ = softphone.gramophone
