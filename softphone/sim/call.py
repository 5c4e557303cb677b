"""One direction of a call in virtual time: encoder, planner, network, playout, reports.

The objects are those of a live call; only the clock and the network are made. Nothing
here depends on the machine's speed or on the time of day: the same input, trace and
settings give the same bytes.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from numpy.typing import NDArray

from softphone.playout.config import CODEC_DELAY, PlayoutConfig
from softphone.playout.engine import PlayoutEngine
from softphone.playout.frames import Action, Source
from softphone.playout.policy import PlayoutPolicy
from softphone.playout.statistics import PlayoutStatistics
from softphone.playout.trace import TraceRecord
from softphone.rtp.packet import OPUS_CLOCK_RATE, RtpPacket
from softphone.rtp.reports import LossReporter
from softphone.rtp.statistics import ReceiveStatistics
from softphone.sending.config import SendingConfig
from softphone.sending.network import NetworkReport
from softphone.sending.pipeline import SendingPipeline
from softphone.sending.planner import PlanRecord
from softphone.sending.statistics import SendingStatistics
from softphone.sim.trace import PacketTrace

__all__ = ["OneWayCall", "SimulationConfig", "TracedPacket", "simulate_call"]

Pcm = NDArray[np.float32]

_TICK = 480
_BLOCK = 960
_TAIL_SECONDS = 0.6
"""Silence after the input, so that the last words have later packets to repair them."""
_SSRC = 1


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """Settings of a simulated call."""

    sending: SendingConfig = field(default_factory=SendingConfig)
    """What the sender does."""
    playout: PlayoutConfig = field(default_factory=PlayoutConfig)
    """What the receiver does."""
    trace: PacketTrace = field(default_factory=PacketTrace.perfect)
    """What the network does to each packet."""


@dataclass(frozen=True, slots=True)
class TracedPacket:
    """One packet on its way."""

    sent: float
    """When it left, seconds."""
    arrival: float | None
    """When it came, seconds; None when lost."""
    timestamp: int
    """Media time of its first sample, 48 kHz samples."""
    payload_type: int
    """Payload type it was sent with."""
    payload: bytes
    """What was in it."""


@dataclass(slots=True)
class OneWayCall:
    """One direction of a call after its end, simulated or live.

    Times are seconds since the speaker began, media times samples since then.
    """

    heard: Pcm
    """What the listener heard, from the moment the speaker began; float32, 48 kHz."""
    records: list[TraceRecord]
    """One record per step of the playout core, for the media of the input."""
    packets: list[TracedPacket]
    """Packets of the input, in the order sent; their index is the sequence number."""
    playout: PlayoutStatistics
    """Counters of the receiver."""
    sending: SendingStatistics
    """Counters of the sender."""
    plans: tuple[PlanRecord, ...]
    """Changes of the redundancy plan."""

    def mouth_to_ear(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Delay (s) and weight (samples) of each frame that was not concealed."""
        spoken = [record for record in self.records if record.media and not record.source.is_concealment]
        delays = [record.time - record.timestamp / OPUS_CLOCK_RATE + CODEC_DELAY for record in spoken]
        return np.array(delays), np.array([record.media for record in spoken], np.int64)

    def buffer_delays(self) -> NDArray[np.float64]:
        """Time from arrival to playout of each packet that was played, seconds."""
        delays = []
        for record in self.records:
            if record.source is Source.REGULAR and record.sequence is not None:
                arrival = self.packets[record.sequence].arrival
                if arrival is not None:
                    delays.append(record.time - arrival)
        return np.array(delays)

    @property
    def lost(self) -> int:
        """Packets that the network lost."""
        return sum(packet.arrival is None for packet in self.packets)


def simulate_call(pcm: Pcm, config: SimulationConfig, policy: PlayoutPolicy | None = None) -> OneWayCall:
    """Run one direction of a call over ``pcm`` (mono float32, 48 kHz).

    ``policy`` overrides the one named in the configuration. Receiver reports travel back
    with the mean delay of the trace. Raises :class:`softphone.errors.ConfigError` for
    unknown names.
    """
    return _Simulation(config, policy).run(pcm)


