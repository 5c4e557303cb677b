"""The media of a room without a media server: a connection with everybody, speech encoded once."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from softphone.conference.events import (
    LocalTrouble,
    PairConnected,
    PairLost,
    PairUnverified,
    PairVerified,
)
from softphone.conference.ice import room_ice
from softphone.conference.leg import Leg
from softphone.conference.media import RoomMedia, Surroundings
from softphone.conference.statistics import ParticipantStatistics
from softphone.conference.voice import Voice
from softphone.errors import ConfigError, LocalError, RemoteProtocolError
from softphone.playout import Source
from softphone.rooms.replies import Joined
from softphone.rooms.requests import Signal
from softphone.rooms.values import IceServerInfo, ParticipantInfo
from softphone.rtp.packet import RtpPacket
from softphone.sending import NetworkReport
from softphone.webrtc import LocalAudio, Peer, PeerConfig

__all__ = ["Mesh"]

_LOG = logging.getLogger(__name__)

_AUDIO = LocalAudio(dtx=True, prefer_red=True)
"""No silence, and copies from browsers, which send them only when they come first."""

_SAID = "said"


@dataclass(slots=True)
class _Member:
    leg: Leg
    voice: Voice | None = None
    volume: float = 1.0
    path_delay: float = field(default=float("inf"))


class Mesh(RoomMedia):
    """A leg and a voice for every other participant."""

    def __init__(self, joined: Joined, around: Surroundings) -> None:
        """Raises :class:`RemoteProtocolError` when the server asks for what can't be had."""
        self._own = joined.id
        self._around = around
        self._signaling = True
        self._relay_only = joined.relay_only
        self._members: dict[str, _Member] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._troubles: set[str] = set()
        self._ice = room_ice(around.config, joined.ice_servers, relay_only=joined.relay_only)

    def set_signaling(self, joined: Joined | None) -> None:
        self._signaling = joined is not None
        if joined is not None:
            self.set_ice_servers(joined.ice_servers)
        for member in self._members.values():
            self._update_reachable(member.leg)

    def set_ice_servers(self, servers: tuple[IceServerInfo, ...]) -> None:
        try:
            self._ice = room_ice(self._around.config, servers, relay_only=self._relay_only)
        except RemoteProtocolError as error:
            _LOG.warning("the new ICE servers are of no use: %s", error)

    def add(self, person: ParticipantInfo) -> None:
        leg = Leg(self._own, person, make_peer=self._make_peer, send=self._around.send, observer=self)
        self._members[person.id] = _Member(leg)
        self._update_reachable(leg)

    def change(self, person: ParticipantInfo) -> None:
        member = self._members.get(person.id)
        if member is not None:
            member.leg.person = person
            self._update_reachable(member.leg)
            self._update_muted(member)

    def remove(self, person: ParticipantInfo) -> None:
        member = self._members.pop(person.id, None)
        if member is not None:
            closing = asyncio.create_task(member.leg.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self._silence(member)

    def on_signal(self, signal: Signal) -> None:
        member = self._members.get(signal.peer)
        if member is not None:
            member.leg.on_signal(signal)

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
        if member is None:
            return ParticipantStatistics(person)
        leg, peer, voice = member.leg, member.leg.peer, member.voice
        known = ParticipantStatistics(
            person,
            state=leg.state,
            speaking=speaking,
            volume=member.volume,
            verification=leg.verification.digits,
            suspicious=leg.suspicious,
        )
        if voice is not None:
            playout = voice.statistics
            known = replace(
                known,
                level=voice.meter.level(asyncio.get_running_loop().time()),
                asleep=voice.asleep,
                delay=voice.mouth_to_ear,
                frames={source: playout.frames(source) for source in Source},
            )
        if peer is not None:
            streams, remote = peer.receiver.streams, peer.sender.remote_inbound
            bursts = streams[-1].statistics.bursts() if streams else None
            known = replace(
                known,
                packets_lost=sum(stream.statistics.lost for stream in streams),
                fraction_lost=bursts.fraction_lost if bursts is not None else 0.0,
                remote_fraction_lost=remote.fraction_lost if remote is not None else None,
                round_trip=remote.round_trip if remote is not None else None,
            )
        return known

    def webrtc_statistics(self) -> Mapping[str, Mapping[str, dict[str, Any]]]:
        return {
            peer: member.leg.peer.statistics(member.voice.statistics if member.voice else None)
            for peer, member in self._members.items()
            if member.leg.peer is not None
        }

    async def close(self) -> None:
        members, self._members = list(self._members.values()), {}
        await asyncio.gather(*(member.leg.close() for member in members), *self._closing)
        for member in members:
            self._silence(member)

    # -- what legs tell (LegObserver)

    def on_negotiated(self, leg: Leg, peer: Peer) -> None:
        """Let the participant be heard."""
        member, agreed = self._members.get(leg.person.id), peer.negotiated
        if member is None or agreed is None:
            return
        loudspeaker = self._around.loudspeaker
        playout = replace(self._around.config.playout, payload_types=agreed.receive_payload_types)
        voice = member.voice
        if voice is None or voice.config != playout:
            self._silence(member)
            voice = member.voice = Voice(playout, keeps_own_time=loudspeaker.keeps_own_time)
            voice.channel.volume = member.volume
        self._around.recorder.on_participant(_track_name(leg.person), agreed.receive_payload_types)
        loudspeaker.add(voice)
        voice.reporter = peer.receiver.loss_reporter
        self._update_muted(member)
        recorder, name, receive = self._around.recorder, _track_name(leg.person), voice.receive

        def take(packet: RtpPacket, arrival: float) -> None:
            receive(packet, arrival)
            recorder.on_received(packet, arrival, name)

        peer.receiver.on_packet = take
        if peer.sender.started:
            self._let_hear(member, peer)

    def on_connected(self, leg: Leg, peer: Peer) -> None:
        """Let the participant hear us."""
        member = self._members.get(leg.person.id)
        if member is None:
            return
        if peer.round_trip is not None:
            self._on_round_trip(member, peer.round_trip)
        self._let_hear(member, peer)
        self._around.emit(PairConnected(leg.person))

    def on_lost(self, leg: Leg) -> None:
        """Tell the user."""
        self._around.emit(PairLost(leg.person))

    def on_dropped(self, leg: Leg, peer: Peer) -> None:
        """Neither hear nor be heard over this connection any more."""
        peer.receiver.on_packet = None
        self._around.microphone.remove(leg.person.id)
        member = self._members.get(leg.person.id)
        if member is not None and member.voice is not None:
            self._around.loudspeaker.remove(member.voice)

    def on_verified(self, leg: Leg, digits: str) -> None:
        """Tell the user."""
        self._around.emit(PairVerified(leg.person, digits))

    def on_unverified(self, leg: Leg, reason: str) -> None:
        """Nobody but the participant may listen, or speak in its place."""
        self._around.microphone.remove(leg.person.id)
        member = self._members.get(leg.person.id)
        if member is not None:
            self._update_muted(member)
        self._around.emit(PairUnverified(leg.person, reason))

    def on_local_error(self, leg: Leg, error: LocalError) -> None:
        """Tell the user, once."""
        if str(error) not in self._troubles:
            self._troubles.add(str(error))
            self._around.emit(LocalTrouble(str(error)))

    # -- own

    def _let_hear(self, member: _Member, peer: Peer) -> None:
        if peer.negotiated is not None and not member.leg.suspicious:
            self._around.microphone.add(
                member.leg.person.id,
                peer.sender,
                peer.negotiated,
                lambda report: self._on_report(member, report),
            )

    def _on_report(self, member: _Member, report: NetworkReport) -> None:
        if report.round_trip is not None:
            self._on_round_trip(member, report.round_trip)

    def _on_round_trip(self, member: _Member, seconds: float) -> None:
        member.path_delay = min(member.path_delay, seconds / 2)
        if member.voice is not None:
            member.voice.set_path_delay(member.path_delay, seconds)

    def _update_reachable(self, leg: Leg) -> None:
        leg.set_reachable(self._signaling and not leg.person.away)

    def _update_muted(self, member: _Member) -> None:
        if member.voice is not None:
            member.voice.muted = member.leg.person.muted or member.leg.suspicious

    def _silence(self, member: _Member) -> None:
        if member.voice is not None:
            self._around.loudspeaker.remove(member.voice)

    def _make_peer(self) -> Peer:
        peer = Peer(PeerConfig(ice=self._ice, audio=_AUDIO, trickle=True))
        self._around.on_peer(peer)
        return peer


def _track_name(person: ParticipantInfo) -> str:
    """What the recorder calls a participant: it keeps one name for this phone's user."""
    return person.name if person.name != _SAID else f"{_SAID} (2)"
