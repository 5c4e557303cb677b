"""The sending end of a live run: a real connection, packets released by the schedule.

All packets go through softphone's sender and SRTP in the order of their numbers. What would
leave is held back and handed to a process that puts each datagram on the wire when the
schedule says it arrives. The path itself is loopback, so this is the delay of the network.
"""

import asyncio
import contextlib
import os
import re
import socket
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks.neteq.live.release import LATENESS, RECORD
from benchmarks.neteq.schedules import Schedule
from benchmarks.neteq.streams import Stream
from softphone.errors import RemoteProtocolError
from softphone.webrtc import IceConfig, LocalAudio, Peer, PeerConfig

__all__ = ["LOOPBACK", "LiveSender", "Release"]

LOOPBACK = "127.0.0.1"

_RELEASE = Path(__file__).with_name("release.py")
_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host\b.*$", re.MULTILINE | re.IGNORECASE)
_OTHERS = re.compile(r"^a=candidate:.*\r?\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Release:
    """How punctual the sender was."""

    packets: int
    """Packets to release."""
    missing: int
    """Packets that the socket refused."""
    late: list[tuple[float, float]]
    """Time (seconds after the speaker began) and lateness (seconds) of each, by number."""


class LiveSender:
    """One connection and one stream. Make and use it on the event loop."""

    def __init__(self) -> None:
        audio = LocalAudio(direction="sendonly", telephone_event=False, max_average_bitrate=None)
        self._peer = Peer(PeerConfig(IceConfig(addresses=(LOOPBACK,)), audio))
        self._local = self._remote = ("", 0)

    async def __aenter__(self) -> "LiveSender":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._peer.close()

    async def offer(self) -> str:
        """The description for the receiver."""
        offer = await self._peer.create_offer()
        self._local = _candidates(offer)[0]
        return offer

    async def connect(self, answer: str) -> None:
        """Take the receiver's answer and wait for DTLS.

        One address of the receiver is kept, on loopback if it has one there: so it is
        known where packets go. Raises :class:`softphone.errors.RemoteError` when there is no
        connection.
        """
        candidates = _candidates(answer)
        if not candidates:
            raise RemoteProtocolError("the receiver has no address of its own")
        self._remote = next((found for found in candidates if found[0] == LOOPBACK), candidates[0])
        wanted = f" {self._remote[0]} {self._remote[1]} "
        kept = _OTHERS.sub(lambda line: line[0] if wanted in line[0] else "", answer)
        await self._peer.accept_answer(kept)
        await self._peer.wait_connected()

    async def release(self, stream: Stream, schedule: Schedule, began: float, folder: Path) -> Release:
        """Send ``stream`` on ``schedule`` as if somebody had begun to speak at ``began`` (monotonic).

        Returns when the last packet is on the wire. ``folder`` is for files in between.
        """
        datagrams, lateness = folder / "datagrams", folder / "lateness"
        count = self._prepare(stream, schedule, began, datagrams)
        # From the socket of ICE: to the receiver it is one sender.
        descriptor = _duplicate(self._local)
        host, port = self._remote
        command = [
            sys.executable,
            "-I",
            str(_RELEASE),
            str(descriptor),
            host,
            str(port),
            str(datagrams),
            str(lateness),
        ]
        try:
            child = await asyncio.create_subprocess_exec(*command, pass_fds=[descriptor])
        finally:
            os.close(descriptor)
        if await child.wait():
            raise RuntimeError("the releasing process failed; see its message above")
        departures = stream.departures()
        entries = list(LATENESS.iter_unpack(lateness.read_bytes()))
        late = [(departures[number][0], seconds) for number, seconds in entries]
        return Release(count, count - len(late), late)

    def _prepare(self, stream: Stream, schedule: Schedule, began: float, path: Path) -> int:
        """Write what arrives, protected, in the order of arrival; returns the number of packets."""
        held: list[bytes] = []
        self._peer.outgoing_hook = lambda datagram, transmit: _hold_rtp(datagram, transmit, held)
        ready = []
        departures = stream.departures()
        for number, (payload, (sent, slot)) in enumerate(zip(stream.payloads, departures, strict=True)):
            self._peer.sender.send(payload)
            datagram = held.pop()
            fate = schedule.fate(slot)
            if fate is not None:
                ready.append((began + sent + fate, number, datagram))
        self._peer.outgoing_hook = None
        ready.sort(key=lambda entry: entry[:2])
        with path.open("wb") as file:
            for due, number, datagram in ready:
                file.write(RECORD.pack(due, number, len(datagram)) + datagram)
        return len(ready)


def _hold_rtp(datagram: bytes, transmit: Callable[[bytes], None], held: list[bytes]) -> None:
    """Keep media back; connectivity checks, DTLS and RTCP go on (RFC 7983, RFC 5761)."""
    if 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223:
        held.append(datagram)
    else:
        transmit(datagram)


def _candidates(description: str) -> list[tuple[str, int]]:
    """Addresses of the host candidates for UDP over IPv4 in a session description."""
    found = [(host, int(port)) for host, port in _CANDIDATE.findall(description)]
    return [address for address in found if ":" not in address[0]]


def _duplicate(address: tuple[str, int]) -> int:
    """A second descriptor of this process's socket that is bound to ``address``."""
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            descriptor = int(entry)
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as sock:
                    if sock.family == socket.AF_INET and sock.getsockname() == address:
                        return os.dup(descriptor)
    raise RuntimeError(f"no socket is bound to {address}")
