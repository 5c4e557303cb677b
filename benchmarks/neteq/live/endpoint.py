"""A receiver in a process of its own: softphone's receive path, or stock aiortc's.

    python -m benchmarks.neteq.live.endpoint softphone --policy onnx

Speaks JSON lines with its parent: reads ``{"offer"}``, writes ``{"answer"}``; reads
``{"began", "until", "recording"}`` (monotonic seconds, a path), plays until then, writes
the recording and ``{"pulls", "statistics"}``.
"""

import argparse
import asyncio
import gc
import json
import sys
from collections import deque
from dataclasses import asdict
from pathlib import Path

import aioice.ice
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from numpy.typing import NDArray

from benchmarks.neteq.live.output import PacedOutput
from benchmarks.neteq.live.sender import LOOPBACK
from benchmarks.neteq.policies import make_known
from softphone.audio.stream import AudioSource, Deliver
from softphone.media import MediaConfig, MediaSession
from softphone.playout import MAX_DELAY, PlayoutConfig
from softphone.sending import SendingConfig
from softphone.webrtc import IceConfig, LocalAudio, Peer, PeerConfig

__all__ = ["main"]


class _Listener(AudioSource):
    """Somebody who only listens: nothing is sent back."""

    def start(self, deliver: Deliver) -> None:
        pass

    def stop(self) -> None:
        pass


def _read() -> dict[str, object]:
    line = sys.stdin.readline()
    if not line:
        raise SystemExit("the parent is gone")
    return dict(json.loads(line))


def _write(**values: object) -> None:
    print(json.dumps(values, default=str), flush=True)


async def _record(output: PacedOutput, began: float, until: float, path: Path) -> list[float]:
    await asyncio.sleep(until - asyncio.get_running_loop().time())
    await asyncio.to_thread(output.stop)
    recording, pulls = output.recording(began)
    recording.save(path)
    return pulls


async def _softphone(policy: str, max_delay: float) -> None:
    make_known(policy)
    peer = Peer(PeerConfig(IceConfig(addresses=(LOOPBACK,)), LocalAudio(direction="recvonly")))
    _write(answer=await peer.accept_offer(str((await asyncio.to_thread(_read))["offer"])))
    await peer.wait_connected()
    output = PacedOutput()
    config = MediaConfig(SendingConfig(), PlayoutConfig(policy=policy, max_delay=max_delay))
    media = MediaSession(peer, _Listener(), output, config)
    await media.start()
    gc.collect()
    gc.freeze()  # as the softphone command does
    order = await asyncio.to_thread(_read)
    pulls = await _record(
        output, float(str(order["began"])), float(str(order["until"])), Path(str(order["recording"]))
    )
    statistics = asdict(media.engine.statistics)
    await media.stop()
    _write(pulls=pulls, statistics=statistics)
    await peer.close()


class _Card:
    """What an application makes of aiortc's frames: a queue that the sound card empties."""

    def __init__(self) -> None:
        self._queue: deque[NDArray[np.float32]] = deque()
        self._rest = np.zeros(0, np.float32)

    async def fill(self, track: MediaStreamTrack) -> None:
        """Take frames as the track gives them; stereo is mixed down."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame)
            samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
            self._queue.append(samples.mean(axis=1, dtype=np.float32) / np.float32(32768))

    def render(self, samples: int, playout: float) -> NDArray[np.float32]:
        """The next samples; what is missing is silence."""
        while self._rest.size < samples and self._queue:
            self._rest = np.concatenate((self._rest, self._queue.popleft()))
        block, self._rest = self._rest[:samples], self._rest[samples:]
        return np.pad(block, (0, samples - block.size))


async def _aiortc() -> None:
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [LOOPBACK]
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    card, tasks = _Card(), []

    @connection.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        tasks.append(asyncio.ensure_future(card.fill(track)))

    offer = str((await asyncio.to_thread(_read))["offer"])
    await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    _write(answer=connection.localDescription.sdp)
    output = PacedOutput()
    output.start(card.render)
    gc.collect()
    gc.freeze()
    order = await asyncio.to_thread(_read)
    pulls = await _record(
        output, float(str(order["began"])), float(str(order["until"])), Path(str(order["recording"]))
    )
    _write(pulls=pulls, statistics={})
    for task in tasks:
        task.cancel()
    await connection.close()


def main() -> int:
    """Command line of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("system", choices=("softphone", "aiortc"))
    parser.add_argument("--policy", default="onnx")
    parser.add_argument("--max-delay", type=float, default=MAX_DELAY)
    args = parser.parse_args()
    sys.setswitchinterval(0.001)
    asyncio.run(_aiortc() if args.system == "aiortc" else _softphone(args.policy, args.max_delay))
    return 0


if __name__ == "__main__":
    sys.exit(main())
