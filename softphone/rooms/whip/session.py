"""One publisher or listener: its connection with us, and its guest in the room."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace

from softphone.conference import ConferenceConfig
from softphone.conference.loudspeaker import Loudspeaker
from softphone.conference.microphone import Microphone
from softphone.errors import PeerUnreachableError
from softphone.recording import Recorder
from softphone.rooms.hub import RoomHub
from softphone.rtp.packet import RtpPacket
from softphone.webrtc import ConnectionState, IceConfig, LocalAudio, Peer, PeerConfig

from .descriptions import TrickleFragment
from .errors import RequestRefusedError
from .guest import Guest
from .relay import Deafness, MixSource, PublishedVoice, TappedSink

__all__ = ["WhipSession"]

logger = logging.getLogger(__name__)

_CONNECT_TIMEOUT = 15.0
_SILENCE = 30.0
"""Seconds without a packet after which a publisher is gone."""


class WhipSession:
    """A resource under ``/whip/ROOM/`` or ``/whep/ROOM/``. Use it on a running event loop."""

    def __init__(self, hub: RoomHub, config: ConferenceConfig, ufrag: str, *, publishes: bool) -> None:
        """`ufrag`: of the offer."""
        self.id = secrets.token_urlsafe(16)
        """Names the session in its URL; who knows it can end it."""
        self.etag = f'"{secrets.token_hex(8)}"'
        """Of the ICE session."""
        self.publishes = publishes
        self.on_over: Callable[[WhipSession], None] | None = None
        """Called when the session has ended by itself."""
        self._config = config
        self._ufrag = ufrag
        # Silence is sent as anything else: who listens may be a recorder.
        self._sending = replace(config.sending, dtx=False)
        ice = IceConfig(config.addresses, config.ports, config.servers)
        direction = "recvonly" if publishes else "sendonly"
        audio = LocalAudio(direction=direction, red=not publishes, telephone_event=False)
        self._peer = Peer(PeerConfig(ice=ice, audio=audio))
        self._microphone, self._loudspeaker = self._make_equipment()
        self._guest = Guest(hub, config, self._microphone, self._loudspeaker)
        self._last_packet = 0.0
        self._watch: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self, offer: str, room: str, token: str, address: str, name: str) -> str:
        """Enter the room and return the answer to `offer`.

        Raises :class:`softphone.errors.RemoteProtocolError`; nothing is left behind then.
        """
        try:
            await self._guest.enter(room, token, address, name=name, listens_only=not self.publishes)
            answer = await self._peer.accept_offer(offer)
            await self._connect_audio()
        except BaseException:
            await self.close()
            raise
        self._guest.on_over = self._finish
        self._watch = asyncio.create_task(self._supervise())
        return answer

    async def trickle(self, fragment: TrickleFragment) -> None:
        """Take candidates. Raises :class:`.errors.RequestRefusedError` when ICE is to be restarted."""
        if fragment.ufrag not in ("", self._ufrag):
            raise RequestRefusedError(422, "ICE can't be restarted here; begin a new session")
        for candidate in fragment.candidates:
            await self._peer.add_remote_candidate(candidate)
        if fragment.complete:
            await self._peer.add_remote_candidate(None)

    async def close(self) -> None:
        """End the session within seconds. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        await self._microphone.stop()
        await self._loudspeaker.stop()
        await asyncio.gather(self._guest.close(), self._peer.close(), return_exceptions=True)

    def _make_equipment(self) -> tuple[Microphone, Loudspeaker]:
        if self.publishes:
            return PublishedVoice(self._sending), Deafness()
        mix = MixSource()
        # What the guest would say into the room: nothing, and it is muted there.
        silent = PublishedVoice(self._config.sending)
        self._mix = Microphone(mix, self._sending, Recorder())
        return silent, Loudspeaker(TappedSink(mix), Recorder())

    async def _connect_audio(self) -> None:
        agreed = self._peer.negotiated
        assert agreed is not None
        self._last_packet = asyncio.get_running_loop().time()
        if isinstance(self._microphone, PublishedVoice) and self.publishes:
            voice = self._microphone

            def forward(packet: RtpPacket, arrival: float) -> None:
                self._last_packet = arrival
                if not self._guest.muted:
                    voice.forward(packet, agreed)

            self._peer.receiver.on_packet = forward
        else:
            self._mix.add("listener", self._peer.sender, agreed, lambda report: None)
            await self._mix.start()
        await self._microphone.start()
        await self._loudspeaker.start()

    async def _supervise(self) -> None:
        """End the session when the connection does, or a publisher has stopped sending."""
        try:
            await self._peer.wait_connected(_CONNECT_TIMEOUT)
        except PeerUnreachableError as error:
            logger.info("a WHIP session ends: %s", error)
            self._finish()
            return
        loop = asyncio.get_running_loop()
        self._last_packet = loop.time()
        while self._peer.state not in (ConnectionState.FAILED, ConnectionState.CLOSED):
            await asyncio.sleep(1.0)
            if self.publishes and loop.time() - self._last_packet > _SILENCE:
                break
        self._finish()

    def _finish(self) -> None:
        if not self._closed and self.on_over is not None:
            self.on_over(self)
