"""A participant that writes down what it hears."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from softphone.rooms.janus import JanusEngine, JanusRoom, participant_of
from softphone.rtp.packet import RtpPacket, RtpPayload
from softphone.webrtc import Peer
from tests.support.webrtc_calls import until

__all__ = ["SECRET", "Listener", "MakeEngine", "MakeRoom", "warm_up"]

SECRET = "a secret of the tests"
MakeRoom = Callable[..., JanusRoom]
MakeEngine = Callable[..., JanusEngine]

_FILLER = b"\xf8 not speech"


async def warm_up(speaker: "Listener", *listeners: "Listener") -> None:
    """Send what nobody keeps until all hear it: Janus forwards a little after it has connected us."""
    who = speaker.room.ticket.participant
    before = {id(listener): listener.fillers.get(who, 0) for listener in listeners}
    while any(listener.fillers.get(who, 0) == before[id(listener)] for listener in listeners):
        await speaker.say((_FILLER,))
        await asyncio.sleep(0.02)


@dataclass
class Listener:
    """Everything that came out of a room, by participant."""

    room: JanusRoom
    heard: dict[str, list[RtpPacket]] = field(default_factory=dict)
    peers: dict[str, Peer] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    fillers: dict[str, int] = field(default_factory=dict)
    lost: int = 0

    def __post_init__(self) -> None:
        self.room.on_feed = self._on_feed
        self.room.on_feed_gone = lambda feed: self.gone.append(participant_of(feed))
        self.room.on_lost = self._on_lost

    def _on_lost(self) -> None:
        self.lost += 1

    def _on_feed(self, feed: str, peer: Peer) -> None:
        who = participant_of(feed)
        packets = self.heard.setdefault(who, [])
        self.peers[who] = peer

        def on_packet(packet: RtpPacket, arrival: float) -> None:
            if packet.payload == _FILLER:
                self.fillers[who] = self.fillers.get(who, 0) + 1
            else:
                packets.append(packet)

        peer.receiver.on_packet = on_packet

    async def enter(self) -> None:
        """Enter the room and wait until audio can be sent."""
        await self.room.enter(self.room._capabilities(""))
        assert self.room.peer is not None
        peer = self.room.peer
        await peer.wait_connected(10)
        await until(lambda: peer.sender.started)

    async def hears(self, *participants: str) -> None:
        """Wait until the connections for these participants stand, as far as we know."""
        await until(lambda: all(who in self.peers for who in participants), 10)
        await asyncio.gather(*(self.peers[who].wait_connected(10) for who in participants))

    async def say(self, payloads: tuple[bytes, ...], interval: float = 0.005) -> None:
        """Send payloads as consecutive frames of 20 ms, faster than real time."""
        peer = self.room.peer
        assert peer is not None
        assert peer.negotiated is not None
        for k, payload in enumerate(payloads):
            sent = peer.sender.send(
                RtpPayload(peer.negotiated.opus_pt, k * 960, payload, audio_level=k % 100)
            )
            assert sent
            await asyncio.sleep(interval)

    def payloads(self, participant: str) -> list[bytes]:
        """What was heard of somebody, in order of arrival."""
        return [packet.payload for packet in self.heard.get(participant, [])]
