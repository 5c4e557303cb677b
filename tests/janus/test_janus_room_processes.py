"""The commands: two ``softphone room serve`` on one Janus, a softphone at each."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import soundfile
from janus_listeners import SECRET

from softphone.audio.stream import SAMPLE_RATE
from tests.calls.call_processes import Command
from tests.conference.rooms import heard_share
from tests.support.janus_server import JanusProcess
from tests.support.stream import speech


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_room_goes_on_when_one_of_its_servers_is_killed(
    stack: ExitStack,
    tmp_path: Path,
    two_servers: tuple[JanusProcess, JanusProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "tokens").write_text("t" * 40)
    serve = ["room", "serve", "--port", "0", "--room", "stage", "--invite-only", "--engine", "janus"]
    options = {"urls": two_servers[1].url, "secret": SECRET}
    for option, value in options.items():
        serve += ["--engine-option", f"{option}={value}"]
    servers, phones, words = [], [], {}
    for turn, name in enumerate(("Ann", "Bob")):
        server = stack.enter_context(Command(*serve, "--token-secret-file", str(tmp_path / "tokens")))
        link = server.wait_for(r"http://\S+/r/stage#\S+")[0]
        said, heard = tmp_path / f"{name}-said.wav", tmp_path / f"{name}-heard.wav"
        words[name] = speech()[turn * 4 * SAMPLE_RATE : (turn * 4 + 3) * SAMPLE_RATE]
        soundfile.write(said, words[name], SAMPLE_RATE, subtype="PCM_16")
        audio = ("--input", f"file:{said},loop", "--output", f"file:{heard}")
        phone = stack.enter_context(Command("join", link, "--name", name, *audio))
        phone.wait_for(f"You are in the room as {name}")
        servers.append(server)
        phones.append(phone)
    phones[0].wait_for("Bob")
    servers[0].process.kill()
    phones[1].wait_for("Ann")
    time.sleep(8.0)
    for phone in phones:
        phone.interrupt()
        assert phone.finish() == 0, phone.errors
    assert "left" not in phones[1].output.lower().replace("you left", "")
    for name, other in (("Ann", "Bob"), ("Bob", "Ann")):
        heard_pcm = soundfile.read(tmp_path / f"{name}-heard.wav", dtype="float32")[0]
        # Of the time after the end of the server.
        assert heard_share(words[other], heard_pcm[-6 * SAMPLE_RATE :]) > 0.5, f"{name} hears {other}"
