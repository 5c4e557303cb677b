"""One call's life: signalling, connection, media, recording and verification together.

A call ends when either side hangs up, when the connection fails or closes, when sound
can't be started here, and when nothing has been heard for a while from a peer whose
signalling connection is lost too. That connection alone may break, and be replaced by another
one: as long as anything arrives the two people can go on talking.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from softphone.audio.stream import AudioSink, AudioSource
from softphone.call_events import (
    TRANSITIONS,
    CallEvent,
    CallOver,
    CallState,
    Connected,
    DigitReceived,
    Reconnected,
    Reconnecting,
    SignalingLost,
    SignalingRestored,
    Unverified,
    Verified,
)
from softphone.call_meter import CallMeter
from softphone.call_repair import CallRepair
from softphone.call_signaling import CallSignaling
from softphone.call_statistics import CallStatistics
from softphone.errors import ConfigError, LocalError, PeerUnreachableError, SoftphoneError
from softphone.media import MediaConfig, MediaSession
from softphone.recording import Recorder
from softphone.rtp.telephone_event import ReceivedDigit
from softphone.signaling import (
    CallEnd,
    CallEndedError,
    CallStateError,
    EndReason,
    Role,
    Side,
    VerificationError,
)
from softphone.webrtc import ConnectionState, Peer

__all__ = ["Call", "CallConfig"]

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

_WATCH_INTERVAL: Final = 0.5
_FAREWELL_GRACE: Final = 1.0
"""A peer that hangs up closes its connection too; its "bye" says why and may come a little later."""
_CLOSE_TIMEOUT: Final = 6.0
"""For each part that is closed; they are closed side by side."""
_MAX_EVENTS: Final = 256


@dataclass(frozen=True, slots=True)
class CallConfig:
    """Settings of a call. Times in seconds."""

    media: MediaConfig = field(default_factory=MediaConfig)
    """What to send and how to play."""
    connect_timeout: float = 20.0
    """From the answer until audio can flow."""
    media_timeout: float = 10.0
    """Of silence from a peer whose signalling connection is lost; then the call is over."""
    verify_timeout: float = 20.0
    """How long the peer may take to answer the verification."""


class Call:
    """An answered call. Made by :class:`softphone.phone.Phone`.

    ``async for event in call`` tells what happens and ends after `CallOver`; a program that
    isn't interested may leave it alone.
    """

    def __init__(
        self,
        session: CallSignaling,
        peer: Peer,
        source: AudioSource,
        sink: AudioSink,
        config: CallConfig | None = None,
        *,
        recorder: Recorder | None = None,
    ) -> None:
        """`session` is answered, `peer` has negotiated; the call owns everything it is given.

        Raises :class:`softphone.errors.ConfigError` for an unknown policy or redundancy mode.
        """
        self.config = config or CallConfig()
        self.peer = peer
        """The connection, for its counters and statistics."""
        self.verification: str | None = None
        """The digits to compare, once known."""
        self._session = session
        self._source = source
        self._sink = sink
        self._repair = CallRepair(session, peer)
        self._meter = CallMeter(peer)
        self._media = MediaSession(
            peer, source, sink, self.config.media, recorder=recorder, on_trace=self._meter.on_trace
        )
        self._state = CallState.CONNECTING
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._verdict: asyncio.Future[CallEnd] = loop.create_future()
        self._ended: asyncio.Future[CallEnd] = loop.create_future()
        self._events: asyncio.Queue[CallEvent] = asyncio.Queue()
        self._over = False
        self._signaling_lost = False
        self._reconnecting = False
        self._tasks: list[asyncio.Task[None]] = []
        self._run_task: asyncio.Task[None] | None = None

    # -- what to know

    @property
    def state(self) -> CallState:
        """Where the call stands."""
        return self._state

    @property
    def role(self) -> Role:
        """Whether we called or were called."""
        return self._session.role

    @property
    def remote_name(self) -> str:
        """The peer's display name: safe to print, proven by nothing, perhaps empty."""
        return self._session.remote.name

    @property
    def remote_address(self) -> str:
        """IP address of the peer's signalling connection."""
        return self._session.remote.address

    @property
    def end(self) -> CallEnd | None:
        """How the call ended; None while it lives."""
        return self._ended.result() if self._ended.done() else None

    @property
    def media(self) -> MediaSession:
        """The audio of the call."""
        return self._media

    @property
    def muted(self) -> bool:
        """Whether the peer hears silence in place of the microphone."""
        return self._media.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._media.muted = muted

    def statistics(self) -> CallStatistics:
        """A snapshot; cheap enough for several a second."""
        return self._meter.statistics(
            self._media,
            signaling_lost=self._signaling_lost,
            warnings=tuple(str(part.failure) for part in (self._source, self._sink) if part.failure),
        )

    def webrtc_statistics(self) -> dict[str, dict[str, Any]]:
        """W3C webrtc-stats by identifier, playout included."""
        return self._media.statistics()

    # -- what to do

    def start(self) -> None:
        """Connect, and let the call live by itself from now on. Once per object."""
        if self._run_task is not None:
            raise CallStateError("a call is started once")
        self._run_task = asyncio.create_task(self._run())

    def send_digits(self, digits: str) -> None:
        """Press keys (``0-9*#A-D``; a comma waits two seconds).

        Raises :class:`softphone.errors.ConfigError` for other characters and when the peer
        takes no digits, :class:`softphone.signaling.CallStateError` while nobody talks.
        """
        if self._state is not CallState.TALKING:
            raise CallStateError("keys can be pressed while the call is connected")
        self.peer.sender.send_dtmf(digits)

    async def hang_up(self, detail: str = "") -> CallEnd:
        """End the call and return once everything is closed, within seconds. Idempotent."""
        self._decide(CallEnd(EndReason.HUNG_UP, Side.LOCAL, detail))
        return await self.closed()

    async def closed(self) -> CallEnd:
        """Wait until the call is over and return how it ended."""
        return await asyncio.shield(self._ended)

    def on_ended(self, callback: Callable[["Call"], None]) -> None:
        """Have `callback` called once everything is closed."""
        self._ended.add_done_callback(lambda _: callback(self))

    def __aiter__(self) -> "Call":
        return self

    async def __anext__(self) -> CallEvent:
        if self._over:
            raise StopAsyncIteration
        event = await self._events.get()
        self._over = isinstance(event, CallOver)
        return event

    # -- how it lives

    async def _run(self) -> None:
        end = CallEnd(EndReason.HUNG_UP, Side.LOCAL, "the program ended")
        try:
            end = await self._live()
        except LocalError as error:
            end = CallEnd(EndReason.ERROR, Side.LOCAL, str(error))
        except Exception:
            _LOG.exception("a call failed")
            end = CallEnd(EndReason.ERROR, Side.LOCAL, "internal error")
        finally:
            self._decide(end)
            self._enter(CallState.ENDING)
            await self._tear_down(end)
            self._meter.end()
            self._enter(CallState.ENDED)
            self._ended.set_result(end)
            self._events.put_nowait(CallOver(end))

    async def _live(self) -> CallEnd:
        self.peer.on_state = self._on_connection_state
        self.peer.receiver.on_digit = self._on_digit
        self._session.on_connection = self._on_signaling
        self._spawn(self._watch_session())
        try:
            await self._unless_over(self.peer.wait_connected(self.config.connect_timeout))
            # Not given up half-way: a sound card that is being opened can't be closed yet.
            await self._media.start()
        except _OverError:
            return self._verdict.result()
        except PeerUnreachableError as error:
            await asyncio.wait({self._verdict}, timeout=_FAREWELL_GRACE)
            detail = f"no way for audio through the network ({error})"
            self._decide(CallEnd(EndReason.REMOTE_GONE, Side.REMOTE, detail))
        if not self._verdict.done():
            self._meter.begin()
            self._enter(CallState.TALKING)
            self._emit(Connected())
            self._on_connection_state(self.peer.state)  # it may have gone while the audio was started
            self._spawn(self._watch_media())
            self._spawn(self._verify())
        return await self._verdict

    async def _unless_over(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`, or `_OverError` when the end of the call comes first."""
        task = asyncio.ensure_future(work)
        try:
            waiters: set[asyncio.Future[Any]] = {task, self._verdict}
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            if self._verdict.done():
                raise _OverError
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch_session(self) -> None:
        end = await self._session.closed()
        if end.reason is not EndReason.REMOTE_GONE or self._state is not CallState.TALKING:
            self._decide(end)
        elif not self.peer.state.over:
            self._on_signaling(end.detail)
        # Else the connection is gone as well, and `_on_connection_state` ends the call.

    async def _watch_media(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            self._meter.observe()
            if self._signaling_lost and self._meter.silent_for >= self.config.media_timeout:
                detail = f"nothing was heard for {self.config.media_timeout:g} s"
                self._decide(CallEnd(EndReason.REMOTE_GONE, Side.REMOTE, detail))

    async def _verify(self) -> None:
        remote = self.peer.remote_certificate_fingerprint
        try:
            if remote is None:
                raise VerificationError("the peer showed no certificate")
            self.verification = await self._session.verify(
                self.peer.local_fingerprint, remote, within=self.config.verify_timeout
            )
            self._emit(Verified(self.verification))
        except (VerificationError, CallEndedError, ConfigError) as error:
            self._emit(Unverified(str(error)))

    def _on_connection_state(self, state: ConnectionState) -> None:
        if self._state is not CallState.TALKING:
            return
        if state is ConnectionState.RECONNECTING:
            self._reconnecting = True
            self._emit(Reconnecting())
        elif state is ConnectionState.CONNECTED and self._reconnecting:
            self._reconnecting = False
            self._emit(Reconnected())
        elif state.over:
            end = CallEnd(EndReason.REMOTE_GONE, Side.REMOTE, "the connection to the other side is gone")
            self._loop.call_later(0.0 if self._signaling_lost else _FAREWELL_GRACE, self._decide, end)

    def _on_signaling(self, loss: str | None) -> None:
        """The signalling is lost, for now or for good; or it is back."""
        if self._state not in (CallState.CONNECTING, CallState.TALKING):
            return
        if loss is None:
            if self._signaling_lost:
                self._signaling_lost = False
                self._emit(SignalingRestored())
            self._repair.signaling_returned()
        elif self._state is CallState.CONNECTING:
            self._decide(CallEnd(EndReason.REMOTE_GONE, Side.REMOTE, loss))
        elif not self._signaling_lost:
            self._signaling_lost = True
            self._emit(SignalingLost(loss))

    def _on_digit(self, digit: ReceivedDigit) -> None:
        self._emit(DigitReceived(digit.digit))

    def _decide(self, end: CallEnd) -> None:
        """The call is to end, for this reason; the first one counts."""
        if not self._verdict.done():
            self._verdict.set_result(end)

    def _enter(self, state: CallState) -> None:
        assert state in TRANSITIONS[self._state], f"{self._state} -> {state}"
        self._state = state

    def _emit(self, event: CallEvent) -> None:
        # A peer that presses keys all day must not fill the memory of a program that doesn't listen.
        if self._events.qsize() < _MAX_EVENTS:
            self._events.put_nowait(event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _tear_down(self, end: CallEnd) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, self._repair.close(), return_exceptions=True)
        # What is wrong on this machine is nobody else's business.
        self._session.say_bye(end.detail if end.reason is EndReason.HUNG_UP else "")
        await asyncio.gather(
            _bounded(self._session.released, "the signalling connection"),
            _bounded(self._media.stop, "the audio"),
            _bounded(self.peer.close, "the media connection"),
        )


class _OverError(SoftphoneError):
    """The call ended while something was awaited."""


async def _bounded(close: Callable[[], Awaitable[object]], what: str) -> None:
    """Await what must not keep the call from ending."""
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await close()
    except TimeoutError:
        _LOG.warning("closing %s took longer than %g s", what, _CLOSE_TIMEOUT)
    except Exception:
        _LOG.exception("closing %s failed", what)
