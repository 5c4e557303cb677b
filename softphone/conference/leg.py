"""Our connection with one participant: carries out what its `Pair` wants."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from softphone.conference.pair import (
    Accept,
    Action,
    AddCandidate,
    Answer,
    Drop,
    Offer,
    Pair,
    PairState,
    Restart,
    Send,
)
from softphone.conference.verification import PairVerification, SasMessage
from softphone.errors import ConfigError, LocalError, RemoteProtocolError
from softphone.rooms.requests import Signal
from softphone.rooms.values import ParticipantInfo, SignalKind
from softphone.signaling.errors import VerificationError
from softphone.signaling.states import Role
from softphone.webrtc import Capabilities, ConnectionState, Peer

__all__ = ["Leg", "LegObserver"]

_LOG = logging.getLogger(__name__)

_MID = "0"


class LegObserver(Protocol):
    """Who wants to know of a leg. Called on the event loop."""

    def on_negotiated(self, leg: "Leg", peer: Peer) -> None:
        """`peer` has agreed on audio, for the first time or anew; packets may come."""

    def on_connected(self, leg: "Leg", peer: Peer) -> None:
        """Audio can flow, for the first time or again."""

    def on_lost(self, leg: "Leg") -> None:
        """The path is dead; another one is looked for."""

    def on_dropped(self, leg: "Leg", peer: Peer) -> None:
        """`peer` is no more; another one may follow."""

    def on_verified(self, leg: "Leg", digits: str) -> None:
        """The digits that both ends see."""

    def on_unverified(self, leg: "Leg", reason: str) -> None:
        """The check has failed: somebody may sit in between."""

    def on_local_error(self, leg: "Leg", error: LocalError) -> None:
        """Something on this machine keeps the connection from being made."""


class Leg:
    """One participant. Everything happens on the event loop; what takes time, in order, on a task."""

    def __init__(
        self,
        own: str,
        person: ParticipantInfo,
        *,
        make_peer: Callable[[], Peer],
        send: Callable[[Signal], object],
        observer: LegObserver,
    ) -> None:
        """`own` is our id; `send` hands a signal to the room server."""
        self.person = person
        """As the room knows it at this moment."""
        self.pair = Pair(own, person.id)
        self.peer: Peer | None = None
        """The connection; None while there is none."""
        self.verification = PairVerification(Role.CALLER)
        """Of the present connection."""
        self.suspicious = False
        """The check of the present connection has failed."""
        self._make_peer = make_peer
        self._send = send
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._actions: asyncio.Queue[Action] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._carry_out())

    @property
    def state(self) -> PairState:
        """Where the pair stands."""
        return self.pair.state

    def set_reachable(self, reachable: bool) -> None:
        """Whether signals reach the participant."""
        self._take(self.pair.set_reachable(reachable, self._loop.time()))

    def on_signal(self, signal: Signal) -> None:
        """A signal of the participant came."""
        if signal.kind in (SignalKind.SAS_COMMIT, SignalKind.SAS_REVEAL):
            if signal.session == self.pair.session and signal.value is not None:
                message = SasMessage(signal.kind, signal.value)
                self._verify(lambda: self.verification.receive(message))
            return
        self._take(self.pair.on_signal(signal, self._loop.time()))

    async def close(self) -> None:
        """Close the connection, within seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._drop()
        await asyncio.gather(*self._closing, return_exceptions=True)

    # -- what the pair wants

    def _take(self, actions: list[Action]) -> None:
        for action in actions:
            self._actions.put_nowait(action)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.pair.next_poll
        if due is not None:
            self._timer = self._loop.call_at(due, self._poll)

    def _poll(self) -> None:
        self._timer = None
        # The timer of the loop may be early by its resolution.
        self._take(self.pair.poll(max(self._loop.time(), self.pair.next_poll or 0.0)))

    async def _carry_out(self) -> None:
        while True:
            action = await self._actions.get()
            try:
                await self._do(action)
            except RemoteProtocolError as error:
                _LOG.warning("the connection with %s can't be made: %s", self.person.name, error)
                self._take(self.pair.on_failure(self._loop.time()))
            except LocalError as error:
                self._observer.on_local_error(self, error)
                self._take(self.pair.on_failure(self._loop.time()))
            except Exception:
                _LOG.exception("the connection with %s failed", self.person.name)
                self._take(self.pair.on_failure(self._loop.time()))

    async def _do(self, action: Action) -> None:
        peer = self.peer
        match action:
            case Send(signal=signal):
                self._send(signal)
            case Offer():
                peer = self._replace_peer()
                self._take(self.pair.on_offer(action, await peer.create_offer(), self._loop.time()))
            case Answer(sdp=sdp, fresh=fresh):
                if fresh or peer is None:
                    peer = self._replace_peer()
                answer = await peer.accept_offer(sdp, self._capabilities())
                self._observer.on_negotiated(self, peer)
                self._take(self.pair.on_answer(action, answer, self._loop.time()))
            case Accept(sdp=sdp) if peer is not None:
                await peer.accept_answer(sdp, self._capabilities())
                self._observer.on_negotiated(self, peer)
            case Restart() if peer is not None:
                offer = await peer.create_offer(ice_restart=True)
                self._take(self.pair.on_offer(action, offer, self._loop.time()))
            case AddCandidate(candidate=candidate) if peer is not None:
                await peer.add_remote_candidate(candidate)
            case Drop():
                self._drop()

    def _capabilities(self) -> Capabilities:
        try:
            return Capabilities.from_json(dict(self.person.capabilities))
        except RemoteProtocolError:
            return Capabilities()

    # -- the connection

    def _replace_peer(self) -> Peer:
        self._drop()
        peer = self._make_peer()
        peer.on_state = lambda state: self._on_state(peer, state)
        peer.on_local_candidate = lambda candidate: self._on_candidate(peer, candidate)
        peer.on_restart_needed = lambda: self._if_current(peer, self.pair.on_restart_needed)
        peer.on_session_needed = lambda: self._if_current(peer, self.pair.on_session_needed)
        self.peer = peer
        self.verification = PairVerification(Role.CALLER if self.pair.offers else Role.CALLEE)
        self.suspicious = False
        return peer

    def _drop(self) -> None:
        peer, self.peer = self.peer, None
        if peer is None:
            return
        peer.on_state = peer.on_local_candidate = None
        self._observer.on_dropped(self, peer)
        closing = asyncio.create_task(peer.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _if_current(self, peer: Peer, happened: Callable[[float], list[Action]]) -> None:
        if peer is self.peer:
            self._take(happened(self._loop.time()))

    def _on_state(self, peer: Peer, state: ConnectionState) -> None:
        if peer is not self.peer:
            return
        self._take(self.pair.on_state(state, self._loop.time()))
        if state is ConnectionState.CONNECTED:
            self._observer.on_connected(self, peer)
            self._begin_verification(peer)
        elif state is ConnectionState.RECONNECTING:
            self._observer.on_lost(self)

    def _on_candidate(self, peer: Peer, candidate: str | None) -> None:
        pair = self.pair
        if peer is self.peer and pair.round:
            self._send(
                Signal(
                    peer=pair.peer,
                    kind=SignalKind.CANDIDATE,
                    session=pair.session,
                    round=pair.round,
                    candidate=candidate or "",
                    mid=_MID,
                )
            )

    # -- the short authentication string

    def _begin_verification(self, peer: Peer) -> None:
        remote = peer.remote_certificate_fingerprint
        if remote is None:
            self._suspect("the peer showed no certificate")
            return
        self._verify(lambda: self.verification.start(peer.local_fingerprint, remote))

    def _verify(self, step: Callable[[], list[SasMessage]]) -> None:
        if self.suspicious:
            return
        before = self.verification.digits
        try:
            messages = step()
        except (VerificationError, ConfigError) as error:
            self._suspect(str(error))
            return
        for message in messages:
            self._send(
                Signal(
                    peer=self.pair.peer,
                    kind=message.kind,
                    session=self.pair.session,
                    value=message.value,
                )
            )
        if self.verification.digits is not None and before is None:
            self._observer.on_verified(self, self.verification.digits)

    def _suspect(self, reason: str) -> None:
        self.suspicious = True
        self._observer.on_unverified(self, reason)
