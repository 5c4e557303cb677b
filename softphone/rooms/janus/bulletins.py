"""What room servers tell each other about a room, through Janus.

Each room server has a guard in the room, and a guard has a display name, of which Janus tells
everybody in the room when it changes. So a bulletin is a display name: compressed JSON,
encrypted and authenticated (AES-GCM) under a key that all room servers derive from their
secret, and bound to room and guard. Participants see that there is one, and nothing else.
"""

import base64
import json
import os
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["GUARD", "Bulletin", "BulletinBoard", "is_guard"]

GUARD: Final = "guard"
"""What the feeds of guards are called, up to the dot."""

_PREFIX: Final = "b1."
_SILENT: Final = "?"
_NONCE: Final = 12
_MOST_BYTES: Final = 1 << 20
"""Of JSON: a bulletin is genuine, but a mistake must not fill the memory."""


def is_guard(feed: str) -> bool:
    """Tell whether a feed claims to be a room server's."""
    return feed.partition(".")[0] == GUARD


@dataclass(frozen=True, slots=True)
class Bulletin:
    """The state of one room on one room server."""

    server: str
    """Which run of which room server."""
    since: int
    """When it came into the room, ns since 1970: the one that is there longest cascades feeds."""
    number: int
    """Greater in later ones of the same server."""
    state: Mapping[str, Any]


class BulletinBoard:
    """Reads and writes bulletins, and knows the latest of each room server and room."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 bytes, the same on every room server."""
        self._cipher = AESGCM(key)
        self._latest: dict[str, dict[str, Bulletin]] = {}
        self._guards: dict[tuple[str, str], dict[str, str]] = {}
        """Janus server and room -> guard -> whose it is; empty where that is not known yet."""

    def write(self, room: str, guard: str, server: str, since: int, state: Mapping[str, Any]) -> str:
        """A display name for `guard`."""
        content = {"server": server, "since": since, "number": time.time_ns(), "state": state}
        packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode())
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, packed, f"{room}\0{guard}".encode())
        return _PREFIX + base64.b64encode(nonce + sealed).decode()

    def read(self, room: str, guard: str, display: str) -> Bulletin | None:
        """What a guard tells; None for what none of ours has written."""
        if not display.startswith(_PREFIX):
            return None
        try:
            sealed = base64.b64decode(display[len(_PREFIX) :], validate=True)
            packed = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], f"{room}\0{guard}".encode())
            content = json.loads(zlib.decompressobj().decompress(packed, _MOST_BYTES))
            return Bulletin(content["server"], content["since"], content["number"], content["state"])
        except (ValueError, KeyError, TypeError, InvalidTag, zlib.error):
            return None

    def states(self, room: str) -> dict[str, Mapping[str, Any]]:
        """The latest of every room server that is in the room, by server."""
        return {server: bulletin.state for server, bulletin in self._latest.get(room, {}).items()}

    def alone(self, room: str) -> bool:
        """Whether no other room server has a guard in the room, as far as known."""
        return not any(guards for (_, name), guards in self._guards.items() if name == room)

    def unread(self, room: str) -> bool:
        """Whether some guard has not told whose it is, and may still do so."""
        return any("" in guards.values() for (_, name), guards in self._guards.items() if name == room)

    def give_up(self, room: str) -> None:
        """Wait no longer for those: their room servers are gone, and Janus has not noticed yet."""
        for (_, name), guards in self._guards.items():
            if name == room:
                guards.update({guard: _SILENT for guard, server in guards.items() if not server})

    def eldest(self, room: str, since: int) -> bool:
        """Whether nobody is in the room longer than who came `since`."""
        latest = self._latest.get(room, {}).values()
        return not self.unread(room) and all(since < bulletin.since for bulletin in latest)

    def meet(self, janus: str, room: str, guard: str) -> None:
        """There is another guard in `room` on the server `janus`."""
        self._guards.setdefault((janus, room), {}).setdefault(guard, "")

    def take(self, janus: str, room: str, guard: str, display: str) -> Bulletin | None:
        """A guard tells something; returns the bulletin where it is new."""
        bulletin = self.read(room, guard, display)
        if bulletin is None:
            return None
        self._guards.setdefault((janus, room), {})[guard] = bulletin.server
        latest = self._latest.setdefault(room, {})
        known = latest.get(bulletin.server)
        if known is not None and known.number >= bulletin.number:
            return None
        latest[bulletin.server] = bulletin
        return bulletin

    def lose(self, janus: str, room: str, guard: str) -> str | None:
        """A guard is gone; returns the room server that has none left in the room."""
        server = self._guards.get((janus, room), {}).pop(guard, "")
        rest = (guards for (_, name), guards in self._guards.items() if name == room)
        if server in ("", _SILENT) or any(server in guards.values() for guards in rest):
            return None
        self._latest.get(room, {}).pop(server, None)
        return server

    def guards(self, janus: str, room: str) -> tuple[str, ...]:
        """Those that are known."""
        return tuple(self._guards.get((janus, room), {}))

    def forget_room(self, room: str) -> None:
        """We have no guard in the room any more."""
        self._latest.pop(room, None)
        for key in [key for key in self._guards if key[1] == room]:
            del self._guards[key]
