"""Calls in virtual time for `endurance.py`: speech encoded once, any network, the real receive core."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from softphone.data import sample_speech
from softphone.opus import DTX_BYTES, Encoder
from softphone.playout import (
    PlayoutConfig,
    PlayoutEngine,
    PlayoutStatistics,
    PolicyConfig,
    TraceRecord,
    playout_policies,
)
from softphone.rtp.packet import RtpPacket
from softphone.rtp.red import RedBlock, pack_red
from softphone.sim.network import NetworkEmulator
from softphone.sim.profile import NetworkProfile
from softphone.sim.scoring import speech_activity

__all__ = [
    "RATE",
    "STREAMS",
    "TICK",
    "Call",
    "Pcm",
    "Stream",
    "Tape",
    "packets_from",
    "play",
    "tape",
]

Pcm = NDArray[np.float32]

RATE = 48_000
TICK = 480


@dataclass(frozen=True)
class Stream:
    """How the sender encodes."""

    bitrate: int = 48_000
    frame_ms: int = 20
    fec: bool = False
    dred_ms: int = 0
    red: bool = False
    dtx: bool = False


STREAMS = (
    Stream(),
    Stream(fec=True),
    Stream(dred_ms=1000),
    Stream(fec=True, dred_ms=1000),
    Stream(32_000, dred_ms=1000, dtx=True),
    Stream(fec=True, red=True),
    Stream(32_000, 10),
    Stream(32_000, 40, fec=True),
    Stream(48_000, 60, dred_ms=1000),
)


@dataclass(frozen=True)
class Tape:
    """Speech and its packets; played round and round."""

    pcm: Pcm
    active: NDArray[np.bool_]
    """Somebody speaks, for each 10 ms."""
    packets: tuple[tuple[int, int, bytes], ...]
    """Timestamp, payload type, payload."""


# Speech --------------------------------------------------------------------------


@lru_cache(maxsize=1)
def speech(folder: Path | None, seconds: float = 120.0) -> Pcm:
    """Clips in a row with pauses between, mono float32 at 48 kHz, in whole 120 ms."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".flac", ".wav")) if folder else []
    pieces: list[Pcm] = []
    total = 0
    for number, path in enumerate(files[::3] or [sample_speech()]):
        pcm, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = pcm.mean(axis=1)
        clip = np.asarray(mono if rate == RATE else soxr.resample(mono, rate, RATE), np.float32)
        pieces += [clip, np.zeros(round(RATE * (0.3 + 0.2 * (number % 5))), np.float32)]
        total += pieces[-1].size + clip.size
        if total > seconds * RATE:
            break
    joined = np.concatenate(pieces)
    return joined[: joined.size // 5760 * 5760]


@cache
def tape(stream: Stream, folder: Path | None) -> Tape:
    """The speech as a stream of packets."""
    pcm = speech(folder)
    encoder = Encoder()
    encoder.bitrate = stream.bitrate
    encoder.inband_fec = stream.fec
    encoder.packet_loss_perc = 20 if stream.fec or stream.dred_ms else 0
    encoder.dred_duration_ms = stream.dred_ms
    encoder.dtx = stream.dtx
    length = stream.frame_ms * 48
    packets: list[tuple[int, int, bytes]] = []
    silent, before = False, b""
    for at in range(0, pcm.size, length):
        payload = encoder.encode(pcm[at : at + length])
        announced, silent = silent, stream.dtx and len(payload) <= DTX_BYTES
        if silent and announced:
            continue
        if stream.red and before:
            packets.append((at, 63, pack_red(111, payload, [RedBlock(111, length, before)])))
        else:
            packets.append((at, 111, payload))
        before = payload
    return Tape(pcm, speech_activity(pcm), tuple(packets))


def packets_from(recording: Tape, start: int, seconds: float) -> Iterator[tuple[int, int, bytes]]:
    """Packets of ``seconds`` from the ``start``-th on; the first has timestamp 0."""
    origin = recording.packets[start][0]
    turn, number = 0, start
    while True:
        timestamp, kind, payload = recording.packets[number]
        timestamp += turn * recording.pcm.size - origin
        if timestamp >= seconds * RATE:
            return
        yield timestamp, kind, payload
        number += 1
        if number == len(recording.packets):
            turn, number = turn + 1, 0


# One call ------------------------------------------------------------------------


@dataclass
class Call:
    """What went in and what came out."""

    sent: Pcm
    active: NDArray[np.bool_]
    heard: Pcm
    records: list[TraceRecord]
    arrivals: list[tuple[float, float]]
    """Arrival and delay of each packet that came, seconds."""
    packets: int
    statistics: PlayoutStatistics
    gave_up: str
    """Why the policy handed over to another one; empty when it did not."""


def play(
    recording: Tape, start: int, profile: NetworkProfile, seed: int, policy: str, seconds: float
) -> Call:
    """One call in virtual time; the speaker begins at 0."""
    frame = recording.packets[1][0] - recording.packets[0][0]
    emulator = NetworkEmulator(profile, seed, start=0.0)
    deliveries: list[tuple[float, int, RtpPacket]] = []
    arrivals: list[tuple[float, float]] = []
    count = 0
    for number, (timestamp, kind, payload) in enumerate(packets_from(recording, start, seconds)):
        sent_at = (timestamp + frame) / RATE
        packet = RtpPacket(kind, number & 0xFFFF, timestamp, 1, payload)
        times = emulator.send(sent_at, len(payload) + 40)
        deliveries += [(at, len(deliveries) + k, packet) for k, at in enumerate(times)]
        arrivals += [(at, at - sent_at) for at in times[:1]]
        count += 1
    deliveries.sort(key=lambda each: each[:2])
    records: list[TraceRecord] = []
    chosen = playout_policies.load(policy)(PolicyConfig())
    engine = PlayoutEngine(PlayoutConfig(), chosen, on_trace=records.append)
    smallest = min((delay for _, delay in arrivals), default=profile.delay)
    engine.set_path_delay(smallest, 2 * smallest)
    heard = []
    following = 0
    for tick in range(round(seconds * RATE / TICK)):
        now = tick * TICK / RATE
        while following < len(deliveries) and deliveries[following][0] <= now:
            engine.insert(deliveries[following][2], deliveries[following][0])
            following += 1
        heard.append(engine.pull(now, TICK))
    origin = recording.packets[start][0]
    places = np.arange(origin, origin + round((seconds + 1) * RATE)) % recording.pcm.size
    return Call(
        sent=recording.pcm[places],
        active=recording.active[np.minimum(places[::TICK] // TICK, recording.active.size - 1)],
        heard=np.concatenate(heard),
        records=records,
        arrivals=sorted(arrivals),
        packets=count,
        statistics=engine.statistics,
        gave_up=getattr(chosen, "failure", None) or "",
    )
