"""What a mesh room costs one participant: softphone beside stock aiortc, in one run.

One process is the participant that is measured: it encodes its speech, sends it to N-1
others, decodes and mixes what they send. softphone is its own mesh (one encoder, a playout
for each voice, a mixer); stock aiortc is N-1 peer connections that share a track through
its relay, whose received tracks are added up. A second process plays the others: real
connections over loopback UDP with ICE, DTLS and SRTP, which send packets encoded
beforehand and decode nothing.

"all" is a room in which everybody speaks at once, "one" a room in which one other person
speaks and the rest listen with open microphones: softphones then send nothing but a packet
every 400 ms, aiortc goes on at full rate.

Prints CPU seconds per second, kb/s on the wire (IP and UDP headers included), the ratio of
softphone to aiortc, and what one more voice costs: the slope over the sizes.

    python benchmarks/room_cost.py [--sizes 2,4,6,8] [--seconds 10] [--rounds 1]
"""

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aioice.ice
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from call_cpu import SpeechSource, SpeechTrack, _cpu

from softphone.audio.files import read_file
from softphone.audio.null import NullSink
from softphone.conference.config import ConferenceConfig
from softphone.conference.loudspeaker import Loudspeaker
from softphone.conference.media import Surroundings
from softphone.conference.mesh import Mesh
from softphone.conference.microphone import Microphone
from softphone.conference.pair import PairState
from softphone.data import sample_speech
from softphone.recording import Recorder
from softphone.rooms.replies import FROM_SERVER, Joined
from softphone.rooms.requests import Signal
from softphone.rooms.values import ParticipantInfo, RoomRole, SignalKind
from softphone.rtp.packet import RtpPayload
from softphone.sending import SendingConfig, SendingPipeline
from softphone.signaling.messages import encode
from softphone.webrtc import Capabilities, IceConfig, Peer, PeerConfig

_LOOPBACK = "127.0.0.1"
_SETTLE = 10.0
"""Seconds before the measurement: by then a clean network is known to be clean."""
_VOID = 0.85
"""Share of its packets that a participant must have sent for its CPU to mean anything; pauses of
speech leave some out."""
_ATTEMPTS = 3
_HEADERS = 28
"""IPv4 and UDP, bytes."""
_MEASURED = "zz" + "m" * 24
"""Greater than the others: it offers to all."""
_KINDS = ("softphone-all", "aiortc-all", "softphone-one", "aiortc-one")


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


async def report(wire: Callable[[], Awaitable[tuple[int, int, int]]], others: int, seconds: float) -> None:
    """Measure, and tell CPU, kb/s each way, and which share of its packets the participant has sent."""
    await asyncio.sleep(_SETTLE)
    before, cpu, began = await wire(), _cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    elapsed = time.monotonic() - began
    cpu_now = _cpu()
    sent, received, packets = (now - then for now, then in zip(await wire(), before, strict=True))
    values = {
        "cpu": (cpu_now - cpu) / elapsed,
        "up": sent * 0.008 / elapsed,
        "down": received * 0.008 / elapsed,
        "share": packets / (50.0 * others * elapsed),
    }
    tell(json.dumps({"result": values}))


async def softphone_end(others: int, seconds: float) -> None:
    """The measured participant, softphone."""
    config = ConferenceConfig(addresses=(_LOOPBACK,), source="null", sink="null")
    recorder = Recorder()
    microphone = Microphone(SpeechSource(), config.sending, recorder)
    loudspeaker = Loudspeaker(NullSink(), recorder)
    joined = Joined(
        id=_MEASURED,
        room="room",
        name="measured",
        role=RoomRole.PARTICIPANT,
        max_participants=8,
        resume="",
        resume_seconds=0,
    )
    peers: list[Peer] = []
    around = Surroundings(
        config,
        microphone,
        loudspeaker,
        recorder,
        send=lambda signal: tell(encode(signal)),
        emit=lambda event: None,
        on_peer=peers.append,
    )
    mesh = Mesh(joined, around)
    able = Capabilities.local().to_json()
    people = [ParticipantInfo(id=puppet_id(n), name=f"p{n}", capabilities=able) for n in range(others)]
    for person in people:
        mesh.add(person)
    await loudspeaker.start()
    await microphone.start()
    gc.freeze()  # as the softphone command does

    def connected() -> bool:
        return all(mesh.statistics(p, speaking=False).state is PairState.CONNECTED for p in people)

    async def wire() -> tuple[int, int, int]:
        return sum_transports([entry for peer in peers for entry in peer.statistics().values()])

    async def listen() -> None:
        async for line in lines():
            message = FROM_SERVER.parse(line)
            assert isinstance(message, Signal)
            mesh.on_signal(message)

    listening = asyncio.create_task(listen())
    while not connected():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await report(wire, others, seconds)
    listening.cancel()


