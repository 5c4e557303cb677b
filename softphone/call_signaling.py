"""What a call needs of the signalling below it, whatever protocol that is."""

from collections.abc import Callable
from typing import Protocol

from softphone.signaling import CallEnd, Reanswer, RemoteParty, Reoffer, Restart, Role

__all__ = ["CallSignaling"]


class CallSignaling(Protocol):
    """An answered call: :class:`softphone.signaling.CallSession`, or one with a server of another kind.

    Such a one whose peer does not announce the capability ``ice_restart`` is never asked to
    `tell_path`.
    """

    on_path: Callable[[Restart | Reoffer | Reanswer], None] | None
    """Called with what the peer says about another path for the media."""
    on_connection: Callable[[str | None], None] | None
    """Called with the reason when the connection is lost and another one is looked for, and with None once
    that stands."""

    @property
    def role(self) -> Role:
        """Whether we called or were called."""

    @property
    def remote(self) -> RemoteParty:
        """Who is at the far end."""

    async def closed(self) -> CallEnd:
        """Wait until the call is over and return how it ended."""

    async def released(self) -> None:
        """Wait until the call is over and its connection is closed."""

    async def verify(self, local_fingerprint: str, remote_fingerprint: str, *, within: float = 20.0) -> str:
        """The digits to compare.

        Raises :class:`softphone.signaling.VerificationError` when there are none.
        """

    async def tell_path(self, message: Restart | Reoffer | Reanswer) -> None:
        """Speak about another path for the media."""

    async def check_connection(self) -> None:
        """See that a dead connection is noticed now, and replaced."""

    def say_bye(self, detail: str = "") -> None:
        """End the call, without waiting."""
