"""A recorded room: participants come when they come, each into a file of its own."""

from pathlib import Path

import numpy as np

from softphone.opus import Encoder
from softphone.recording import (
    CallRecorder,
    Direction,
    RecordedCall,
    read_manifest,
    read_opus_track,
    read_packet_log,
    track_names,
)
from softphone.rtp.packet import RtpPacket, RtpPayload

USUAL = {111: "opus", 63: "red"}
OTHER = {96: "opus"}


def speak(seconds: float) -> list[bytes]:
    encoder = Encoder()
    wave = (0.3 * np.sin(np.arange(round(seconds * 48_000)) / 20)).astype(np.float32)
    return [encoder.encode(wave[at : at + 960]) for at in range(0, wave.size, 960)]


def test_each_participant_has_a_file_that_lines_up(tmp_path: Path) -> None:
    opus = speak(1.0)
    recorder = CallRecorder(tmp_path / "room", RecordedCall(began=10.0, participants=()))
    recorder.on_received(RtpPacket(111, 0, 0, 1, opus[0]), 10.0, "nobody yet")
    recorder.on_participant("Bob", USUAL)
    for number, payload in enumerate(opus):
        now = 10.0 + number * 0.02
        recorder.on_sent(RtpPayload(111, number * 960, payload), now)
        recorder.on_received(RtpPacket(111, number, 5 + number * 960, 7, payload), now + 1.0, "Bob")
        if number == 25:
            recorder.on_participant("Carol / ../etc", OTHER)
        if number >= 25:
            recorder.on_received(RtpPacket(96, number, number * 960, 9, payload), now + 1.0, "Carol / ../etc")
    recorder.on_participant("Bob", OTHER)
    recorder.on_participant("said", USUAL)
    recorder.close()

    folder = tmp_path / "room"
    manifest = read_manifest(folder)
    assert manifest["participants"] == ["Bob", "Carol / ../etc"]
    assert manifest["failures"] == {}
    assert "trace" not in manifest["files"]
    files = manifest["participant_files"]
    assert files == {"Bob": "participant-1.mka", "Carol / ../etc": "participant-2.mka"}
    assert track_names(folder / "call.mka") == ["said"]
    assert track_names(folder / files["Bob"]) == ["Bob"]
    bob = read_opus_track(folder / files["Bob"], "Bob")
    carol = read_opus_track(folder / files["Carol / ../etc"], "Carol / ../etc")
    assert [packet.payload for packet in bob] == opus
    assert [packet.payload for packet in carol] == opus[25:]
    assert abs(bob[0].start - 1.0) < 0.008
    assert abs(carol[0].start - 1.5) < 0.008
    logged = list(read_packet_log(folder / "packets.pcap"))
    received = [entry.participant for entry in logged if entry.direction is Direction.RECEIVED]
    assert (received.count(0), received.count(1)) == (50, 25)


def test_a_file_that_can_not_be_made_spoils_no_other(tmp_path: Path) -> None:
    recorder = CallRecorder(tmp_path, RecordedCall(began=0.0, participants=()))
    (tmp_path / "participant-1.mka").mkdir()
    (payload,) = speak(0.02)
    for name in ("Bob", "Carol"):
        recorder.on_participant(name, USUAL)
        recorder.on_received(RtpPacket(111, 1, 960, 7, payload), 0.5, name)
    recorder.close()
    manifest = read_manifest(tmp_path)
    assert list(manifest["failures"]) == ["participant-1.mka"]
    assert [packet.payload for packet in read_opus_track(tmp_path / "participant-2.mka", "Carol")] == [
        payload
    ]
