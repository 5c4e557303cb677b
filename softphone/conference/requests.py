"""What one can ask of a room. Everybody, ourselves included, hears the outcome as an event."""

from collections.abc import Callable

from softphone.rooms.requests import Admit, Deny, EndRoom, Mute, Remove, RoomUpdate, Say, Update
from softphone.signaling.messages import Message

__all__ = ["RoomRequests"]


class RoomRequests:
    """Each method returns False when the signalling is lost at the moment, and nothing was asked.

    They raise :class:`softphone.errors.ConfigError` for text that is too long.
    """

    def __init__(self, send: Callable[[Message], bool]) -> None:
        self._send = send

    def say(self, text: str) -> bool:
        """Write a line of chat, 1 to 1,000 characters."""
        return self._send(Say(text=text))

    def raise_hand(self, raised: bool = True) -> bool:
        """Raise the hand, or take it down."""
        return self._send(Update(hand=raised))

    def rename(self, name: str) -> bool:
        """Take another display name, 64 characters; impossible with a name out of an invitation."""
        return self._send(Update(name=name))

    def mute(self, peer: str) -> bool:
        """As a moderator: turn somebody's microphone off."""
        return self._send(Mute(peer=peer))

    def remove(self, peer: str, message: str = "") -> bool:
        """As a moderator: put somebody out of the room."""
        return self._send(Remove(peer=peer, message=message))

    def admit(self, peer: str) -> bool:
        """As a moderator: let somebody in from the lobby."""
        return self._send(Admit(peer=peer))

    def deny(self, peer: str, message: str = "") -> bool:
        """As a moderator: turn somebody in the lobby away."""
        return self._send(Deny(peer=peer, message=message))

    def set_rules(self, *, locked: bool | None = None, lobby: bool | None = None) -> bool:
        """As a moderator: lock the room, or have newcomers wait in the lobby; None: no change."""
        return self._send(RoomUpdate(locked=locked, lobby=lobby))

    def end(self) -> bool:
        """As a moderator: send everybody home."""
        return self._send(EndRoom())
