"""A call that came in, as its owner sees it."""

from collections.abc import Callable
from typing import Protocol

from softphone.signaling.messages import Answer, RingingNotice
from softphone.signaling.resumption import new_token
from softphone.signaling.session import CallSession
from softphone.signaling.states import CallEnd, Event, State
from softphone.signaling.text import MAX_NAME, clean_text
from softphone.signaling.wire import Capabilities

__all__ = ["IncomingCall"]


class CalleeSettings(Protocol):
    """What an incoming call needs to know of its listener's settings."""

    @property
    def name(self) -> str: ...
    @property
    def setup_timeout(self) -> float: ...


class IncomingCall:
    """An invitation. Ring, then accept or decline; given by iterating over a `Listener`."""

    def __init__(
        self,
        session: CallSession,
        offer_sdp: str,
        settings: CalleeSettings,
        on_answered: Callable[[CallSession], None],
        *,
        resumable: bool = False,
    ) -> None:
        """`resumable`: the caller can go on with the call over another connection."""
        self._session = session
        self._settings = settings
        self._on_answered = on_answered
        self._resumable = resumable
        self.offer_sdp = offer_sdp
        """The caller's complete offer; only its outer shape has been checked."""

    @property
    def name(self) -> str:
        """The caller's display name: safe to print, proven by nothing, perhaps empty."""
        return self._session.remote.name

    @property
    def capabilities(self) -> Capabilities:
        """What the caller says it can do."""
        return self._session.remote.capabilities

    @property
    def remote_address(self) -> str:
        """IP address of the caller's signalling connection."""
        return self._session.remote.address

    @property
    def state(self) -> State:
        """Where the call stands."""
        return self._session.state

    @property
    def end(self) -> CallEnd | None:
        """How the call ended; None while it lives."""
        return self._session.end

    async def ring(self) -> None:
        """Tell the caller that the phone rings. Idempotent.

        This and what follows raise `CallEndedError` when the caller has given up and
        `CallStateError` when the call is past that point.
        """
        if self._session.state is not State.RINGING:
            await self._session.send(Event.RINGING, RingingNotice())

    def pick_up(self) -> None:
        """The user took the call: stop the ring timeout, and give the media `setup_timeout` to be ready."""
        self._session.advance(Event.PICK_UP)
        self._session.arm(self._settings.setup_timeout)

    async def accept(self, answer_sdp: str, capabilities: Capabilities) -> CallSession:
        """Send the answer; the call is connected. Other calls that wait hear that the phone is busy.

        Raises `softphone.errors.ConfigError` when the answer or the capabilities break
        the limits of the protocol; the call then still waits.
        """
        name = clean_text(self._settings.name, MAX_NAME)
        token = new_token() if self._resumable else b""
        answer = Answer(sdp=answer_sdp, name=name, capabilities=capabilities, resume=token)
        # The listener is told first, so that no second call is answered while this answer is on its way.
        await self._session.send(Event.ANSWER, answer, moved=lambda: self._on_answered(self._session))
        self._session.let_resume(token)
        return self._session

    async def decline(self, reason: str = "") -> None:
        """Turn the call away, with a sentence for the caller."""
        self._session.decline(reason)
        await self._session.released()

    async def closed(self) -> CallEnd:
        """Wait until the call is over, because the caller gave up or otherwise."""
        return await self._session.closed()
