"""What lets a participant into a room on Janus, made by every room server that knows the secret.

Nothing is kept about it: the token that opens the room and the seal that goes with the
feeds are HMACs of room and participant, so any room server can renew or revoke what
another one gave.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from softphone.errors import ConfigError, RemoteProtocolError

__all__ = [
    "JanusTicket",
    "TicketOffice",
    "api_token",
    "feed_display",
    "level_id_of",
    "new_feed",
    "participant_of",
]

MIN_SECRET = 16
"""Characters."""

_BYTES = 16


@dataclass(frozen=True, slots=True)
class JanusTicket:
    """What the room server gives a participant: ``connection`` of its message ``joined``."""

    url: str
    """WebSocket of the Janus server."""
    room: str
    participant: str
    """Our id in the room."""
    token: str = field(default="", repr=False)
    """Opens the room."""
    seal: str = field(default="", repr=False)
    """Shows the room server that feeds of this participant are ours."""
    auth: str = field(default="", repr=False)
    """Sent with every request, where Janus authenticates them."""

    @classmethod
    def from_connection(cls, connection: Mapping[str, object]) -> "JanusTicket":
        """Read ``connection``. Raises :class:`softphone.errors.RemoteProtocolError`."""
        values: dict[str, str] = {}
        for name in cls.__dataclass_fields__:
            value = connection.get(name, "")
            if not isinstance(value, str):
                raise RemoteProtocolError(f"{name!r} of the engine's connection is not text")
            values[name] = value
        if (
            not values["url"].startswith(("ws://", "wss://"))
            or not values["room"]
            or not values["participant"]
        ):
            raise RemoteProtocolError("the engine's connection does not say where its server is")
        return cls(**values)

    def to_connection(self) -> dict[str, str]:
        """The reverse of `from_connection`."""
        return {name: value for name in self.__dataclass_fields__ if (value := getattr(self, name))}


def new_feed(participant: str) -> str:
    """A name for a new feed of a participant; the one of a lost connection may linger for a minute."""
    return f"{participant}.{secrets.token_hex(4)}"


def participant_of(feed: str) -> str:
    """Whose feed it claims to be."""
    return feed.partition(".")[0]


def feed_display(seal: str, level_id: int) -> str:
    """What a publisher shows: its seal, and its identifier of the audio-level header extension."""
    return f"{seal}.{level_id}"


def level_id_of(display: str) -> int:
    """The identifier in a `feed_display`, 1..14; 0 when there is none."""
    text = display.partition(".")[2]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= 14 else 0


def api_token(secret: str, expires: int) -> str:
    """Sign a token for Janus's own API (``token_auth`` with ``token_auth_secret``).

    `expires`: Unix time in seconds. The signature is HMAC-SHA1, as Janus wants it.
    """
    text = f"{expires},janus,janus.plugin.videoroom"
    digest = hmac.digest(secret.encode(), text.encode(), "sha1")
    return f"{text}:{base64.b64encode(digest).decode()}"


class TicketOffice:
    """Derives what opens, seals and administrates rooms."""

    def __init__(self, secret: str) -> None:
        """Raises :class:`softphone.errors.ConfigError` for a short secret."""
        if len(secret) < MIN_SECRET:
            raise ConfigError(f"the secret of the Janus engine must have at least {MIN_SECRET} characters")
        self._key = hashlib.sha256(secret.encode()).digest()

    def room_secret(self, room: str) -> str:
        """Needed to administrate `room` on Janus."""
        return self._derive("room", room)

    def token(self, room: str, participant: str) -> str:
        """Opens `room` to one participant."""
        return self._derive("token", room, participant)

    def seal(self, room: str, participant: str) -> str:
        """Goes with every feed of the participant, for all to see."""
        return self._derive("seal", room, participant)

    def bulletin_key(self) -> bytes:
        """Encrypts what room servers tell each other; 16 bytes."""
        return hmac.digest(self._key, b"bulletins", "sha256")[:_BYTES]

    def sealed(self, room: str, feed: str, display: str) -> bool:
        """Tell whether a feed shows the seal of the participant that it names."""
        seal = display.partition(".")[0]
        return hmac.compare_digest(seal.encode(), self.seal(room, participant_of(feed)).encode())

    def _derive(self, *parts: str) -> str:
        digest = hmac.digest(self._key, "\0".join(parts).encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:_BYTES]).decode().rstrip("=")
