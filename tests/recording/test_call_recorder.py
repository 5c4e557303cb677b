"""A whole recorded call: real files, real muxer, real disk-full and real kill -9."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from softphone.errors import LocalError
from softphone.opus import Encoder
from softphone.playout.frames import Action, Source
from softphone.playout.trace import TraceRecord, read_trace
from softphone.recording import (
    CallRecorder,
    Direction,
    RecordedCall,
    Recorder,
    read_manifest,
    read_opus_track,
    read_packet_log,
    read_pcm,
    recorders,
    recording_directory,
    track_names,
)
from softphone.rtp.packet import RtpPacket, RtpPayload
from softphone.rtp.red import RedBlock, pack_red

BEGAN = 100.0


def tone(seconds: float, frequency: float = 440.0) -> np.ndarray:
    t = np.arange(round(seconds * 48_000)) / 48_000
    return (0.3 * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def encode(seconds: float, *, dtx_after: float | None = None) -> list[bytes]:
    encoder = Encoder()
    encoder.bitrate = 24_000
    encoder.dtx = dtx_after is not None
    pcm = tone(seconds)
    if dtx_after is not None:
        pcm[round(dtx_after * 48_000) :] = 0
    return [encoder.encode(pcm[start : start + 960]) for start in range(0, len(pcm), 960)]


def received(number: int, payload: bytes, *, payload_type: int = 111, ssrc: int = 5) -> RtpPacket:
    return RtpPacket(payload_type, number & 0xFFFF, 7000 + number * 960, ssrc, payload)


def record(number: int) -> TraceRecord:
    return TraceRecord(
        BEGAN + number * 0.02, number * 960, number, Source.REGULAR, Action.PLAY, 960, 960, 40.0, 60.0, -26.0
    )


def test_whole_call_comes_back(tmp_path: Path) -> None:
    opus = encode(3.0)
    heard, said = tone(3.0, 300.0), tone(3.0, 500.0)
    call = RecordedCall(began=BEGAN, local_name="Ada", participants=("Grace",), negotiated={"dred_ms": 1000})
    recorder = CallRecorder(tmp_path / "call", call)
    for number, payload in enumerate(opus):
        now = BEGAN + number * 0.02
        block = slice(number * 960, (number + 1) * 960)
        recorder.on_said(said[block], now)
        recorder.on_sent(RtpPayload(111, number * 960, payload), now)
        recorder.on_received(received(number, payload), now + 0.5)
        recorder.on_heard(heard[block], now)
        recorder.on_trace(record(number))
    recorder.close()
    recorder.close()

    folder = tmp_path / "call"
    assert recorder.statistics.dropped == 0
    assert recorder.statistics.failures == {}
    assert track_names(folder / "call.mka") == ["said", "Grace"]
    for track, start in (("said", 0.0), ("Grace", 0.5)):
        packets = read_opus_track(folder / "call.mka", track)
        assert [packet.payload for packet in packets] == opus
        assert packets[0].start == pytest.approx(start, abs=0.008)
        assert packets[-1].start == pytest.approx(start + 2.98, abs=0.008)
    for name, pcm in (("heard", heard), ("said", said)):
        back = read_pcm(folder / f"{name}.mka")
        assert len(back) == len(pcm)
        np.testing.assert_allclose(back, pcm, atol=1 / 32768)
    logged = list(read_packet_log(folder / "packets.pcap"))
    arrived = [entry for entry in logged if entry.direction is Direction.RECEIVED]
    assert [entry.packet for entry in arrived] == [
        received(number, payload) for number, payload in enumerate(opus)
    ]
    assert arrived[50].time - arrived[0].time == pytest.approx(1.0, abs=1e-6)
    assert list(read_trace(folder / "trace.jsonl")) == [record(number) for number in range(len(opus))]
    manifest = read_manifest(folder)
    assert manifest["ended"] is not None
    assert manifest["negotiated"] == {"dred_ms": 1000}
    assert manifest["participants"] == ["Grace"]


def test_holes_are_filled_and_the_track_keeps_its_length(tmp_path: Path) -> None:
    opus = encode(4.0)
    missing = {20, 21, 50, *range(100, 130)}
    recorder = CallRecorder(tmp_path, RecordedCall(began=0.0))
    for number, payload in enumerate(opus):
        if number not in missing:
            recorder.on_received(received(number, payload), number * 0.02)
    recorder.close()
    packets = read_opus_track(tmp_path / "call.mka", "arrived")
    assert len(packets) == len(opus)
    for number, packet in enumerate(packets):
        expected = bytes((opus[number - 1][0] & 0xFC,)) if number in missing else opus[number]
        if number not in missing or number - 1 not in missing:
            assert packet.payload == expected
        assert packet.start == pytest.approx(number * 0.02, abs=0.008)
    # What a player makes of it: the full length, and sound again after the hole.
    pcm = read_pcm(tmp_path / "call.mka", "arrived")
    assert len(pcm) == pytest.approx(4 * 48_000, abs=960)
    assert np.sqrt(np.mean(pcm[140 * 960 : 150 * 960] ** 2)) > 0.1


def test_dtx_pause_stays_in_time(tmp_path: Path) -> None:
    opus = encode(3.0, dtx_after=1.0)
    spoken = [(number, payload) for number, payload in enumerate(opus) if len(payload) > 2]
    assert len(spoken) < 120, "the encoder should have paused"
    recorder = CallRecorder(tmp_path, RecordedCall(began=0.0))
    for number, payload in spoken:
        recorder.on_received(received(number, payload), number * 0.02)
    recorder.close()
    packets = read_opus_track(tmp_path / "call.mka", "arrived")
    last = spoken[-1][0]
    assert packets[-1].payload == spoken[-1][1]
    assert packets[-1].start == pytest.approx(last * 0.02, abs=0.008)
    assert len(read_pcm(tmp_path / "call.mka", "arrived")) == pytest.approx((last + 1) * 960, abs=960)


def test_second_participant_joins_late_and_none_waits_for_the_other(tmp_path: Path) -> None:
    opus = encode(3.0)
    recorder = CallRecorder(tmp_path, RecordedCall(began=0.0, participants=("Ada", "Grace")))
    for number, payload in enumerate(opus):
        recorder.on_received(received(number, payload), number * 0.02, "Ada")
        if number >= 100:
            recorder.on_received(received(number, payload, ssrc=9), number * 0.02, "Grace")
        recorder.on_received(received(number, payload), number * 0.02, "nobody")
    recorder.close()
    assert [packet.payload for packet in read_opus_track(tmp_path / "call.mka", "Ada")] == opus
    grace = read_opus_track(tmp_path / "call.mka", "Grace")
    assert [packet.payload for packet in grace] == opus[100:]
    assert grace[0].start == pytest.approx(2.0, abs=0.008)
    assert {entry.participant for entry in read_packet_log(tmp_path / "packets.pcap")} == {0, 1}


def test_red_gives_primary_and_copies(tmp_path: Path) -> None:
    opus = encode(0.4)
    recorder = CallRecorder(tmp_path, RecordedCall(began=0.0))
    for number, payload in enumerate(opus):
        copies = [RedBlock(111, 960, opus[number - 1])] if number else []
        packed = pack_red(111, payload, copies)
        recorder.on_sent(RtpPayload(63, number * 960, packed), number * 0.02)
        if number not in (5, 9):
            recorder.on_received(received(number, packed, payload_type=63), number * 0.02)
    recorder.on_received(received(20, b"\xef", payload_type=63), 0.4)
    recorder.on_received(received(20, b"\x01\x0a\x00\xa0", payload_type=110), 0.4)
    recorder.close()
    assert [packet.payload for packet in read_opus_track(tmp_path / "call.mka", "arrived")] == opus
    assert [packet.payload for packet in read_opus_track(tmp_path / "call.mka", "said")] == opus
    assert read_manifest(tmp_path)["red_errors"] == 1


def test_pause_of_the_sound_card_is_heard_as_silence(tmp_path: Path) -> None:
    recorder = CallRecorder(tmp_path, RecordedCall(began=0.0))
    recorder.on_heard(tone(0.5), 0.25)
    recorder.on_heard(tone(0.5), 0.80)  # jitter of the clock: no gap
    recorder.on_heard(tone(0.5), 2.30)
    recorder.close()
    pcm = read_pcm(tmp_path / "heard.mka")
    assert len(pcm) == round((0.25 + 0.5 + 0.5 + 1.0 + 0.5) * 48_000)
    loud = np.abs(pcm).reshape(-1, 2400).max(axis=1) > 0.1
    assert list(loud) == [False] * 5 + [True] * 20 + [False] * 20 + [True] * 10


CHILD = """
import itertools, os, sys, time
import numpy as np
from softphone.recording import CallRecorder, RecordedCall
from softphone.opus import Encoder
from softphone.playout.frames import Action, Source
from softphone.playout.trace import TraceRecord
from softphone.rtp.packet import RtpPacket, RtpPayload
from pathlib import Path
encoder = Encoder()
began = time.monotonic()
recorder = CallRecorder(Path(sys.argv[1]), RecordedCall(began=began))
noise = np.random.default_rng(1).normal(scale=0.1, size=960).astype(np.float32)
for number in itertools.count():
    now = began + number * 0.02
    time.sleep(max(0.0, now - time.monotonic()))
    payload = encoder.encode(noise)
    recorder.on_said(noise, now)
    recorder.on_heard(noise, now)
    recorder.on_sent(RtpPayload(111, number * 960, payload), now)
    recorder.on_received(RtpPacket(111, number & 0xFFFF, number * 960, 1, payload), now)
    step = TraceRecord(now, number * 960, number, Source.REGULAR, Action.PLAY, 960, 960, 4.0, 6.0, -2.0)
    recorder.on_trace(step)
    os.write(1, b".")