class _Simulation:
    _ARRIVAL, _REPORT, _CAPTURE, _PLAYOUT = range(4)
    """Order of events at the same instant: what comes in, what goes out, what is heard."""

    def __init__(self, config: SimulationConfig, policy: PlayoutPolicy | None) -> None:
        self._trace = config.trace.resampled(config.sending.frame_ms / 1000)
        self._pipeline = SendingPipeline(config.sending)
        self._records: list[TraceRecord] = []
        self._engine = PlayoutEngine(config.playout, policy, on_trace=self._on_record)
        self._reporter = LossReporter()
        self._received = ReceiveStatistics(OPUS_CLOCK_RATE)
        self._packets: list[TracedPacket] = []
        self._events: list[tuple[float, int, int, object]] = []
        self._order = count()
        self._back = self._trace.mean_delay or 0.0
        forth = self._trace.min_delay or 0.0
        # What connectivity checks would have measured before the first packet.
        self._round_trip = forth + self._back
        self._engine.set_path_delay(forth, self._round_trip)
        self._late = 0

    def run(self, pcm: Pcm) -> OneWayCall:
        length = -(-pcm.size // _BLOCK) * _BLOCK
        tail = round(_TAIL_SECONDS * OPUS_CLOCK_RATE)
        audio = np.zeros(length + tail, np.float32)
        audio[: pcm.size] = pcm
        for start in range(0, audio.size, _BLOCK):
            self._schedule((start + _BLOCK) / OPUS_CLOCK_RATE, self._CAPTURE, audio[start : start + _BLOCK])
        heard = []
        # Ticks have no phase of their own: the first falls on the start of the speech.
        for tick in self._ticks(audio.size):
            self._run_events(tick)
            heard.append(self._engine.pull(tick, _TICK))
            self._report(tick)
        records = [record for record in self._records if record.timestamp < length]
        end = max((record.time + record.samples / OPUS_CLOCK_RATE for record in records), default=0.0)
        return OneWayCall(
            heard=np.concatenate(heard)[: max(pcm.size, round(end * OPUS_CLOCK_RATE))],
            records=records,
            packets=[packet for packet in self._packets if packet.timestamp < length],
            playout=self._engine.statistics,
            sending=self._pipeline.statistics,
            plans=self._pipeline.plan_history,
        )

    def _ticks(self, samples: int) -> Iterator[float]:
        """Playout times until everything sent was played, or could not be any more."""
        for number in count():
            tick = number * _TICK / OPUS_CLOCK_RATE
            position = self._engine.position
            sent_all = tick > samples / OPUS_CLOCK_RATE
            played_all = position is not None and position >= samples - round(0.25 * OPUS_CLOCK_RATE)
            stranded = not any(kind is self._ARRIVAL for _, kind, _, _ in self._events)
            if sent_all and (played_all or stranded):
                return
            yield tick

    def _schedule(self, at: float, kind: int, what: object) -> None:
        heapq.heappush(self._events, (at, kind, next(self._order), what))

    def _run_events(self, until: float) -> None:
        while self._events and self._events[0][0] <= until + 1e-9:
            at, _, _, what = heapq.heappop(self._events)
            if isinstance(what, RtpPacket):
                self._reporter.on_packet(what.sequence_number)
                self._received.update(what.sequence_number, what.timestamp, at)
                self._engine.insert(what, at)
            elif isinstance(what, NetworkReport):
                self._pipeline.on_report(what)
            elif isinstance(what, np.ndarray):
                self._send(what, at)

    def _send(self, block: Pcm, at: float) -> None:
        for payload in self._pipeline.push(block, at - _BLOCK / OPUS_CLOCK_RATE):
            index = len(self._packets)
            fate = self._trace.fate(index)
            arrival = None if fate is None else at + fate
            self._packets.append(
                TracedPacket(at, arrival, payload.timestamp, payload.payload_type, payload.payload)
            )
            if arrival is not None:
                packet = RtpPacket(
                    payload.payload_type, index & 0xFFFF, payload.timestamp, _SSRC, payload.payload
                )
                self._schedule(arrival, self._ARRIVAL, packet)

    def _on_record(self, record: TraceRecord) -> None:
        self._records.append(record)
        if record.action is not Action.SKIP:
            self._reporter.on_frame(concealed=record.source is Source.PLC)

    def _report(self, now: float) -> None:
        late = self._engine.statistics.packets_late
        for _ in range(late - self._late):
            self._reporter.on_late_packet()
        self._late = late
        report = self._reporter.poll(now)
        if report is not None:
            arrived = now + self._back
            block = self._received.report()
            self._schedule(
                arrived,
                self._REPORT,
                NetworkReport(
                    at=arrived,
                    fraction_lost=block.fraction_lost,
                    mean_burst=report.mean_burst,
                    round_trip=self._round_trip,
                    jitter=block.jitter / OPUS_CLOCK_RATE,
                ),
            )
