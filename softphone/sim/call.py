"""One direction of a call in virtual time: encoder, planner, network, playout, reports.

The objects are those of a live call; only the clock and the network are made. Nothing
here depends on the machine's speed or on the time of day: the same input, trace and
settings give the same bytes.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from softphone.playout.config import CODEC_DELAY, PlayoutConfig
from softphone.playout.engine import PlayoutEngine
from softphone.playout.frames import Source
from softphone.playout.policy import PlayoutPolicy
from softphone.playout.statistics import PlayoutStatistics
from softphone.playout.trace import TraceRecord
from softphone.rtp.packet import OPUS_CLOCK_RATE, RtpPacket
from softphone.rtp.reports import LossReporter
from softphone.rtp.statistics import ReceiveStatistics
from softphone.sending.config import PACKET_OVERHEAD, SendingConfig
from softphone.sending.network import NetworkReport
from softphone.sending.pipeline import SendingPipeline
from softphone.sending.planner import PlanRecord
from softphone.sending.statistics import SendingStatistics
from softphone.sim.network import NetworkEmulator
from softphone.sim.profile import NetworkProfile
from softphone.sim.trace import PacketTrace

__all__ = ["OneWayCall", "Reports", "SimulationConfig", "TracedPacket", "simulate_call"]

Pcm = NDArray[np.float32]

_TICK = 480
_BLOCK = 960
_TAIL_SECONDS = 0.6
"""Silence after the input, so that the last words have later packets to repair them."""
_SSRC = 1


class Reports(Enum):
    """How the receiver tells the sender what it got; the value is the seconds between reports."""

    SOFTPHONE = 1.0
    """As softphone does: loss, bursts and queueing delay, each second."""
    BROWSER = 5.0
    """As a browser does: RTCP receiver reports with loss, jitter and round trip, now and then."""


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """Settings of a simulated call."""

    sending: SendingConfig = field(default_factory=SendingConfig)
    """What the sender does."""
    playout: PlayoutConfig = field(default_factory=PlayoutConfig)
    """What the receiver does."""
    trace: PacketTrace = field(default_factory=PacketTrace.perfect)
    """What the network does to each packet; not used where `network` is given."""
    network: NetworkProfile | None = None
    """A network that is emulated while the call runs, packet by packet with the size it has:
    what a bottleneck needs. None: as `trace` says."""
    seed: int = 0
    """Of the emulated network."""
    reports: Reports = Reports.SOFTPHONE
    """How the receiver reports."""


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
    marker: bool = False
    """It followed silence that wasn't sent."""


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
    with the mean delay of the trace, or the delay of the profile. Raises
    :class:`softphone.errors.ConfigError` for unknown names.
    """
    return _Simulation(config, policy).run(pcm)


class _Network(Protocol):
    """One direction of a path."""

    shortest: float
    """Least delay, seconds."""
    back: float
    """Delay of the way back, seconds."""

    def send(self, at: float, duration: float, size: int) -> float | None:
        """Arrival of a packet of ``size`` bytes with ``duration`` seconds of speech; None when lost."""


class _Trace:
    """The packet that carries the k-th frame of a trace's interval meets its k-th fate."""

    def __init__(self, trace: PacketTrace) -> None:
        self._trace = trace
        self._position = 0.0
        self.shortest = trace.min_delay or 0.0
        self.back = trace.mean_delay or 0.0

    def send(self, at: float, duration: float, size: int) -> float | None:
        fate = self._trace.fate(round(self._position))
        self._position += duration / self._trace.interval
        return None if fate is None else at + fate


class _Emulated:
    """A path whose queue fills with what is sent."""

    def __init__(self, profile: NetworkProfile, seed: int) -> None:
        self._emulator = NetworkEmulator(profile, seed)
        self.shortest = self.back = profile.delay

    def send(self, at: float, duration: float, size: int) -> float | None:
        deliveries = self._emulator.send(at, size + PACKET_OVERHEAD)
        return min(deliveries) if deliveries else None


