"""What is sent: payloads made once by softphone's sending side, the same for every receiver.

A plan says how the rate is spent on redundancy:

- ``auto``, ``lbrr``, ``dred``, ``both``, ``none``: softphone's planner in that mode, told in
  the reports of the receiver what the schedule loses, as in a call;
- ``fec=1,loss=20,dred=1040,red=1,distance=4,rate=24000``: these settings from the first packet
  to the last. What is not named is off; ``distance`` is that of the copies, in packets, by
  default 1; ``rate`` is the encoder's, by default what RED leaves.
"""

import hashlib
import heapq
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import softphone.opus
import softphone.sending
from benchmarks.neteq.reference import Reference
from benchmarks.neteq.schedules import Schedule
from softphone.audio.stream import FRAME_SAMPLES, SAMPLE_RATE, to_int16
from softphone.errors import ConfigError
from softphone.opus import Application, Encoder, capabilities
from softphone.rtp.packet import RtpPayload
from softphone.rtp.reports import LossReporter
from softphone.rtp.statistics import ReceiveStatistics
from softphone.sending import NetworkReport, SendingConfig, SendingPipeline
from softphone.sending.control import EncoderControl
from softphone.sending.modes import MODES
from softphone.sending.packetizer import Packetizer
from softphone.sending.plan import RedundancyPlan

__all__ = ["Stream", "StreamSpec", "encode"]

_COMPLEXITY = 9
_VERSION = 2
"""Of this module, as far as what it makes depends on it."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One way to send the reference."""

    plan: str = "auto"
    """How redundancy is chosen, see above."""
    bitrate: int = 48_000
    """Rate of all payload bytes that it is meant for, bit/s."""

    @property
    def adaptive(self) -> bool:
        """Whether the packets depend on the schedule."""
        return self.plan in MODES

    def fixed_plan(self) -> RedundancyPlan:
        """The settings of a plan that does not adapt. Raises :class:`ConfigError` for a bad one."""
        known = {"fec": 0, "loss": 0, "dred": 0, "red": 0, "distance": 1, "rate": 0}
        for word in self.plan.split(","):
            name, _, value = word.partition("=")
            if name not in known or not value.isdigit():
                raise ConfigError(
                    f"plan {self.plan!r}: write one of {', '.join(MODES)}, or settings like "
                    "fec=1,loss=20,dred=1040,red=0,rate=24000"
                )
            known[name] = int(value)
        copies = known["red"]
        header = (1 + 4 * copies) * 8 * SAMPLE_RATE / FRAME_SAMPLES if copies else 0
        rate = known["rate"] or round((self.bitrate - header) / (1 + copies))
        distance = max(1, known["distance"])
        return RedundancyPlan(rate, 20, bool(known["fec"]), known["loss"], known["dred"], copies, distance)


