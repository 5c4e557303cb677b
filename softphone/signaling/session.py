"""One call, from the invitation to its end; the same code for both roles."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from softphone.errors import RemoteProtocolError
from softphone.signaling.channel import MessageChannel
from softphone.signaling.errors import (
    CallEndedError,
    CallStateError,
    ChannelClosedError,
    UnexpectedMessageError,
    VerificationError,
    error_code,
)
from softphone.signaling.messages import (
    Answer,
    Busy,
    Bye,
    Decline,
    Error,
    Message,
    Reanswer,
    Reoffer,
    Restart,
    RingingNotice,
    SasCommit,
    SasReveal,
    encode,
)
from softphone.signaling.resumption import ResumableChannel
from softphone.signaling.sas import SasExchange
from softphone.signaling.states import (
    CallEnd,
    CallMachine,
    EndReason,
    Event,
    ForbiddenTransitionError,
    Role,
    Side,
    State,
)
from softphone.signaling.statistics import SignalingStatistics
from softphone.signaling.text import MAX_SENTENCE, clean_text
from softphone.signaling.wire import Capabilities

__all__ = ["CallSession", "RemoteParty"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteParty:
    """Who is at the far end, as far as it says."""

    address: str
    """IP address of its signalling connection; its media may come from elsewhere."""
    name: str = ""
    """Display name, proven by nothing; safe to print; may be empty."""
    capabilities: Capabilities = field(default_factory=dict)


class CallSession:
    """A call. Made by `softphone.signaling.Listener` and `softphone.signaling.dial`, not by users.

    `run` owns the connection: it reads until the call ends, says farewell and closes.
    Everything else only moves the state and sends.
    """

    def __init__(
        self,
        role: Role,
        channel: ResumableChannel,
        remote: RemoteParty,
        statistics: SignalingStatistics,
        *,
        observer: Callable[[RingingNotice | Answer | CallEnd], None] | None = None,
    ) -> None:
        """`observer` hears of ringing, of the answer and of the end, after the state has moved.

        The connection is open already; the invitation is still to come.
        """
        self.role = role
        self.remote = remote
        self.on_path: Callable[[Restart | Reoffer | Reanswer], None] | None = None
        """Called with what the peer says about another path for the media."""
        self.on_connection: Callable[[str | None], None] | None = None
        """Called with the reason when the connection is lost and another one is looked for, and with None
        once that stands: what was said about paths in between is lost."""
        self._channel = channel
        channel.on_change = self._on_change
        self._statistics = statistics
        self._observer = observer
        self._machine = CallMachine()
        self._machine.advance(Event.CONNECT, Role.CALLER)
        loop = asyncio.get_running_loop()
        self._end: asyncio.Future[CallEnd] = loop.create_future()
        self._farewell: Message | None = None
        self._released = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._committed = False
        self._verification: asyncio.Task[str] | None = None
        self._their_commitment: asyncio.Future[bytes] = loop.create_future()
        self._their_nonce: asyncio.Future[bytes] = loop.create_future()

    @property
    def state(self) -> State:
        """Where the call stands."""
        return self._machine.state

    @property
    def end(self) -> CallEnd | None:
        """How the call ended; None while it lives."""
        return self._end.result() if self._end.done() else None

    async def closed(self) -> CallEnd:
        """Wait until the call is over and return how it ended.

        The reason is ``remote-gone`` when the signalling connection is lost for good; media may
        go on flowing, and whether to go on talking is for the owner to decide.
        """
        return await asyncio.shield(self._end)

    async def released(self) -> None:
        """Wait until the call is over and its connection is closed."""
        await self._released.wait()

    async def hang_up(self, detail: str = "") -> CallEnd:
        """End the call, tell the peer, and return once the connection is closed. Idempotent."""
        self.say_bye(detail)
        await self.released()
        return self._end.result()

    async def verify(self, local_fingerprint: str, remote_fingerprint: str, *, within: float = 20.0) -> str:
        """Exchange nonces with the peer and return the short authentication string, "4821 0937".

        To be called once, on both ends, after the DTLS handshake, with the SHA-256
        fingerprints of the certificates that the handshake used (not those of the SDP).

        Raises `VerificationError` when the peer breaks its commitment (the call is then
        ended: somebody may sit in between) or does not take part `within` so
        many seconds (the call goes on, unverified), `CallEndedError` when the call ends
        first, `CallStateError` when it is not connected yet and
        `softphone.errors.ConfigError` for a malformed fingerprint.
        """
        if self._end.done():
            raise CallEndedError(self._end.result())
        if self.state is not State.CONNECTED:
            raise CallStateError("verify a call once it is connected")
        if self._verification is not None:
            raise CallStateError("verify a call only once")
        exchange = SasExchange(self.role, local_fingerprint, remote_fingerprint)
        self._verification = asyncio.create_task(self._verify(exchange))
        try:
            async with asyncio.timeout(within):
                return await self._verification
        except TimeoutError as error:
            raise VerificationError("the peer did not take part in the verification") from error
        except VerificationError as error:
            self.fail(error)
            raise

    async def tell_path(self, message: Restart | Reoffer | Reanswer) -> None:
        """Speak about another path for the media, with a peer that announces the capability ``ice_restart``.

        Raises `CallEndedError` when the call is over, `CallStateError` when it is not
        connected yet or the message is for the other end to send.
        """
        await self.send(Event(message.TYPE), message)

    async def check_connection(self) -> None:
        """See that a dead connection is noticed now, and replaced."""
        await self._channel.check()

    async def _verify(self, exchange: SasExchange) -> str:
        self._committed = True
        await self.send(Event.SAS_COMMIT, SasCommit(commitment=exchange.commitment))
        exchange.receive_commitment(await self._unless_ended(self._their_commitment))
        await self.send(Event.SAS_REVEAL, SasReveal(nonce=exchange.reveal()))
        return exchange.receive_reveal(await self._unless_ended(self._their_nonce))

    async def _unless_ended(self, future: asyncio.Future[bytes]) -> bytes:
        waiters: set[asyncio.Future[Any]] = {future, self._end}
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        raise CallEndedError(self._end.result())

    # What follows is for the listener and the dialler.

    def advance(self, event: Event) -> None:
        """Move on by an event of our own.

        Raises `CallEndedError` when the call is over and `CallStateError` when the
        event has no place now.
        """
        if self._end.done():
            raise CallEndedError(self._end.result())
        try:
            self._machine.advance(event, self.role)
        except ForbiddenTransitionError as error:
            raise CallStateError(str(error)) from error
        self._moved(event)

    def let_resume(self, token: bytes) -> None:
        """From now on the call outlives its connection; `token` is what the caller has for that."""
        self._channel.token = token

    def resumes(self, token: bytes) -> bool:
        """True when somebody who has `token` may go on with this call."""
        return not self._end.done() and self._channel.admits(token)

    async def resume(self, channel: MessageChannel) -> None:
        """Go on over `channel`. Raises `CallEndedError`, with `channel` closed, when the call is over."""
        try:
            await self._channel.attach(channel)
        except ChannelClosedError as error:
            raise CallEndedError(self._end.result()) from error

    def receive_invite(self) -> None:
        """Move on because the caller's invitation has arrived."""
        self._machine.advance(Event.INVITE, Role.CALLER)

    async def send(self, event: Event, message: Message, *, moved: Callable[[], None] | None = None) -> None:
        """Move on by an event of our own and tell the peer.

        Raises as `advance` does, `softphone.errors.ConfigError` (the state unchanged) for
        a message that breaks the protocol, and `CallEndedError` when the peer is gone.
        `moved` is called once the state has moved, before anything is awaited.
        """
        text = encode(message)
        self.advance(event)
        if moved is not None:
            moved()
        try:
            # A repeated nonce or commitment tells nobody anything new.
            await self._channel.send_text(text, repeat=isinstance(message, SasCommit | SasReveal))
        except ChannelClosedError as error:
            self._lose(error)
            raise CallEndedError(self._end.result()) from error

    def arm(self, seconds: float | None) -> None:
        """End the call by timeout `seconds` from now, in place of any earlier deadline; None disarms."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None and not self._end.done():
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def finish(self, event: Event, end: CallEnd, farewell: Message | None = None) -> None:
        """End the call by an event of our own; `run` then sends `farewell` and closes. Idempotent."""
        if not self._end.done():
            self._machine.advance(event, self.role)
            self._set_end(end, farewell)

    def say_bye(self, detail: str = "") -> None:
        """As `hang_up`, without waiting."""
        detail = clean_text(detail, MAX_SENTENCE)
        self.finish(Event.BYE, CallEnd(EndReason.HUNG_UP, Side.LOCAL, detail), Bye(message=detail))

    def decline(self, detail: str) -> None:
        """End a call that is not answered yet; `CallStateError` when it is."""
        detail = clean_text(detail, MAX_SENTENCE)
        self._refuse(Event.DECLINE, EndReason.DECLINED, detail, Decline(message=detail))

    def refuse_as_busy(self) -> None:
        """End a call that is not answered yet because another one is; `CallStateError` when it is."""
        self._refuse(Event.BUSY, EndReason.BUSY, "", Busy())

    def fail(self, error: RemoteProtocolError) -> None:
        """Count an offence of the peer and end the call."""
        if not self._end.done():
            self._statistics.count_error(error)
            detail = clean_text(str(error), MAX_SENTENCE)
            farewell = Error(code=error_code(error), message=detail)
            self.finish(Event.ERROR, CallEnd(EndReason.ERROR, Side.REMOTE, detail), farewell)

    async def run(self) -> CallEnd:
        """Serve the call to its end and close the channel."""
        reader = asyncio.create_task(self._read())
        try:
            waiters: set[asyncio.Future[Any]] = {reader, self._end}
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            if not self._end.done():
                _LOG.error("the reader of a call failed", exc_info=reader.exception())
                self.finish(Event.ERROR, CallEnd(EndReason.ERROR, Side.LOCAL, "internal error"))
        finally:
            self.say_bye()  # no effect but when the task that runs the call is cancelled
            try:
                await self._close(reader)
            finally:
                self._released.set()
        return self._end.result()

    async def _close(self, reader: "asyncio.Task[None]") -> None:
        try:
            if self._farewell is not None:
                await self._channel.send(self._farewell)
        except ChannelClosedError:
            pass
        finally:
            await self._channel.close()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self) -> None:
        while not self._end.done():
            try:
                message = await self._channel.receive()
                if not self._end.done():
                    self._receive(message)
            except ChannelClosedError as error:
                self._lose(error)
            except RemoteProtocolError as error:
                self.fail(error)

    def _receive(self, message: Message) -> None:
        try:
            event = Event(message.TYPE)
            self._machine.advance(event, self.role.other)
        except (ValueError, ForbiddenTransitionError) as error:
            raise UnexpectedMessageError(f"{message.TYPE} is not expected now") from error
        self._moved(event)
        match message:
            case Answer():
                self.let_resume(message.resume)
                self.remote = RemoteParty(self.remote.address, message.name, message.capabilities)
                self._observe(message)
            case RingingNotice():
                self._observe(message)
            case SasCommit():
                self._once(self._their_commitment, message.commitment)
            case SasReveal():
                if not (self._committed and self._their_commitment.done()):
                    raise UnexpectedMessageError("a nonce before both commitments")
                self._once(self._their_nonce, message.nonce)
            case Restart() | Reoffer() | Reanswer():
                if self.on_path is not None:
                    self.on_path(message)
            case Decline():
                self._set_end(CallEnd(EndReason.DECLINED, Side.REMOTE, message.message))
            case Busy():
                self._set_end(CallEnd(EndReason.BUSY, Side.REMOTE))
            case Bye():
                self._set_end(CallEnd(message.reason, Side.REMOTE, message.message))
            case Error():
                self._set_end(CallEnd(EndReason.ERROR, Side.REMOTE, message.message or message.code))

    def _once(self, future: asyncio.Future[bytes], value: bytes) -> None:
        if not future.done():
            future.set_result(value)
        # A peer that has come back repeats what may have been lost.
        elif not self._channel.token or future.result() != value:
            raise UnexpectedMessageError("a second commitment or nonce")

    def _on_change(self, loss: str | None) -> None:
        if self._end.done():
            return
        if loss is None:
            self._statistics.resumed += 1
        if self.on_connection is not None:
            self.on_connection(loss)

    def _moved(self, event: Event) -> None:
        if event is Event.ANSWER:
            self.arm(None)
            self._statistics.answered += 1

    def _observe(self, news: RingingNotice | Answer | CallEnd) -> None:
        if self._observer is not None:
            self._observer(news)

    def _refuse(self, event: Event, reason: EndReason, detail: str, farewell: Message) -> None:
        self.advance(event)
        self._set_end(CallEnd(reason, Side.LOCAL, detail), farewell)

    def _expire(self) -> None:
        end = CallEnd(EndReason.TIMEOUT, Side.LOCAL, "nobody answered in time")
        self.finish(Event.TIMEOUT, end, Bye(reason=EndReason.TIMEOUT, message="nobody answered in time"))

    def _lose(self, error: ChannelClosedError) -> None:
        self.finish(Event.GONE, CallEnd(EndReason.REMOTE_GONE, Side.REMOTE, str(error)))

    def _set_end(self, end: CallEnd, farewell: Message | None = None) -> None:
        self.arm(None)
        self._farewell = farewell
        self._end.set_result(end)
        self._statistics.count_end(end.reason)
        self._observe(end)
