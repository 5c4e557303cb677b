"""Playout without audio: the steps of the playout core over a `NetworkCall`, a hundred times faster.

The buffer, the search for sources, the clock of transit times and the watch for repairs
are those of the core itself; decoding is left out, and the time-stretcher is replaced by
what it would have done to each frame.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from softphone.playout import (
    MAX_DELAY,
    Action,
    Arrival,
    Decision,
    Effort,
    Observation,
    PlayoutPolicy,
    Source,
    TraceRecord,
)
from softphone.playout.buffer import PacketBuffer
from softphone.playout.config import CODEC_DELAY
from softphone.playout.delay import RepairWatch, TransitClock
from softphone.playout.frames import BufferedFrame
from softphone.playout.masking import possible
from softphone.playout.recovery import Hole
from softphone.playout.sources import FrameSources, find_sources
from softphone.rtp.packet import OPUS_CLOCK_RATE
from softphone_onnx_playout.training.network_call import NetworkCall
from softphone_onnx_playout.training.speech import FRAME

__all__ = ["Simulator"]

_SAMPLES = 960
_TICK_SAMPLES = 480
_TICK = 0.010
_FADE_END = 0.28
_SHORTEST = 120
"""Samples of the smallest change of tempo."""
_MAX_PAUSE_INSERT = 360
"""Samples by which a pause is lengthened at most."""
_PAYLOAD = b"speech"


class Simulator:
    """One run of one policy over one call."""

    def __init__(
        self,
        call: NetworkCall,
        policy: PlayoutPolicy,
        *,
        max_delay: float = MAX_DELAY,
        on_step: Callable[[int, Observation], None] | None = None,
    ) -> None:
        """``on_step(frame, observation)`` is called before each decision."""
        self._call, self._policy, self._max_delay, self._on_step = call, policy, max_delay, on_step
        self._buffer, self._transit, self._repairs = PacketBuffer(), TransitClock(), RepairWatch()
        self._hole = Hole()
        self._position: int | None = None
        self._last_arrival = 0.0
        self._reach = 0
        self._waited = self._concealed = 0.0
        self._pause = True
        self._pending = 0
        self.records: list[TraceRecord] = []

    def run(self) -> list[TraceRecord]:
        """Play the call to its end."""
        call = self._call
        order = [int(k) for k in np.argsort(call.arrival, kind="stable") if np.isfinite(call.arrival[k])]
        following = 0
        tick = 0
        end = call.frames * _SAMPLES
        while self._position is None or self._position < end:
            now = tick * _TICK
            while following < len(order) and call.arrival[order[following]] <= now + 1e-9:
                self._insert(order[following])
                following += 1
            if self._position is None and following == len(order) and self._buffer.first() is None:
                break
            while self._pending < _TICK_SAMPLES:
                if not self._step(now + self._pending / OPUS_CLOCK_RATE):
                    break
            self._pending -= _TICK_SAMPLES
            tick += 1
        return self.records

    def _insert(self, number: int) -> None:
        call = self._call
        at = float(call.arrival[number])
        frame = BufferedFrame(
            timestamp=number * _SAMPLES,
            sequence=number,
            samples=_SAMPLES,
            payload=_PAYLOAD,
            arrival=at,
            lbrr=bool(call.lbrr[number]),
            dred_reach=int(call.reach[number]),
            dred_end=int(call.silent[number]),
            copies=tuple(_SAMPLES * int(back) for back in call.copied(number)),
        )
        for back in call.copied(number):
            stamp = frame.timestamp - back * _SAMPLES
            self._hold(BufferedFrame(stamp, number - back, _SAMPLES, _PAYLOAD, at, back))
        late = self._position is not None and frame.timestamp < self._position
        delay = self._transit.update(frame.timestamp, _SAMPLES, at, late=late)
        self._last_arrival, self._reach = at, frame.dred_reach
        self._policy.on_arrival(
            Arrival(
                at=at,
                timestamp=frame.timestamp,
                sequence=number,
                samples=_SAMPLES,
                relative_delay=delay,
                late=late,
                lbrr=frame.lbrr,
                dred_reach=frame.dred_reach / OPUS_CLOCK_RATE,
                copy_distance=max(frame.copies, default=0) / OPUS_CLOCK_RATE,
            )
        )
        for repair in self._repairs.update(frame, delay):
            self._policy.on_repair(repair)
        self._hold(frame)

    def _hold(self, frame: BufferedFrame) -> None:
        if self._position is None or frame.timestamp >= self._hole.oldest(self._position):
            self._buffer.insert(frame)

    def _mouth_to_ear(self, delay: float) -> float:
        network = self._transit.network(self._call.path_delay, self._max_delay)
        return delay + network + FRAME + CODEC_DELAY

    def _step(self, at: float) -> bool:
        if self._position is None and not self._start(at):
            self._pending = _TICK_SAMPLES
            return False
        assert self._position is not None
        number = self._position // _SAMPLES
        if number >= self._call.frames:
            self._pending += _TICK_SAMPLES
            return False
        sources = find_sources(self._buffer, self._position, _SAMPLES)
        observation = self._observe(at, sources)
        if self._on_step is not None:
            self._on_step(number, observation)
        decision = possible(self._policy.decide(observation), observation, self._max_delay)
        if decision.action is Action.SKIP:
            self._advance(sources)
            self._record(at, sources, observation, decision, Source.PLC, 0)
        elif decision.action is Action.RECOVER:
            back = round(observation.recoverable * OPUS_CLOCK_RATE)
            self._position -= back
            self._hole.close()
            sources = replace(sources, samples=-back)
            self._record(at, sources, observation, decision, Source.PLC, 0)
        elif decision.action is Action.WAIT:
            source = self._conceal(_TICK_SAMPLES)
            self._waited += _TICK
            self._record(at, sources, observation, decision, source, _TICK_SAMPLES)
        else:
            self._play(at, sources, observation, decision)
        return True

    def _start(self, at: float) -> bool:
        first = self._buffer.first()
        if first is None:
            return False
        start = min(self._policy.start_delay, self._max_delay - self._mouth_to_ear(0.0))
        if self._transit.delay(first.timestamp, at) + _TICK <= max(0.0, start):
            return False
        self._position = first.timestamp
        return True

    def _observe(self, at: float, sources: FrameSources) -> Observation:
        position, last = sources.timestamp, self._buffer.last()
        delay = self._transit.delay(position, at)
        frame = sources.samples / OPUS_CLOCK_RATE
        mouth_to_ear = self._mouth_to_ear(delay)
        room = self._max_delay - mouth_to_ear - frame
        return Observation(
            now=at,
            frame=frame,
            sources=sources.available(),
            delay=delay,
            mouth_to_ear=mouth_to_ear,
            buffered=0.0 if last is None else max(0, last.end - position) / OPUS_CLOCK_RATE,
            contiguous=(self._buffer.contiguous_until(position) - position) / OPUS_CLOCK_RATE,
            gap=None if sources.gap is None else sources.gap / OPUS_CLOCK_RATE,
            since_arrival=max(0.0, at - self._last_arrival),
            waited=self._waited,
            concealed=self._concealed,
            silent=sources.silent,
            pause=self._pause,
            dtx=False,
            reach=self._reach / OPUS_CLOCK_RATE,
            round_trip=2.0 * self._call.path_delay,
            lead=self._pending / OPUS_CLOCK_RATE,
            recoverable=self._hole.recoverable(self._buffer, position, room),
        )

    def _conceal(self, samples: int) -> Source:
        start, self._concealed = self._concealed, self._concealed + samples / OPUS_CLOCK_RATE
        return Source.CNG if start >= _FADE_END else Source.PLC

    def _play(self, at: float, sources: FrameSources, observation: Observation, decision: Decision) -> None:
        source = decision.source
        number = sources.timestamp // _SAMPLES
        if source is Source.PLC:
            sources = replace(sources, samples=min(sources.samples, _TICK_SAMPLES))
            source = self._conceal(sources.samples)
            self._hole.extend(sources.timestamp)
        else:
            self._hole.close()
            self._concealed = 0.0
            self._pause = bool(self._call.speech.pause[number])
        self._waited = 0.0
        self._advance(sources)
        added = self._stretched(number, observation, decision)
        if not added:
            decision = decision._replace(action=Action.PLAY)
        self._record(at, sources, observation, decision, source, sources.samples + added)

    def _advance(self, sources: FrameSources) -> None:
        self._position = sources.timestamp + sources.samples
        self._buffer.drop_before(self._hole.oldest(self._position))

    def _stretched(self, number: int, observation: Observation, decision: Decision) -> int:
        """Samples that the time-stretcher adds to a frame; negative when it takes them."""
        if decision.action not in (Action.STRETCH, Action.COMPRESS):
            return 0
        effort, pause = decision.effort, self._pause
        if effort is Effort.PAUSES and not pause:
            return 0
        lag = round(float(self._call.speech.lags[number, effort]) * OPUS_CLOCK_RATE)
        wanted = round(abs(observation.delay - decision.target_delay) * OPUS_CLOCK_RATE)
        # A pause gives what is wanted, up to its longest lag; a period of speech is what it is.
        lag = min(lag, wanted) if pause else lag * (lag <= 2 * wanted)
        if pause and decision.action is Action.STRETCH:
            lag = min(lag, _MAX_PAUSE_INSERT)
        if lag < _SHORTEST:
            return 0
        return lag if decision.action is Action.STRETCH else -lag

    def _record(
        self,
        at: float,
        sources: FrameSources,
        observation: Observation,
        decision: Decision,
        source: Source,
        samples: int,
    ) -> None:
        self._pending += samples
        self.records.append(
            TraceRecord(
                time=at,
                timestamp=sources.timestamp,
                sequence=None,
                source=source,
                action=decision.action,
                samples=samples,
                media=0 if decision.action is Action.WAIT else sources.samples,
                delay_ms=1000.0 * observation.delay,
                target_ms=1000.0 * decision.target_delay,
                level_dbov=0.0,
            )
        )
