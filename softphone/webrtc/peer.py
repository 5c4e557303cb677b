"""One media connection to one peer: offer, answer, audio both ways, statistics.

Typical use on the calling side::

    peer = Peer(PeerConfig(ice=IceConfig(addresses=("127.0.0.1",))))
    peer.receiver.on_packet = lambda packet, arrival: engine.insert(packet, arrival)
    offer = await peer.create_offer()            # to the other side
    agreed = await peer.accept_answer(answer)    # its answer
    await peer.wait_connected()
    peer.sender.send(payload)                    # RtpPayload with agreed.opus_pt

and on the called side ``answer = await peer.accept_offer(offer)``.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from aiortc import RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp
from cryptography.hazmat.primitives.hashes import SHA256

from softphone.errors import LocalError, PeerUnreachableError, RemoteProtocolError

from .capabilities import Capabilities
from .connection import AudioConnection
from .ice import IceConfig, OutgoingHook
from .local_description import LocalTransport, StreamIdentity, write_answer, write_offer
from .negotiation import LocalAudio, NegotiatedAudio, negotiate
from .receiver import AudioReceiver
from .remote_description import RemoteDescription, clean_candidate, parse_remote_description
from .sdp import parse_session
from .sender import AudioSender
from .statistics import collect_statistics

__all__ = ["ConnectionState", "Peer", "PeerConfig"]

logger = logging.getLogger(__name__)

_MID = "0"
_CLOSE_TIMEOUT = 5.0
_MAX_TRICKLED = 64
_AIORTC_ERRORS = (
    AssertionError,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    KeyError,
    OperationError,
    TypeError,
    ValueError,
)
"""What aiortc raises for descriptions it can't use."""