@dataclass(frozen=True, slots=True)
class Stream:
    """The packets of one encoding, in the order sent."""

    spec: StreamSpec
    payloads: tuple[RtpPayload, ...]

    def departures(self) -> list[tuple[float, int]]:
        """When each packet leaves, seconds after the speaker began, and the 20 ms of the
        schedule that decide on it: those that it ends with."""
        begins = [payload.timestamp for payload in self.payloads]
        ends = [*begins[1:], begins[-1] + FRAME_SAMPLES]
        return [(end / SAMPLE_RATE, end // FRAME_SAMPLES - 1) for end in ends]

    @property
    def kbps(self) -> float:
        """Payload rate really used, RED and all redundancy included, kb/s."""
        seconds, _ = self.departures()[-1]
        return sum(len(payload.payload) for payload in self.payloads) * 8 / seconds / 1000


def encode(spec: StreamSpec, reference: Reference, schedule: Schedule, cache: Path | None = None) -> Stream:
    """The reference as packets; from ``cache``, a folder, when it was made before.

    The schedule matters to adaptive plans only. Raises :class:`ConfigError` for a bad plan.
    """
    if not spec.adaptive:
        spec.fixed_plan()  # a bad one is refused before anything is done
    path = None if cache is None else cache / f"{_key(spec, reference, schedule)}.npz"
    if path is not None and path.is_file():
        return Stream(spec, _load(path))
    payloads = _planned(spec, reference, schedule) if spec.adaptive else _fixed(spec, reference)
    if path is not None:
        _save(path, payloads)
    return Stream(spec, payloads)


def _save(path: Path, payloads: tuple[RtpPayload, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(
        part,
        types=np.array([payload.payload_type for payload in payloads], np.uint8),
        timestamps=np.array([payload.timestamp for payload in payloads], np.int64),
        sizes=np.array([len(payload.payload) for payload in payloads], np.int64),
        data=np.frombuffer(b"".join(payload.payload for payload in payloads), np.uint8),
    )
    part.replace(path)


def _load(path: Path) -> tuple[RtpPayload, ...]:
    with np.load(path) as saved:
        ends = np.cumsum(saved["sizes"]).tolist()
        types, timestamps, data = (
            saved["types"].tolist(),
            saved["timestamps"].tolist(),
            saved["data"].tobytes(),
        )
    return tuple(
        RtpPayload(kind, timestamp, data[begin:end])
        for kind, timestamp, begin, end in zip(types, timestamps, [0, *ends], ends, strict=False)
    )


def _key(spec: StreamSpec, reference: Reference, schedule: Schedule) -> str:
    """Everything that the packets depend on: a planner that was changed makes new ones."""
    digest = hashlib.sha256(f"{_VERSION} {capabilities()} {spec} {reference.digest}".encode())
    for package in (softphone.sending, softphone.opus):
        for source in sorted(Path(str(package.__file__)).parent.glob("*.py")):
            digest.update(source.read_bytes())
    if spec.adaptive:
        digest.update(schedule.trace.delays.tobytes())
    return digest.hexdigest()[:32]


def _fixed(spec: StreamSpec, reference: Reference) -> tuple[RtpPayload, ...]:
    plan = spec.fixed_plan()
    encoder = Encoder(SAMPLE_RATE, 1, Application.VOIP)
    encoder.complexity = _COMPLEXITY
    EncoderControl(encoder).apply(plan)
    packetizer = Packetizer()
    payloads = []
    # In 16 bits, as browsers encode: the encoder is told, and wastes nothing on what lies below.
    pcm = to_int16(reference.pcm)
    for start in range(0, pcm.size, FRAME_SAMPLES):
        packet = encoder.encode(pcm[start : start + FRAME_SAMPLES])
        frame = packetizer.packetize(
            packet, start, red_copies=plan.red_copies, red_distance=plan.red_distance
        )
        payloads.append(frame.payload)
    return tuple(payloads)


def _planned(spec: StreamSpec, reference: Reference, schedule: Schedule) -> tuple[RtpPayload, ...]:
    pipeline = SendingPipeline(SendingConfig(bitrate=spec.bitrate, mode=spec.plan, complexity=_COMPLEXITY))
    pipeline.on_round_trip(0.0)
    peer = _Peer(schedule)
    payloads: list[RtpPayload] = []
    for start in range(0, reference.pcm.size, FRAME_SAMPLES):
        for report in peer.reports(start / SAMPLE_RATE):
            pipeline.on_report(report)
        ready = pipeline.push(reference.pcm[start : start + FRAME_SAMPLES], start / SAMPLE_RATE)
        for payload in ready:
            peer.send(len(payloads), payload, start + FRAME_SAMPLES)
            payloads.append(payload)
    return tuple(payloads)


class _Peer:
    """What a softphone that receives on a schedule reports, once a second, without delay or loss."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._arrivals: list[tuple[float, int, RtpPayload]] = []
        self._reporter, self._received = LossReporter(), ReceiveStatistics(SAMPLE_RATE)
        self._reporter.poll(0.0)

    def send(self, number: int, payload: RtpPayload, end: int) -> None:
        """A packet leaves, whose media ends at sample ``end``."""
        fate = self._schedule.fate(end // FRAME_SAMPLES - 1)
        if fate is not None:
            heapq.heappush(self._arrivals, (end / SAMPLE_RATE + fate, number, payload))

    def reports(self, now: float) -> list[NetworkReport]:
        """What has come by ``now`` and was not handed out before."""
        while self._arrivals and self._arrivals[0][0] <= now:
            arrival, number, payload = heapq.heappop(self._arrivals)
            sequence = number & 0xFFFF
            self._reporter.on_packet(sequence, payload.timestamp, arrival, len(payload.payload))
            self._received.update(sequence, payload.timestamp, arrival)
        report = self._reporter.poll(now)
        if report is None:
            return []
        block = self._received.report()
        return [
            NetworkReport(
                at=now,
                fraction_lost=block.fraction_lost,
                mean_burst=report.mean_burst,
                round_trip=0.0,
                jitter=block.jitter / SAMPLE_RATE,
                queueing_delay=report.queueing_delay,
                delay_trend=report.delay_trend,
                received_bps=report.received_bps,
            )
        ]
