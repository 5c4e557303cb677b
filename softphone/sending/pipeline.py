"""From captured audio to RTP payloads: the sending side of a call, without I/O."""

from collections import deque
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigError
from softphone.opus import DTX_BYTES, Application, Encoder, capabilities
from softphone.rtp.packet import OPUS_CLOCK_RATE, RtpPayload
from softphone.sending.config import SendingConfig
from softphone.sending.control import EncoderControl
from softphone.sending.departure import DepartureWatch
from softphone.sending.inspection import dred_bytes, lbrr_bytes
from softphone.sending.level import audio_level
from softphone.sending.network import NetworkReport
from softphone.sending.packetizer import Packetizer
from softphone.sending.plan import RedundancyPlan
from softphone.sending.planner import PlanRecord, RedundancyPlanner
from softphone.sending.statistics import SendingStatistics

__all__ = ["SendingPipeline"]

_SAMPLES_PER_MS: Final = OPUS_CLOCK_RATE // 1000
_BLOCK_UNIT: Final = 10 * _SAMPLES_PER_MS
_FADE_SAMPLES: Final = 10 * _SAMPLES_PER_MS
_SIGNIFICANT_BITS: Final = 16
# The time stamps of blocks jitter with the sound card's thread; what is longer is lost audio.
_GAP_SECONDS: Final = 0.5


