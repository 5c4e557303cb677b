"""One participant of a VideoRoom: publishes its audio and hears every other feed.

Each feed comes over a peer connection of its own, so that every one has its own
playout, and one that fails takes no other along::

    room = JanusRoom(ticket, lambda audio: Peer(PeerConfig(audio=audio)))
    room.on_feed = lambda feed, peer: ...        # set peer.receiver.on_packet
    room.on_feed_gone = lambda feed: ...
    await room.enter()
    await room.peer.wait_connected()
    room.peer.sender.send(payload)
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from softphone.errors import RemoteError, RemoteProtocolError
from softphone.webrtc import Capabilities, ConnectionState, LocalAudio, Peer
from softphone.webrtc.negotiation import AUDIO_LEVEL, EXTENSIONS

from .protocol import HandleChanged, HandleEvent, HandleSignal
from .session import JanusHandle, JanusSession
from .ticket import JanusTicket, feed_display, new_feed
from .videoroom import PLUGIN, Feed, feeds, gone, session_description

__all__ = ["JanusRoom", "MakePeer"]

logger = logging.getLogger(__name__)

_SUBSCRIBE_DELAYS = (0.5, 1.0, 2.0, 4.0)
"""Seconds before a feed that could not be heard is tried again."""

MakePeer = Callable[[LocalAudio], Peer]
"""Makes a peer for the given direction; addresses and servers are the caller's business."""


