"""The media of a room on a Janus server: one connection for our speech, one for each voice."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from softphone.conference.events import LocalTrouble, PairConnected, PairLost
from softphone.conference.ice import room_ice
from softphone.conference.media import RoomMedia, Surroundings
from softphone.conference.pair import PairState
from softphone.conference.statistics import ParticipantStatistics
from softphone.conference.uplink import Uplink
from softphone.conference.voice import Voice
from softphone.e2ee import (
    DecryptionState,
    RoomKey,
    SframeError,
    SframeReceiver,
    SframeSender,
    derive_room_key,
)
from softphone.errors import ConfigError, RemoteError, RemoteProtocolError
from softphone.playout import Source
from softphone.rooms.janus import JanusRoom, JanusTicket, participant_of
from softphone.rooms.replies import Joined
from softphone.rooms.requests import Signal
from softphone.rooms.values import IceServerInfo, ParticipantInfo
from softphone.rtp.packet import RtpPacket
from softphone.webrtc import AudioSender, Capabilities, LocalAudio, Peer, PeerConfig

__all__ = ["JanusMedia"]

_LOG = logging.getLogger(__name__)

_SERVER: Final = "server"
"""Under this id the microphone knows the media server."""
_DELAYS: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before the server is tried again; the last one repeats."""


@dataclass(slots=True)
class _Member:
    person: ParticipantInfo
    known: bool = False
    """The room server has told of it; who only the media server knows is not played."""
    volume: float = 1.0
    feed: str = ""
    """The latest of its feeds; older ones may linger."""
    peer: Peer | None = None
    voice: Voice | None = None