class _Simulation:
    _ARRIVAL, _REPORT, _CAPTURE, _PLAYOUT = range(4)
    """Order of events at the same instant: what comes in, what goes out, what is heard."""

    def __init__(self, config: SimulationConfig, policy: PlayoutPolicy | None) -> None:
        self._network: _Network
        if config.network is not None:
            self._network = _Emulated(config.network, config.seed)
        else:
            self._network = _Trace(config.trace.resampled(config.sending.frame_ms / 1000))
        self._pipeline = SendingPipeline(config.sending)
        self._records: list[TraceRecord] = []
        self._engine = PlayoutEngine(config.playout, policy, on_trace=self._on_record)
        self._reports = config.reports
        self._reporter = LossReporter(interval=config.reports.value)
        self._received = ReceiveStatistics(OPUS_CLOCK_RATE)
        self._packets: list[TracedPacket] = []
        self._events: list[tuple[float, int, int, object]] = []
        self._order = count()
        self._back = self._network.back
        # What connectivity checks would have measured before the first packet.
        self._round_trip = self._network.shortest + self._back
        self._engine.set_path_delay(self._network.shortest, self._round_trip)
        self._pipeline.on_round_trip(self._round_trip)
        self._late = 0
        self._newest = -1
        """Timestamp of the newest packet that came."""

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
        """Playout times until everything that came was played.

        Whatever the policy does: once all has come, for no longer than it takes to play what was
        sent and to wait as long as is allowed.
        """
        deadline = math.inf
        for number in count():
            tick = number * _TICK / OPUS_CLOCK_RATE
            position = self._engine.position or 0
            if tick > samples / OPUS_CLOCK_RATE:
                if position >= samples - round(0.25 * OPUS_CLOCK_RATE) or tick > deadline:
                    return
                if not any(kind is self._ARRIVAL for _, kind, _, _ in self._events):
                    if position > self._newest:
                        return
                    left = (samples - position) / OPUS_CLOCK_RATE
                    deadline = min(deadline, tick + left + self._engine.config.max_delay)
            yield tick

    def _schedule(self, at: float, kind: int, what: object) -> None:
        heapq.heappush(self._events, (at, kind, next(self._order), what))

    def _run_events(self, until: float) -> None:
        while self._events and self._events[0][0] <= until + 1e-9:
            at, _, _, what = heapq.heappop(self._events)
            if isinstance(what, int):
                self._receive(what, at)
            elif isinstance(what, NetworkReport):
                self._pipeline.on_report(what)
            elif isinstance(what, np.ndarray):
                self._send(what, at)

    def _send(self, block: Pcm, at: float) -> None:
        for payload in self._pipeline.push(block, at - _BLOCK / OPUS_CLOCK_RATE):
            plan = self._pipeline.plan
            assert plan is not None
            arrival = self._network.send(at, plan.frame_ms / 1000, len(payload.payload))
            self._packets.append(
                TracedPacket(
                    at, arrival, payload.timestamp, payload.payload_type, payload.payload, payload.marker
                )
            )
            if arrival is not None:
                self._schedule(arrival, self._ARRIVAL, len(self._packets) - 1)

    def _receive(self, index: int, at: float) -> None:
        sent = self._packets[index]
        packet = RtpPacket(
            sent.payload_type, index & 0xFFFF, sent.timestamp, _SSRC, sent.payload, sent.marker
        )
        self._round_trip = at - sent.sent + self._back
        self._newest = max(self._newest, sent.timestamp)
        self._reporter.on_packet(
            packet.sequence_number, packet.timestamp, at, len(packet.payload), marker=packet.marker
        )
        self._received.update(packet.sequence_number, packet.timestamp, at)
        self._engine.insert(packet, at)

    def _on_record(self, record: TraceRecord) -> None:
        self._records.append(record)
        self._reporter.on_audio(record.samples, concealed=record.source is Source.PLC)

    def _report(self, now: float) -> None:
        late = self._engine.statistics.packets_late
        for _ in range(late - self._late):
            self._reporter.on_late_packet()
        self._late = late
        report = self._reporter.poll(now)
        if report is None:
            return
        arrived = now + self._back
        block = self._received.report()
        sent = NetworkReport(
            at=arrived,
            fraction_lost=block.fraction_lost,
            round_trip=self._round_trip,
            jitter=block.jitter / OPUS_CLOCK_RATE,
        )
        if self._reports is Reports.SOFTPHONE:
            sent = replace(
                sent,
                mean_burst=report.mean_burst,
                queueing_delay=report.queueing_delay,
                delay_trend=report.delay_trend,
                received_bps=report.received_bps,
            )
        self._schedule(arrived, self._REPORT, sent)
