"""What both processes of `room_cost.py` are made of, whatever carries the room.

The measured participant is a `SoftphoneEnd` or an `AiortcEnd`; it ends with `report`. The
others are puppets: they send `puppet_streams` with `send_streams`. How the two processes
find each other is the business of `mesh_ends.py` and `janus_ends.py`.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from call_cpu import SpeechSource, _cpu

from softphone.audio.files import read_file
from softphone.audio.null import NullSink
from softphone.conference.config import ConferenceConfig
from softphone.conference.loudspeaker import Loudspeaker
from softphone.conference.media import RoomMedia, Surroundings
from softphone.conference.microphone import Microphone
from softphone.conference.uplink import ASSUMED_BURST, ASSUMED_LOSS
from softphone.data import sample_speech
from softphone.recording import Recorder
from softphone.rooms.replies import Joined
from softphone.rooms.requests import Signal
from softphone.rooms.values import ParticipantInfo, RoomRole
from softphone.rtp.packet import RtpPayload
from softphone.sending import NetworkReport, SendingConfig, SendingPipeline
from softphone.webrtc import Capabilities, ConnectionState, Peer

MEASURED = "zz" + "m" * 24
"""Id of the measured participant: greater than the others, so that it offers to all in a mesh."""
_HEADERS = 28
"""IPv4 and UDP, bytes."""

Stream = Sequence[RtpPayload | None]
"""What is sent every 20 ms, again and again; None: nothing. Payload type and time stamp do not matter."""


@dataclass(frozen=True)
class Plan:
    """What is measured, as both processes are told."""

    kind: str
    """Who is measured and who speaks: "softphone-all" or "aiortc-one", for instance."""
    others: int
    """People in the room beside the measured one."""
    settle: float
    """Seconds in the room before the measurement."""
    seconds: float
    """Seconds of the measurement."""


@dataclass(frozen=True)
class Traffic:
    """What connections have carried so far."""

    sent: int
    """Bytes on the wire."""
    received: int
    packets: int
    """RTP packets sent."""


def puppet_id(number: int) -> str:
    """Id of the others."""
    return f"{number:02}" + "p" * 24


async def lines() -> AsyncIterator[str]:
    """Standard input, line by line."""
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode()


def tell(text: str) -> None:
    """One line to the other process."""
    print(text, flush=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody announces."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def report(traffic: Callable[[], Awaitable[Traffic]], streams: int, plan: Plan) -> None:
    """Measure, and tell CPU, kb/s each way, and which share of its packets the participant has sent.

    `streams`: how often it sends its speech.
    """
    await asyncio.sleep(plan.settle)
    before, cpu, began = await traffic(), _cpu(), time.monotonic()
    await asyncio.sleep(plan.seconds)
    elapsed = time.monotonic() - began
    cpu_now, now = _cpu(), await traffic()
    values = {
        "cpu": (cpu_now - cpu) / elapsed,
        "up": (now.sent - before.sent) * 0.008 / elapsed,
        "down": (now.received - before.received) * 0.008 / elapsed,
        "share": (now.packets - before.packets) / (50.0 * streams * elapsed),
    }
    tell(json.dumps({"result": values}))


def count_traffic(entries: list[dict[str, Any]]) -> Traffic:
    """Add up webrtc-stats, with the headers that transports do not count."""
    transports = [entry for entry in entries if entry.get("type") == "transport"]
    return Traffic(
        sum(entry["bytesSent"] + _HEADERS * entry["packetsSent"] for entry in transports),
        sum(entry["bytesReceived"] + _HEADERS * entry["packetsReceived"] for entry in transports),
        sum(entry["packetsSent"] for entry in entries if entry.get("type") == "outbound-rtp"),
    )


def joined(**connection: Any) -> Joined:
    """What the room server would have said to the measured participant."""
    return Joined(
        id=MEASURED,
        room="room",
        name="measured",
        role=RoomRole.PARTICIPANT,
        max_participants=8,
        connection=connection,
        resume="",
        resume_seconds=0,
    )


class SoftphoneEnd:
    """The measured participant, softphone: what `softphone join` runs, without a sound card."""

    def __init__(
        self,
        send: Callable[[Signal], object] = lambda signal: None,
        *,
        addresses: tuple[str, ...] | None = None,
    ) -> None:
        """`send`: gets signals for the others; `addresses`: local ones for media, None: all."""
        config = ConferenceConfig(addresses=addresses, source="null", sink="null")
        recorder = Recorder()
        self._microphone = Microphone(SpeechSource(), config.sending, recorder)
        self._loudspeaker = Loudspeaker(NullSink(), recorder)
        self._peers: list[Peer] = []
        self.around = Surroundings(
            config,
            self._microphone,
            self._loudspeaker,
            recorder,
            send=send,
            emit=lambda event: None,
            on_peer=self._peers.append,
        )

    async def enter(self, media: RoomMedia, others: int, connections: int) -> None:
        """Meet the others, and wait until that many connections stand."""
        able = Capabilities.local().to_json()
        for number in range(others):
            media.add(ParticipantInfo(id=puppet_id(number), name=f"p{number}", capabilities=able))
        await self._loudspeaker.start()
        await self._microphone.start()
        gc.freeze()  # as the softphone command does
        await until(
            lambda: sum(peer.state is ConnectionState.CONNECTED for peer in self._peers) == connections
        )

    async def traffic(self) -> Traffic:
        """Of all connections."""
        return count_traffic([entry for peer in self._peers for entry in peer.statistics().values()])


class AiortcEnd:
    """The measured participant, with nothing but aiortc for its media."""

    def __init__(self) -> None:
        self._tracks: list[MediaStreamTrack] = []
        self._connections: list[RTCPeerConnection] = []

    def connection(self) -> RTCPeerConnection:
        """A new one, whose voice will be heard."""
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.on("track", self._tracks.append)
        self._connections.append(connection)
        return connection

    async def connected(self) -> None:
        """Wait until every connection stands."""
        await until(lambda: all(each.connectionState == "connected" for each in self._connections))

    async def play(self) -> None:
        """Decode all voices and add them up, without end."""
        while True:
            frames = await asyncio.gather(*(track.recv() for track in self._tracks))
            np.clip(sum(frame.to_ndarray().astype(np.int32) for frame in frames), -32768, 32767)

    async def traffic(self) -> Traffic:
        """Of all connections."""
        reports = [await connection.getStats() for connection in self._connections]
        return count_traffic([vars(entry) for each in reports for entry in each.values()])


def puppet_streams(plan: Plan, *, assume_loss: bool = False) -> list[Stream]:
    """What each of the others sends; `assume_loss`: softphones protect it as they do for a media server."""
    ours = plan.kind.startswith("softphone")
    spoken, silence = (
        encoded(speaks, dtx=ours, assume_loss=ours and assume_loss) for speaks in (True, False)
    )
    return [spoken if plan.kind.endswith("all") or not number else silence for number in range(plan.others)]


def encoded(speaks: bool, *, dtx: bool, assume_loss: bool) -> Stream:
    """8 s of speech, or of an open microphone in a quiet room."""
    # What a media server may lose takes DRED; it passes no RED on.
    mode = "auto" if assume_loss else "none"
    pipeline = SendingPipeline(SendingConfig(mode=mode, dtx=dtx, peer_red=False))
    speech = read_file(sample_speech())
    payloads: list[RtpPayload | None] = []
    for number in range(400):
        if assume_loss and number % 50 == 0:
            pipeline.on_report(NetworkReport(number * 0.02, ASSUMED_LOSS, ASSUMED_BURST))
        pcm = speech[number * 960 : (number + 1) * 960] if speaks else np.zeros(960, np.float32)
        made = pipeline.push(pcm, number * 0.02)
        payloads.append(made[0] if made else None)
    return payloads


async def send_streams(speakers: Sequence[tuple[Peer, Stream]]) -> None:
    """Send in real time, without end. Speakers may be added meanwhile."""
    began, frame = time.monotonic(), 0
    while True:
        await asyncio.sleep(max(0.0, began + frame * 0.02 - time.monotonic()))
        for peer, stream in speakers:
            made = stream[frame % len(stream)]
            if made is not None and peer.negotiated is not None:
                kind = peer.negotiated.opus_pt
                peer.sender.send(RtpPayload(kind, frame * 960, made.payload, made.marker, made.audio_level))
        frame += 1