"""


def test_kill_9_loses_at_most_300_ms(tmp_path: Path) -> None:
    folder = tmp_path / "call"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    frames = 0
    while frames < 120 and (written := os.read(child.stdout.fileno(), 64)):
        frames += len(written)
    child.send_signal(signal.SIGKILL)
    frames += len(child.stdout.read())
    child.wait()
    child.stdout.close()
    assert frames >= 120
    allowed = 0.3
    seconds = frames * 0.02
    for track in ("said", "arrived"):
        assert len(read_opus_track(folder / "call.mka", track)) * 0.02 >= seconds - allowed
    for name in ("said", "heard"):
        assert len(read_pcm(folder / f"{name}.mka")) / 48_000 >= seconds - allowed
    assert len(list(read_packet_log(folder / "packets.pcap"))) * 0.01 >= seconds - allowed
    lines = (folder / "trace.jsonl").read_text().splitlines()
    assert len(lines) * 0.02 >= seconds - allowed
    manifest = read_manifest(folder)
    assert manifest["ended"] is None


DISK_FULL = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from softphone.recording import CallRecorder, RecordedCall
from softphone.rtp.packet import RtpPacket
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
recorder = CallRecorder(Path(sys.argv[1]), RecordedCall(began=0.0))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(1).normal(scale=0.1, size=960).astype(np.float32)
for number in range(200):
    recorder.on_heard(noise, number * 0.02)
    recorder.on_received(RtpPacket(111, number, number * 960, 1, bytes((0x78,)) + bytes(40)), number * 0.02)
recorder.close()
print(sorted(recorder.statistics.failures))
"""


