"""A room server with WHIP and WHEP, and clients of it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp

from softphone.rooms.whip import WhipClient, WhipGateway, WhipTarget
from softphone.webrtc import IceConfig, Peer, PeerConfig
from tests.conference.rooms import LOOPBACK, Rooms

__all__ = ["ADDRESSES", "Served"]

ADDRESSES = (LOOPBACK,)


@dataclass
class Served:
    """A server, and what is closed after it."""

    rooms: Rooms
    gateway: WhipGateway
    http: aiohttp.ClientSession
    stack: AsyncExitStack = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.rooms.port}"

    def peer(self, target: WhipTarget) -> Peer:
        """A peer of ours for an endpoint; closed at the end."""
        peer = Peer(PeerConfig(ice=IceConfig(addresses=ADDRESSES), audio=target.audio))
        self.stack.push_async_callback(peer.close)
        return peer

    async def open(self, kind: str, token: str = "") -> tuple[WhipClient, Peer]:
        """Publish to the room "test", or listen to it."""
        target = WhipTarget.parse(f"{kind}+{self.url}/{kind}/test#{token}")
        peer, client = self.peer(target), WhipClient(target)
        self.stack.push_async_callback(client.close)
        await client.open(peer)
        await peer.wait_connected(10)
        return client, peer
