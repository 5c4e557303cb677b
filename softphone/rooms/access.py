"""Who may come into a room, and as whom."""

from dataclasses import dataclass
from enum import StrEnum

from softphone.rooms.tokens import TokenSigner
from softphone.rooms.values import RoomRole
from softphone.signaling.access import AccessPolicy
from softphone.signaling.errors import UnauthorizedError

__all__ = ["Access", "Door", "Grant"]


class Access(StrEnum):
    """What people need to come in."""

    OPEN = "open"
    """Nothing."""
    SECRET = "secret"
    """A secret that is good until the server stops, or an invitation."""
    INVITATION = "invitation"
    """A signed invitation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """As whom somebody may come in."""

    name: str
    verified: bool = False
    role: RoomRole = RoomRole.PARTICIPANT
    invitation: str = ""
    """Its fingerprint."""


class Door:
    """Decides over the token in a `softphone.rooms.requests.Join`."""

    def __init__(self, access: Access, signer: TokenSigner) -> None:
        self.access = access
        self._signer = signer
        self._policy = AccessPolicy(one_time=access is Access.SECRET)

    @property
    def secret(self) -> str:
        """What opens every room until the server stops; empty where there is no such thing."""
        return self._policy.secret

    def grant(self, room: str, token: str, name: str, unix_time: float) -> Grant:
        """As whom the holder of `token`, who would like to be `name`, may come into `room`.

        Raises `UnauthorizedError`, and for genuine invitations
        `softphone.rooms.errors.WrongRoomError` and `TokenExpiredError`.
        """
        if self.access is Access.OPEN and not token:
            return Grant(name=name)
        if self.access is Access.SECRET and self._policy.admits(token):
            return Grant(name=name)
        if not token:
            raise UnauthorizedError("this room asks for an invitation: ask for a link, and use all of it")
        invitation = self._signer.read_invitation(token, room, unix_time)
        return Grant(
            name=invitation.name or name,
            verified=bool(invitation.name),
            role=invitation.role,
            invitation=invitation.fingerprint,
        )
