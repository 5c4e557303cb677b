"""Softphones in a room: real server, ICE, DTLS-SRTP, codec, playout and mixer."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from rooms import Phone, Rooms, heard_share, until

from softphone.audio.stream import SAMPLE_RATE
from softphone.conference.events import (
    Admitted,
    ChatLine,
    ConferenceOver,
    MutedByModerator,
    PairConnected,
    PairLost,
    PairVerified,
    ParticipantChanged,
    ParticipantWent,
    SignalingLost,
    SignalingRestored,
    SpeakerChanged,
)
from softphone.errors import ConfigError, RemoteProtocolError
from softphone.recording import read_manifest, read_opus_track, read_pcm
from softphone.rooms.values import Leaving, RoomRole
from softphone.signaling.errors import CallRefusedError
from softphone.webrtc import Peer


async def three(rooms: Rooms) -> list[Phone]:
    """Three who speak in turns, 2 s in 6 s, different words each, over and over."""
    # At the same time, so that their turns do not come to overlap on a slow machine.
    phones = await asyncio.gather(
        *(rooms.speaker(name, turn=turn) for turn, name in enumerate(("Alice", "Bob", "Carol")))
    )
    await until(lambda: all(phone.connected(2) for phone in phones), what="connections")
    return phones


async def test_all_hear_all_and_nobody_hears_himself(rooms: Rooms) -> None:
    await rooms.serve()
    phones = await three(rooms)
    await until(lambda: all(len(phone.told(PairVerified)) == 2 for phone in phones), what="digits")
    await asyncio.sleep(8.0)
    for phone in phones:
        statistics = phone.conference.statistics()
        assert [one.fraction_lost for one in statistics.participants] == [0.0, 0.0]
        for one in statistics.participants:
            other = next(each for each in phones if each.id == one.person.id)
            (seen,) = (
                each.verification
                for each in other.conference.statistics().participants
                if each.person.id == phone.id
            )
            assert one.verification == seen is not None
        assert len(phone.told(SpeakerChanged)) >= 2
    await rooms.close()
    for listener in phones:
        heard = listener.heard()
        shares = {speaker.name: round(heard_share(speaker.said, heard), 2) for speaker in phones}
        assert shares.pop(listener.name) < 0.3, shares
        assert min(shares.values()) > 0.5, shares
        assert float(np.abs(heard).max()) < 1.0


async def test_coming_late_writing_waving_and_going(rooms: Rooms) -> None:
    await rooms.serve()
    alice = await rooms.join("Alice")
    bob = await rooms.join("Bob")
    await until(lambda: alice.connected(1) and bob.connected(1))
    assert alice.told(Admitted)[0].role is RoomRole.MODERATOR, "who opens the room moderates it"
    carol = await rooms.join("Carol")
    await until(lambda: alice.connected(2) and bob.connected(2) and carol.connected(2))
    assert carol.names() == ["Alice", "Bob"]
    assert carol.conference.room.say("am I late?")
    carol.conference.room.raise_hand()
    await until(lambda: alice.told(ChatLine) and bob.told(ChatLine) and carol.told(ChatLine))
    assert alice.told(ChatLine)[0].text == "am I late?"
    assert [line.own for line in carol.told(ChatLine)] == [True]
    await until(lambda: any(person.hand for person in bob.conference.roster.people.values()))
    await carol.conference.leave()
    await until(lambda: alice.names() == ["Bob"] and bob.names() == ["Alice"])
    assert alice.told(ParticipantWent)[0].reason is Leaving.HUNG_UP
    assert carol.conference.over == ConferenceOver("left", "")
    assert alice.connected(1)


async def test_mute_by_oneself_and_by_a_moderator(rooms: Rooms) -> None:
    await rooms.serve()
    alice = await rooms.join("Alice", sink=f"file:{rooms.folder / 'alice.wav'}")
    bob = await rooms.join("Bob", source="tone:440")
    await until(lambda: alice.connected(1))

    def loud() -> bool:
        return alice.conference.statistics().participants[0].level > -40.0

    await until(loud, what="the tone")
    bob.conference.muted = True
    await until(lambda: alice.conference.statistics().participants[0].asleep, what="sleep")
    assert alice.conference.roster.people[bob.id].muted
    assert not loud()
    bob.conference.muted = False
    await until(loud, what="the tone again")
    alice.conference.room.mute(bob.id)
    await until(lambda: bob.told(MutedByModerator))
    assert bob.told(MutedByModerator)[0].name == "Alice"
    assert bob.conference.muted
    await until(lambda: alice.conference.statistics().participants[0].asleep, what="sleep again")
    bob.conference.muted = False
    await until(loud, what="the tone once more")
    alice.conference.set_volume(bob.id, 0.0)
    with pytest.raises(ConfigError):
        alice.conference.set_volume(bob.id, 5.0)


async def test_a_moderator_removes_somebody(rooms: Rooms) -> None:
    await rooms.serve()
    alice, bob, carol = [await rooms.join(name) for name in ("Alice", "Bob", "Carol")]
    await until(lambda: alice.connected(2) and bob.connected(2))
    alice.conference.room.remove(carol.id, "not you")
    await until(lambda: carol.conference.over)
    assert carol.conference.over == ConferenceOver("removed", "not you")
    await until(lambda: alice.names() == ["Bob"] and bob.names() == ["Alice"])
    assert alice.connected(1)
    carol.conference.room.say("nobody hears this")
    alice.conference.room.set_rules(locked=True)
    await until(lambda: bob.conference.roster.locked)
    with pytest.raises(CallRefusedError) as refused:
        await rooms.join("Dave")
    assert refused.value.code == "locked"


async def test_a_restart_of_the_server_is_not_heard(rooms: Rooms) -> None:
    server = await rooms.serve()
    phones = await three(rooms)
    ids = [phone.id for phone in phones]
    received = [total_packets(phone) for phone in phones]
    await server.close()
    await until(lambda: all(phone.told(SignalingLost) for phone in phones))
    await asyncio.sleep(1.0)
    assert all(phone.connected(2) for phone in phones), "audio goes on without the server"
    await rooms.serve()
    await until(lambda: all(phone.told(SignalingRestored) for phone in phones), what="the way back")
    await until(
        lambda: all(
            len(phone.names()) == 2
            and not any(person.away for person in phone.conference.roster.people.values())
            for phone in phones
        ),
        what="everybody back",
    )
    assert [phone.id for phone in phones] == ids
    assert all(restored.same for phone in phones for restored in phone.told(SignalingRestored))
    assert [len(phone.told(PairConnected)) for phone in phones] == [2, 2, 2], "the same connections"
    assert not any(phone.told(PairLost) or phone.told(ParticipantWent) for phone in phones)
    assert all(now > before for now, before in zip(map(total_packets, phones), received, strict=True))
    dave = await rooms.join("Dave")
    await until(lambda: dave.connected(3) and all(phone.connected(3) for phone in phones), what="Dave")


def total_packets(phone: Phone) -> int:
    legs = phone.conference.webrtc_statistics().values()
    return sum(
        int(entry.get("packetsReceived", 0))
        for leg in legs
        for entry in leg.values()
        if entry.get("type") == "inbound-rtp"
    )


async def test_an_engine_that_is_not_installed_is_named(rooms: Rooms) -> None:
    server = await rooms.serve()
    server.hub.config = replace(server.hub.config, engine="telepathy")
    with pytest.raises(RemoteProtocolError, match="'telepathy'"):
        await rooms.join("Alice")


async def test_a_connection_that_ends_is_made_anew(rooms: Rooms) -> None:
    peers: list[Peer] = []
    await rooms.serve()
    alice = await rooms.join("Alice", on_peer=peers.append)
    bob = await rooms.join("Bob")
    await until(lambda: alice.connected(1) and bob.connected(1))
    await peers[0].close()
    await until(lambda: len(peers) == 2 and alice.connected(1) and bob.connected(1), what="a new session")
    assert len(bob.told(PairConnected)) == 2


async def test_an_outage_is_told_and_repaired_on_the_same_connection(rooms: Rooms) -> None:
    peers: list[Peer] = []
    cut = False

    def pass_or_drop(datagram: bytes, transmit: Callable[[bytes], None]) -> None:
        if not cut:
            transmit(datagram)

    def hook(peer: Peer) -> None:
        peer.outgoing_hook = pass_or_drop
        peers.append(peer)

    await rooms.serve()
    alice = await rooms.join("Alice", on_peer=hook)
    bob = await rooms.join("Bob", source="tone:440", on_peer=hook)
    await until(lambda: alice.connected(1) and bob.connected(1))
    cut = True
    await until(lambda: alice.told(PairLost) and bob.told(PairLost), what="the loss")
    await asyncio.sleep(1.5)  # the offerer has asked for a restart of ICE by now
    cut = False
    await until(lambda: alice.connected(1) and bob.connected(1), what="the repair")
    assert len(peers) == 2, "no new connections"
    assert len(alice.told(PairConnected)) == 2
    await until(lambda: alice.conference.statistics().participants[0].level > -40.0, what="the tone")


async def test_whoever_loses_the_server_for_a_moment_is_away_and_back(rooms: Rooms) -> None:
    await rooms.serve()
    alice, bob = await rooms.join("Alice"), await rooms.join("Bob")
    await until(lambda: alice.connected(1) and bob.connected(1))
    http = bob.conference._client._http
    assert http is not None
    assert http.connector is not None
    for transports in list(http.connector._acquired):
        transports.abort()
    await until(lambda: bob.told(SignalingRestored), what="the way back")
    changes = [(event.before.away, event.person.away) for event in alice.told(ParticipantChanged)]
    assert changes in ([], [(False, True), (True, False)])
    assert alice.connected(1)
    assert bob.connected(1)


async def test_everybody_and_the_mix_are_recorded(rooms: Rooms) -> None:
    await rooms.serve()
    alice = await rooms.speaker("Alice", turn=0, record=rooms.folder / "recordings")
    bob = await rooms.speaker("Bob", turn=1)
    await until(lambda: alice.connected(1))
    await until(lambda: any(person.recording for person in bob.conference.roster.people.values()))
    carol = await rooms.speaker("Carol", turn=2)
    await until(lambda: alice.connected(2) and carol.connected(2))
    await asyncio.sleep(9.0)
    await rooms.close()
    (folder,) = (rooms.folder / "recordings").iterdir()
    manifest = read_manifest(folder)
    assert manifest["participants"] == ["Bob", "Carol"]
    assert manifest["failures"] == {}
    for phone in (bob, carol):
        file = folder / manifest["participant_files"][phone.name]
        assert len(read_opus_track(file, phone.name)) > 60
        assert heard_share(phone.said, read_pcm(file)) > 0.5
        assert heard_share(phone.said, read_pcm(folder / "heard.mka")) > 0.3
    assert heard_share(alice.said, read_pcm(folder / "call.mka", "said")) > 0.5
    assert heard_share(alice.said, read_pcm(folder / "heard.mka")) < 0.3
    mixed = read_pcm(folder / "heard.mka")
    assert mixed.size > 7 * SAMPLE_RATE
