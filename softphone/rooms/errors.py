"""Why somebody does not get into a room, each with the code that travels in an ``error`` message."""

from typing import ClassVar

from softphone.errors import RemoteProtocolError

__all__ = [
    "BarredError",
    "EngineError",
    "LobbyFullError",
    "NotAdmittedError",
    "RoomFullError",
    "RoomLockedError",
    "ServerFullError",
    "TokenExpiredError",
    "WrongRoomError",
]


class NotAdmittedError(RemoteProtocolError):
    """Somebody is refused at the door; nothing is wrong with the connection."""

    code: ClassVar[str] = "unauthorized"


class TokenExpiredError(NotAdmittedError):
    """A genuine invitation whose time is over."""

    code: ClassVar[str] = "token-expired"


class WrongRoomError(NotAdmittedError):
    """A genuine invitation to another room."""

    code: ClassVar[str] = "wrong-room"


class BarredError(NotAdmittedError):
    """A moderator removed the holder of this invitation."""

    code: ClassVar[str] = "barred"


class RoomFullError(NotAdmittedError):
    """The room has as many participants as it may have."""

    code: ClassVar[str] = "room-full"


class LobbyFullError(NotAdmittedError):
    """Too many wait already."""

    code: ClassVar[str] = "lobby-full"


class RoomLockedError(NotAdmittedError):
    """Moderators have closed the room."""

    code: ClassVar[str] = "locked"


class ServerFullError(NotAdmittedError):
    """Too many rooms, or too many people from one address."""

    code: ClassVar[str] = "server-full"


class EngineError(NotAdmittedError):
    """The media engine does not answer."""

    code: ClassVar[str] = "engine"
