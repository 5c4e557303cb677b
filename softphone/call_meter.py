"""Measures one call: delays and gaps out of the playout trace, and signs of life from the peer."""

import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from softphone.audio.stream import SAMPLE_RATE
from softphone.call_statistics import CallStatistics, DelayStatistics
from softphone.media import MediaSession
from softphone.playout import Source, TraceRecord
from softphone.playout.config import CODEC_DELAY
from softphone.playout.delay import WindowMinimum
from softphone.webrtc import Peer

__all__ = ["CallMeter"]

_BIN_SECONDS: Final = 0.001
_BINS: Final = 3_000
_SMOOTHING: Final = 0.05
"""Weight of one frame in the delay of the moment: about 0.4 s of memory."""
_REFERENCE_WINDOW: Final = 2.0
"""Seconds of memory of the fastest packet, from which the delays of the trace count."""
_INTERRUPTION_SAMPLES: Final = 7_200
"""150 ms, from which people notice a gap."""


class CallMeter:
    """Needs the same memory however long the call is.

    `on_trace` is called on the sink's thread, everything else on the event loop, whose view
    may be one frame old.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._delay: float | None = None
        self._delays = np.zeros(_BINS, np.int64)
        self._framed_delays = np.zeros(_BINS, np.int64)
        self._shortest = WindowMinimum(_REFERENCE_WINDOW)
        self._framing = 0.0
        self._interruptions = 0
        self._interrupted_samples = 0
        self._run = 0
        self._lost = False
        self._path_delay = float("inf")
        self._heard_packets = 0
        self._heard_at = time.monotonic()
        self._began: float | None = None
        self._ended: float | None = None

    def begin(self) -> None:
        """Audio can flow from now on."""
        self._began = self._heard_at = time.monotonic()

    def end(self) -> None:
        """The call is over: time stands still."""
        self._ended = time.monotonic()

    def observe(self) -> None:
        """Look after the peer; to be called about twice a second."""
        counters = self._peer.counters()
        heard = counters["srtp_rtp"] + counters["srtp_rtcp"]
        if heard != self._heard_packets:
            self._heard_packets, self._heard_at = heard, time.monotonic()
        remote = self._peer.sender.remote_inbound
        if remote is not None and remote.round_trip is not None:
            self._path_delay = min(self._path_delay, remote.round_trip / 2)

    @property
    def silent_for(self) -> float:
        """Seconds since anything authentic came from the peer, audio or a report."""
        return (self._ended or time.monotonic()) - self._heard_at

    def on_trace(self, record: TraceRecord) -> None:
        """Take in one step of the playout core."""
        if record.source.is_concealment:
            if record.samples:
                self._conceal(record)
            return
        self._run, self._lost = 0, False
        if record.source in (Source.REGULAR, Source.RED):
            # Whoever speaks may change the length of the packets. The fastest packet of late is
            # one of the shortest, and the trace counts from there.
            self._framing = self._shortest.add(record.time, record.media / SAMPLE_RATE)
        delay = max(record.delay_ms / 1000.0, 0.0)
        framed = delay + self._framing
        self._delays[_bin(delay)] += 1
        self._framed_delays[_bin(framed)] += 1
        self._delay = framed if self._delay is None else self._delay + _SMOOTHING * (framed - self._delay)

    def statistics(
        self, media: MediaSession, *, signaling_lost: bool, warnings: tuple[str, ...]
    ) -> CallStatistics:
        """Everything that is known at this moment."""
        self.observe()
        playout, pipeline = media.engine.statistics, media.pipeline
        streams = self._peer.receiver.streams
        bursts = streams[-1].statistics.bursts() if streams else None
        remote = self._peer.sender.remote_inbound
        # The trace counts from the fastest packet on; the way of that packet comes on top.
        path = self._path_delay if self._path_delay != float("inf") else 0.0
        beyond = path + CODEC_DELAY
        now = self._ended or time.monotonic()
        return CallStatistics(
            duration=now - self._began if self._began is not None else 0.0,
            frames={source: playout.frames(source) for source in Source},
            interruptions=self._interruptions,
            interrupted=self._interrupted_samples / SAMPLE_RATE,
            packets_expected=sum(stream.statistics.expected for stream in streams),
            packets_lost=sum(stream.statistics.lost for stream in streams),
            packets_late=playout.packets_late,
            packets_discarded=playout.packets_discarded,
            packets_duplicated=playout.packets_duplicated,
            fraction_lost=bursts.fraction_lost if bursts is not None else 0.0,
            mean_burst=bursts.mean_burst if bursts is not None else None,
            remote_fraction_lost=remote.fraction_lost if remote is not None else None,
            round_trip=remote.round_trip if remote is not None else None,
            delay=self._delay + beyond if self._delay is not None else None,
            delays=_distribution(self._framed_delays).plus(beyond),
            buffering=_distribution(self._delays),
            time_inserted=playout.inserted_samples_for_deceleration / SAMPLE_RATE,
            time_removed=playout.removed_samples_for_acceleration / SAMPLE_RATE,
            policy_fallbacks=playout.policy_fallbacks,
            plan=pipeline.plan,
            sending=pipeline.statistics,
            silent_for=self.silent_for,
            signaling_lost=signaling_lost,
            muted=media.muted,
            warnings=warnings,
        )

    def _conceal(self, record: TraceRecord) -> None:
        # Comfort noise directly after a packet is the sender's own silence, not a gap.
        self._lost = self._lost or record.source is Source.PLC
        if not self._lost:
            return
        before, self._run = self._run, self._run + record.samples
        if self._run >= _INTERRUPTION_SAMPLES:
            if before < _INTERRUPTION_SAMPLES:
                self._interruptions += 1
                self._interrupted_samples += before
            self._interrupted_samples += record.samples


def _bin(seconds: float) -> int:
    return min(int(seconds / _BIN_SECONDS), _BINS - 1)


def _distribution(counted: NDArray[np.int64]) -> DelayStatistics:
    """Delays that were counted with a resolution of 1 ms."""
    counts = counted.copy()
    total = int(counts.sum())
    if not total:
        return DelayStatistics()
    values = (np.arange(_BINS) + 0.5) * _BIN_SECONDS
    cumulated = np.cumsum(counts)
    p50, p95, p99, most = (
        float(values[np.searchsorted(cumulated, share * total)]) for share in (0.5, 0.95, 0.99, 1.0)
    )
    return DelayStatistics(float(np.dot(values, counts)) / total, p50, p95, p99, most)
