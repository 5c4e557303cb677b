"""What carries the media of a room, seen from one phone; chosen by the name of the room's engine."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from softphone.conference.config import ConferenceConfig
from softphone.conference.events import ConferenceEvent
from softphone.conference.loudspeaker import Loudspeaker
from softphone.conference.microphone import Microphone
from softphone.conference.statistics import ParticipantStatistics
from softphone.errors import ConfigError, RemoteProtocolError
from softphone.recording import Recorder
from softphone.registry import Registry
from softphone.rooms.replies import Joined
from softphone.rooms.requests import Signal
from softphone.rooms.values import IceServerInfo, ParticipantInfo
from softphone.webrtc import Peer

__all__ = ["RoomMedia", "RoomMediaFactory", "Surroundings", "make_media", "media_engines"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the media of a room works with."""

    config: ConferenceConfig
    microphone: Microphone
    loudspeaker: Loudspeaker
    recorder: Recorder
    send: Callable[[Signal], object]
    """Hands a signal to the room server; what can't be sent is lost."""
    emit: Callable[[ConferenceEvent], None]
    """Tells the user something."""
    on_peer: Callable[[Peer], None]
    """Called with each new connection before it is used."""


class RoomMedia(ABC):
    """Connects us with everybody in a room. Everything is called on the event loop.

    Made when we are let in, and made anew when we come back as somebody else.
    """

    @abstractmethod
    def set_signaling(self, joined: Joined | None) -> None:
        """We are back in touch with the room server, which said `joined`; None: we have lost it."""

    @abstractmethod
    def set_ice_servers(self, servers: tuple[IceServerInfo, ...]) -> None:
        """To be used for connections from now on."""

    @abstractmethod
    def add(self, person: ParticipantInfo) -> None:
        """Somebody is in the room."""

    @abstractmethod
    def change(self, person: ParticipantInfo) -> None:
        """What is known of somebody has changed."""

    @abstractmethod
    def remove(self, person: ParticipantInfo) -> None:
        """Somebody has left."""

    @abstractmethod
    def on_signal(self, signal: Signal) -> None:
        """A signal came through the room server."""

    @abstractmethod
    def levels(self, now: float) -> Mapping[str, float]:
        """How loud everybody is, dBov by id."""

    @abstractmethod
    def set_volume(self, peer: str, volume: float) -> None:
        """Play somebody at that volume, 0 to 4; it stays when the connection is made anew.

        Raises :class:`softphone.errors.ConfigError` for another volume.
        """

    @abstractmethod
    def statistics(self, person: ParticipantInfo, *, speaking: bool) -> ParticipantStatistics:
        """What is known of somebody."""

    @abstractmethod
    def webrtc_statistics(self) -> Mapping[str, Mapping[str, dict[str, Any]]]:
        """W3C webrtc-stats by identifier, by id of the participant."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection, within seconds."""


RoomMediaFactory: TypeAlias = Callable[[Joined, Surroundings], RoomMedia]
"""Raises :class:`softphone.errors.RemoteProtocolError` when what the server said is of no use."""

media_engines: Registry[RoomMediaFactory] = Registry(
    "softphone.media_engines",
    "media engine",
    {"mesh": "softphone.conference.mesh:Mesh", "janus": "softphone.conference.janus:JanusMedia"},
)
"""Engines by the name that the room server gives; third parties declare ``softphone.media_engines``."""


def make_media(joined: Joined, around: Surroundings) -> RoomMedia:
    """The media of the room that let us in.

    Raises :class:`RemoteProtocolError` for an engine that is not installed here, and when what
    the server said is of no use.
    """
    try:
        factory = media_engines.load(joined.engine)
    except ConfigError as error:
        raise RemoteProtocolError(
            f"this room needs the media engine {joined.engine!r}, which this softphone does not have"
        ) from error
    return factory(joined, around)
