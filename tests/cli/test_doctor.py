import argparse
import asyncio
import importlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aioice import stun

from softphone.cli import doctor
from softphone.cli.doctor import Status
from softphone.errors import ConfigError, DeviceError


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers())
    return parser.parse_args(["doctor", *arguments])


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    args = parse("--json", *arguments)
    code = args.func(args)
    return code, json.loads(capsys.readouterr().out)


class StunServer(asyncio.DatagramProtocol):
    """Answers binding requests, the first one only when it is repeated."""

    def __init__(self) -> None:
        self.requests = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.requests += 1
        if self.requests == 1:
            return
        request = stun.parse_message(data)
        answer = stun.Message(
            message_method=request.message_method,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
        )
        answer.attributes["XOR-MAPPED-ADDRESS"] = ("203.0.113.7", 4711)
        self.transport.sendto(b"\x00 not STUN at all", address)
        self.transport.sendto(bytes(answer), address)


@pytest.fixture
def stun_server() -> Iterator[int]:
    """The port of a STUN server on 127.0.0.1."""
    loop = asyncio.new_event_loop()
    transport, _ = loop.run_until_complete(
        loop.create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield transport.get_extra_info("sockname")[1]
    loop.call_soon_threadsafe(transport.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_this_machine_can_make_calls(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = report(capsys)
    assert code == 0
    assert found["can_call"] is True
    checks = {check["name"]: check for check in found["checks"]}
    assert {"Python", "packages", "libopus", "network", "sound", "ONNX Runtime"} <= set(checks)
    assert "DRED" in checks["libopus"]["detail"]
    assert "STUN" not in checks


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    args = parse()
    assert args.func(args) == 0
    text = capsys.readouterr().out
    assert "libopus" in text
    assert "can make calls" in text


def test_without_the_codec_there_is_no_call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = importlib.import_module

    def import_module(name: str, package: str | None = None) -> Any:
        if name == "softphone.opus":
            raise ImportError("the extension module was not built")
        return original(name, package)

    monkeypatch.setattr(importlib, "import_module", import_module)
    code, found = report(capsys)
    assert code == 1
    assert found["can_call"] is False
    failed = [check for check in found["checks"] if check["status"] == "failed"]
    assert [check["name"] for check in failed] == ["libopus"]
    assert "not built" in failed[0]["detail"]


def test_without_sound_there_is_a_call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def list_devices() -> None:
        raise DeviceError("sound cards need PortAudio")

    monkeypatch.setattr("softphone.audio.devices.list_devices", list_devices)
    code, found = report(capsys)
    assert code == 0
    (sound,) = (check for check in found["checks"] if check["name"] == "sound")
    assert (sound["status"], sound["detail"]) == ("warning", "sound cards need PortAudio")


def test_a_stun_server_tells_our_address(stun_server: int, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = report(capsys, "--stun", f"127.0.0.1:{stun_server}")
    assert code == 0
    (check,) = (check for check in found["checks"] if check["name"] == "STUN")
    assert check["status"] == "ok"
    assert "203.0.113.7:4711" in check["detail"]


def test_a_silent_stun_server_is_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "STUN_TIMEOUT", 0.2)
    (check,) = (check for check in doctor.examine(("127.0.0.1", 9)) if check.name == "STUN")
    assert check.status is Status.WARNING
    assert "no answer" in check.detail
    assert check.advice


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("stun.example.org:3478", ("stun.example.org", 3478)),
        ("stun.example.org", ("stun.example.org", 3478)),
        ("[2001:db8::1]:5349", ("2001:db8::1", 5349)),
        ("[2001:db8::1]", ("2001:db8::1", 3478)),
        ("192.0.2.1:1", ("192.0.2.1", 1)),
    ],
)
def test_servers_are_read(text: str, server: tuple[str, int]) -> None:
    assert doctor.parse_server(text) == server


@pytest.mark.parametrize("text", ["", ":3478", "host:0", "host:70000", "host:port", "[::1", "::1"])
def test_what_is_no_server_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError):
        doctor.parse_server(text)
    args = parse("--stun", text)
    assert args.func(args) == 2
    assert "HOST:PORT" in capsys.readouterr().err
