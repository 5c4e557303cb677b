"""One generation of ICE: the candidates under one pair of passwords, and the checks between them.

:class:`IceConnection` is aioice's connection with these differences: any number of servers,
asked in parallel while the checks run already; candidates may be told one by one; the user
may choose addresses (127.0.0.1 included) and ports; sockets carry arrival times and a hook;
it never closes itself; and it can look for a path again when the one in use is dead or the
machine has other addresses than before (`roam`).
"""

import asyncio
import contextlib
import ipaddress
import logging
import random
from collections.abc import Callable, Container, Coroutine, Iterable, Iterator

import aioice
from aioice import stun
from aioice.candidate import Candidate, candidate_priority
from aioice.ice import CandidatePair, StunProtocol

from softphone.errors import ConfigError

from .gathering import (
    ServerFailure,
    ServerFailureError,
    local_addresses,
    machine_addresses,
    open_socket,
    reflexive_candidate,
    relayed_socket,
)
from .ice_config import IceConfig, IceServer
from .ice_socket import IceSocket, Traffic

__all__ = ["IceConnection"]

logger = logging.getLogger(__name__)

SERVER_PATIENCE = 5.0
"""Seconds that a STUN or TURN server may take."""
GATHERING_PATIENCE = 2.0
"""Seconds that somebody who wants all candidates at once waits for servers."""
RELAY_GRACE = 0.3
"""Seconds that slower servers get once there is a relayed candidate: whatever is not here by then is
blocked, or of little use beside it."""

_CONSENT_INTERVAL = 5.0
_PACE = 0.02
"""Seconds between two checks (Ta of RFC 8445, section 14.2)."""
_PREFERENCE = 32_768
"""Local preference of the best address (RFC 8445, section 5.1.2.1), in the first generation."""
_PREFERENCE_STEP = 256
"""Addition for each generation and each move: later addresses are better ones."""
_MAX_PAIRS = 50
_MAX_REMOTE = 100
"""Addresses of the peer, those learned from what arrives included."""
_MAX_SOCKETS = 16
"""A machine whose addresses change all the time must not open sockets without end."""


