"""Signed invitations to a room, and the proof of having been in it.

Both are JSON Web Tokens (RFC 7519) with HMAC-SHA256 under the secret of the server. Time is
an argument: Unix time in seconds.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import jwt

from softphone.errors import ConfigError, RemoteProtocolError
from softphone.rooms.errors import TokenExpiredError, WrongRoomError
from softphone.rooms.values import MAX_TOKEN, RoomRole, a_peer, a_room
from softphone.signaling.errors import UnauthorizedError
from softphone.signaling.text import MAX_NAME, clean_text

__all__ = ["MIN_SECRET_BYTES", "Invitation", "Resumption", "TokenSigner"]

MIN_SECRET_BYTES: Final = 32
"""Shortest secret: the length of the hash (RFC 7518 section 3.2)."""

_ALGORITHM: Final = "HS256"
_INVITATION: Final = "softphone-room"
_RESUMPTION: Final = "softphone-resume"
_RESUMPTION_LIFETIME: Final = 24 * 3600.0
_END_OF_TIME: Final = 2.0**53
"""Larger numbers are no Unix time, and not kept exactly."""
_NOT_GENUINE: Final = "this room asks for an invitation: ask for a link, and use all of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What an invitation grants."""

    room: str
    """The one room it is good for."""
    expires: float
    """Unix time in seconds, until which its holder may come in."""
    name: str = ""
    """Display name of the holder; empty: the holder chooses."""
    role: RoomRole = RoomRole.PARTICIPANT
    fingerprint: str = ""
    """Tells invitations apart; set when read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """Who somebody was in a room."""

    room: str
    id: str
    name: str
    role: RoomRole
    verified: bool
    server: str
    """The run of the server that gave it."""
    invitation: str = ""
    """`Invitation.fingerprint` of what let it in."""


class TokenSigner:
    """Makes tokens, and reads those that the same secret has made."""

    def __init__(self, secret: bytes) -> None:
        """Raises `ConfigError` for a secret of less than `MIN_SECRET_BYTES`."""
        if len(secret) < MIN_SECRET_BYTES:
            raise ConfigError(f"a token secret has at least {MIN_SECRET_BYTES} bytes; make a longer one")
        self._secret = secret

    def invite(self, invitation: Invitation, now: float) -> str:
        """A token for `invitation`. Raises `ConfigError` when that is over, or no such room can exist."""
        try:
            a_room(invitation.room)
        except RemoteProtocolError as error:
            raise ConfigError(f"{invitation.room!r} can't be a room: it {error}") from error
        if invitation.expires <= now:
            raise ConfigError("an invitation must expire in the future")
        claims = {
            "aud": _INVITATION,
            "room": invitation.room,
            "name": clean_text(invitation.name, MAX_NAME),
            "role": str(invitation.role),
            "iat": int(now),
            "exp": int(invitation.expires),
        }
        return self._sign(claims)

    def read_invitation(self, token: str, room: str, now: float) -> Invitation:
        """What `token` grants in `room`.

        Raises `UnauthorizedError` for whatever this secret did not sign as an invitation,
        and only for what it did sign `WrongRoomError` and `TokenExpiredError`.
        """
        claims = self._verified(token, _INVITATION)
        name, role = claims.get("name", ""), claims.get("role", str(RoomRole.PARTICIPANT))
        expires = claims["exp"]
        if (
            not isinstance(name, str)
            or not isinstance(role, str)
            or role not in set(RoomRole)
            or isinstance(expires, bool)
            or not isinstance(expires, int | float)
            or not 0 <= expires < _END_OF_TIME
        ):
            raise UnauthorizedError(_NOT_GENUINE)
        if claims.get("room") != room:
            raise WrongRoomError("this invitation is for another room")
        if expires <= now:
            raise TokenExpiredError("this invitation has expired: ask for a new link")
        return Invitation(
            room=room,
            expires=float(expires),
            name=clean_text(name, MAX_NAME),
            role=RoomRole(role),
            fingerprint=hashlib.sha256(token.encode()).hexdigest(),
        )

    def resumption(self, resumption: Resumption, now: float) -> str:
        """A token with which a participant comes back as who it was."""
        claims = {
            "aud": _RESUMPTION,
            "room": resumption.room,
            "sub": resumption.id,
            "name": resumption.name,
            "role": str(resumption.role),
            "verified": resumption.verified,
            "server": resumption.server,
            "invitation": resumption.invitation,
            "exp": int(now + _RESUMPTION_LIFETIME),
        }
        return self._sign(claims)

    def read_resumption(self, token: str, room: str, now: float) -> Resumption | None:
        """Who the holder of `token` was in `room`; None when it is not good, or not any more."""
        try:
            claims = self._verified(token, _RESUMPTION)
        except UnauthorizedError:
            return None
        # Ours as signed, therefore well-formed.
        if claims["room"] != room or claims["exp"] <= now:
            return None
        return Resumption(
            room=room,
            id=a_peer(claims["sub"]),
            name=claims["name"],
            role=RoomRole(claims["role"]),
            verified=claims["verified"],
            server=claims["server"],
            invitation=claims["invitation"],
        )

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def _verified(self, token: str, audience: str) -> dict[str, Any]:
        """The claims of a genuine token of that kind; its time is for the caller to judge."""
        if len(token) > MAX_TOKEN:
            raise UnauthorizedError(_NOT_GENUINE)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=audience,
                options={"require": ["exp", "aud", "room"], "verify_exp": False, "verify_iat": False},
            )
        # ValueError: what base64 or JSON make of bytes that are neither.
        except (jwt.PyJWTError, ValueError) as error:
            raise UnauthorizedError(_NOT_GENUINE) from error
        return claims
