"""Recorded calls: what arrived byte for byte, what was said and heard."""

from pathlib import Path

from live_calls import MakePhone, address_of, connect, heard_share, line_of, until, write_speech

from softphone.recording import (
    Direction,
    read_manifest,
    read_opus_track,
    read_packet_log,
    read_pcm,
    track_names,
)

OPUS = 111


def folders(base: Path) -> list[Path]:
    return sorted(base.iterdir())


def payloads(folder: Path, direction: Direction) -> list[bytes]:
    log = read_packet_log(folder / "packets.pcap")
    return [
        entry.packet.payload
        for entry in log
        if entry.direction is direction and entry.packet.payload_type == OPUS
    ]


async def test_a_recording_holds_what_was_said_heard_and_sent(make_phone: MakePhone, tmp_path: Path) -> None:
    said = write_speech(tmp_path / "said.wav", 0.0, 3.0)
    alice = make_phone("Alice", source=f"file:{tmp_path / 'said.wav'}", record=tmp_path / "alice")
    bob = make_phone("Bob", record=tmp_path / "bob")
    async with line_of(bob) as line:
        call, other = await connect(alice, line)
        await until(lambda: call.media.pipeline.statistics.seconds > 2.99)
        await until(lambda: other.statistics().packets_expected >= 145)
        await call.hang_up()
        await other.closed()
    (at_alice,), (at_bob,) = folders(tmp_path / "alice"), folders(tmp_path / "bob")
    assert track_names(at_bob / "call.mka") == ["said", "Alice"]

    sent, arrived = payloads(at_alice, Direction.SENT), payloads(at_bob, Direction.RECEIVED)
    assert len(sent) >= 145
    assert arrived == sent[: len(arrived)]
    assert len(arrived) >= 140
    for folder, track, packets in ((at_alice, "said", sent), (at_bob, "Alice", arrived)):
        assert [packet.payload for packet in read_opus_track(folder / "call.mka", track)] == packets

    assert heard_share(said, read_pcm(at_alice / "said.mka")) == 1.0
    assert heard_share(said, read_pcm(at_bob / "heard.mka")) > 0.5
    manifest = read_manifest(at_bob)
    assert manifest["ended"] is not None
    assert manifest["failures"] == {}
    assert manifest["negotiated"]["opus_pt"] == OPUS


async def test_a_peer_can_not_choose_a_name_that_breaks_the_recording(
    make_phone: MakePhone, tmp_path: Path
) -> None:
    mallory, bob = make_phone("said"), make_phone("Bob", record=tmp_path)
    async with line_of(bob) as line:
        for number in (1, 2):
            call, other = await connect(mallory, line, address_of(line))
            await until(lambda: other.statistics().packets_expected >= 10)  # noqa: B023
            await call.hang_up()
            await other.closed()
            assert len(folders(tmp_path)) == number
    for folder in folders(tmp_path):
        assert track_names(folder / "call.mka") == ["said", "arrived"]
        assert len(read_opus_track(folder / "call.mka", "arrived")) >= 8