class IceConnection(aioice.Connection):
    """See the module."""

    def __init__(
        self,
        config: IceConfig,
        traffic: Traffic,
        *,
        controlling: bool,
        number: int = 0,
        on_candidate: Callable[[Candidate | None], None] | None = None,
    ) -> None:
        """`number`: how many generations came before. `on_candidate` is called with every local
        candidate, and with None after the last."""
        policy = aioice.TransportPolicy.RELAY if config.relay_only else aioice.TransportPolicy.ALL
        super().__init__(ice_controlling=controlling, transport_policy=policy)
        self.config = config
        self.traffic = traffic
        self.failures: list[ServerFailure] = []
        """Servers that were of no help."""
        self._late = number > 0
        self._preference = min(_PREFERENCE + _PREFERENCE_STEP * number, 65_535)
        self._asked_at = 0.0
        self._on_candidate = on_candidate
        self._gathered = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def selected_pair(self) -> tuple[tuple[str, int], tuple[str, int]] | None:
        """Local and remote address in use, or None before a path was found."""
        pair = self._nominated.get(1)
        return None if pair is None else (pair.local_addr, pair.remote_addr)

    @property
    def selected_types(self) -> tuple[str, str] | None:
        """Types of the two candidates in use: ``host``, ``srflx``, ``prflx`` or ``relay``."""
        pair = self._nominated.get(1)
        return None if pair is None else (pair.local_candidate.type, pair.remote_candidate.type)

    @property
    def complete(self) -> bool:
        """Whether there will be no more local candidates."""
        return self._gathered.is_set()

    async def gather_candidates(self) -> None:
        """Open the sockets and begin to ask the servers; does not wait for them.

        Raises :class:`softphone.errors.ConfigError` when an address or port that the user
        insists on can't be used.
        """
        if self._local_candidates_start:
            return
        self._local_candidates_start = True
        opened = await self._open_sockets(local_addresses(self.config))
        self._local_candidates_end = True  # to aioice: `connect` may begin
        self._ask_servers(opened)

    async def gathered(self) -> None:
        """Wait until every server has answered, or has had its time.

        Raises :class:`softphone.errors.ConfigError` when only relayed paths may be used and
        there is none.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHERING_PATIENCE if not self.config.relay_only else None):
                await self._gathered.wait()
        if self.config.relay_only and not self._local_candidates:
            reasons = "; ".join(map(str, self.failures)) or "no TURN server answered"
            raise ConfigError(f"there is no relayed path, and no other one may be used: {reasons}")

    async def probe(self) -> bool:
        """Check the path in use once (RFC 7675, section 5.1); tell whether the peer answered."""
        pair = self._nominated.get(1)
        if pair is None or self.remote_password is None:
            return False
        try:
            await pair.protocol.request(
                self.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=self.remote_password.encode(),
                retransmissions=1,
            )
        except stun.TransactionError:
            return False
        return True

    async def query_consent(self) -> None:
        """Check the path in use every few seconds; what follows from silence is decided above."""
        while True:
            await asyncio.sleep(_CONSENT_INTERVAL * random.uniform(0.8, 1.2))
            await self.probe()

    async def roam(self, *, moved: bool) -> None:
        """Look for a path again, under the same passwords.

        No signalling is needed: the peer learns of new addresses from the checks
        (RFC 8445, section 7.3.1.3). `moved`: the machine has other addresses than before.
        """
        if self._closing or self.remote_password is None:
            return
        present = machine_addresses(self.config)
        if moved:
            self._late = True
            self._preference = min(self._preference + _PREFERENCE_STEP, 65_535)
            known = {protocol.local_candidate.host for protocol in self._protocols}
            addresses = [a for a in local_addresses(self.config) if a in present - known]
            with contextlib.suppress(ConfigError):
                self._ask_servers(await self._open_sockets(addresses))
        for candidate in self.remote_candidates:
            self._pair_remote_candidate(candidate)
        self.sort_check_list()
        pairs = [p for p in self._check_list if _usable(p.local_candidate, present)][:_MAX_PAIRS]
        for pair in pairs:
            self._reset(pair)
        for pair in pairs:
            if pair.state is CandidatePair.State.WAITING and not self._closing:
                self.check_start_task(pair)
                await asyncio.sleep(_PACE)

    async def close(self) -> None:
        """Close every socket and give addresses on relays back. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().close()

    # -- called by aioice

    def build_request(self, pair: CandidatePair, nominate: bool) -> stun.Message:
        """Make a check; a path found after one has died is to be preferred to what was there before.

        Otherwise a browser sticks to the path that it liked best until 2.5 s have passed in silence:
        it ranks an address that it learns from a check by the priority in there.
        """
        request = super().build_request(pair, nominate)
        if self._late:
            request.attributes["PRIORITY"] = candidate_priority(1, "host", self._preference)
        return request

    def check_incoming(self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        """Take a check of the peer whose password was right."""
        for pair in self._check_list:
            # Checks that were cancelled when a path was found may be answered now.
            if pair.protocol is protocol and pair.remote_addr == addr and self._check_list_done:
                stale = pair.task is None or pair.task.done()
                if pair.state is CandidatePair.State.IN_PROGRESS and stale:
                    self._reset(pair)
        super().check_incoming(message, addr, protocol)

    def data_received(self, data: bytes, component: int) -> None:
        """Hand on a datagram. That a socket is gone is told as None by some releases."""
        if data is not None:
            self.traffic.deliver(data)

    def _remote_candidates_expected(self) -> bool:
        """Never fail before the time is up: candidates that we don't know of yet may do (RFC 8863)."""
        return not self._check_list_done

    # -- own

    async def _open_sockets(self, addresses: Iterable[str]) -> list[IceSocket]:
        opened = []
        for rank, address in enumerate(addresses):
            if len(self._protocols) >= _MAX_SOCKETS:
                continue
            sock = await open_socket(self, self.traffic, self.config, address, self._preference - rank)
            if sock is not None:
                sock.on_media = self._on_media
                opened.append(sock)
                self._protocols.append(sock)
                self._add_local(sock.local_candidate)
        return opened

    def _ask_servers(self, sockets: list[IceSocket]) -> None:
        self._spawn(self._gather_from_servers(sockets))

    async def _gather_from_servers(self, sockets: list[IceSocket]) -> None:
        """Ask all servers at the same time; with a relayed candidate the others must hurry."""
        asked = {
            asyncio.create_task(question): server.url
            for server in self.config.servers
            for question in self._questions(server, sockets)
        }
        pending = set(asked)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SERVER_PATIENCE
        relayed = False
        try:
            while pending and (left := deadline - loop.time()) > 0:
                done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if not relayed and any(task.result() for task in done):
                    relayed = True
                    deadline = min(deadline, loop.time() + RELAY_GRACE)
            self.failures += [
                ServerFailure(url, "did not answer") for url in dict.fromkeys(asked[task] for task in pending)
            ]
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        if not self._gathered.is_set():
            self._tell(None)
            self._gathered.set()

    def _questions(
        self, server: IceServer, sockets: list[IceSocket]
    ) -> Iterator[Coroutine[None, None, bool]]:
        if server.relays:
            yield self._ask_turn(server)
            return
        for sock in sockets:
            # Addresses of IPv6 are seldom translated.
            if ipaddress.ip_address(sock.local_candidate.host).version == 4:
                yield self._ask_stun(sock, server)

    async def _ask_stun(self, sock: IceSocket, server: IceServer) -> bool:
        with self._recorded(server):
            candidate = await reflexive_candidate(sock, server)
            if candidate.host != sock.local_candidate.host:
                self._add_local(candidate)
        return False

    async def _ask_turn(self, server: IceServer) -> bool:
        """True when there is a relayed candidate."""
        if len(self._protocols) >= _MAX_SOCKETS:
            return False
        with self._recorded(server):
            sock = await relayed_socket(self, self.traffic, server, hide=self.config.relay_only)
            sock.on_media = self._on_media
            self._protocols.append(sock)
            self._add_local(sock.local_candidate)
            for candidate in self.remote_candidates:
                self._pair_remote_candidate(candidate)
            self.sort_check_list()
            return True
        return False

    @contextlib.contextmanager
    def _recorded(self, server: IceServer) -> Iterator[None]:
        """A server that fails, however it does, is noted and no more."""
        try:
            yield
        except ServerFailureError as error:
            logger.warning("%s", error.failure)
            self.failures.append(error.failure)
        except Exception:
            logger.exception("asking %s failed", server.url)
            self.failures.append(ServerFailure(server.url, "sent something of no use"))

    def _on_media(self, addr: tuple[str, int], protocol: StunProtocol) -> None:
        """Where media comes from that we send ours elsewhere than to, ask whether it is the peer.

        It may have moved without knowing, when a translator between forgot it.
        """
        pair = self._nominated.get(1)
        if pair is None or pair.remote_addr == addr or self._closing:
            return
        now = asyncio.get_running_loop().time()
        remote = self.remote_candidates
        known = any((candidate.host, candidate.port) == addr for candidate in remote)
        if not known and len(remote) < _MAX_REMOTE and now - self._asked_at > _PACE:
            self._asked_at = now
            # As if it had sent a check.
            request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
            request.attributes["PRIORITY"] = candidate_priority(1, "prflx")
            super().check_incoming(request, addr, protocol)

    def _add_local(self, candidate: Candidate) -> None:
        if not self._closing:
            self._local_candidates.append(candidate)
            self._tell(candidate)

    def _tell(self, candidate: Candidate | None) -> None:
        # After the last one there are no more (RFC 8838, section 13).
        if self._on_candidate is not None and not self._gathered.is_set():
            self._on_candidate(candidate)

    def _reset(self, pair: CandidatePair) -> None:
        if pair.task is not None:
            pair.task.cancel()
            pair.task = None
        pair.state = CandidatePair.State.WAITING

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _usable(local: Candidate, addresses: Container[str]) -> bool:
    return local.type == "relay" or local.host in addresses or ipaddress.ip_address(local.host).is_loopback
