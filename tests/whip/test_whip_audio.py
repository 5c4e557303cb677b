"""What a publisher says is heard in the room, and a listener hears the room."""

import asyncio
import time

import numpy as np
from whip_served import Served

from softphone.conference.pair import PairState
from softphone.opus import Decoder
from softphone.playout import Source
from softphone.rtp.packet import RtpPacket, RtpPayload
from softphone.webrtc import Peer
from tests.conference.rooms import heard_share, until
from tests.support.stream import opus_packets

WORDS = opus_packets(dred_ms=500, bitrate=48_000)[:150]


async def say(peer: Peer) -> None:
    """Three seconds of speech in real time."""
    assert peer.negotiated is not None
    began = time.monotonic()
    for k, payload in enumerate(WORDS):
        assert peer.sender.send(RtpPayload(peer.negotiated.opus_pt, k * 960, payload, audio_level=30))
        await asyncio.sleep(max(0.0, began + 0.02 * (k + 1) - time.monotonic()))


async def test_a_publisher_is_heard_by_everybody_packet_by_packet(serve) -> None:  # type: ignore[no-untyped-def]
    served: Served = await serve()
    arrived: list[bytes] = []
    phone = await served.rooms.join("Alice")
    client, peer = await served.open("whip")
    await until(lambda: phone.connected(1), what="connection with the publisher")
    (publisher,) = phone.conference.roster.people.values()
    assert publisher.name == "Stream"
    media = phone.conference._media
    receiver = media._members[publisher.id].leg.peer.receiver  # type: ignore[union-attr, attr-defined]
    take = receiver.on_packet

    def spy(packet: RtpPacket, arrival: float) -> None:
        arrived.append(packet.payload)
        take(packet, arrival)

    receiver.on_packet = spy
    await say(peer)
    await until(lambda: len(arrived) == len(WORDS), what="all packets")
    assert tuple(arrived) == WORDS, "with their DRED"
    await asyncio.sleep(0.5)
    (heard,) = phone.conference.statistics().participants
    assert heard.frames[Source.REGULAR] > 0.8 * len(WORDS)
    await client.close()
    await until(lambda: not phone.conference.roster.people, what="the publisher leaves")
    assert served.gateway.sessions == 0


async def test_a_listener_hears_everybody_in_one_stream(serve) -> None:  # type: ignore[no-untyped-def]
    served: Served = await serve()
    alice = await served.rooms.speaker("Alice", turn=0)
    bob = await served.rooms.speaker("Bob", turn=2)
    _, peer = await served.open("whep")
    decoder, heard = Decoder(), list[np.ndarray]()
    peer.receiver.on_packet = lambda packet, arrival: heard.append(decoder.decode(packet.payload))
    await until(lambda: alice.connected(2) and bob.connected(2), what="connections")
    (listener,) = [p for p in alice.conference.roster.people.values() if p.name == "Listener"]
    assert listener.muted
    assert [one.state for one in alice.conference.statistics().participants] == [PairState.CONNECTED] * 2
    await asyncio.sleep(7.0)
    mix = np.concatenate(heard)
    for phone in (alice, bob):
        # Twice through Opus and stretched by two jitter buffers; of words never said it is below 0.15.
        assert heard_share(phone.said, mix) > 0.3, phone.name


async def test_a_publisher_that_vanishes_is_gone_from_the_room(serve) -> None:  # type: ignore[no-untyped-def]
    served: Served = await serve()
    phone = await served.rooms.join("Alice")
    _, peer = await served.open("whip")
    await until(lambda: len(phone.conference.roster.people) == 1, what="the publisher comes")
    await peer.close()
    await until(lambda: not phone.conference.roster.people, what="the publisher leaves")
    assert served.gateway.sessions == 0


async def test_who_is_removed_by_a_moderator_loses_the_session(serve) -> None:  # type: ignore[no-untyped-def]
    served: Served = await serve()
    alice = await served.rooms.join("Alice")
    await served.open("whip")
    await until(lambda: alice.connected(1), what="connection")
    (publisher,) = alice.conference.roster.people
    alice.conference.room.remove(publisher)
    await until(lambda: served.gateway.sessions == 0, what="the session ends")