class ConnectionState(StrEnum):
    """Life of a connection; it only ever moves down this list."""

    NEW = "new"
    """Nothing was agreed yet."""
    CONNECTING = "connecting"
    """ICE looks for a path, or DTLS shakes hands."""
    CONNECTED = "connected"
    """Audio can flow."""
    FAILED = "failed"
    """No path was found, it went dead, or the peer is not who it claims to be."""
    CLOSED = "closed"
    """Ended by either side."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """How to connect and what to ask for."""

    ice: IceConfig = field(default_factory=IceConfig)
    """Addresses, ports and servers."""
    audio: LocalAudio = field(default_factory=LocalAudio)
    """Wishes and promises for audio. DRED is left out when libopus lacks it."""


class Peer:
    """A connection to one peer. Make and use it on a running event loop."""

    def __init__(self, config: PeerConfig | None = None) -> None:
        self.config = config or PeerConfig()
        able = Capabilities.local()
        self._audio = replace(self.config.audio, dred_ms=min(able.dred_ms, self.config.audio.dred_ms))
        self.capabilities = replace(able, dred_ms=self._audio.dred_ms, red=self._audio.red)
        """What we can do; send ``capabilities.to_json()`` along with the SDP."""
        self.negotiated: NegotiatedAudio | None = None
        """The agreement; None before."""
        self.on_state: Callable[[ConnectionState], None] | None = None
        """Called with each new state."""
        self._remote: RemoteDescription | None = None
        self._state = ConnectionState.NEW
        self._settled = asyncio.Event()
        self._trickled = 0
        self._connection = AudioConnection(self.config.ice)
        self._connection.on("connectionstatechange", self._on_connection_state)
        self._identity = StreamIdentity(
            session=secrets.randbits(62),
            version=0,
            ssrc=self.sender.ssrc,
            cname=self.sender.cname,
            stream=secrets.token_hex(8),
            track=secrets.token_hex(8),
        )

    @property
    def sender(self) -> AudioSender:
        """Where our payloads go in; reports and digits too."""
        return self._connection.sender

    @property
    def receiver(self) -> AudioReceiver:
        """Where the peer's packets come out."""
        return self._connection.receiver

    @property
    def state(self) -> ConnectionState:
        """The present state."""
        return self._state

    @property
    def local_fingerprint(self) -> str:
        """SHA-256 fingerprint of our DTLS certificate, upper-case hexadecimal with colons."""
        return dict(self._fingerprints())["sha-256"]

    @property
    def remote_fingerprint(self) -> str | None:
        """The peer's SHA-256 fingerprint from its description, in the same form; None when it gave none."""
        return dict(self._remote.transport.fingerprints).get("sha-256") if self._remote is not None else None

    @property
    def remote_certificate_fingerprint(self) -> str | None:
        """SHA-256 fingerprint, in the same form, of the certificate that the peer used in DTLS.

        None before the handshake. This is what a verification of the peer must rest on: it
        doesn't pass through signalling.
        """
        connection = self._connection.dtls._ssl
        certificate = connection.get_peer_certificate(as_cryptography=True) if connection else None
        return certificate.fingerprint(SHA256()).hex(":").upper() if certificate else None

    @property
    def round_trip(self) -> float | None:
        """Shortest round trip that ICE measured, seconds; known before the first audio."""
        return self._connection.ice.round_trip

    @property
    def outgoing_hook(self) -> OutgoingHook | None:
        """Stage that every outgoing datagram passes, below SRTP (see :mod:`.impairment`)."""
        return self._connection.ice.outgoing

    @outgoing_hook.setter
    def outgoing_hook(self, hook: OutgoingHook | None) -> None:
        self._connection.ice.outgoing = hook

    async def create_offer(self) -> str:
        """Open the sockets, gather candidates and return our offer (SDP).

        Raises :class:`softphone.errors.ConfigError` when a chosen address or port range
        can't be used.
        """
        offer = await self._connection.createOffer()
        await self._connection.setLocalDescription(offer)
        return write_offer(self._audio, self._next_identity(), self._local_transport(), mid=_MID)

    async def accept_offer(self, sdp: str, capabilities: Capabilities | None = None) -> str:
        """Take the peer's offer and return our answer (SDP); connecting goes on by itself.

        `capabilities`: what the peer says it can do, when signalling carries it.
        Raises :class:`softphone.errors.RemoteProtocolError` when the offer can't be used,
        :class:`softphone.errors.ConfigError` like `create_offer`.
        """
        remote = parse_remote_description(sdp, "offer")
        agreed = await self._apply_remote(remote, capabilities)
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return write_answer(self._audio, agreed, remote, self._next_identity(), self._local_transport())

    async def accept_answer(self, sdp: str, capabilities: Capabilities | None = None) -> NegotiatedAudio:
        """Take the peer's answer to our offer and return what was agreed.

        Raises :class:`softphone.errors.RemoteProtocolError` when the answer can't be used.
        """
        remote = parse_remote_description(sdp, "answer")
        if len(remote.sections) != 1 or remote.audio.mid not in (None, _MID):
            raise RemoteProtocolError("the sections of the answer do not match our offer")
        return await self._apply_remote(remote, capabilities)

    async def add_candidate(self, candidate: str | None) -> bool:
        """Add a candidate that the peer trickled (RFC 8838); None: there will be no more.

        Takes the value of a candidate attribute, with or without ``candidate:`` or
        ``a=candidate:`` before it. Returns False when it can't be used and was dropped.
        """
        if self._remote is None or self._state in (ConnectionState.FAILED, ConnectionState.CLOSED):
            return False
        transport = self._connection.dtls.transport
        if candidate is None:
            await transport.addRemoteCandidate(None)
            return True
        self._trickled += 1
        cleaned = clean_candidate(candidate.strip().removeprefix("a=").removeprefix("candidate:"))
        if cleaned is None or self._trickled > _MAX_TRICKLED:
            return False
        with contextlib.suppress(ValueError):  # after the end of candidates
            await transport.addRemoteCandidate(candidate_from_sdp(cleaned))
            return True
        return False

    async def wait_connected(self, patience: float = 30.0) -> None:
        """Wait until audio can flow.

        Raises :class:`softphone.errors.PeerUnreachableError` when that fails or takes
        longer than `patience` seconds.
        """
        try:
            async with asyncio.timeout(patience):
                await self._settled.wait()
        except TimeoutError:
            raise PeerUnreachableError(f"no connection to the peer within {patience:g} s") from None
        if self._state is not ConnectionState.CONNECTED:
            raise PeerUnreachableError(f"the connection to the peer is {self._state}")

    def statistics(self, playout: object | None = None) -> dict[str, dict[str, Any]]:
        """Return W3C webrtc-stats by identifier; see :func:`.statistics.collect_statistics`."""
        return collect_statistics(self._connection, self.negotiated, playout)

    def counters(self) -> Mapping[str, int]:
        """Return every counter of this connection by name: packets, rejects, errors."""
        connection = self._connection
        counters: dict[str, int] = {}
        for prefix, group in (
            ("ice", connection.ice.counters),
            ("srtp", connection.guard.counters),
            ("sender", self.sender.counters),
            ("receiver", self.receiver.counters),
        ):
            for name in group.__dataclass_fields__:
                counters[f"{prefix}_{name}"] = getattr(group, name)
        guard = connection.guard.counters
        counters["srtp_rejected"] = connection.ice.counters.srtp - guard.rtp - guard.rtcp
        return counters

    async def close(self) -> None:
        """Say goodbye and free everything. Idempotent; takes at most 5 s."""
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._connection.close()
        except TimeoutError:
            logger.warning("closing the connection took longer than %g s", _CLOSE_TIMEOUT)
        self._enter(ConnectionState.CLOSED)

    async def _apply_remote(
        self, remote: RemoteDescription, capabilities: Capabilities | None
    ) -> NegotiatedAudio:
        agreed = negotiate(self._audio, remote, capabilities, mid=_MID)
        self.sender.configure(agreed)
        self.receiver.configure(agreed)
        try:
            await self._connection.setRemoteDescription(
                RTCSessionDescription(sdp=remote.canonical(_MID), type=remote.kind)
            )
        except LocalError:
            raise
        except _AIORTC_ERRORS as error:
            raise RemoteProtocolError(f"the {remote.kind} can't be used: {error}") from error
        self._remote, self.negotiated = remote, agreed
        return agreed

    def _next_identity(self) -> StreamIdentity:
        self._identity = replace(self._identity, version=self._identity.version + 1)
        return self._identity

    def _fingerprints(self) -> list[tuple[str, str]]:
        return [(f.algorithm, f.value) for f in self._connection.dtls.getLocalParameters().fingerprints]

    def _local_transport(self) -> LocalTransport:
        """Read what aiortc has decided for ICE and DTLS."""
        gatherer = self._connection.dtls.transport.iceGatherer
        parameters = gatherer.getLocalParameters()
        section = parse_session(self._connection.localDescription.sdp).media[0]
        return LocalTransport(
            ice_ufrag=parameters.usernameFragment or "",
            ice_pwd=parameters.password or "",
            candidates=[candidate_to_sdp(candidate) for candidate in gatherer.getLocalCandidates()],
            fingerprints=[f for f in self._fingerprints() if f[0] == "sha-256"],
            setup=section.value("setup") or "actpass",
        )

    def _on_connection_state(self) -> None:
        self._enter(ConnectionState(self._connection.connectionState))

    def _enter(self, state: ConnectionState) -> None:
        order = list(ConnectionState)
        if order.index(state) <= order.index(self._state):
            return
        self._state = state
        if state not in (ConnectionState.NEW, ConnectionState.CONNECTING):
            self._settled.set()
        if self.on_state is not None:
            try:
                self.on_state(state)
            except Exception:
                logger.exception("a state callback failed")
