"""The playout core: packets go in with their arrival times, audio comes out on the card's clock.

Sans-I/O: it reads no clock and touches no socket. The same object runs in a live call, in
tests and in the simulation.

Each step spends the next frame of media, or decides not to: what could it be made of
(`sources`), what does the policy want (`policy`), is that possible (here), decode
(`decoding`, `concealment`), make longer or shorter (`stretch`), leave a record (`trace`).
"""

import math
from collections.abc import Callable
from dataclasses import replace

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
from softphone.playout.masking import possible
from softphone.playout.policy import (
    Arrival,
    Decision,
    Effort,
    Observation,
    PlayoutPolicy,
    PolicyConfig,
    playout_policies,
)
from softphone.playout.recovery import Hole
from softphone.playout.sources import FrameSources, find_sources
from softphone.playout.statistics import PlayoutStatistics
from softphone.playout.stretch import TimeStretcher
from softphone.playout.trace import TraceRecord
from softphone.rtp.packet import OPUS_CLOCK_RATE, RtpPacket

__all__ = ["PlayoutEngine"]

Pcm = NDArray[np.float32]

_GUESS_SAMPLES = 480
"""Audio guessed in one step: short, so that a packet that comes is used for the rest of the hole."""

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
        self._hole = Hole()
        self._position: int | None = None
        self._played: BufferedFrame | None = None
        self._newest: BufferedFrame | None = None
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
    def enhances(self) -> bool:
        """Whether the decoder mends speech that gave bits to redundancy; it takes a percent of a core."""
        return self._decoder.enhances

    @enhances.setter
    def enhances(self, enhances: bool) -> None:
        self._decoder.enhances = enhances

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
        late = self._position is not None and frame.timestamp < self._position
        relative_delay = self._transit.update(frame.timestamp, frame.samples, frame.arrival, late=late)
        self._last_arrival = frame.arrival
        self._reach = frame.dred_reach
        if self._newest is None or frame.sequence > self._newest.sequence:
            self._newest = frame
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
                copy_distance=max(frame.copies, default=0) / OPUS_CLOCK_RATE,
            )
        )
        for delay in self._repairs.update(frame, relative_delay):
            self._policy.on_repair(delay)
        self._hold(frame)

    def _hold(self, frame: BufferedFrame) -> None:
        if self._position is not None and frame.timestamp < self._position:
            self.statistics.packets_late += not frame.redundancy
            if frame.timestamp < self._hole.oldest(self._position):
                return
        if self._buffer.insert(frame) is InsertResult.OVERFLOW:
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
            self._output = np.concatenate((self._output, np.zeros(_GUESS_SAMPLES, np.float32)))
            return
        position = self._position
        assert position is not None
        sources = find_sources(self._buffer, position, self._frame_samples)
        if not sources.samples:  # a hole of less than 2.5 ms
            assert sources.next is not None
            self._position = sources.next.timestamp
            return
        observation = self._observe(at, sources)
        wanted = self._policy.decide(observation)
        decision = possible(wanted, observation, self.config.max_delay)
        self.statistics.actions_masked += decision is not wanted
        if decision.action is Action.SKIP:
            self._skip(at, sources, observation, decision)
        elif decision.action is Action.RECOVER:
            self._recover(at, sources, observation, decision)
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
        step = _GUESS_SAMPLES / OPUS_CLOCK_RATE
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
        network = self._transit.network(self._path_delay, self.config.max_delay)
        return network + delay + frame_samples / OPUS_CLOCK_RATE + CODEC_DELAY

    def _observe(self, at: float, sources: FrameSources) -> Observation:
        position = sources.timestamp
        last = self._buffer.last()
        delay = self._transit.delay(position, at)
        dtx = self._in_dtx(sources)
        mouth_to_ear = self._mouth_to_ear(self._frame_samples, delay)
        frame = sources.samples / OPUS_CLOCK_RATE
        room = self.config.max_delay - mouth_to_ear - frame
        recoverable = self._hole.recoverable(self._buffer, position, room)
        return Observation(
            now=at,
            frame=frame,
            sources=(Source.PLC,) if dtx else sources.available(),
            delay=delay,
            mouth_to_ear=mouth_to_ear,
            buffered=0.0 if last is None else max(0, last.end - position) / OPUS_CLOCK_RATE,
            contiguous=(self._buffer.contiguous_until(position) - position) / OPUS_CLOCK_RATE,
            gap=None if sources.gap is None else sources.gap / OPUS_CLOCK_RATE,
            since_arrival=max(0.0, at - self._last_arrival),
            waited=self._waited / OPUS_CLOCK_RATE,
            concealed=self._concealer.concealed,
            silent=sources.silent,
            pause=self._pause,
            dtx=dtx,
            reach=self._reach / OPUS_CLOCK_RATE,
            round_trip=self._round_trip,
            lead=self._output.size / OPUS_CLOCK_RATE,
            recoverable=recoverable,
        )

    def _in_dtx(self, sources: FrameSources) -> bool:
        """True when nothing is missing and yet nothing is there: the sender is silent.

        Either the last packet that came said so, in time or too late, or the sequence numbers
        show no loss up to the next.
        """
        if sources.own is not None or self._played is None:
            return False
        if sources.next is not None:
            return sources.next.sequence == self._played.sequence + 1
        return self._newest is not None and self._newest.is_dtx

    def _skip(self, at: float, sources: FrameSources, observation: Observation, decision: Decision) -> None:
        self._position = sources.timestamp + sources.samples
        self.statistics.skipped_samples += sources.samples
        self._record(at, sources, observation, decision, Source.PLC, np.zeros(0, np.float32))

    def _recover(
        self, at: float, sources: FrameSources, observation: Observation, decision: Decision
    ) -> None:
        back = round(observation.recoverable * OPUS_CLOCK_RATE)
        self._position = sources.timestamp - back
        self._hole.close()
        self.statistics.recovered_samples += back
        sources = replace(sources, samples=-back)
        self._record(at, sources, observation, decision, Source.PLC, np.zeros(0, np.float32))

    def _wait(self, at: float, sources: FrameSources, observation: Observation, decision: Decision) -> None:
        pcm, source = self._conceal(_GUESS_SAMPLES)
        self._waited += _GUESS_SAMPLES
        self.statistics.waited_samples += _GUESS_SAMPLES
        self.statistics.samples_by_source[source] += _GUESS_SAMPLES
        self._record(at, sources, observation, decision, source, pcm)
        self._append(pcm)
        self._excess = None

    def _play(self, at: float, sources: FrameSources, observation: Observation, decision: Decision) -> None:
        source = decision.source
        level: float | None = None
        if source is Source.PLC:
            if not observation.dtx:
                sources = replace(sources, samples=min(sources.samples, _GUESS_SAMPLES))
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
        if source.is_concealment and not observation.dtx:
            self._hole.extend(sources.timestamp)
        else:
            self._hole.close()
        self._excess = None
        if sources.own is not None:
            self._excess = observation.delay - decision.target_delay
            self._count_emitted(at, sources.own, sources.samples, decision)
            self._played = sources.own
            self._frame_samples = sources.own.samples
        self._position = sources.timestamp + sources.samples
        self._buffer.drop_before(self._hole.oldest(self._position))
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
        if self._concealer.concealed:
            late = self._buffer.run_before(sources.own.timestamp)
            return self._concealer.resume(sources.own, late, sources.samples)
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

    def _count_emitted(self, at: float, frame: BufferedFrame, samples: int, decision: Decision) -> None:
        statistics = self.statistics
        statistics.jitter_buffer_emitted_count += samples
        statistics.jitter_buffer_delay += max(0.0, at - frame.arrival) * samples
        statistics.jitter_buffer_target_delay += decision.target_delay * samples

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
