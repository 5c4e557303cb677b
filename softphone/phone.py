"""A user's phone: one microphone, one loudspeaker, calls out and calls in.

Calling::

    phone = Phone(PhoneConfig(name="Alice"))
    call = await phone.call("192.0.2.7#k7d2-m9xq-4tzn")
    async for event in call:
        print(event)

Being called::

    async with phone.listen(ListenConfig(host="0.0.0.0")) as line:
        print("softphone call", line.listener.invitation("192.0.2.7").argument)
        async for ring in line:
            call = await ring.answer()

Publishing into a room, or listening to one, by WHIP and WHEP::

    call = await phone.stream("whip+https://meet.example.org/whip/standup#TOKEN")
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from softphone.audio.devices import Direction, find_device
from softphone.audio.registry import open_sink, open_source
from softphone.audio.stream import AudioSink, AudioSource
from softphone.call import Call, CallConfig
from softphone.call_signaling import CallSignaling
from softphone.errors import ConfigError, MediaFileError, RemoteProtocolError
from softphone.media import MediaConfig
from softphone.playout import MAX_DELAY, PlayoutConfig, default_policy, playout_policies
from softphone.recording import RecordedCall, Recorder, recorders, recording_directory
from softphone.sending import MODES, SendingConfig
from softphone.signaling import (
    CallEndedError,
    CallStateError,
    CallTarget,
    IncomingCall,
    ListenConfig,
    Listener,
    Ringing,
    dial,
)
from softphone.webrtc import Capabilities, IceConfig, IceServer, LocalAudio, Peer, PeerConfig

if TYPE_CHECKING:
    from softphone.rooms.trust import ServerTrust
    from softphone.rooms.whip import WhipTarget

__all__ = ["Phone", "PhoneConfig", "PhoneLine", "Ring"]

_SAID = "said"
"""The recorder's name for the track of this phone's user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneConfig:
    """Settings of a phone.

    Raises :class:`softphone.errors.ConfigError` when a value is out of range or a name unknown.
    """

    name: str = ""
    """What others see when they are called, or once they are answered."""
    source: str = "soundcard"
    """Microphone, as :mod:`softphone.audio.registry` reads it."""
    sink: str = "soundcard"
    """Loudspeaker, in the same form."""
    bitrate: int = 48_000
    """Of all payload bytes sent, redundancy included, bit/s."""
    redundancy: str = "auto"
    """How speech is protected against loss: a name in :data:`softphone.sending.MODES`."""
    policy: str = field(default_factory=default_policy)
    """Name of the playout policy."""
    max_delay: float = MAX_DELAY
    """Largest mouth-to-ear delay that the policy may choose, seconds."""
    addresses: tuple[str, ...] | None = None
    """Local addresses for media; None: all but loopback, or loopback when there is nothing else."""
    ports: tuple[int, int] | None = None
    """First and last UDP port for media; None: any."""
    servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers; none by default."""
    relay_only: bool = False
    """Hide this phone's addresses from the other side, behind the TURN server."""
    record: Path | None = None
    """Each call is recorded into a folder of its own below this one."""
    recorder: str = "files"
    """What records: a name in :data:`softphone.recording.recorders`."""
    connect_timeout: float = 20.0
    """From the answer until audio can flow, seconds."""
    media_timeout: float = 10.0
    """Silence, in seconds, after which a call whose signalling connection is lost is over."""
    ice: IceConfig = field(init=False)
    """The settings of the network in one."""
    call: CallConfig = field(init=False)
    """The settings of a call in one."""

    def __post_init__(self) -> None:
        if self.redundancy not in MODES:
            raise ConfigError(
                f"there is no redundancy mode {self.redundancy!r}; choose one of: {', '.join(MODES)}"
            )
        if not 0.03 <= self.max_delay <= 10.0:
            raise ConfigError(f"the largest delay must be 30 to 10000 ms, not {self.max_delay * 1000:g}")
        playout_policies.load(self.policy)
        recorders.load(self.recorder)
        media = MediaConfig(
            SendingConfig(bitrate=self.bitrate, mode=self.redundancy),
            PlayoutConfig(policy=self.policy, max_delay=self.max_delay),
        )
        object.__setattr__(self, "ice", IceConfig(self.addresses, self.ports, self.servers, self.relay_only))
        object.__setattr__(self, "call", CallConfig(media, self.connect_timeout, self.media_timeout))