class SendingPipeline:
    """Encodes one stream of speech as the network of the moment wants it.

    `push` is called by whoever captures, one thread at a time; `on_report`, `on_round_trip`,
    `muted` and `reconfigure` may be used from another thread and take effect with the next
    `push`.
    """

    def __init__(self, config: SendingConfig, *, encoder: Encoder | None = None) -> None:
        """`encoder` must be 48 kHz mono; by default one for speech is made.

        Raises :class:`ConfigError` for an unknown redundancy mode or another encoder.
        """
        if encoder is None:
            encoder = Encoder(OPUS_CLOCK_RATE, 1, Application.VOIP)
        elif encoder.sample_rate != OPUS_CLOCK_RATE or encoder.channels != 1:
            raise ConfigError("the sending pipeline needs a mono encoder at 48 kHz")
        # Sound cards and files give 16 bits. At the 24 that libopus expects in float32, the rounding
        # of the last bit passes for sound above the voice, and bits are spent on it.
        encoder.lsb_depth = _SIGNIFICANT_BITS
        self.muted = False
        """Send silence instead of the captured audio. The encoder keeps running, so that
        timestamps, loss reports and the end of the last word's redundancy go on."""
        self._encoder: Final = encoder
        self._planner: Final = RedundancyPlanner(config)
        self._control: Final = EncoderControl(encoder)
        self._packetizer = Packetizer(config.opus_payload_type, config.red_payload_type)
        self._departures: Final = DepartureWatch()
        self._reports: Final[deque[NetworkReport]] = deque()
        self._round_trips: Final[deque[float]] = deque()
        self._next_config: SendingConfig | None = None
        self._statistics = SendingStatistics()
        self._plan: RedundancyPlan | None = None
        self._pending: list[NDArray[np.float32]] = []
        self._pending_samples = 0
        self._timestamp = 0
        self._expected: float | None = None
        self._was_muted = False
        self._silent = False
        self._configure(config)

    @property
    def config(self) -> SendingConfig:
        """The settings in force."""
        return self._planner.config

    @property
    def plan(self) -> RedundancyPlan | None:
        """The plan that the last packet followed; None before the first."""
        return self._plan

    @property
    def plan_history(self) -> tuple[PlanRecord, ...]:
        """Every change of plan and what it rested on, oldest first."""
        return self._planner.history

    @property
    def statistics(self) -> SendingStatistics:
        """A copy of the counts so far."""
        congestion = self._planner.congestion
        return replace(
            self._statistics,
            rate_state=str(congestion.limit.state),
            backoffs=congestion.backoffs,
            probes=congestion.probes,
            probes_failed=congestion.probes_failed,
        )

    @property
    def reports_ignored(self) -> int:
        """Reports that were out of range or out of order."""
        return self._planner.reports_ignored

    def on_report(self, report: NetworkReport) -> None:
        """Take in what the peer says about our packets."""
        self._reports.append(replace(report, own_wait=self._departures.wait(report.at)))

    def on_departure(self, captured: float, now: float) -> None:
        """Payloads leave at `now` seconds, of a block whose last sample was captured at `captured`.

        To be called from the thread of `on_report`. Not needed where nothing can wait.
        """
        self._departures.on_departure(captured, now)

    def on_round_trip(self, seconds: float) -> None:
        """Take in a round trip that something other than a report told of, in seconds.

        One from before the first packet is worth most: the queue was empty then.
        """
        self._round_trips.append(seconds)

    def reconfigure(self, config: SendingConfig) -> None:
        """Take new settings, for example after a renegotiation.

        Raises :class:`ConfigError` for an unknown redundancy mode.
        """
        RedundancyPlanner(config)
        self._next_config = config

    def push(self, pcm: NDArray[np.float32], captured: float) -> list[RtpPayload]:
        """Take in captured audio; returns the payloads that are ready, oldest first.

        `pcm` is mono float32, shape (n,), in [-1, 1], a whole number of 10 ms at 48 kHz,
        by custom 20 ms; `captured` is when its first sample was captured, in seconds.
        Packets shorter than the block come several at a time, longer ones after several
        calls, silence under DTX not at all. Raises :class:`ConfigError` for another shape.
        """
        if pcm.ndim != 1 or pcm.size == 0 or pcm.size % _BLOCK_UNIT:
            raise ConfigError(f"captured audio must be mono in whole 10 ms, not of shape {pcm.shape}")
        if self._next_config is not None:
            self._configure(self._next_config)
        while self._round_trips:
            self._planner.on_round_trip(self._round_trips.popleft())
        while self._reports:
            self._planner.on_report(self._reports.popleft())
        self._bridge_gap(captured)
        self._expected = captured + pcm.size / OPUS_CLOCK_RATE
        self._pending.append(self._audible(pcm))
        self._pending_samples += pcm.size
        payloads: list[RtpPayload] = []
        while True:
            plan = self._planner.plan(captured)
            samples = plan.frame_ms * _SAMPLES_PER_MS
            if self._pending_samples < samples:
                return payloads
            payload = self._send(self._take(samples), plan)
            if payload is not None:
                payloads.append(payload)

    def _configure(self, config: SendingConfig) -> None:
        self._next_config = None
        before = self._planner.config
        if not capabilities().dred:
            # The call goes on without; whoever made the encoder has said so already.
            config = replace(config, peer_dred_ms=0)
        self._planner.reconfigure(config)
        self._encoder.vbr = True
        self._encoder.constrained_vbr = True
        self._encoder.complexity = config.complexity
        self._encoder.dtx = config.dtx
        types = (config.opus_payload_type, config.red_payload_type)
        if types != (before.opus_payload_type, before.red_payload_type):
            self._packetizer = Packetizer(*types)

    def _bridge_gap(self, captured: float) -> None:
        """Let the timestamp jump over audio that was never captured.

        Otherwise every later packet would reach the peer late by the length of the gap.
        """
        if self._expected is None or captured - self._expected < _GAP_SECONDS:
            return
        missing = round((captured - self._expected) * OPUS_CLOCK_RATE / _BLOCK_UNIT) * _BLOCK_UNIT
        self._timestamp += self._pending_samples + missing
        self._pending.clear()
        self._pending_samples = 0
        self._packetizer.pause()
        self._statistics.gaps += 1

    def _audible(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """The block as it may be heard: faded where mute begins and ends, zero between."""
        muted, self._was_muted = self._was_muted, self.muted
        if not muted and not self._was_muted:
            return np.array(pcm, dtype=np.float32)
        heard = np.zeros(pcm.size, dtype=np.float32)
        if not self._was_muted:
            heard[:] = pcm
            heard[:_FADE_SAMPLES] *= np.linspace(0.0, 1.0, _FADE_SAMPLES, dtype=np.float32)
        elif not muted:
            fade = np.linspace(1.0, 0.0, _FADE_SAMPLES, dtype=np.float32)
            heard[:_FADE_SAMPLES] = pcm[:_FADE_SAMPLES] * fade
        return heard

    def _take(self, samples: int) -> NDArray[np.float32]:
        audio = self._pending[0] if len(self._pending) == 1 else np.concatenate(self._pending)
        rest = audio[samples:]
        self._pending = [rest] if rest.size else []
        self._pending_samples = rest.size
        return audio[:samples]

    def _send(self, audio: NDArray[np.float32], plan: RedundancyPlan) -> RtpPayload | None:
        if plan != self._plan:
            self._control.apply(plan)
            self._plan = plan
        packet = self._encoder.encode(audio)
        timestamp = self._timestamp
        self._timestamp += audio.size
        statistics = self._statistics
        statistics.frames_encoded += 1
        statistics.muted_frames += int(self._was_muted)
        statistics.seconds += audio.size / OPUS_CLOCK_RATE
        if self._planner.congestion.limit.wire_bps is not None:
            statistics.limited_seconds += audio.size / OPUS_CLOCK_RATE
        silent = len(packet) <= DTX_BYTES and self._encoder.dtx
        announced, self._silent = self._silent, silent
        # The first packet of silence is sent: it tells the receiver that nothing is lost.
        if silent and announced:
            statistics.packets_suppressed += 1
            self._packetizer.pause()
            return None
        frame = self._packetizer.packetize(
            packet,
            timestamp,
            red_copies=plan.red_copies,
            red_distance=plan.red_distance,
            audio_level=audio_level(audio),
        )
        statistics.packets_sent += 1
        statistics.payload_bytes += len(frame.payload.payload)
        statistics.red_bytes += frame.red_bytes
        statistics.dred_bytes += dred_bytes(packet)
        if plan.inband_fec:
            statistics.lbrr_bytes += lbrr_bytes(packet, plan.packet_loss_perc, plan.frame_ms)
        return frame.payload
