"""aiortc's peer connection with our sender, receiver and ICE connection inside.

Negotiation of transports, ICE and DTLS stay aiortc's. Everything it would do with audio
itself is replaced through two adapters that speak its vocabulary.
"""

import logging
import secrets
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpTransceiver,
)
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters

from .guard import TransportGuard
from .ice import IceConfig, IceConnection
from .receiver import AudioReceiver
from .sender import AudioSender

__all__ = ["AudioConnection"]

logger = logging.getLogger(__name__)


class _SenderAdapter:
    """Our sender under the names of RTCRtpSender."""

    kind = "audio"

    def __init__(self, audio: AudioSender) -> None:
        self.audio = audio
        self.track: MediaStreamTrack | None = None
        self._enabled = True
        self._ssrc = audio.ssrc
        self._rtx_ssrc = audio.ssrc
        self._stream_id = secrets.token_hex(8)
        self._track_id = secrets.token_hex(8)

    @property
    def transport(self) -> RTCDtlsTransport:
        return self.audio.transport

    def setTransport(self, transport: RTCDtlsTransport) -> None:  # noqa: N802
        self.audio.transport = transport

    def replaceTrack(self, track: MediaStreamTrack | None) -> None:  # noqa: N802
        self.track = track

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        await self.audio.start()

    async def stop(self) -> None:
        await self.audio.stop()


class _ReceiverAdapter:
    """Our receiver under the names of RTCRtpReceiver."""

    kind = "audio"

    def __init__(self, audio: AudioReceiver) -> None:
        self.audio = audio
        self._enabled = True
        self._track: MediaStreamTrack | None = None

    @property
    def track(self) -> MediaStreamTrack | None:
        return self._track

    @property
    def transport(self) -> RTCDtlsTransport:
        return self.audio.transport

    def setTransport(self, transport: RTCDtlsTransport) -> None:  # noqa: N802
        self.audio.transport = transport

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        await self.audio.start(encoding.ssrc for encoding in parameters.encodings)

    async def stop(self) -> None:
        await self.audio.stop()

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        """The receiver knows its SSRC from the start."""


class AudioConnection(RTCPeerConnection):
    """A peer connection with one audio transceiver that is ours from end to end.

    Only `sender`, `receiver`, `ice` and `guard` are meant for use besides the methods of
    the base class.
    """

    sender: AudioSender
    """Our side's stream."""
    receiver: AudioReceiver
    """The peer's stream."""
    ice: IceConnection
    """Sockets and their counters."""
    guard: TransportGuard
    """Counters of what came through SRTP."""

    def __init__(self, ice: IceConfig) -> None:
        servers = [
            RTCIceServer(urls=server.url, username=server.username, credential=server.credential)
            for server in ice.servers
        ]
        # Without a list aiortc would ask a public STUN server.
        super().__init__(RTCConfiguration(iceServers=servers))
        self._ice_config = ice
        self.addTransceiver("audio", direction="sendrecv")

    @property
    def dtls(self) -> RTCDtlsTransport:
        """The DTLS transport that carries the audio."""
        return self.sender.transport

    def _RTCPeerConnection__createDtlsTransport(self) -> RTCDtlsTransport:  # noqa: N802
        dtls: RTCDtlsTransport = super()._RTCPeerConnection__createDtlsTransport()  # type: ignore[misc]
        transport: Any = dtls.transport
        self.ice = IceConnection.replacing(transport._connection, self._ice_config)
        transport.iceGatherer._connection = transport._connection = self.ice
        transport._recv, transport._send = self.ice.recv, self.ice.send
        self.guard = TransportGuard(dtls)
        return dtls

    def _RTCPeerConnection__createTransceiver(  # noqa: N802
        self, direction: str, kind: str, sender_track: MediaStreamTrack | None = None
    ) -> RTCRtpTransceiver:
        transceiver: Any = super()._RTCPeerConnection__createTransceiver(  # type: ignore[misc]
            direction=direction, kind=kind, sender_track=sender_track
        )
        dtls = transceiver.sender.transport
        ice = self.ice
        self.sender = AudioSender(dtls)
        self.receiver = AudioReceiver(
            dtls, ssrc=self.sender.ssrc, cname=self.sender.cname, arrival=lambda: ice.arrival
        )
        transceiver._RTCRtpTransceiver__sender = _SenderAdapter(self.sender)
        transceiver._RTCRtpTransceiver__receiver = _ReceiverAdapter(self.receiver)
        return transceiver  # type: ignore[no-any-return]

    async def _RTCPeerConnection__connect(self) -> None:  # noqa: N802
        """Establish the transports; a failure ends the connection instead of leaving it half-way."""
        try:
            await super()._RTCPeerConnection__connect()  # type: ignore[misc]
        except Exception as error:
            if self.connectionState != "closed":
                logger.warning("connecting to the peer failed: %r", error)
                await self.close()
