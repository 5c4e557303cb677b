"""The playout core: packets go in with their arrival times, audio comes out on the card's clock.

Sans-I/O: it reads no clock and touches no socket. The same object runs in a live call, in
tests and in the simulation.

Each step spends the next frame of media, or decides not to: what could it be made of
(`sources`), what does the policy want (`policy`), is that possible (here), decode
(`decoding`, `concealment`), make longer or shorter (`stretch`), leave a record (`trace`).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from softphone.opus import OpusError
from softphone.playout.activity import level_dbov
from softphone.playout.buffer import InsertResult, PacketBuffer
from softphone.playout.concealment import Concealer
from softphone.playout.config import CODEC_DELAY, PlayoutConfig
from softphone.playout.decoding import FrameDecoder
from softphone.playout.delay import RepairWatch, TransitClock
from softphone.playout.depacketizer import Depacketizer
from softphone.playout.frames import Action, BufferedFrame, Source
from softphone.playout.guard import GuardedPolicy
from softphone.playout.policy import (
    Arrival,
    Decision,
    Effort,
    Observation,
    PlayoutPolicy,
    PolicyConfig,
    playout_policies,
)
from softphone.playout.sources import FrameSources, find_sources
from softphone.playout.statistics import PlayoutStatistics
from softphone.playout.stretch import TimeStretcher
from softphone.playout.trace import TraceRecord
from softphone.rtp.packet import OPUS_CLOCK_RATE, RtpPacket

__all__ = ["PlayoutEngine"]

Pcm = NDArray[np.float32]

_WAIT_SAMPLES = 480
"""Audio made in one step of waiting: short, so that a packet is played soon after it comes."""

_DEFAULT_FRAME = 960


class PlayoutEngine:
    """Plays one incoming stream. Not thread-safe: one caller at a time."""

    def __init__(
        self,
        config: PlayoutConfig | None = None,
        policy: PlayoutPolicy | None = None,
        *,
        on_trace: Callable[[TraceRecord], None] | None = None,
    ) -> None:
        """``policy`` overrides the one named in ``config``; ``on_trace`` gets a record per step.

        Raises :class:`softphone.errors.ConfigError` for an unknown policy.
        """
        self.config = config or PlayoutConfig()
        self.statistics = PlayoutStatistics()
        chosen = policy or playout_policies.load(self.config.policy)(
            PolicyConfig(max_delay=self.config.max_delay)
        )
        self._policy = GuardedPolicy(chosen, self.statistics)
        self._on_trace = on_trace
        self._depacketizer = Depacketizer(self.config.payload_types, self.statistics)
        self._decoder = FrameDecoder(self.config.decoder_complexity)
        self._path_delay = 0.0
        self._round_trip: float | None = None
        self._output = np.zeros(0, np.float32)
        self._begin_stream()

    def _begin_stream(self) -> None:
        self._buffer = PacketBuffer()
        self._transit = TransitClock()
        self._repairs = RepairWatch()
        self._concealer = Concealer(self._decoder)
        self._stretcher = TimeStretcher()
        self._position: int | None = None
        self._played: BufferedFrame | None = None
        self._frame_samples = _DEFAULT_FRAME
        self._last_arrival = 0.0
        self._reach = 0
        self._waited = 0
        self._pause = True
        self._excess: float | None = None

    def set_path_delay(self, one_way: float, round_trip: float | None = None) -> None:
        """Tell what is known of the network: the smallest one-way delay and the round trip, seconds.

        The receiver can't measure the one-way delay; half of the smallest round trip is the
        usual estimate. Only the mouth-to-ear limit depends on it.
        """
        self._path_delay = one_way
        self._round_trip = round_trip

    @property
    def excess_delay(self) -> float | None:
        """Delay of the last frame above the target, seconds; None unless its packet was played."""
        return self._excess

    @property
    def position(self) -> int | None:
        """Extended timestamp of the next media to be played; None before the first packet plays."""
        return self._position

    # -- packets in

    def insert(self, packet: RtpPacket, arrival: float) -> None:
        """Take in a packet that arrived at ``arrival`` (seconds); never raises for what is in it."""
        for received in self._depacketizer.receive(packet, arrival):
            if received.restarted:
                self._decoder.reset()
                self._policy.reset()
                self._begin_stream()
            for frame in received.frames:
                if frame.redundancy:
                    self._hold(frame)
                else:
                    self._insert_primary(frame)

    def _insert_primary(self, frame: BufferedFrame) -> None:
        relative_delay = self._transit.update(frame.timestamp, frame.arrival)
        self._last_arrival = frame.arrival
        self._reach = frame.dred_reach
        late = self._position is not None and frame.timestamp < self._position
        self._policy.on_arrival(
            Arrival(
                at=frame.arrival,
                timestamp=frame.timestamp,
                sequence=frame.sequence,
                samples=frame.samples,
                relative_delay=relative_delay,
                late=late,
                lbrr=frame.lbrr,
                dred_reach=frame.dred_reach / OPUS_CLOCK_RATE,
            )
        )
        for delay in self._repairs.update(frame, relative_delay):
            self._policy.on_repair(delay)
        self._hold(frame)

    def _hold(self, frame: BufferedFrame) -> None:
        if self._position is not None and frame.timestamp < self._position:
            self.statistics.packets_late += not frame.redundancy
        elif self._buffer.insert(frame) is InsertResult.OVERFLOW:
            self.statistics.packets_discarded += not frame.redundancy

    # -- audio out

    def pull(self, now: float, samples: int) -> Pcm:
        """The next ``samples`` samples (480 or 960), float32 in [-1, 1].

        ``now`` is when the first of them will be heard, on the clock of the arrivals.
        Silence until the first packet.
        """
        while self._output.size < samples:
            self._step(now + self._output.size / OPUS_CLOCK_RATE)
        block, self._output = self._output[:samples], self._output[samples:]
        self.statistics.total_samples_received += samples
        return block

    def _step(self, at: float) -> None:
        if self._position is None and not self._start(at):
            self._output = np.concatenate((self._output, np.zeros(_WAIT_SAMPLES, np.float32)))
            return
        position = self._position
        assert position is not None
        sources = find_sources(self._buffer, position, self._frame_samples)
        if not sources.samples:  # a hole of less than 2.5 ms
            assert sources.next is not None
            self._position = sources.next.timestamp
            return
        observation = self._observe(at, sources)
        decision = self._mask(self._policy.decide(observation), observation)
        if decision.action is Action.SKIP:
            self._skip(at, sources, observation, decision)
        elif decision.action is Action.WAIT:
            self._wait(at, sources, observation, decision)
        else:
            self._play(at, sources, observation, decision)

    def _start(self, at: float) -> bool:
        """Set the play position when the first packet has aged enough."""
        first = self._buffer.first()
        if first is None:
            return False
        # Start on the last step that does not exceed the delay: a later one is no safer.
        step = _WAIT_SAMPLES / OPUS_CLOCK_RATE
        start_delay = max(0.0, self._limit(self._policy.start_delay, first))
        if self._transit.delay(first.timestamp, at) + step <= start_delay:
            return False
        self._position = first.timestamp
        self._frame_samples = first.samples
        return True

    def _limit(self, delay: float, frame: BufferedFrame) -> float:
        """A delay on the relative scale, kept within the mouth-to-ear limit."""
        offset = self._mouth_to_ear(frame.samples, 0.0)
        return min(delay, self.config.max_delay - offset)

    def _mouth_to_ear(self, frame_samples: int, delay: float) -> float:
        """Delay on the relative scale to delay from mouth to ear, seconds."""
        congestion = self._transit.base - self._transit.floor
        return delay + congestion + self._path_delay + frame_samples / OPUS_CLOCK_RATE + CODEC_DELAY

    def _observe(self, at: float, sources: FrameSources) -> Observation:
        position = sources.timestamp
        last = self._buffer.last()
        delay = self._transit.delay(position, at)
        gap = 0 if sources.own else (None if sources.next is None else sources.next.timestamp - position)
        dtx = self._in_dtx(sources)
        return Observation(
            now=at,
            frame=sources.samples / OPUS_CLOCK_RATE,
            sources=(Source.PLC,) if dtx else sources.available(),
            delay=delay,
            mouth_to_ear=self._mouth_to_ear(self._frame_samples, delay),
            buffered=0.0 if last is None else max(0, last.end - position) / OPUS_CLOCK_RATE,
            contiguous=(self._buffer.contiguous_until(position) - position) / OPUS_CLOCK_RATE,
            gap=None if gap is None else gap / OPUS_CLOCK_RATE,
            since_arrival=max(0.0, at - self._last_arrival),
            waited=self._waited / OPUS_CLOCK_RATE,
            concealed=self._concealer.concealed,
            silent=sources.silent,
            pause=self._pause,
            dtx=dtx,
            reach=self._reach / OPUS_CLOCK_RATE,
            round_trip=self._round_trip,
        )

    def _in_dtx(self, sources: FrameSources) -> bool:
        """True when nothing is missing and yet nothing is there: the sender is silent.

        Either the last packet said so, or the sequence numbers show no loss up to the next.
        """
        if sources.own is not None or self._played is None:
            return False
        if sources.next is not None:
            return sources.next.sequence == self._played.sequence + 1
        return self._played.is_dtx

    def _mask(self, decision: Decision, observation: Observation) -> Decision:
        """The decision, or the nearest possible one."""
        action, source = decision.action, decision.source
        possible = observation.sources
        if source not in possible:
            source = possible[0]
        if action is Action.SKIP and (Source.REGULAR in possible or not observation.gap):
            # What came in time is always played, and without later media there is nothing to skip to.
            action = Action.PLAY
        if action is Action.WAIT and observation.mouth_to_ear + observation.frame > self.config.max_delay:
            action = Action.PLAY
        if (action, source) != (decision.action, decision.source):
            self.statistics.actions_masked += 1
            return decision._replace(action=action, source=source)
        return decision

    def _skip(self, at: float, sources: FrameSources, observation: Observation, decision: Decision) -> None:
        self._position = sources.timestamp + sources.samples
        self.statistics.skipped_samples += sources.samples
        self._record(at, sources, observation, decision, Source.PLC, np.zeros(0, np.float32))

    def _wait(self, at: float, sources: FrameSources, observation: Observation, decision: Decision) -> None:
        pcm, source = self._conceal(_WAIT_SAMPLES)
        self._waited += _WAIT_SAMPLES
        self.statistics.waited_samples += _WAIT_SAMPLES
        self.statistics.samples_by_source[source] += _WAIT_SAMPLES
        self._record(at, sources, observation, decision, source, pcm)
        self._append(pcm)
        self._excess = None

    def _play(self, at: float, sources: FrameSources, observation: Observation, decision: Decision) -> None:
        source = decision.source
        level: float | None = None
        if source is Source.PLC:
            pcm, source = self._conceal(sources.samples, dtx=observation.dtx)
        else:
            try:
                pcm = self._decode(sources, source)
            except OpusError:
                self.statistics.decode_errors += 1
                source = Source.PLC
                pcm, source = self._conceal(sources.samples)
            else:
                if source is Source.DRED and sources.silent:
                    self._pause = True
                else:
                    level = level_dbov(pcm)
                    pcm, self._pause = self._concealer.heard(pcm, level)
        self._excess = None
        if sources.own is not None:
            self._excess = observation.delay - decision.target_delay
            self._count_emitted(at, sources.own, decision)
            self._played = sources.own
            self._frame_samples = sources.own.samples
        self._position = sources.timestamp + sources.samples
        self._buffer.drop_before(self._position)
        self._waited = 0
        self.statistics.samples_by_source[source] += sources.samples
        pcm, action = self._stretch(pcm, observation, decision)
        self._record(at, sources, observation, decision._replace(action=action), source, pcm, level)
        self._append(pcm)

    def _decode(self, sources: FrameSources, source: Source) -> Pcm:
        if source is Source.LBRR and sources.lbrr is not None:
            return self._decoder.decode_lbrr(sources.lbrr, sources.samples)
        if source is Source.DRED and sources.silent:
            return self._concealer.silence(sources.samples)
        if source is Source.DRED and sources.dred is not None:
            return self._decoder.decode_dred(sources.dred, sources.timestamp, sources.samples)
        assert sources.own is not None
        return self._decoder.decode(sources.own)

    def _conceal(self, samples: int, *, dtx: bool = False) -> tuple[Pcm, Source]:
        if dtx:
            return self._concealer.silence(samples), Source.CNG
        if not self._concealer.concealed:
            self.statistics.concealment_events += 1
        pcm, source = self._concealer.conceal(samples)
        self.statistics.concealed_samples += samples
        self.statistics.silent_concealed_samples += samples if source is Source.CNG else 0
        return pcm, source

    def _stretch(self, pcm: Pcm, observation: Observation, decision: Decision) -> tuple[Pcm, Action]:
        """Carry out `STRETCH` and `COMPRESS` where the audio allows it."""
        stretcher, pause = self._stretcher, self._pause
        action = Action.PLAY
        if decision.action in (Action.STRETCH, Action.COMPRESS) and (
            pause or decision.effort is not Effort.PAUSES
        ):
            change = stretcher.stretch if decision.action is Action.STRETCH else stretcher.compress
            error = abs(observation.delay - decision.target_delay) * OPUS_CLOCK_RATE
            wanted = min(pcm.size, int(error)) if math.isfinite(error) else pcm.size
            pcm, added = change(pcm, pause=pause, effort=decision.effort, wanted=wanted)
            self.statistics.inserted_samples_for_deceleration += max(0, added)
            self.statistics.removed_samples_for_acceleration += max(0, -added)
            action = decision.action if added else Action.PLAY
        stretcher.push(pcm)
        return pcm, action

    def _count_emitted(self, at: float, frame: BufferedFrame, decision: Decision) -> None:
        statistics = self.statistics
        statistics.jitter_buffer_emitted_count += frame.samples
        statistics.jitter_buffer_delay += max(0.0, at - frame.arrival) * frame.samples
        statistics.jitter_buffer_target_delay += decision.target_delay * frame.samples

    def _append(self, pcm: Pcm) -> None:
        self._output = np.concatenate((self._output, pcm)) if self._output.size else pcm

    def _record(
        self,
        at: float,
        sources: FrameSources,
        observation: Observation,
        decision: Decision,
        source: Source,
        pcm: Pcm,
        level: float | None = None,
    ) -> None:
        if self._on_trace is None:
            return
        origin = {Source.LBRR: sources.lbrr, Source.DRED: sources.dred}.get(source, sources.own)
        consumed = 0 if decision.action is Action.WAIT else sources.samples
        self._on_trace(
            TraceRecord(
                time=at,
                timestamp=sources.timestamp,
                sequence=None if source.is_concealment or origin is None else origin.sequence,
                source=source,
                action=decision.action,
                samples=pcm.size,
                media=consumed,
                delay_ms=1000.0 * observation.delay,
                target_ms=1000.0 * decision.target_delay,
                level_dbov=level_dbov(pcm) if level is None else level,
            )
        )