class Phone:
    """Makes and takes calls, one at a time. Use it on a running event loop."""

    def __init__(
        self, config: PhoneConfig | None = None, *, on_peer: Callable[[Peer], None] | None = None
    ) -> None:
        """`on_peer` is called with each new connection before it is used, for instance to put an
        emulated network under it (:attr:`softphone.webrtc.Peer.outgoing_hook`)."""
        self.config = config or PhoneConfig()
        self._on_peer = on_peer
        self._calls: set[Call] = set()
        self._lines: set[PhoneLine] = set()

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that go on."""
        return tuple(self._calls)

    async def check(self) -> None:
        """See whether a call could be had: microphone, loudspeaker, folder for recordings.

        Raises :class:`softphone.errors.LocalError` of the kind that fits.
        """
        config = self.config
        if config.record is not None:
            await asyncio.to_thread(_require_folder, config.record)
        async with AsyncExitStack() as stack:
            await self._open_audio(stack, config.source, config.sink)

    async def call(self, target: CallTarget | str, *, on_ringing: Callable[[], None] | None = None) -> Call:
        """Call somebody and return the call once it is answered; cancel it to give up.

        Raises :class:`softphone.signaling.CallEndedError` when the other side declines, is
        busy or doesn't answer, :class:`softphone.errors.RemoteError` of other kinds when it
        can't be reached or breaks the protocol, and :class:`softphone.errors.LocalError` when
        something is wrong here.
        """
        target = CallTarget.parse(target) if isinstance(target, str) else target
        if self._calls:
            raise CallStateError("this phone is in a call; hang up first")
        async with AsyncExitStack() as stack:
            source, sink = await self._open_audio(stack, self.config.source, self.config.sink)
            peer = self._new_peer(stack)
            outgoing = await dial(
                target,
                name=self.config.name,
                capabilities=peer.capabilities.to_json(),
                offer_sdp=await peer.create_offer(),
            )
            stack.push_async_callback(outgoing.hang_up)
            async for event in outgoing:
                if isinstance(event, Ringing) and on_ringing is not None:
                    on_ringing()
            accepted = await outgoing.answered()
            abilities = Capabilities.from_json(dict(accepted.capabilities))
            await peer.accept_answer(accepted.answer_sdp, abilities)
            call = await self._begin(accepted.session, peer, source, sink)
            stack.pop_all()
            return call

    async def stream(self, target: "WhipTarget | str", *, trust: "ServerTrust | None" = None) -> Call:
        """Publish by WHIP (RFC 9725), or listen by WHEP, and return that as a call: one way, without digits.

        `trust`: whether the server's certificate is believed. Raises as `call` does.
        """
        # Here, because it takes long to load and most calls are direct.
        from softphone.rooms.whip import WhipClient, WhipTarget
        from softphone.rooms.whip.signaling import WhipSignaling

        target = WhipTarget.parse(target) if isinstance(target, str) else target
        if self._calls:
            raise CallStateError("this phone is in a call; hang up first")
        async with AsyncExitStack() as stack:
            source = self.config.source if target.publishes else "null"
            sink = "null" if target.publishes else self.config.sink
            equipment = await self._open_audio(stack, source, sink)
            peer = self._new_peer(stack, target.audio)
            client = WhipClient(target, trust=trust)
            stack.push_async_callback(client.close)
            await client.open(peer)
            call = await self._begin(WhipSignaling(client), peer, *equipment)
            stack.pop_all()
            return call

    def listen(self, config: ListenConfig | None = None) -> "PhoneLine":
        """A line on which others can ring; use it as an asynchronous context manager.

        Raises :class:`softphone.errors.ConfigError` for settings that contradict each other.
        """
        config = config or ListenConfig()
        return PhoneLine(self, Listener(replace(config, name=config.name or self.config.name)))

    async def close(self) -> None:
        """Hang up everything and stop listening. Idempotent."""
        await asyncio.gather(*(call.hang_up() for call in self._calls))
        await asyncio.gather(*(line.close() for line in list(self._lines)))

    # -- for lines and rings

    def _attach(self, line: "PhoneLine") -> None:
        self._lines.add(line)
        self._update_lines()

    def _detach(self, line: "PhoneLine") -> None:
        self._lines.discard(line)

    async def _answer(self, incoming: IncomingCall) -> Call:
        async with AsyncExitStack() as stack:
            source, sink = await self._open_audio(stack, self.config.source, self.config.sink)
            peer = self._new_peer(stack)
            abilities = Capabilities.from_json(dict(incoming.capabilities))
            answer = await peer.accept_offer(incoming.offer_sdp, abilities)
            session = await incoming.accept(answer, peer.capabilities.to_json())
            stack.push_async_callback(session.hang_up)
            call = await self._begin(session, peer, source, sink)
            stack.pop_all()
            return call

    # -- own

    async def _open_audio(
        self, stack: AsyncExitStack, microphone: str, loudspeaker: str
    ) -> tuple[AudioSource, AudioSink]:
        """Open both; `stack` closes them, unless it is told otherwise."""
        await _require_card(microphone, "input")
        await _require_card(loudspeaker, "output")
        source = await asyncio.to_thread(open_source, microphone)
        stack.push_async_callback(asyncio.to_thread, source.stop)
        sink = await asyncio.to_thread(open_sink, loudspeaker)
        stack.push_async_callback(asyncio.to_thread, sink.stop)
        return source, sink

    def _new_peer(self, stack: AsyncExitStack, audio: LocalAudio | None = None) -> Peer:
        peer = Peer(PeerConfig(ice=self.config.ice, audio=audio or LocalAudio()))
        stack.push_async_callback(peer.close)
        if self._on_peer is not None:
            self._on_peer(peer)
        return peer

    async def _begin(self, session: CallSignaling, peer: Peer, source: AudioSource, sink: AudioSink) -> Call:
        recorder = await self._recorder(session, peer)
        try:
            call = Call(session, peer, source, sink, self.config.call, recorder=recorder)
        except BaseException:
            await asyncio.to_thread(recorder.close)
            raise
        call.start()
        self._calls.add(call)
        self._update_lines()
        call.on_ended(self._forget)
        return call

    async def _recorder(self, session: CallSignaling, peer: Peer) -> Recorder:
        if self.config.record is None:
            return Recorder()
        assert peer.negotiated is not None
        name = session.remote.name
        recorded = RecordedCall(
            began=time.monotonic(),
            local_name=self.config.name or "me",
            # The peer chose its name; the recorder wants one, and not its own.
            participants=(name if name not in ("", _SAID) else "arrived",),
            payload_types=peer.negotiated.receive_payload_types,
            negotiated=asdict(peer.negotiated),
        )
        recorder = recorders.load(self.config.recorder)
        return await asyncio.to_thread(recorder, recording_directory(self.config.record), recorded)

    def _forget(self, call: Call) -> None:
        self._calls.discard(call)
        self._update_lines()

    def _update_lines(self) -> None:
        for line in self._lines:
            # A call whose signalling is lost goes on without the listener knowing of it.
            line.listener.busy = bool(self._calls)


class PhoneLine:
    """Waits for calls: ``async for ring in line``, inside ``async with``."""

    def __init__(self, phone: Phone, listener: Listener) -> None:
        self.listener = listener
        """The server that callers connect to: its addresses, secret and counters."""
        self._phone = phone

    async def __aenter__(self) -> "PhoneLine":
        """Raises :class:`softphone.errors.ConfigError` when the address or port can't be had."""
        await self.listener.start()
        self._phone._attach(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> "PhoneLine":
        return self

    async def __anext__(self) -> "Ring":
        while True:
            incoming = await anext(self.listener)
            with contextlib.suppress(CallEndedError):  # the caller gave up already
                await incoming.ring()
                return Ring(self._phone, incoming)

    async def close(self) -> None:
        """Stop listening; who waits hears that the phone was switched off. Idempotent."""
        self._phone._detach(self)
        await self.listener.close()


class Ring:
    """Somebody calls and hears that it rings here."""

    def __init__(self, phone: Phone, incoming: IncomingCall) -> None:
        self._phone = phone
        self._incoming = incoming

    @property
    def name(self) -> str:
        """The caller's display name: safe to print, proven by nothing, perhaps empty."""
        return self._incoming.name

    @property
    def address(self) -> str:
        """IP address that the caller signals from."""
        return self._incoming.remote_address

    async def answer(self) -> Call:
        """Take the call.

        Raises :class:`softphone.signaling.CallEndedError` when the caller has given up,
        :class:`softphone.errors.RemoteProtocolError` when its offer is of no use, and
        :class:`softphone.errors.LocalError` when something is wrong here; the caller is
        told in the last two cases.
        """
        self._incoming.pick_up()
        try:
            return await self._phone._answer(self._incoming)
        except BaseException as error:
            fault = (
                "the offer can't be used" if isinstance(error, RemoteProtocolError) else "not able to answer"
            )
            with contextlib.suppress(CallEndedError, CallStateError):
                await self._incoming.decline(fault)
            raise

    async def decline(self, reason: str = "") -> None:
        """Turn the caller away, with a sentence; nothing happens when it has given up."""
        with contextlib.suppress(CallEndedError):
            await self._incoming.decline(reason)

    async def gone(self) -> None:
        """Wait until the caller has given up, or nobody has answered for too long."""
        await self._incoming.closed()


async def _require_card(spec: str, direction: Direction) -> None:
    """A card is opened when audio starts; that it exists is made sure of before anybody is rung up."""
    backend, _, device = spec.partition(":")
    if backend == "soundcard":
        await asyncio.to_thread(find_device, device or None, direction)


def _require_folder(path: Path) -> None:
    """Make a folder, and see that files can be made in it; `MediaFileError` if not."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaFileError(
            f"can't record into {path}: {error.strerror or error}; choose another folder"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise MediaFileError(f"can't record into {path}: no permission to write; choose another folder")
