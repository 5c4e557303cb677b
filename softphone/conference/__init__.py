"""A room, seen from one phone: everybody heard, everybody reached, encoded once."""

from softphone.conference.conference import Conference
from softphone.conference.config import ConferenceConfig
from softphone.conference.media import RoomMedia, Surroundings, media_engines
from softphone.conference.statistics import ConferenceStatistics, ParticipantStatistics

__all__ = [
    "Conference",
    "ConferenceConfig",
    "ConferenceStatistics",
    "ParticipantStatistics",
    "RoomMedia",
    "Surroundings",
    "media_engines",
]
