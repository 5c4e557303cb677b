"""``softphone call whip+http://...`` and ``whep+http://...`` against ``softphone room serve``."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from softphone.audio.stream import SAMPLE_RATE
from softphone.call_events import CallState
from softphone.cli.main import main
from softphone.phone import Phone, PhoneConfig
from tests.calls.call_processes import LOCAL, Command, read_json
from tests.conference.rooms import Rooms, heard_share, until
from tests.support.stream import speech


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Run the room server; gives its host and port, and the token for everybody."""
    options = getattr(request, "param", ())
    with Command("room", "serve", "--port", "0", "--room", "stage", *LOCAL, *options) as serving:
        link = serving.wait_for(r"(https?)://([^/]+)/r/stage#?(\S*)")
        yield f"{link[1]}://{link[2]}", link[3]
        serving.interrupt()
        assert serving.finish() == 0, serving.errors


def test_what_is_published_is_heard_by_a_participant_and_a_listener(
    server: tuple[str, str], tmp_path: Path
) -> None:
    base, _ = server
    words = speech()[: 4 * SAMPLE_RATE]
    soundfile.write(tmp_path / "said.wav", words, SAMPLE_RATE, subtype="PCM_16")
    heard, overheard = tmp_path / "heard.wav", tmp_path / "overheard.wav"
    join = (
        "join",
        f"{base}/r/stage",
        *LOCAL,
        "--input",
        "null",
        "--output",
        f"file:{heard}",
        "--name",
        "Ann",
    )
    listen = ("call", f"whep+{base}/whep/stage", *LOCAL, "--output", f"file:{overheard}")
    said = f"file:{tmp_path / 'said.wav'},loop"
    numbers = tmp_path / "numbers.json"
    publish = ("call", f"whip+{base}/whip/stage", *LOCAL, "--input", said, "--duration", "12")
    with Command(*join) as ann, Command(*listen) as listener:
        ann.wait_for("Listener")
        listener.wait_for("Connected")
        with Command(*publish, "--stats-json", str(numbers)) as publisher:
            ann.wait_for("Stream")
            assert publisher.finish() == 0, publisher.errors
        for command in (listener, ann):
            command.interrupt()
            assert command.finish() == 0, command.errors
    assert heard_share(words, _read(heard)) > 0.5
    # Twice through Opus and stretched by two jitter buffers; of words never said it is below 0.15.
    assert heard_share(words, _read(overheard)) > 0.3
    values = read_json(numbers)
    assert values["end"]["by"] == "local"
    assert values["counters"]["receiver_packets_received"] == 0 < values["counters"]["sender_packets_sent"]


@pytest.mark.parametrize("server", [("--invite-only",)], indirect=True)
def test_the_token_comes_from_the_address_or_the_environment(
    server: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base, token = server
    talk = ["--input", "null", "--duration", "0.5", "-q", *LOCAL]
    target = f"whip+{base}/whip/stage"
    assert main(["call", target, *talk]) == 3
    assert "401" in capsys.readouterr().err
    assert main(["call", f"{target}#{token}", *talk]) == 0
    monkeypatch.setenv("SOFTPHONE_WHIP_TOKEN", token)
    assert main(["call", target, *talk]) == 0
    assert main(["call", f"{target}#forged", *talk]) == 3


def test_a_certificate_of_its_own_is_believed_by_its_fingerprint(capsys: pytest.CaptureFixture[str]) -> None:
    serve = ("room", "serve", "--port", "0", "--room", "stage", "--self-signed", *LOCAL)
    with Command(*serve) as serving:
        base = serving.wait_for(r"https://127\.0\.0\.1:\d+")[0]
        fingerprint = serving.wait_for(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}")[0]
        call = ["call", f"whip+{base}/whip/stage", "--input", "null", "--duration", "0.5", "-q", *LOCAL]
        assert main(call) == 3
        assert main([*call, "--fingerprint", "AB" * 32]) == 3
        assert "another certificate" in capsys.readouterr().err
        assert main([*call, "--fingerprint", fingerprint]) == 0


@pytest.mark.parametrize("server", [("--no-whip",)], indirect=True)
def test_whip_can_be_turned_off(server: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", f"whip+{server[0]}/whip/stage", "--input", "null", "-q", *LOCAL]) == 3
    assert "405" in capsys.readouterr().err


async def test_a_session_that_the_server_ends_is_over(serve: Any) -> None:
    served = await serve()
    rooms: Rooms = served.rooms
    alice = await rooms.join("Alice")
    phone = Phone(PhoneConfig(source="null", sink="null", addresses=("127.0.0.1",)))
    call = await phone.stream(f"whip+{served.url}/whip/test")
    await until(lambda: call.state is CallState.TALKING and alice.connected(1), what="a publisher")
    (publisher,) = alice.conference.roster.people
    alice.conference.room.remove(publisher)
    end = await call.closed()
    assert end.detail == "the connection to the other side is gone"
    await phone.close()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["whip+http://meet.example.org/whip/x"], "wants TLS"),
        (["whip+ftp://127.0.0.1/x"], "whip+https"),
        (["127.0.0.1", "--insecure"], "whip+https"),
        (["whip+https://127.0.0.1/x", "--insecure", "--fingerprint", "AB" * 32], "choose one"),
    ],
)
def test_mistakes_are_explained(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(["call", *arguments]) == 1
    assert re.search(re.escape(complaint), capsys.readouterr().err)


def _read(path: Path) -> Any:
    return soundfile.read(path, dtype="float32")[0]
