"""What one forwarded stream costs a Janus server: CPU and bandwidth, measured on the process.

Starts Janus (which must be installed) with the configuration of the tests, lets N
participants publish encoded speech and hear each other, and reads the CPU time of the server
process. Participants are real connections with ICE, DTLS and SRTP; they decode nothing.

    python benchmarks/janus_cost.py [--sizes 2,4,6] [--seconds 10]
"""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from janus_ends import enter, peer_of
from room_ends import send_streams

from softphone.rooms.engines import Seat
from softphone.rooms.janus import JanusEngine
from softphone.rtp.packet import RtpPayload
from softphone.webrtc import Peer
from tests.support.janus_server import JanusProcess, missing_for_janus
from tests.support.stream import opus_packets

FRAME = 0.02
HEADERS = 28 + 12 + 8 + 10
"""IPv4 and UDP, RTP, header extensions, SRTP tag: bytes."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Memory in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure(server: JanusProcess, size: int, seconds: float) -> None:
    """Print one row."""
    engine = JanusEngine({"urls": server.url, "secret": "a secret of the benchmark"})
    received = 0

    def on_feed(feed: str, peer: Peer) -> None:
        def count(packet: object, arrival: float) -> None:
            nonlocal received
            received += 1

        peer.receiver.on_packet = count

    people = [Seat(f"cost-{size}", f"p{k}") for k in range(size)]
    rooms = [await enter(await engine.join(person), on_feed) for person in people]
    await asyncio.sleep(2.0)
    pid = server.pid
    idle = cpu_seconds(pid)
    await asyncio.sleep(seconds)
    idle = (cpu_seconds(pid) - idle) / seconds
    packets = opus_packets(bitrate=48_000, dred_ms=500)
    stream = [RtpPayload(0, 0, packet, audio_level=30) for packet in packets]
    received, before = 0, cpu_seconds(pid)
    began = time.monotonic()
    speaking = asyncio.create_task(send_streams([(peer_of(room), stream) for room in rooms]))
    await asyncio.sleep(seconds)
    speaking.cancel()
    await asyncio.sleep(0.2)
    busy, took = cpu_seconds(pid) - before, time.monotonic() - began
    each = (busy / took - idle) * took / max(1, received) * 1e6
    streams = size * (size - 1)
    print(
        f"{size:>2} participants, {streams:>3} streams out: {busy / took:6.3f} cores "
        f"({idle:.3f} idle), {each:5.1f} us a packet sent on, "
        f"{received / took / streams:5.1f} packets/s a stream, {resident(pid):.0f} MiB"
    )
    for room in rooms:
        await room.leave()
    await engine.stop()


async def main() -> None:
    """Measure every size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="2,4,6")
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    if missing := missing_for_janus():
        sys.exit(missing)
    packets = opus_packets(bitrate=48_000, dred_ms=500)
    mean = sum(map(len, packets)) / len(packets)
    rate = (mean + HEADERS) * 8 / FRAME / 1000
    print(f"a stream: {mean:.0f} bytes of Opus in a packet, {rate:.0f} kb/s on the wire")
    with JanusProcess() as server:
        for size in map(int, args.sizes.split(",")):
            await measure(server, size, args.seconds)


if __name__ == "__main__":
    asyncio.run(main())