class _Subscription:
    """One feed that we hear."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.peer: Peer | None = None
        self.handle: JanusHandle | None = None
        self.over = asyncio.Event()


class JanusRoom:
    """See the module. Make and use it on a running event loop."""

    def __init__(
        self,
        ticket: JanusTicket,
        make_peer: MakePeer,
        *,
        capabilities: Callable[[str], Capabilities | None] = lambda feed: None,
        e2ee: bool = False,
    ) -> None:
        """`capabilities` tells what a feed can do, as the room server said of its participant;
        Janus does not pass that on.

        `e2ee`: payloads are encrypted, which makes RED impossible.
        """
        self.ticket = ticket
        self.on_feed: Callable[[str, Peer], None] | None = None
        """Called with each feed that can be heard, before its first packet."""
        self.on_feed_gone: Callable[[str], None] | None = None
        """Called when a feed has left, or its connection has broken; it may come again."""
        self.on_lost: Callable[[], None] | None = None
        """Called when our place in the room is lost: the session ended, or we were thrown out."""
        self.peer: Peer | None = None
        """Our way to the server; send audio here. None outside the room."""
        self._make_peer = make_peer
        self._capabilities = capabilities
        self._e2ee = e2ee
        self._session: JanusSession | None = None
        self._publisher: JanusHandle | None = None
        self._private_id: object = None
        self._subscriptions: dict[str, _Subscription] = {}
        self._lost = False
        self._feed = new_feed(ticket.participant)

    @property
    def feeds(self) -> tuple[str, ...]:
        """Feeds that we hear, or are about to."""
        return tuple(self._subscriptions)

    async def enter(self, capabilities: Capabilities | None = None) -> None:
        """Connect, join, publish and subscribe to who is there.

        `capabilities`: what all those in the room can use, for what we send; None: take what
        Janus says, which is no DRED. Raises :class:`softphone.errors.RemoteError`.
        """
        ticket = self.ticket
        self._session = JanusSession(ticket.url, token=ticket.auth)
        self._session.on_lost = self._on_lost
        await self._session.connect()
        try:
            self._publisher = await self._session.attach(PLUGIN)
            self._publisher.on_event = self._on_publisher_event
            present = await self._join(self._publisher)
            await self._publish(self._publisher, capabilities)
            self._add(present)
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Leave the room and free everything. Idempotent."""
        self._lost = True
        subscriptions = list(self._subscriptions.values())
        self._subscriptions.clear()
        for subscription in subscriptions:
            subscription.task.cancel()
        await asyncio.gather(*(s.task for s in subscriptions), return_exceptions=True)
        peer, self.peer = self.peer, None
        if peer is not None:
            await peer.close()
        session, self._session = self._session, None
        if session is not None:
            if self._publisher is not None and session.connected:
                with contextlib.suppress(RemoteError):
                    await self._publisher.message({"request": "leave"})
            await session.close()

    async def _join(self, handle: JanusHandle) -> tuple[Feed, ...]:
        ticket = self.ticket
        body = {
            "request": "join",
            "ptype": "publisher",
            "room": ticket.room,
            "id": self._feed,
            "display": feed_display(ticket.seal, EXTENSIONS[AUDIO_LEVEL]),
            "token": ticket.token,
        }
        answer = await handle.message(body)
        if answer.data.get("videoroom") != "joined":
            raise RemoteProtocolError("Janus did not let us into the room")
        self._private_id = answer.data.get("private_id")
        return feeds(answer.data)

    async def _publish(self, handle: JanusHandle, capabilities: Capabilities | None) -> None:
        peer = self.peer = self._make_peer(LocalAudio(direction="sendonly", red=not self._e2ee))
        offer = await peer.create_offer()
        body = {"request": "publish", "audiocodec": "opus"}
        answer = await handle.message(body, self._jsep("offer", offer))
        await peer.accept_answer(session_description(answer.jsep, "answer"), capabilities)

    def _jsep(self, kind: str, sdp: str) -> dict[str, Any]:
        jsep: dict[str, Any] = {"type": kind, "sdp": sdp, "trickle": False}
        return {**jsep, "e2ee": True} if self._e2ee else jsep

    def _on_publisher_event(self, event: HandleEvent | HandleChanged) -> None:
        if isinstance(event, HandleChanged):
            if event.signal in (HandleSignal.DETACHED, HandleSignal.HANGUP):
                self._on_lost()
            return
        data = event.data
        self._add(feeds(data))
        feed = gone(data)
        if feed == "ok" or feed == self._feed:
            # Comes without a request of ours only when we were thrown out.
            self._on_lost()
        elif feed is not None:
            self._remove(feed)
        if data.get("videoroom") == "destroyed":
            self._on_lost()

    def _add(self, present: tuple[Feed, ...]) -> None:
        for feed in present:
            if feed.id not in self._subscriptions and feed.id != self._feed and not self._lost:
                task = asyncio.create_task(self._hear(feed.id))
                self._subscriptions[feed.id] = _Subscription(task)

    def _remove(self, feed: str) -> None:
        subscription = self._subscriptions.pop(feed, None)
        if subscription is not None:
            subscription.task.cancel()

    async def _hear(self, feed: str) -> None:
        """Keep hearing one feed until it is removed."""
        delays = iter(_SUBSCRIBE_DELAYS)
        while True:
            subscription = self._subscriptions[feed]
            try:
                await self._subscribe(feed, subscription)
            except RemoteError as error:
                logger.info("feed %s can't be heard: %s", feed, error)
            finally:
                await self._unsubscribe(feed, subscription)
            delay = next(delays, None)
            if delay is None or self._session is None or not self._session.alive:
                self._subscriptions.pop(feed, None)
                return
            await asyncio.sleep(delay)

    async def _subscribe(self, feed: str, subscription: _Subscription) -> None:
        """Connect to a feed and return when the connection is over."""
        assert self._session is not None
        handle = subscription.handle = await self._session.attach(PLUGIN)
        body = {
            "request": "join",
            "ptype": "subscriber",
            "room": self.ticket.room,
            "private_id": self._private_id,
            "streams": [{"feed": feed}],
        }
        attached = await handle.message(body)
        peer = subscription.peer = self._make_peer(LocalAudio(direction="recvonly", red=not self._e2ee))
        subscription.over.clear()

        def on_state(state: ConnectionState) -> None:
            if state in (ConnectionState.FAILED, ConnectionState.CLOSED):
                subscription.over.set()

        peer.on_state = on_state
        offer = session_description(attached.jsep, "offer")
        answer = await peer.accept_offer(offer, self._capabilities(feed))
        if self.on_feed is not None:
            self.on_feed(feed, peer)
        await handle.message({"request": "start"}, self._jsep("answer", answer))
        await subscription.over.wait()

    async def _unsubscribe(self, feed: str, subscription: _Subscription) -> None:
        handle, subscription.handle = subscription.handle, None
        peer, subscription.peer = subscription.peer, None
        if peer is not None:
            peer.on_state = None
            await peer.close()
            if self.on_feed_gone is not None:
                self.on_feed_gone(feed)
        if handle is not None:
            await handle.detach()

    def _on_lost(self) -> None:
        if not self._lost:
            self._lost = True
            if self.on_lost is not None:
                self.on_lost()
