"""One media connection to one peer: offer, answer, audio both ways, repair, statistics.

Typical use on the calling side::

    peer = Peer(PeerConfig(ice=IceConfig(addresses=("127.0.0.1",))))
    peer.receiver.on_packet = lambda packet, arrival: engine.insert(packet, arrival)
    offer = await peer.create_offer()            # to the other side
    agreed = await peer.accept_answer(answer)    # its answer
    await peer.wait_connected()
    peer.sender.send(payload)                    # RtpPayload with agreed.opus_pt

and on the called side ``answer = await peer.accept_offer(offer)``. When the path dies, the
connection looks for another one by itself; where signalling lasts as long as the call,
``peer.on_restart_needed`` lets ICE be restarted too (``docs/reconnection.md``).
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aioice.candidate import Candidate
from cryptography.hazmat.primitives.hashes import SHA256

from softphone.errors import PeerUnreachableError, RemoteProtocolError

from .capabilities import Capabilities
from .connection import AudioConnection
from .gathering import ServerFailure
from .ice import IceConnection
from .ice_config import IceConfig
from .ice_socket import OutgoingHook
from .local_description import LocalTransport, StreamIdentity, write_answer, write_later_offer, write_offer
from .negotiation import LocalAudio, NegotiatedAudio, negotiate
from .receiver import AudioReceiver
from .reconnection import ReconnectConfig
from .remote_description import (
    RemoteDescription,
    clean_candidate,
    parse_remote_description,
)
from .sender import AudioSender
from .states import ConnectionState
from .statistics import collect_statistics

__all__ = ["OfferCollisionError", "Peer", "PeerConfig"]

logger = logging.getLogger(__name__)

_MID = "0"
_CLOSE_TIMEOUT = 5.0
_MAX_TRICKLED = 64
"""Candidates that a peer may add to one generation of ICE."""


class OfferCollisionError(RemoteProtocolError):
    """Both sides offered at the same time, and ours goes first: the peer's is to be left alone."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """How to connect and what to ask for."""

    ice: IceConfig = field(default_factory=IceConfig)
    """Addresses, ports and servers."""
    audio: LocalAudio = field(default_factory=LocalAudio)
    """Wishes and promises for audio. DRED is left out when libopus lacks it."""
    reconnect: ReconnectConfig = field(default_factory=ReconnectConfig)
    """When a path counts as dead, and what is done about it."""
    trickle: bool = False
    """Tell candidates of servers one by one through `Peer.on_local_candidate` instead of
    waiting for them before an offer or answer (RFC 8838)."""


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
        self.on_local_candidate: Callable[[str | None], None] | None = None
        """With `PeerConfig.trickle`, called with each candidate that no description holds, as
        ``candidate:...``, and with None after the last."""
        self.on_restart_needed: Callable[[], None] | None = None
        """Called after the path has died, if repairs without signalling take too long, and again every few
        seconds: make an offer with ``create_offer(ice_restart=True)``, or have the peer make one."""
        self.on_session_needed: Callable[[], None] | None = None
        """Called when no repair has helped, and again every few seconds: what still may is a new session,
        see `begin_again`."""
        self._remote: RemoteDescription | None = None
        self._shape: RemoteDescription | None = None
        """The peer's last offer, whose sections later offers must keep."""
        self._capabilities: Capabilities | None = None
        self._certificate: dict[str, str] = {}
        """Fingerprints that the peer gave first; it must keep to them."""
        self._settled = asyncio.Event()
        self._trickled = 0
        self._candidates_complete = False
        self._offer_open = False
        self._described: IceConnection | None = None
        self._connection = AudioConnection(self.config.ice, self.config.reconnect)
        self._connection.on_state = self._on_connection_state
        self._connection.on_restart = lambda: self.on_restart_needed and self.on_restart_needed()
        self._connection.on_session_needed = lambda: self.on_session_needed and self.on_session_needed()
        self._connection.ice.on_candidate = self._on_candidate
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
        return self._connection.state

    @property
    def server_failures(self) -> tuple[ServerFailure, ...]:
        """STUN and TURN servers that were of no help, and why."""
        current = self._connection.ice.current
        return tuple(current.failures) if current is not None else ()

    @property
    def local_fingerprint(self) -> str:
        """SHA-256 fingerprint of our DTLS certificate, upper-case hexadecimal with colons."""
        return dict(self._connection.fingerprints)["sha-256"]

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
        return self._connection.ice.traffic.round_trip

    @property
    def outgoing_hook(self) -> OutgoingHook | None:
        """Stage that every outgoing datagram passes, below SRTP (see :mod:`.impairment`)."""
        return self._connection.ice.traffic.outgoing

    @outgoing_hook.setter
    def outgoing_hook(self, hook: OutgoingHook | None) -> None:
        self._connection.ice.traffic.outgoing = hook

    async def create_offer(self, *, ice_restart: bool = False) -> str:
        """Open the sockets, gather candidates and return our offer (SDP).

        Later offers change nothing below the audio, unless `ice_restart`: then the peer is
        asked to find a new path, while DTLS, SRTP and the streams stay.

        Raises :class:`softphone.errors.ConfigError` when a chosen address or port range
        can't be used, or only relayed paths may be used and there is none.
        """
        if self._connection.ice.current is None or (ice_restart and self._remote is not None):
            await self._gather(controlling=True)
        self._offer_open = True
        identity, transport = self._next_identity(), self._local_transport("actpass")
        if self._shape is None or self.negotiated is None:
            return write_offer(self._audio, identity, transport, mid=_MID)
        return write_later_offer(self._audio, self.negotiated, self._shape, identity, transport)

    async def begin_again(self) -> None:
        """Give up the path and its keys, and be ready for a first offer and answer once more, at both ends.

        The streams go on where they are, and certificates stay the same, so who was verified still is.
        """
        await self._connection.renew()
        self._connection.ice.on_candidate = self._on_candidate
        self._remote = self._shape = self._described = None
        self._offer_open = False

    async def accept_offer(self, sdp: str, capabilities: Capabilities | None = None) -> str:
        """Take the peer's offer and return our answer (SDP); connecting goes on by itself.

        Later offers may put the call on hold, or restart ICE. `capabilities`: what the peer
        says it can do, when signalling carries it.

        Raises `OfferCollisionError` when an offer of ours is open and goes first: that of who
        made the first offer. Raises :class:`softphone.errors.RemoteProtocolError` when the
        offer can't be used, :class:`softphone.errors.ConfigError` like `create_offer`.
        """
        remote = parse_remote_description(sdp, "offer")
        first, restarts = self._remote is None, self._restarts(remote)
        if self._offer_open:
            if not self._connection.keeper.polite:
                raise OfferCollisionError("both sides made an offer, and ours goes first")
            self._offer_open = False
            self._connection.ice.abandon()
        agreed = self._agree(remote, capabilities)
        if first or restarts:
            await self._gather(controlling=remote.transport.ice_lite)
        active = remote.transport.setup != "active"
        if first:
            self._connection.keeper.polite = True
            self._connection.start(remote, "client" if active else "server")
        elif restarts:
            self._connection.restart(remote.transport)
        self._apply(remote, agreed)
        self._shape = remote
        role = "active" if self._connection.dtls._role == "client" else "passive"
        return write_answer(self._audio, agreed, remote, self._next_identity(), self._local_transport(role))

    async def accept_answer(self, sdp: str, capabilities: Capabilities | None = None) -> NegotiatedAudio:
        """Take the peer's answer to our offer and return what was agreed.

        Raises :class:`softphone.errors.RemoteProtocolError` when the answer can't be used.
        """
        remote = parse_remote_description(sdp, "answer")
        if not self._offer_open:
            raise RemoteProtocolError("no offer of ours waits for an answer")
        sections, index, mid = 1, 0, _MID
        if self._shape is not None:
            sections, index = len(self._shape.sections), self._shape.audio.index
            mid = self._shape.audio.mid or _MID
        if (len(remote.sections), remote.audio.index) != (sections, index) or remote.audio.mid not in (
            None,
            mid,
        ):
            raise RemoteProtocolError("the sections of the answer do not match our offer")
        first, restarts = self._remote is None, self._restarts(remote)
        asked = self._connection.ice.pending is not None
        if not first and restarts != asked:
            raise RemoteProtocolError(
                "the peer does not restart ICE" if asked else "the peer restarts ICE unasked"
            )
        agreed = self._agree(remote, capabilities)
        self._offer_open = False
        if first:
            self._connection.start(remote, "server" if remote.transport.setup == "active" else "client")
        elif restarts:
            self._connection.restart(remote.transport)
        self._apply(remote, agreed)
        return agreed

    async def add_remote_candidate(self, candidate: str | None) -> bool:
        """Add a candidate that the peer trickled (RFC 8838); None or "": there will be no more.

        Takes the value of a candidate attribute, with or without ``candidate:`` or
        ``a=candidate:`` before it. Returns False when it can't be used and was dropped:
        malformed, of another generation of ICE, after the last, too many, or before any description.
        """
        if self._remote is None or self.state.over:
            return False
        if not candidate:
            self._candidates_complete = True
            return True
        self._trickled += 1
        words = candidate.split()
        cleaned = clean_candidate(candidate.strip().removeprefix("a=").removeprefix("candidate:"))
        if cleaned is None or self._candidates_complete or self._trickled > _MAX_TRICKLED:
            return False
        ufrag = words[words.index("ufrag") + 1] if "ufrag" in words[:-1] else self._remote.transport.ice_ufrag
        if ufrag != self._remote.transport.ice_ufrag:
            return False
        self._connection.add_candidate(self._connection.ice.newest, cleaned)
        return True

    async def wait_connected(self, patience: float = 30.0) -> None:
        """Wait until audio can flow.

        Raises :class:`softphone.errors.PeerUnreachableError` when that fails or takes
        longer than `patience` seconds.
        """
        try:
            async with asyncio.timeout(patience):
                await self._settled.wait()
        except TimeoutError:
            raise PeerUnreachableError(
                f"no connection to the peer within {patience:g} s{self._excuse()}"
            ) from None
        if self.state.over:
            raise PeerUnreachableError(f"the connection to the peer is {self.state}{self._excuse()}")

    def statistics(self, playout: object | None = None) -> dict[str, dict[str, Any]]:
        """Return W3C webrtc-stats by identifier; see :func:`.statistics.collect_statistics`."""
        return collect_statistics(self._connection, self.negotiated, playout)

    def counters(self) -> Mapping[str, int]:
        """Return every counter of this connection by name: packets, rejects, errors."""
        connection = self._connection
        counters: dict[str, int] = {}
        for prefix, group in (
            ("ice", connection.ice.traffic.counters),
            ("srtp", connection.guard.counters),
            ("sender", self.sender.counters),
            ("receiver", self.receiver.counters),
        ):
            for name in group.__dataclass_fields__:
                counters[f"{prefix}_{name}"] = getattr(group, name)
        guard = connection.guard.counters
        counters["srtp_rejected"] = connection.ice.traffic.counters.srtp - guard.rtp - guard.rtcp
        return counters

    async def close(self) -> None:
        """Say goodbye and free everything. Idempotent; takes at most 5 s."""
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._connection.close()
        except TimeoutError:
            logger.warning("closing the connection took longer than %g s", _CLOSE_TIMEOUT)
            self._connection.abort()

    def _agree(self, remote: RemoteDescription, capabilities: Capabilities | None) -> NegotiatedAudio:
        """Negotiate; what was not said again stays as it was."""
        before, now = self._certificate, dict(remote.transport.fingerprints)
        if before and (not before.keys() & now.keys() or any(now.get(n, v) != v for n, v in before.items())):
            raise RemoteProtocolError("the peer changed its certificate in the middle of a connection")
        self._capabilities = capabilities or self._capabilities
        return negotiate(self._audio, remote, self._capabilities, mid=_MID)

    def _apply(self, remote: RemoteDescription, agreed: NegotiatedAudio) -> None:
        self.sender.configure(agreed)
        self.receiver.configure(agreed)
        self._remote, self.negotiated = remote, agreed
        self._certificate = self._certificate or dict(remote.transport.fingerprints)
        self._trickled = 0
        self._candidates_complete = remote.transport.candidates_complete
        for candidate in remote.transport.candidates:
            self._connection.add_candidate(self._connection.ice.newest, candidate)

    def _restarts(self, remote: RemoteDescription) -> bool:
        """Tell whether the description is that of another generation of ICE (RFC 8839, section 4.4.1.1)."""
        if self._remote is None:
            return False
        before, now = self._remote.transport, remote.transport
        return (before.ice_ufrag, before.ice_pwd) != (now.ice_ufrag, now.ice_pwd)

    async def _gather(self, *, controlling: bool) -> None:
        generation = await self._connection.ice.new_generation(controlling=controlling)
        if not self.config.trickle:
            await generation.gathered()

    def _next_identity(self) -> StreamIdentity:
        self._identity = replace(self._identity, version=self._identity.version + 1)
        return self._identity

    def _local_transport(self, setup: str) -> LocalTransport:
        generation = self._connection.ice.newest
        self._described = generation
        return LocalTransport(
            ice_ufrag=generation.local_username,
            ice_pwd=generation.local_password,
            candidates=[candidate.to_sdp() for candidate in generation.local_candidates],
            fingerprints=[f for f in self._connection.fingerprints if f[0] == "sha-256"],
            setup=setup,
            complete=not self.config.trickle or generation.complete,
        )

    def _on_candidate(self, generation: IceConnection, candidate: Candidate | None) -> None:
        # What was gathered before the description is in it.
        if self.config.trickle and generation is self._described and self.on_local_candidate is not None:
            self.on_local_candidate(f"candidate:{candidate.to_sdp()}" if candidate is not None else None)

    def _excuse(self) -> str:
        """What may be to blame, to be put behind a sentence."""
        return "".join(f"; {failure}" for failure in self.server_failures)

    def _on_connection_state(self, state: ConnectionState) -> None:
        if state is ConnectionState.CONNECTED or state.over:
            self._settled.set()
        if self.on_state is not None:
            try:
                self.on_state(state)
            except Exception:
                logger.exception("a state callback failed")
