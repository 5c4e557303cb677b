"""A stream of real Opus packets and a receiver in virtual time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import soundfile
from numpy.typing import NDArray

from softphone.data import sample_speech
from softphone.opus import Encoder
from softphone.playout import PlayoutConfig, PlayoutEngine, PlayoutPolicy, TraceRecord
from softphone.rtp.packet import RtpPacket
from softphone.rtp.red import RedBlock, pack_red

FRAME = 960
PATH_DELAY = 0.030
SSRC = 0x5EED


@lru_cache
def speech() -> NDArray[np.float32]:
    """The shipped sample: mono float32, 48 kHz."""
    pcm, rate = soundfile.read(sample_speech(), dtype="float32")
    assert rate == 48_000
    return np.asarray(pcm, np.float32)


@lru_cache
def opus_packets(
    *, bitrate: int = 48_000, fec: bool = True, dred_ms: int = 500, loss: int = 20, frame: int = FRAME
) -> tuple[bytes, ...]:
    """The sample as Opus packets of ``frame`` samples."""
    encoder = Encoder()
    encoder.bitrate = bitrate
    encoder.inband_fec = fec
    encoder.packet_loss_perc = loss
    encoder.dred_duration_ms = dred_ms
    pcm = speech()
    return tuple(encoder.encode(pcm[at : at + frame]) for at in range(0, pcm.size - frame + 1, frame))


@dataclass
class Receiver:
    """A playout engine, its packets and its clock."""

    policy: str | PlayoutPolicy = "fixed"
    max_delay: float = 0.160
    packets: tuple[bytes, ...] = field(default_factory=opus_packets)
    frame: int = FRAME
    first_sequence: int = 0
    first_timestamp: int = 0
    tick: int = 480

    def __post_init__(self) -> None:
        self.records: list[TraceRecord] = []
        by_name = isinstance(self.policy, str)
        self.engine = PlayoutEngine(
            PlayoutConfig(policy=self.policy if by_name else "fixed", max_delay=self.max_delay),
            None if by_name else self.policy,
            on_trace=self.records.append,
        )
        self.engine.set_path_delay(PATH_DELAY)
        self.heard: list[NDArray[np.float32]] = []

    def packet(self, index: int, *, copies: int = 0, ssrc: int = SSRC) -> RtpPacket:
        """Packet ``index``, as RED with ``copies`` of the packets before."""
        payload_type, payload = 111, self.packets[index]
        if copies:
            blocks = [
                RedBlock(111, back * self.frame, self.packets[index - back])
                for back in range(min(copies, index), 0, -1)
            ]
            payload_type, payload = 63, pack_red(111, payload, blocks)
        return RtpPacket(
            payload_type,
            (self.first_sequence + index) & 0xFFFF,
            (self.first_timestamp + index * self.frame) & 0xFFFFFFFF,
            ssrc,
            payload,
        )

    def sent(self, index: int) -> float:
        """When packet ``index`` is complete and leaves, seconds."""
        return (index + 1) * self.frame / 48_000

    def run(
        self,
        arrivals: Mapping[int, float] | Iterable[tuple[int, float]],
        seconds: float,
        *,
        make: Callable[[int], RtpPacket] | None = None,
    ) -> "Receiver":
        """Deliver packets (index, arrival) and play for ``seconds``."""
        pairs = arrivals.items() if isinstance(arrivals, Mapping) else arrivals
        due = sorted(pairs, key=lambda pair: pair[1])
        due.reverse()
        make = make or self.packet
        for step in range(int(seconds * 48_000 / self.tick)):
            now = step * self.tick / 48_000
            while due and due[-1][1] <= now + 1e-9:
                index, arrival = due.pop()
                self.engine.insert(make(index), arrival)
            self.heard.append(self.engine.pull(now, self.tick))
        return self

    def steady(self, count: int, *, lost: Iterable[int] = (), start: int = 0) -> dict[int, float]:
        """Arrivals of ``count`` packets after the path delay, without those ``lost``."""
        gone = set(lost)
        return {
            index: self.sent(index) + PATH_DELAY for index in range(start, start + count) if index not in gone
        }

    @property
    def pcm(self) -> NDArray[np.float32]:
        """Everything heard."""
        return np.concatenate(self.heard)

    def sources(self) -> list[str]:
        """What the beginning of each frame of media was made of, in order, by name."""
        sources = []
        begun = 0
        for record in self.records:
            if record.media > 0 and not begun:
                sources.append(str(record.source))
            begun = (begun + record.media) % self.frame
        return sources

    def mouth_to_ear(self) -> NDArray[np.float64]:
        """Mouth-to-ear delay of each frame that was not concealed, seconds."""
        return np.array(
            [
                record.time - (record.timestamp - self.first_timestamp) / 48_000 + 0.0065
                for record in self.records
                if not record.source.is_concealment
            ]
        )
