"""The two processes of `room_cost.py` in a room on Janus: each sends once and hears each from there.

The process that runs them is the room server: it gives everybody a ticket (`open_room`).
Both enter by themselves; the puppets begin to speak, and the measurement begins, when
everybody hears everybody.
"""

import asyncio
import gc
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiortc import RTCPeerConnection, RTCSessionDescription
from call_cpu import SpeechTrack
from room_ends import (
    MEASURED,
    AiortcEnd,
    Plan,
    SoftphoneEnd,
    joined,
    lines,
    puppet_id,
    puppet_streams,
    report,
    send_streams,
    tell,
    until,
)

from softphone.conference.janus import JanusMedia
from softphone.rooms.engines import Seat
from softphone.rooms.janus import JanusEngine, JanusRoom, JanusTicket
from softphone.rooms.janus.protocol import HandleChanged, HandleEvent
from softphone.rooms.janus.session import JanusHandle, JanusSession
from softphone.rooms.janus.ticket import feed_display, new_feed
from softphone.rooms.janus.videoroom import PLUGIN, Feed, feeds, session_description
from softphone.webrtc import Capabilities, ConnectionState, LocalAudio, Peer, PeerConfig

_ALL_HEAR_ALL = "everybody hears everybody"
"""What the puppets tell the measured participant; they can't before it is there."""


@asynccontextmanager
async def open_room(url: str, others: int) -> AsyncIterator[tuple[str, str]]:
    """The room on the server at `url`: first lines for the measured participant and for the puppets."""
    engine = JanusEngine({"urls": url, "secret": "a secret of the benchmark"})
    room = f"cost-{secrets.token_hex(4)}"
    try:
        people = (MEASURED, *map(puppet_id, range(others)))
        measured, *rest = [dict(await engine.join(Seat(room, person))) for person in people]
        yield json.dumps(measured), json.dumps(rest)
        await engine.close_room(room)
    finally:
        await engine.stop()


async def softphone_end(plan: Plan) -> None:
    """The measured participant, softphone: one encoder, a playout for each voice, a mixer."""
    told = lines()
    end = SoftphoneEnd()
    media = JanusMedia(joined(**json.loads(await anext(told))), end.around)
    await end.enter(media, plan.others, connections=plan.others + 1)
    await _all_hear_all(told)
    await report(end.traffic, 1, plan)


async def aiortc_end(plan: Plan) -> None:
    """The measured participant, aiortc: a connection for its track and one for each voice.

    softphone's code speaks with Janus for it, and nothing else: not a packet passes there.
    """
    told = lines()
    ticket = JanusTicket.from_connection(json.loads(await anext(told)))
    end = AiortcEnd()
    async with JanusSession(ticket.url, token=ticket.auth) as session:
        publisher = await session.attach(PLUGIN)
        present: asyncio.Queue[Feed] = asyncio.Queue()

        def on_event(event: HandleEvent | HandleChanged) -> None:
            if isinstance(event, HandleEvent):
                for feed in feeds(event.data):
                    present.put_nowait(feed)

        publisher.on_event = on_event
        body: dict[str, object] = {
            "request": "join",
            "ptype": "publisher",
            "room": ticket.room,
            "id": new_feed(ticket.participant),
            "display": feed_display(ticket.seal, 0),
            "token": ticket.token,
        }
        answer = await publisher.message(body)
        for feed in feeds(answer.data):
            present.put_nowait(feed)
        await _publish(publisher, end.connection())
        for _ in range(plan.others):
            body = {
                "request": "join",
                "ptype": "subscriber",
                "room": ticket.room,
                "private_id": answer.data.get("private_id"),
                "streams": [{"feed": (await present.get()).id}],
            }
            await _subscribe(await session.attach(PLUGIN), body, end.connection())
        await end.connected()
        playing = asyncio.create_task(end.play())
        await _all_hear_all(told)
        gc.freeze()
        await report(end.traffic, 1, plan)
        playing.cancel()


async def _publish(handle: JanusHandle, connection: RTCPeerConnection) -> None:
    connection.addTransceiver(SpeechTrack(), "sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    answer = await handle.message(
        {"request": "publish", "audiocodec": "opus"},
        {"type": "offer", "sdp": connection.localDescription.sdp, "trickle": False},
    )
    sdp = session_description(answer.jsep, "answer")
    await connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))


async def _subscribe(handle: JanusHandle, body: Mapping[str, object], connection: RTCPeerConnection) -> None:
    sdp = session_description((await handle.message(body)).jsep, "offer")
    await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    answer = {"type": "answer", "sdp": connection.localDescription.sdp, "trickle": False}
    await handle.message({"request": "start"}, answer)


async def _all_hear_all(told: AsyncIterator[str]) -> None:
    line = await anext(told)
    assert line.strip() == _ALL_HEAR_ALL, line


async def puppets(plan: Plan) -> None:
    """Everybody else: participants that send what was encoded beforehand, and decode nothing."""
    tickets = json.loads(await anext(lines()))
    streams = puppet_streams(plan, assume_loss=True)
    heard: list[Peer] = []
    rooms = [await enter(ticket, lambda feed, peer: heard.append(peer)) for ticket in tickets]
    await until(lambda: sum(peer.state is ConnectionState.CONNECTED for peer in heard) == plan.others**2)
    tell(_ALL_HEAR_ALL)
    await send_streams([(peer_of(room), stream) for room, stream in zip(rooms, streams, strict=True)])


async def enter(ticket: Mapping[str, object], on_feed: Callable[[str, Peer], None]) -> JanusRoom:
    """A participant that can speak now, and is about to hear everybody; it decodes nothing."""
    room = JanusRoom(JanusTicket.from_connection(ticket), _make_peer)
    room.on_feed = on_feed
    await room.enter(Capabilities.local())
    await peer_of(room).wait_connected()
    return room


def peer_of(room: JanusRoom) -> Peer:
    """Where a participant that is in the room speaks."""
    assert room.peer is not None
    return room.peer


def _make_peer(audio: LocalAudio) -> Peer:
    return Peer(PeerConfig(audio=LocalAudio(direction=audio.direction, red=False)))
