"""Requests to the VideoRoom plug-in of Janus 1.x, in terms of rooms and feeds.

Rooms and feeds have names (``string_ids = true`` in the plug-in's configuration). A
feed is somebody who publishes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ROOM_EXISTS, JanusError, JanusProtocolError
from .protocol import Json
from .session import JanusHandle, JanusSession

__all__ = ["PLUGIN", "Feed", "RoomAdministrator", "RoomSettings", "feeds", "gone", "session_description"]

PLUGIN = "janus.plugin.videoroom"


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """An audio room as we want it."""

    room: str
    secret: str
    """Needed to administrate the room."""
    publishers: int = 100
    """Most who send at the same time."""
    admin_key: str = ""
    """Needed to create rooms, where the plug-in is set up so."""
    e2ee: bool = False
    """Janus lets in only who says that it encrypts."""

    def body(self) -> dict[str, Any]:
        """The request that creates it."""
        body: dict[str, Any] = {
            "request": "create",
            "room": self.room,
            "secret": self.secret,
            "is_private": True,
            "publishers": self.publishers,
            "audiocodec": "opus",
            "videocodec": "vp8",
            "opus_fec": True,
            "audiolevel_ext": True,
            "transport_wide_cc_ext": False,
            "notify_joining": False,
            # Only who was let in as publisher may subscribe.
            "require_pvtid": True,
            "allowed": [],
            "require_e2ee": self.e2ee,
        }
        if self.admin_key:
            body["admin_key"] = self.admin_key
        return body


@dataclass(frozen=True, slots=True)
class Feed:
    """Somebody who publishes in a room."""

    id: str
    display: str = ""
    """Text that the publisher gave when it joined."""


def feeds(data: Json) -> tuple[Feed, ...]:
    """Read the list ``publishers`` of an event; what is malformed is left out."""
    listed = data.get("publishers")
    found = []
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, Mapping) and isinstance(item.get("id"), str):
            display = item.get("display")
            found.append(Feed(item["id"], display if isinstance(display, str) else ""))
    return tuple(found)


def gone(data: Json) -> str | None:
    """Which feed an event reports as gone, ``ok`` for ours; Janus has three words and may leave out any."""
    for member in ("unpublished", "leaving", "kicked"):
        feed = data.get(member)
        if isinstance(feed, str):
            return feed
    return None


def session_description(jsep: Json | None, kind: str) -> str:
    """The text of the offer or answer that must be there. Raises :class:`.errors.JanusProtocolError`."""
    if jsep is None or jsep.get("type") != kind:
        raise JanusProtocolError(f"Janus sent no {kind}")
    return str(jsep["sdp"])


class RoomAdministrator:
    """Makes and manages rooms on one server."""

    def __init__(self, handle: JanusHandle) -> None:
        self._handle = handle

    @classmethod
    async def attach(cls, session: JanusSession) -> "RoomAdministrator":
        """Get a handle for administration."""
        return cls(await session.attach(PLUGIN))

    async def create(self, settings: RoomSettings) -> bool:
        """Make a room unless there is one; tell whether it is new."""
        try:
            await self._handle.message(settings.body())
        except JanusError as error:
            if error.code == ROOM_EXISTS:
                return False
            raise
        return True

    async def destroy(self, room: str, secret: str) -> None:
        """End a room; everybody in it loses its connection."""
        await self._handle.message({"request": "destroy", "room": room, "secret": secret})

    async def allow(self, room: str, secret: str, tokens: Iterable[str]) -> None:
        """Add tokens to those that open the room."""
        await self._change_allowed(room, secret, "add", tokens)

    async def disallow(self, room: str, secret: str, tokens: Iterable[str]) -> None:
        """Take tokens back; who has come in stays."""
        await self._change_allowed(room, secret, "remove", tokens)

    async def kick(self, room: str, secret: str, feed: str) -> None:
        """Throw somebody out."""
        await self._handle.message({"request": "kick", "room": room, "secret": secret, "id": feed})

    async def participants(self, room: str) -> dict[str, str]:
        """Everybody who has joined, publishing or not: feed to display."""
        answer = await self._handle.message({"request": "listparticipants", "room": room})
        listed = answer.data.get("participants")
        if not isinstance(listed, list):
            raise JanusProtocolError("Janus sent no list of participants")
        return {feed.id: feed.display for feed in feeds({"publishers": listed})}

    async def _change_allowed(self, room: str, secret: str, action: str, tokens: Iterable[str]) -> None:
        body = {"request": "allowed", "room": room, "secret": secret, "action": action}
        await self._handle.message({**body, "allowed": list(tokens)})
