"""softphone's playout in virtual time: the same packets and schedules, no machine in between.

For tuning: what differs from the live run is the noise of a real machine.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.neteq.policies import load_policy
from benchmarks.neteq.recording import Recording
from benchmarks.neteq.reference import Reference
from benchmarks.neteq.schedules import Schedule
from benchmarks.neteq.streams import Stream
from softphone.audio.stream import SAMPLE_RATE
from softphone.playout import MAX_DELAY, PlayoutConfig, PlayoutEngine, TraceRecord
from softphone.rtp.packet import RtpPacket

__all__ = ["OfflineCall", "play"]

_BLOCK = 480
_AFTER = 1.2
_SSRC = 1


@dataclass(frozen=True, slots=True)
class OfflineCall:
    """What came of one call in virtual time."""

    recording: Recording
    records: list[TraceRecord]
    """What the engine did, step by step."""


def play(
    stream: Stream,
    schedule: Schedule,
    reference: Reference,
    *,
    policy: str,
    max_delay: float = MAX_DELAY,
    phase: float = 0.005,
    complexity: int = 7,
) -> OfflineCall:
    """Receive ``stream`` on ``schedule``.

    ``phase``: how much later than a packet that met no delay the output pulls its 10 ms,
    seconds; live it is anything from 0 to 10 ms. ``complexity``: of the decoder. Raises
    :class:`softphone.errors.ConfigError` for an unknown policy.
    """
    config = PlayoutConfig(max_delay=max_delay, decoder_complexity=complexity)
    records: list[TraceRecord] = []
    engine = PlayoutEngine(config, load_policy(policy, max_delay), on_trace=records.append)
    engine.set_path_delay(0.0, 0.0)
    arrivals = []
    for number, (payload, (sent, slot)) in enumerate(zip(stream.payloads, stream.departures(), strict=True)):
        fate = schedule.fate(slot)
        if fate is not None:
            packet = RtpPacket(
                payload.payload_type, number & 0xFFFF, payload.timestamp, _SSRC, payload.payload
            )
            arrivals.append((sent + fate, number, packet))
    arrivals.sort(key=lambda arrival: arrival[:2])
    blocks, times = [], []
    waiting = 0
    for number in range(round((reference.seconds + _AFTER) * SAMPLE_RATE) // _BLOCK):
        now = number * _BLOCK / SAMPLE_RATE + phase
        while waiting < len(arrivals) and arrivals[waiting][0] <= now:
            at, _, packet = arrivals[waiting]
            engine.insert(packet, at)
            waiting += 1
        blocks.append(np.array(engine.pull(now, _BLOCK)))
        times.append(now)
    return OfflineCall(Recording.of_blocks(blocks, times), records)
