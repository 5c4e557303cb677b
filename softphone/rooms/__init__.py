"""Rooms: several people, browsers and softphones, who talk to each other.

`RoomServer` is the server; ``docs/rooms.md`` specifies the protocol, whose messages are in
`softphone.rooms.requests` and `softphone.rooms.replies`.
"""

from softphone.rooms.access import Access
from softphone.rooms.config import DEFAULT_ROOM_PORT, RoomServerConfig
from softphone.rooms.room import RoomConfig
from softphone.rooms.server import RoomServer
from softphone.rooms.tokens import Invitation, TokenSigner
from softphone.rooms.turn import IceProvider
from softphone.rooms.values import RoomRole

__all__ = [
    "DEFAULT_ROOM_PORT",
    "Access",
    "IceProvider",
    "Invitation",
    "RoomConfig",
    "RoomRole",
    "RoomServer",
    "RoomServerConfig",
    "TokenSigner",
]
