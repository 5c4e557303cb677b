"""STUN and TURN servers for participants, with credentials that expire.

The scheme is that of coturn's ``use-auth-secret`` (draft-uberti-behave-turn-rest-00): the
user name is the time of expiry, and the password its HMAC-SHA1 under a secret that the
room server shares with the TURN server.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from softphone.errors import ConfigError
from softphone.rooms.values import IceServerInfo

__all__ = ["IceProvider", "turn_credential"]

_STUN_URL = re.compile(r"stuns?:[^\s@/]+")
_TURN_URL = re.compile(r"turns?:[^\s@/]+")


def turn_credential(username: str, secret: str) -> str:
    """The password that goes with `username`: base64 of its HMAC-SHA1 under `secret`."""
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class IceProvider:
    """What participants are told about STUN and TURN."""

    stun: tuple[str, ...] = ()
    """``stun:HOST[:PORT]`` each."""
    turn: tuple[str, ...] = ()
    """``turn:HOST[:PORT][?transport=tcp]`` or ``turns:...`` each; they share one secret."""
    secret: str = field(default="", repr=False)
    """``static-auth-secret`` of the TURN servers."""
    lifetime: int = 3600
    """Seconds for which credentials are good."""

    def __post_init__(self) -> None:
        """Raises `ConfigError` for what is no URL of such a server, and for TURN without a secret."""
        for urls, pattern, example in (
            (self.stun, _STUN_URL, "stun:HOST"),
            (self.turn, _TURN_URL, "turn:HOST"),
        ):
            for url in urls:
                if not pattern.fullmatch(url) or len(url) > 250:
                    raise ConfigError(f"{url!r} is no such server; write {example} or {example}:PORT")
        if len(self.stun) > 8 or len(self.turn) > 8:
            raise ConfigError("at most 8 STUN and 8 TURN servers")
        if self.turn and not self.secret:
            raise ConfigError("a TURN server needs the secret that it shares with this server")
        if self.lifetime < 60:
            raise ConfigError("TURN credentials must be good for 60 seconds at least")

    def servers(self, participant: str, unix_time: float) -> tuple[tuple[IceServerInfo, ...], int]:
        """The servers for a participant, and how many seconds they are good for (0: for ever)."""
        servers = []
        if self.stun:
            servers.append(IceServerInfo(urls=self.stun))
        if self.turn:
            username = f"{int(unix_time) + self.lifetime}:{participant}"
            servers.append(
                IceServerInfo(
                    urls=self.turn, username=username, credential=turn_credential(username, self.secret)
                )
            )
        return tuple(servers), self.lifetime if self.turn else 0