def test_full_disk_ends_the_file_but_not_the_call(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: both fail the same write."""
    folder = tmp_path / "call"
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "heard.mka" in done.stdout
    assert "File too large" in done.stderr
    manifest = read_manifest(folder)
    assert manifest["ended"] is not None
    assert "heard.mka" in manifest["failures"]
    assert len(read_pcm(folder / "heard.mka")) > 48_00
    assert len(read_opus_track(folder / "call.mka", "arrived")) > 50


def test_folder_that_cannot_be_used(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(LocalError, match="choose another folder"):
        CallRecorder(blocker / "call", RecordedCall(began=0.0))
    CallRecorder(tmp_path / "call", RecordedCall(began=0.0)).close()
    with pytest.raises(LocalError, match="already holds a recorded call"):
        CallRecorder(tmp_path / "call", RecordedCall(began=0.0))
    with pytest.raises(LocalError, match="all different"):
        CallRecorder(tmp_path / "other", RecordedCall(began=0.0, participants=("said",)))


def test_slow_disk_drops_and_counts_instead_of_blocking(tmp_path: Path) -> None:
    recorder = CallRecorder(tmp_path, RecordedCall(began=0.0), queue_limit=0)
    recorder.on_heard(tone(0.02), 0.0)
    recorder.close()
    assert recorder.statistics.dropped == 1
    assert read_manifest(tmp_path)["dropped_events"] == 1
    recorder.on_heard(tone(0.02), 1.0)  # after the end: ignored
    assert recorder.statistics.dropped == 1


def test_caller_may_reuse_its_buffer(tmp_path: Path) -> None:
    recorder = CallRecorder(tmp_path, RecordedCall(began=0.0))
    block = tone(0.02)
    wanted = block.copy()
    recorder.on_heard(block, 0.0)
    block[:] = 1.0
    recorder.close()
    np.testing.assert_allclose(read_pcm(tmp_path / "heard.mka"), wanted, atol=1 / 32768)


def test_found_by_name_and_base_does_nothing(tmp_path: Path) -> None:
    assert "files" in recorders.names()
    recorder = recorders.load("files")(tmp_path / "call", RecordedCall(began=0.0))
    assert isinstance(recorder, CallRecorder)
    recorder.close()
    nothing = Recorder()
    nothing.on_heard(tone(0.02), 0.0)
    nothing.close()


def test_each_call_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    first = recording_directory(tmp_path)
    first.mkdir()
    second = recording_directory(tmp_path)
    assert second != first
    assert second.parent == tmp_path


@pytest.mark.parametrize("content", [None, "{", '{"schema_version": 99}', "[]"])
def test_damaged_manifest_is_a_clear_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "session.json").write_text(content)
    with pytest.raises(LocalError):
        read_manifest(tmp_path)


def test_players_see_names_and_opus(tmp_path: Path) -> None:
    recorder = CallRecorder(tmp_path, RecordedCall(began=0.0, participants=("Grace",)))
    for number, payload in enumerate(encode(0.2)):
        recorder.on_received(received(number, payload), number * 0.02)
    recorder.close()
    with av.open(str(tmp_path / "call.mka")) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["opus", "opus"]
        assert container.streams.audio[1].channels == 1
