"""CPU time of one endpoint in a call: softphone beside stock aiortc, in one run.

"auto" is the usual call, on a clean network; "both" one that sends LBRR and DRED all the
time and decodes a stream that holds them.

Each call joins two processes over loopback UDP with ICE, DTLS and SRTP; both send speech
and both play what they receive. Rounds alternate, so that a machine that changes its
speed changes it for both. Prints CPU seconds per second of call and endpoint, and the
ratio of softphone to aiortc.

    python benchmarks/call_cpu.py [--seconds 15] [--rounds 3]
"""

import argparse
import asyncio
import fractions
import gc
import json
import resource
import statistics
import subprocess
import sys
import time

import aioice.ice
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from softphone.audio.files import read_file
from softphone.audio.null import NullSink
from softphone.audio.pacer import Pacer
from softphone.audio.stream import AudioSource, Deliver
from softphone.data import sample_speech
from softphone.media import MediaConfig, MediaSession
from softphone.playout import PlayoutConfig
from softphone.sending import SendingConfig
from softphone.webrtc import Capabilities, IceConfig, Peer, PeerConfig

_LOOPBACK = "127.0.0.1"
_SETTLE = 10.0
"""Seconds of call before the measurement: by then a clean network is known to be clean."""


def _read() -> dict[str, str]:
    return dict(json.loads(sys.stdin.readline()))


def _write(**values: object) -> None:
    print(json.dumps(values), flush=True)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _measure(seconds: float) -> None:
    await asyncio.sleep(_SETTLE)
    cpu, began = _cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    _write(cpu=(_cpu() - cpu) / (time.monotonic() - began))


class SpeechSource(AudioSource):
    """The shipped sample in real time, from memory like that of the other side."""

    def __init__(self) -> None:
        self._pcm = read_file(sample_speech())
        self._number = 0

    def start(self, deliver: Deliver) -> None:
        """Begin to speak."""

        def tick(due: float) -> bool:
            at = self._number * 960 % (self._pcm.size - 960)
            self._number += 1
            deliver(self._pcm[at : at + 960], due - 0.02)
            return True

        self._pacer = Pacer(0.02, tick)
        self._pacer.start()

    def stop(self) -> None:
        """Fall silent."""
        self._pacer.stop()


async def softphone_end(offers: bool, seconds: float, mode: str) -> None:
    """One end of a softphone call."""
    peer = Peer(PeerConfig(ice=IceConfig(addresses=(_LOOPBACK,))))
    able = Capabilities.local()
    if offers:
        _write(sdp=await peer.create_offer())
        await peer.accept_answer(_read()["sdp"], able)
    else:
        _write(sdp=await peer.accept_offer(_read()["sdp"], able))
    await peer.wait_connected()
    media = MediaSession(
        peer,
        SpeechSource(),
        NullSink(),
        MediaConfig(SendingConfig(mode=mode), PlayoutConfig()),
    )
    await media.start()
    gc.freeze()  # as the softphone command does
    await _measure(seconds)
    await media.stop()
    await peer.close()


class SpeechTrack(MediaStreamTrack):
    """The shipped sample in real time, as stock aiortc wants it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._pcm = (np.clip(read_file(sample_speech()), -1, 1) * 32767).astype(np.int16)
        self._began = 0.0
        self._number = 0

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms."""
        if not self._number:
            self._began = time.monotonic()
        await asyncio.sleep(max(0.0, self._began + self._number * 0.02 - time.monotonic()))
        at = self._number * 960 % (self._pcm.size - 960)
        frame = av.AudioFrame.from_ndarray(self._pcm[None, at : at + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, self._number * 960
        frame.time_base = fractions.Fraction(1, 48_000)
        self._number += 1
        return frame


async def aiortc_end(offers: bool, seconds: float) -> None:
    """One end of a call with nothing but aiortc."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [_LOOPBACK]
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(SpeechTrack())
    tasks = []

    async def play(track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            frame.to_ndarray()

    @connection.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        tasks.append(asyncio.ensure_future(play(track)))

    if offers:
        await connection.setLocalDescription(await connection.createOffer())
        _write(sdp=connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(_read()["sdp"], "answer"))
    else:
        await connection.setRemoteDescription(RTCSessionDescription(_read()["sdp"], "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        _write(sdp=connection.localDescription.sdp)
    await _measure(seconds)
    for task in tasks:
        task.cancel()
    await connection.close()


def call(kind: str, seconds: float) -> float:
    """Make one call; returns the mean CPU share of its two ends."""
    ends = [
        subprocess.Popen(
            [sys.executable, __file__, "--end", f"{kind},{role}", "--seconds", str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role in ("offer", "answer")
    ]
    offerer, answerer = ends
    for source, target in ((offerer, answerer), (answerer, offerer)):
        if source.stdout and target.stdin:
            target.stdin.write(source.stdout.readline())
            target.stdin.flush()
    shares = [json.loads(end.stdout.readline())["cpu"] for end in ends if end.stdout]
    for end in ends:
        end.communicate(timeout=20)
    return statistics.mean(shares)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="measured in each call")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--end", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.end:
        kind, role = args.end.split(",")
        offers = role == "offer"
        if kind == "aiortc":
            asyncio.run(aiortc_end(offers, args.seconds))
        else:
            asyncio.run(softphone_end(offers, args.seconds, kind.removeprefix("softphone-")))
        return 0
    kinds = ("aiortc", "softphone-auto", "softphone-both")
    shares: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(args.rounds):
        for kind in kinds:
            shares[kind].append(call(kind, args.seconds))
            print(f"round {number + 1}: {kind} {shares[kind][-1]:.4f}", file=sys.stderr)
    print("| endpoint | CPU per second of call, median | ratio to aiortc, median of rounds |\n|---|---|---|")
    for kind in kinds:
        ratios = [share / base for share, base in zip(shares[kind], shares["aiortc"], strict=True)]
        print(f"| {kind} | {statistics.median(shares[kind]):.4f} | {statistics.median(ratios):.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
