"""Rooms on the media server Janus (VideoRoom plug-in, WebSocket API).

Janus forwards Opus packets as they are, DRED included, but drops format parameters from
session descriptions: capabilities travel by our own signalling.
"""

from .client import JanusRoom, MakePeer
from .engine import JanusEngine
from .errors import JanusError, JanusLostError, JanusProtocolError, JanusTimeoutError
from .ticket import JanusTicket, participant_of

__all__ = [
    "JanusEngine",
    "JanusError",
    "JanusLostError",
    "JanusProtocolError",
    "JanusRoom",
    "JanusTicket",
    "JanusTimeoutError",
    "MakePeer",
    "participant_of",
]