def sum_transports(entries: list[dict[str, Any]]) -> tuple[int, int, int]:
    """Bytes sent and received, with the headers that the transports do not count, and packets sent."""
    sent = received = packets = 0
    for entry in entries:
        if entry.get("type") == "transport":
            sent += entry["bytesSent"] + _HEADERS * entry["packetsSent"]
            received += entry["bytesReceived"] + _HEADERS * entry["packetsReceived"]
            packets += entry["packetsSent"]
    return sent, received, packets


async def aiortc_end(others: int, seconds: float) -> None:
    """The measured participant, with nothing but aiortc."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [_LOOPBACK]
    relay, speech = MediaRelay(), SpeechTrack()
    connections = [RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(others)]
    tracks: list[MediaStreamTrack] = []
    for number, connection in enumerate(connections):
        connection.addTrack(relay.subscribe(speech))
        connection.on("track", tracks.append)
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
        message = FROM_SERVER.parse(line)
        assert isinstance(message, Signal)
        assert message.sdp is not None
        connection = connections[int(message.peer[:2])]
        await connection.setRemoteDescription(RTCSessionDescription(message.sdp, "answer"))
        answers += 1
        if answers == others:
            break

    async def play() -> None:
        while True:
            frames = await asyncio.gather(*(track.recv() for track in tracks))
            np.clip(sum(frame.to_ndarray().astype(np.int32) for frame in frames), -32768, 32767)

    playing = asyncio.create_task(play())

    async def wire() -> tuple[int, int, int]:
        reports = [await connection.getStats() for connection in connections]
        return sum_transports([vars(entry) for each in reports for entry in each.values()])

    gc.freeze()
    await report(wire, others, seconds)
    playing.cancel()


async def puppets(others: int, kind: str) -> None:
    """Everybody else: connections that send what was encoded beforehand, and decode nothing."""
    peers: dict[str, Peer] = {}
    able = Capabilities.local()
    spoken = encoded(speaks=True, dtx=kind.startswith("softphone"))
    silence = encoded(speaks=False, dtx=kind.startswith("softphone"))

    async def send() -> None:
        began, frame = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, began + frame * 0.02 - time.monotonic()))
            for peer_id, peer in peers.items():
                stream = spoken if kind.endswith("all") or peer_id == puppet_id(0) else silence
                payload = stream[frame % len(stream)]
                if payload is not None and peer.negotiated is not None:
                    peer.sender.send(
                        RtpPayload(
                            peer.negotiated.opus_pt,
                            frame * 960,
                            payload.payload,
                            payload.marker,
                            payload.audio_level,
                        )
                    )
            frame += 1

    sending = asyncio.create_task(send())
    async for line in lines():
        message = FROM_SERVER.parse(line)
        assert isinstance(message, Signal)
        peer = peers.get(message.peer)
        if message.kind is SignalKind.OFFER and message.sdp is not None:
            peer = peers[message.peer] = Peer(PeerConfig(ice=IceConfig(addresses=(_LOOPBACK,))))
            sdp = await peer.accept_offer(message.sdp, able if kind.startswith("softphone") else None)
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


def encoded(*, speaks: bool, dtx: bool) -> list[RtpPayload | None]:
    """8 s of speech, or of an open microphone in a quiet room; None where nothing is sent."""
    pipeline = SendingPipeline(SendingConfig(mode="none", dtx=dtx))
    speech = read_file(sample_speech())
    payloads: list[RtpPayload | None] = []
    for number in range(400):
        pcm = speech[number * 960 : (number + 1) * 960] if speaks else np.zeros(960, np.float32)
        made = pipeline.push(pcm, number * 0.02)
        payloads.append(made[0] if made else None)
    return payloads


async def measure(kind: str, size: int, seconds: float) -> dict[str, float]:
    """One room; returns what its measured participant reported."""
    common = ("--size", str(size), "--seconds", str(seconds))
    ends = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            "--end",
            f"{kind},{role}",
            *common,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=1 << 20,
        )
        for role in ("measured", "puppets")
    ]

    async def carry(
        source: asyncio.subprocess.Process, target: asyncio.subprocess.Process
    ) -> dict[str, float]:
        assert source.stdout is not None
        assert target.stdin is not None
        while line := await source.stdout.readline():
            if line.startswith(b'{"result"'):
                return dict(json.loads(line)["result"])
            target.stdin.write(line)
        raise RuntimeError(f"{kind}: one end has gone")

    back = asyncio.create_task(carry(ends[1], ends[0]))
    try:
        async with asyncio.timeout(seconds + _SETTLE + 60):
            return await carry(ends[0], ends[1])
    finally:
        back.cancel()
        for end in ends:
            end.kill()
            await end.wait()


async def measure_well(kind: str, size: int, seconds: float) -> dict[str, float]:
    """`measure`, again while the machine is too busy for it."""
    for _ in range(_ATTEMPTS):
        values = await measure(kind, size, seconds)
        numbers = {name: round(value, 3) for name, value in values.items()}
        print(f"{size} in the room, {kind}: {numbers}", file=sys.stderr, flush=True)
        if values["share"] >= _VOID:
            return values
        print("void: the machine was too busy", file=sys.stderr, flush=True)
    raise SystemExit("this machine is too busy to measure anything; try again when it is quiet")


def slope(sizes: list[int], values: list[float]) -> float:
    """What one more costs: least squares."""
    return float(np.polyfit(sizes, values, 1)[0]) if len(sizes) > 1 else float("nan")


async def compare(sizes: list[int], seconds: float, rounds: int) -> None:
    """Measure everything and print the tables."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for size in sizes:
        results: dict[str, list[dict[str, float]]] = {kind: [] for kind in _KINDS}
        for _ in range(rounds):
            for kind in _KINDS:
                results[kind].append(await measure_well(kind, size, seconds))
        for kind, many in results.items():
            found[kind, size] = {name: statistics.median(each[name] for each in many) for name in many[0]}
    for case, title in (("all", "everybody speaks"), ("one", "one other speaks, the rest is silent")):
        print(f"\n{title}:\n")
        print("| in the room | CPU | CPU, aiortc | ratio | kb/s up, down | kb/s up, down, aiortc |")
        print("|---|---|---|---|---|---|")
        for size in sizes:
            ours, theirs = found[f"softphone-{case}", size], found[f"aiortc-{case}", size]
            print(
                f"| {size} | {100 * ours['cpu']:.1f} % | {100 * theirs['cpu']:.1f} % "
                f"| {ours['cpu'] / theirs['cpu']:.2f} | {ours['up']:.0f}, {ours['down']:.0f} "
                f"| {theirs['up']:.0f}, {theirs['down']:.0f} |"
            )
        costs = {
            name: slope(sizes, [found[f"{name}-{case}", size]["cpu"] for size in sizes])
            for name in ("softphone", "aiortc")
        }
        print(
            f"\none more voice costs {100 * costs['softphone']:.2f} % of a core, "
            f"with aiortc {100 * costs['aiortc']:.2f} %"
        )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="2,4,6,8", help="people in the room, the measured one included")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured in each room")
    parser.add_argument("--rounds", type=int, default=1, help="the median of so many is printed")
    parser.add_argument("--end", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.end:
        asyncio.run(compare([int(size) for size in args.sizes.split(",")], args.seconds, args.rounds))
        return 0
    kind, role = args.end.split(",")
    if role == "puppets":
        asyncio.run(puppets(args.size - 1, kind))
    elif kind.startswith("aiortc"):
        asyncio.run(aiortc_end(args.size - 1, args.seconds))
    else:
        asyncio.run(softphone_end(args.size - 1, args.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