class JanusMedia(RoomMedia):
    """A `JanusRoom` that is entered again whenever our place in it is lost."""

    def __init__(self, joined: Joined, around: Surroundings) -> None:
        """Raises :class:`RemoteProtocolError` when what the server said is of no use."""
        self._around = around
        self._relay_only = joined.relay_only
        self._room_name = joined.room
        self._ticket = JanusTicket.from_connection(joined.connection)
        self._ice = room_ice(around.config, joined.ice_servers, relay_only=joined.relay_only)
        self._members: dict[str, _Member] = {}
        self._room: JanusRoom | None = None
        self._key: RoomKey | None = None
        self._told_passphrase = False
        self._task = asyncio.create_task(self._live())

    def set_signaling(self, joined: Joined | None) -> None:
        if joined is not None:
            self._ticket = JanusTicket.from_connection(joined.connection)
            self.set_ice_servers(joined.ice_servers)

    def set_ice_servers(self, servers: tuple[IceServerInfo, ...]) -> None:
        try:
            self._ice = room_ice(self._around.config, servers, relay_only=self._relay_only)
        except RemoteProtocolError as error:
            _LOG.warning("the new ICE servers are of no use: %s", error)

    def add(self, person: ParticipantInfo) -> None:
        member = self._member(person.id)
        member.person, member.known = person, True
        self._update_muted(member)

    def change(self, person: ParticipantInfo) -> None:
        member = self._members.get(person.id)
        if member is not None:
            member.person = person
            self._update_muted(member)

    def remove(self, person: ParticipantInfo) -> None:
        member = self._members.pop(person.id, None)
        if member is not None:
            self._silence(member)

    def on_signal(self, signal: Signal) -> None:
        """Participants have nothing to arrange with each other here."""

    def levels(self, now: float) -> Mapping[str, float]:
        return {
            peer: member.voice.meter.level(now)
            for peer, member in self._members.items()
            if member.voice is not None and not member.voice.muted
        }

    def set_volume(self, peer: str, volume: float) -> None:
        member = self._members.get(peer)
        if member is None:
            raise ConfigError("nobody of that name is in the room")
        if member.voice is not None:
            member.voice.channel.volume = volume
        member.volume = volume

    def statistics(self, person: ParticipantInfo, *, speaking: bool) -> ParticipantStatistics:
        member = self._members.get(person.id)
        if member is None or member.voice is None or member.peer is None:
            return ParticipantStatistics(person)
        voice, streams = member.voice, member.peer.receiver.streams
        playout = voice.statistics
        bursts = streams[-1].statistics.bursts() if streams else None
        uplink = self._room.peer if self._room is not None else None
        remote = uplink.sender.remote_inbound if uplink is not None else None
        return ParticipantStatistics(
            person,
            state=PairState.CONNECTED,
            level=voice.meter.level(asyncio.get_running_loop().time()),
            speaking=speaking,
            volume=member.volume,
            asleep=voice.asleep,
            frames={source: playout.frames(source) for source in Source},
            packets_lost=sum(stream.statistics.lost for stream in streams),
            fraction_lost=bursts.fraction_lost if bursts is not None else 0.0,
            remote_fraction_lost=remote.fraction_lost if remote is not None else None,
            round_trip=remote.round_trip if remote is not None else None,
            delay=voice.mouth_to_ear,
        )

    def webrtc_statistics(self) -> Mapping[str, Mapping[str, dict[str, Any]]]:
        return {
            peer: member.peer.statistics(member.voice.statistics if member.voice else None)
            for peer, member in self._members.items()
            if member.peer is not None
        }

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for member in self._members.values():
            self._silence(member)

    # -- our place in the room

    async def _live(self) -> None:
        passphrase = self._around.config.passphrase
        if passphrase:
            self._key = await derive_room_key(passphrase, self._room_name)
        attempt = 0
        while True:
            lost = asyncio.Event()
            room = self._room = JanusRoom(
                self._ticket, self._make_peer, capabilities=self._capabilities, e2ee=self._key is not None
            )
            room.on_feed, room.on_feed_gone, room.on_lost = self._on_feed, self._on_feed_gone, lost.set
            try:
                await room.enter(_everything())
                assert room.peer is not None
                await room.peer.wait_connected()
                attempt = 0
                self._begin_to_send(room.peer)
                await lost.wait()
            except RemoteError as error:
                _LOG.warning("the media server can't be used: %s", error)
            finally:
                self._around.microphone.remove(_SERVER)
                await room.leave()
            await asyncio.sleep(_DELAYS[min(attempt, len(_DELAYS) - 1)])
            attempt += 1

    def _begin_to_send(self, peer: Peer) -> None:
        if peer.negotiated is None:
            return
        cipher = (
            SframeSender(self._key, metadata=self._ticket.participant.encode())
            if self._key is not None
            else None
        )
        uplink = Uplink(peer.sender, cipher, asyncio.get_running_loop().time)
        # Of a sender the microphone uses what an uplink has, too.
        self._around.microphone.add(_SERVER, cast(AudioSender, uplink), peer.negotiated, lambda report: None)

    def _make_peer(self, audio: LocalAudio) -> Peer:
        audio = replace(audio, red=False, dtx=True, telephone_event=False)
        peer = Peer(PeerConfig(ice=self._ice, audio=audio))
        self._around.on_peer(peer)
        return peer

    def _capabilities(self, feed: str) -> Capabilities | None:
        member = self._members.get(participant_of(feed))
        try:
            return Capabilities.from_json(dict(member.person.capabilities)) if member is not None else None
        except RemoteProtocolError:
            return None

    # -- the voices

    def _on_feed(self, feed: str, peer: Peer) -> None:
        agreed = peer.negotiated
        if agreed is None:
            return
        # The media server may be ahead of the room server.
        member = self._member(participant_of(feed))
        self._silence(member)
        loudspeaker, recorder = self._around.loudspeaker, self._around.recorder
        playout = replace(self._around.config.playout, payload_types=agreed.receive_payload_types)
        voice = Voice(playout, keeps_own_time=loudspeaker.keeps_own_time)
        voice.channel.volume = member.volume
        voice.reporter = peer.receiver.loss_reporter
        member.feed, member.peer, member.voice = feed, peer, voice
        self._update_muted(member)
        name = member.person.name or member.person.id
        recorder.on_participant(name, agreed.receive_payload_types)
        cipher = (
            SframeReceiver(self._key, metadata=participant_of(feed).encode())
            if self._key is not None
            else None
        )

        def take(packet: RtpPacket, arrival: float) -> None:
            if cipher is not None:
                try:
                    packet = replace(packet, payload=cipher.unprotect(packet.payload))
                except SframeError:
                    self._on_refused(member, cipher)
                    return
            voice.receive(packet, arrival)
            recorder.on_received(packet, arrival, name)

        peer.receiver.on_packet = take
        loudspeaker.add(voice)
        self._around.emit(PairConnected(member.person))

    def _on_feed_gone(self, feed: str) -> None:
        member = self._members.get(participant_of(feed))
        if member is not None and member.feed == feed:
            self._silence(member)
            self._around.emit(PairLost(member.person))

    def _on_refused(self, member: _Member, cipher: SframeReceiver) -> None:
        if cipher.state is DecryptionState.FAILING and not self._told_passphrase:
            self._told_passphrase = True
            self._around.emit(
                LocalTrouble(
                    f"{member.person.name or 'somebody'} can't be heard: not encrypted, or with another "
                    "passphrase than yours"
                )
            )

    def _update_muted(self, member: _Member) -> None:
        if member.voice is not None:
            member.voice.muted = member.person.muted or not member.known

    def _silence(self, member: _Member) -> None:
        if member.voice is not None:
            self._around.loudspeaker.remove(member.voice)
        if member.peer is not None:
            member.peer.receiver.on_packet = None
        member.voice, member.peer, member.feed = None, None, ""

    def _member(self, participant: str) -> _Member:
        member = self._members.get(participant)
        if member is None:
            member = self._members[participant] = _Member(ParticipantInfo(id=participant, name=""))
        return member


def _everything() -> Capabilities:
    """What is worth sending: the server passes everything on, and who can't use it ignores it."""
    return replace(Capabilities.local(), loss_reports=False)
