"""What is heard of one participant: packets in, audio out, and sleep while there is silence.

Packets come on the event loop, audio is asked for by the thread of the loudspeaker; between
them goes a queue. A voice that has been silent for a while, muted or by discontinuous
transmission, falls asleep: nothing is decoded, rendered or mixed for it until a packet comes
whose level (RFC 6464) says that there is something to be heard.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Final

from softphone.audio.drift import DriftCorrector
from softphone.audio.mixer import Channel
from softphone.audio.stream import SAMPLE_RATE, Pcm
from softphone.conference.levels import LevelMeter
from softphone.opus import DTX_BYTES
from softphone.playout import PlayoutConfig, PlayoutEngine, Source, TraceRecord, playout_policies
from softphone.playout.config import CODEC_DELAY
from softphone.playout.policy import PlayoutPolicy, PolicyConfig
from softphone.playout.statistics import PlayoutStatistics
from softphone.rtp.packet import RtpPacket
from softphone.rtp.reports import LossReporter

__all__ = ["Voice"]

_INAUDIBLE: Final = -70.0
"""dBov; a talker close to a microphone is above -50."""
_FALL_ASLEEP: Final = SAMPLE_RATE // 2
"""Samples of silence before a voice sleeps: longer than the pauses between words."""
_SMOOTHING: Final = 0.05
"""Weight of one frame in the delay of the moment: about 0.4 s of memory."""


class Voice:
    """One incoming stream. `receive` and the settings belong to the event loop, `render` to the sink."""

    def __init__(self, config: PlayoutConfig, *, keeps_own_time: bool = False) -> None:
        """`keeps_own_time` says that the loudspeaker's clock drifts against the sender's.

        Raises :class:`softphone.errors.ConfigError` for an unknown policy.
        """
        self.config: Final = config
        self.channel: Final = Channel()
        self.meter: Final = LevelMeter()
        self.reporter: LossReporter | None = None
        """Is told what became of the packets."""
        self.delay: float | None = None
        """From the fastest packet to the ear, smoothed, seconds; None while nothing is played."""
        self._policy: PlayoutPolicy = playout_policies.load(config.policy)(
            PolicyConfig(max_delay=config.max_delay)
        )
        self._arrivals: deque[tuple[RtpPacket, float]] = deque()
        self._outcomes: deque[tuple[int, bool]] = deque(maxlen=256)
        self._late = 0
        self._path_delay: tuple[float, float | None] = (0.0, None)
        self._retired = PlayoutStatistics()
        self._engine = self._new_engine()
        self._asleep = False
        self._silent_samples = 0
        self._last_is_silent = False
        self._pull: Callable[[int, float], Pcm] = self._pull_engine
        if keeps_own_time:
            self._pull = DriftCorrector(self._pull_engine, lambda: self._engine.excess_delay)

    @property
    def muted(self) -> bool:
        """Not to be heard, whatever comes."""
        return self.channel.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self.channel.muted = muted

    @property
    def asleep(self) -> bool:
        """Whether nothing is decoded at this moment."""
        return self._asleep

    @property
    def statistics(self) -> PlayoutStatistics:
        """A copy of the counts since the beginning."""
        return _sum(self._retired, self._engine.statistics)

    @property
    def mouth_to_ear(self) -> float | None:
        """`delay` with the way of the fastest packet and the codec, seconds."""
        if self.delay is None:
            return None
        return self.delay + self._path_delay[0] + 0.02 + CODEC_DELAY

    # -- the event loop

    def receive(self, packet: RtpPacket, arrival: float) -> None:
        """Take a packet that came at `arrival`, seconds."""
        if packet.audio_level is not None and not self.muted:
            self.meter.update(-float(packet.audio_level), arrival)
        self._arrivals.append((packet, arrival))
        if self.reporter is not None:
            self._report(self.reporter)

    def set_path_delay(self, one_way: float, round_trip: float | None) -> None:
        """Tell what is known of the network, seconds; see `PlayoutEngine.set_path_delay`."""
        self._path_delay = (one_way, round_trip)
        self._engine.set_path_delay(one_way, round_trip)

    def _report(self, reporter: LossReporter) -> None:
        while self._outcomes:
            samples, concealed = self._outcomes.popleft()
            reporter.on_audio(samples, concealed=concealed)
        late = self._retired.packets_late + self._engine.statistics.packets_late
        for _ in range(late - self._late):
            reporter.on_late_packet()
        self._late = max(late, self._late)

    # -- the thread of the loudspeaker

    def render(self, samples: int, needed: float, *, crowded: bool = False) -> Pcm | None:
        """The next `samples` samples, of which the first is needed at `needed` seconds; None: silence.

        `crowded` says that many are heard at once, and none of them need be mended.
        """
        while self._arrivals:
            packet, arrival = self._arrivals.popleft()
            self._last_is_silent = _is_silent(packet)
            if self._asleep:
                if self._last_is_silent or self.muted:
                    continue
                self._wake()
            self._engine.insert(packet, arrival)
        if self._asleep:
            return None
        self._engine.enhances = not crowded
        pcm = self._pull(samples, needed)
        if self._silent_samples >= _FALL_ASLEEP and (self.muted or self._last_is_silent):
            self._asleep = True
            self.delay = None
        return pcm

    def _wake(self) -> None:
        """Begin anew, with all that the policy has learnt: the time between was no media."""
        self._asleep = False
        self._silent_samples = 0
        self._retired = _sum(self._retired, self._engine.statistics)
        self._engine = self._new_engine()

    def _new_engine(self) -> PlayoutEngine:
        engine = PlayoutEngine(self.config, self._policy, on_trace=self._on_trace)
        engine.set_path_delay(*self._path_delay)
        return engine

    def _pull_engine(self, samples: int, needed: float) -> Pcm:
        return self._engine.pull(needed, samples)

    def _on_trace(self, record: TraceRecord) -> None:
        self._outcomes.append((record.samples, record.source is Source.PLC))
        if self.muted or record.level_dbov < _INAUDIBLE:
            self._silent_samples += record.samples
        else:
            self._silent_samples = 0
        if not record.source.is_concealment:
            delay = max(0.0, record.delay_ms / 1000.0)
            before = self.delay
            self.delay = delay if before is None else before + _SMOOTHING * (delay - before)


def _is_silent(packet: RtpPacket) -> bool:
    """Whether nothing is to be heard in a packet, as far as can be told without decoding it."""
    level = packet.audio_level
    return len(packet.payload) <= DTX_BYTES or (level is not None and -float(level) < _INAUDIBLE)


def _sum(one: PlayoutStatistics, other: PlayoutStatistics) -> PlayoutStatistics:
    """Both together; every field is a count or a sum."""
    values = {
        field.name: getattr(one, field.name) + getattr(other, field.name)
        for field in fields(PlayoutStatistics)
        if field.name != "samples_by_source"
    }
    by_source = {source: one.samples_by_source[source] + other.samples_by_source[source] for source in Source}
    return replace(one, **values, samples_by_source=by_source)
