"""Short calls between peers in one process."""

import asyncio
import time
from collections.abc import Callable

from softphone.rtp.packet import RtpPayload
from softphone.webrtc import NegotiatedAudio, Peer


async def connect(caller: Peer, callee: Peer, *, capabilities: bool = True) -> NegotiatedAudio:
    """Exchange descriptions (and capabilities) and wait until both are connected."""
    offer = await caller.create_offer()
    answer = await callee.accept_offer(offer, caller.capabilities if capabilities else None)
    agreed = await caller.accept_answer(answer, callee.capabilities if capabilities else None)
    await asyncio.gather(caller.wait_connected(10), callee.wait_connected(10))
    await until(lambda: caller.sender.started and callee.sender.started)
    return agreed


async def send_all(
    peer: Peer,
    payloads: list[bytes],
    *,
    payload_type: int | None = None,
    interval: float = 0.002,
    first: int = 0,
) -> None:
    """Send payloads as consecutive 20 ms frames, faster than real time."""
    assert peer.negotiated is not None
    number = peer.negotiated.opus_pt if payload_type is None else payload_type
    for k, payload in enumerate(payloads, first):
        peer.sender.send(RtpPayload(number, k * 960, payload, audio_level=40))
        await asyncio.sleep(interval)


async def until(condition: Callable[[], bool], patience: float = 5.0) -> None:
    """Wait for something that will happen soon; fail the test when it doesn't."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.005)


def cut(peer: Peer) -> Callable[[], None]:
    """Let nothing out of the sockets that are open now, as if their path was dead; returns how to mend it."""
    current = peer._connection.ice.current
    assert current is not None
    sockets = list(current._protocols)
    assert sockets
    for sock in sockets:
        sock._send = lambda data, addr: None

    def mend() -> None:
        for sock in sockets:
            del sock._send

    return mend
