"""The two processes of `room_cost.py` in a mesh: each is connected with each.

What they tell each other are the signals that a room server would carry between them.
"""

import asyncio
import gc

import aioice.ice
from aiortc import RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from call_cpu import SpeechTrack
from room_ends import (
    AiortcEnd,
    Plan,
    SoftphoneEnd,
    Stream,
    joined,
    lines,
    puppet_id,
    puppet_streams,
    report,
    send_streams,
    tell,
)

from softphone.conference.mesh import Mesh
from softphone.rooms.replies import FROM_SERVER
from softphone.rooms.requests import Signal
from softphone.rooms.values import SignalKind
from softphone.signaling.messages import encode
from softphone.webrtc import Capabilities, IceConfig, Peer, PeerConfig

_LOOPBACK = "127.0.0.1"


def _signal(line: str) -> Signal:
    message = FROM_SERVER.parse(line)
    assert isinstance(message, Signal)
    return message


async def softphone_end(plan: Plan) -> None:
    """The measured participant, softphone: one encoder, a playout for each voice, a mixer."""
    end = SoftphoneEnd(lambda signal: tell(encode(signal)), addresses=(_LOOPBACK,))
    mesh = Mesh(joined(), end.around)

    async def listen() -> None:
        async for line in lines():
            mesh.on_signal(_signal(line))

    listening = asyncio.create_task(listen())
    await end.enter(mesh, plan.others, connections=plan.others)
    await report(end.traffic, plan.others, plan)
    listening.cancel()


async def aiortc_end(plan: Plan) -> None:
    """The measured participant, aiortc: connections that share a track through its relay."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [_LOOPBACK]
    end, relay, speech = AiortcEnd(), MediaRelay(), SpeechTrack()
    connections = [end.connection() for _ in range(plan.others)]
    for number, connection in enumerate(connections):
        connection.addTrack(relay.subscribe(speech))
        await connection.setLocalDescription(await connection.createOffer())
        offer = Signal(
            peer=puppet_id(number),
            kind=SignalKind.OFFER,
            session="s",
            round=1,
            sdp=connection.localDescription.sdp,
        )
        tell(encode(offer))
    answers = 0
    async for line in lines():
        message = _signal(line)
        assert message.sdp is not None
        connection = connections[int(message.peer[:2])]
        await connection.setRemoteDescription(RTCSessionDescription(message.sdp, "answer"))
        answers += 1
        if answers == plan.others:
            break
    playing = asyncio.create_task(end.play())
    gc.freeze()
    await report(end.traffic, plan.others, plan)
    playing.cancel()


async def puppets(plan: Plan) -> None:
    """Everybody else: connections that send what was encoded beforehand, and decode nothing."""
    peers: dict[str, Peer] = {}
    speakers: list[tuple[Peer, Stream]] = []
    streams = puppet_streams(plan)
    able = Capabilities.local() if plan.kind.startswith("softphone") else None
    sending = asyncio.create_task(send_streams(speakers))
    async for line in lines():
        message = _signal(line)
        peer = peers.get(message.peer)
        if message.kind is SignalKind.OFFER and message.sdp is not None:
            peer = peers[message.peer] = Peer(PeerConfig(ice=IceConfig(addresses=(_LOOPBACK,))))
            sdp = await peer.accept_offer(message.sdp, able)
            speakers.append((peer, streams[int(message.peer[:2])]))
            answer = Signal(
                peer=message.peer,
                kind=SignalKind.ANSWER,
                session=message.session,
                round=message.round,
                sdp=sdp,
            )
            tell(encode(answer))
        elif message.kind is SignalKind.CANDIDATE and peer is not None:
            await peer.add_remote_candidate(message.candidate)
    sending.cancel()
