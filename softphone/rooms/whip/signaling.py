"""A WHIP or WHEP session as the signalling of a call."""

import asyncio
from collections.abc import Callable

from softphone.signaling import (
    CallEnd,
    CallStateError,
    EndReason,
    Reanswer,
    RemoteParty,
    Reoffer,
    Restart,
    Role,
    Side,
    VerificationError,
)

from .client import WhipClient

__all__ = ["WhipSignaling"]


class WhipSignaling:
    """The `softphone.call_signaling.CallSignaling` of an open session.

    Such a server says nothing after its answer: that it has ended the session shows at the
    media connection.
    """

    role = Role.CALLER

    def __init__(self, client: WhipClient) -> None:
        """`client` is open; it is closed with the call."""
        self.on_path: Callable[[Restart | Reoffer | Reanswer], None] | None = None
        self.on_connection: Callable[[str | None], None] | None = None
        self.remote = RemoteParty(client.target.url.host or "")
        self._client = client
        self._end: asyncio.Future[CallEnd] = asyncio.get_running_loop().create_future()

    async def closed(self) -> CallEnd:
        """Wait until we have ended the session."""
        return await asyncio.shield(self._end)

    def say_bye(self, detail: str = "") -> None:
        """End the session; `released` tells the server. Idempotent."""
        if not self._end.done():
            self._end.set_result(CallEnd(EndReason.HUNG_UP, Side.LOCAL, detail))

    async def released(self) -> None:
        """Wait until the session is over, and have the server forget it."""
        await self.closed()
        await self._client.close()

    async def verify(self, local_fingerprint: str, remote_fingerprint: str, *, within: float = 20.0) -> str:
        """Raises `VerificationError`: the server is no person to read digits to."""
        raise VerificationError("a server of WHIP or WHEP answered, which can listen")

    async def check_connection(self) -> None:
        """Does nothing: each request has a connection of its own."""

    async def tell_path(self, message: Restart | Reoffer | Reanswer) -> None:
        """Raises `CallStateError`: few such servers can restart ICE, and none announces it."""
        raise CallStateError("this server can't be asked for another path")
