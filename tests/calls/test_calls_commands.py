"""The commands ``softphone listen`` and ``softphone call`` as people use them."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from call_processes import LOCAL, QUIET_AUDIO, Command, read_json
from live_calls import LOOPBACK, MakePhone, address_of, heard_share, line_of, until, write_speech

from softphone.audio.stream import SAMPLE_RATE
from softphone.recording import read_manifest, read_opus_track, read_pcm
from softphone.signaling import EndReason, Side
from tests.support.virtual_audio import VirtualAudio, missing_for_virtual_audio

LISTEN = ("listen", "--port", "0", *LOCAL, *QUIET_AUDIO)
DIGITS = r"(\d{4} \d{4})"


def call(port: str, *options: str) -> tuple[str, ...]:
    return ("call", f"{LOOPBACK}:{port}", *LOCAL, *QUIET_AUDIO, *options)


def test_from_microphone_to_loudspeaker_through_two_processes(tmp_path: Path) -> None:
    missing = missing_for_virtual_audio()
    if missing is not None:
        pytest.skip(missing)
    said = write_speech(tmp_path / "said.wav", 0.0, 4.0)
    with VirtualAudio(["alice", "bob"]) as audio:
        devices = {
            name: ("--input", f"soundcard:{name}_mic", "--output", f"soundcard:{name}_spk")
            for name in audio.machines
        }
        listening = ("listen", "--port", "0", *LOCAL, *devices["bob"], "--auto-answer", "--once")
        numbers = tmp_path / "bob.json"
        with Command(*listening, "--name", "Bob", "--stats-json", str(numbers), env=audio.env) as bob:
            calling = ("call", f"{LOOPBACK}:{bob.port()}", *LOCAL, *devices["alice"], "--name", "Alice")
            with Command(*calling, env=audio.env) as alice:
                alice.wait_for("Connected with Bob")
                digits = alice.wait_for(DIGITS)[1]
                assert bob.wait_for(DIGITS)[1] == digits
                for _ in range(3):  # a starved machine makes gaps that have nothing to do with the call
                    share = heard_share(said, record_while_playing(audio, tmp_path / "said.wav"))
                    if share > 0.5:
                        break
                alice.interrupt()
                assert alice.finish() == 0, alice.errors
                assert bob.finish() == 0, bob.errors
    assert share > 0.5
    values = read_json(numbers)
    assert values["verification"] == digits
    assert values["end"] == {"reason": "hung-up", "by": "remote", "detail": ""}
    assert values["summary"]["packets"]["lost"] == 0
    assert "What you heard" in bob.output


def record_while_playing(audio: VirtualAudio, path: Path) -> np.ndarray:
    """Speak a file into alice's microphone and return what bob's loudspeaker plays meanwhile."""
    raw = path.with_suffix(".raw")
    format_ = ["--raw", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=20"]
    recorder = subprocess.Popen(
        ["parec", *format_, "--device=bob_spk.monitor", str(raw)],
        env=audio.env,
    )
    try:
        subprocess.run(["paplay", "--device=alice_micfeed", str(path)], env=audio.env, check=True, timeout=30)
        time.sleep(1.0)
    finally:
        recorder.terminate()
        recorder.wait()
    return np.fromfile(raw, "<i2").astype(np.float32) / 32768.0


def test_keys_answer_decline_mute_dial_and_hang_up() -> None:
    with Command(*LISTEN, "--quiet", terminal=True) as bob:
        port = bob.port()
        with Command(*call(port, "--name", "Al\x1bice")) as alice:
            bob.wait_for(r"Alice \(127\.0\.0\.1\) calls")
            bob.press("n")
            assert alice.finish() == 3
            assert alice.errors == "softphone: the call was declined\n"
        with Command(*call(port)) as alice:
            bob.wait_for("calls")
            bob.press("y")
            bob.wait_for("Connected")
            alice.wait_for("Connected")
            bob.press("m")
            bob.wait_for("Muted")
            bob.press("5")
            alice.wait_for("Key pressed by the other side: 5")
            bob.press("q")
            assert alice.finish() == 0
            assert "the other side hung up" in alice.output
        bob.wait_for("Waiting")
        bob.interrupt()
        assert bob.finish() == 0
        assert bob.errors == ""


def test_the_caller_hangs_up_with_ctrl_c_and_can_give_up() -> None:
    with Command(*LISTEN, "--auto-answer", "--once") as bob:
        with Command(*call(bob.port(), "--duration", "1")) as alice:
            assert alice.finish() == 0, alice.errors
            assert "you hung up" in alice.output
        assert bob.finish() == 0
    with Command(*LISTEN, terminal=True) as bob:
        with Command(*call(bob.port())) as alice:
            bob.wait_for("calls")
            alice.interrupt()
            assert alice.finish() == 0
            assert "gave up" in alice.output
        bob.wait_for("The caller has given up")


async def test_a_killed_callee_ends_the_call_and_both_recordings_can_be_read(
    make_phone: MakePhone, tmp_path: Path
) -> None:
    alice = make_phone("Alice", source="tone:300", record=tmp_path / "alice", media_timeout=2.0)
    speaking = ("--input", "tone:500", "--record", str(tmp_path / "bob"), "--auto-answer")
    with Command("listen", "--port", "0", *LOCAL, *QUIET_AUDIO, *speaking) as bob:
        talking = await alice.call(f"{LOOPBACK}:{bob.port()}")
        await until(lambda: talking.statistics().packets_expected > 100)
        bob.process.kill()
        killed = time.monotonic()
        end = await talking.closed()
        assert time.monotonic() - killed < 10
        assert (end.reason, end.by) == (EndReason.REMOTE_GONE, Side.REMOTE)
    for name, track in (("alice", "arrived"), ("bob", "Alice")):
        (folder,) = (tmp_path / name).iterdir()
        assert (read_manifest(folder)["ended"] is None) == (name == "bob")
        assert len(read_opus_track(folder / "call.mka", track)) >= 75
        for file in ("said.mka", "heard.mka"):
            assert read_pcm(folder / file).size > SAMPLE_RATE


async def test_a_busy_phone_tells_the_command(make_phone: MakePhone) -> None:
    bob = make_phone("Bob")
    async with line_of(bob) as line:
        line.listener.busy = True
        port = address_of(line).rpartition(":")[2]
        with Command(*call(port)) as alice:
            await until(lambda: alice.process.poll() is not None)
            assert alice.finish() == 3
            assert alice.errors == "softphone: the other side is busy\n"


def test_a_second_ctrl_c_kills(tmp_path: Path) -> None:
    with Command(*LISTEN, "--auto-answer") as bob, Command(*call(bob.port())) as alice:
        alice.wait_for("Connected")
        # Stopped processes get both signals at once: the second must not wait for the first.
        alice.interrupt()
        alice.interrupt()
        assert alice.finish() in (0, 128 + signal.SIGINT)


def test_an_unknown_sound_card(tmp_path: Path) -> None:
    missing = missing_for_virtual_audio()
    if missing is not None:
        pytest.skip(missing)
    with VirtualAudio(["alice"]) as audio:
        options = ("--input", "soundcard:alice_mic", "--output", "soundcard:megaphone")
        with Command("call", "127.0.0.1", *options, env=audio.env) as command:
            assert command.finish() == 1
            assert command.errors.startswith(
                "softphone: there is no loudspeaker 'megaphone'; choose one of: "
            )
            assert command.errors.count("\n") == 1


def test_a_port_in_use_a_wrong_secret_and_nobody_there(free_port: int) -> None:
    with Command(*LISTEN, "--auto-answer", "--token", "correct-horse") as bob:
        port = bob.port()
        with Command("listen", "--port", port, *QUIET_AUDIO, "--auto-answer") as second:
            assert second.finish() == 1
            assert f"can't listen on 127.0.0.1 port {port}" in second.errors
        with Command(*call(f"{port}#wrong-horse")) as alice:
            assert alice.finish() == 3
            assert alice.errors == "softphone: this phone asks for a secret that you did not give\n"
        with Command(*call(str(free_port))) as alice:
            assert alice.finish() == 3
            assert f"can't connect to 127.0.0.1:{free_port}" in alice.errors
            assert alice.errors.count("\n") == 1
        os.kill(bob.process.pid, signal.SIGTERM)
        assert bob.finish() == 0
        assert bob.errors == ""
