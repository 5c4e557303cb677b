"""A call reduced to what matters for playout: when each frame could be had, and from what."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.playout import Source
from softphone.sending import SendingConfig
from softphone.sending.budget import lbrr_bandwidth
from softphone.sending.network import NetworkReport
from softphone.sending.planner import RedundancyPlanner
from softphone.sim.trace import PacketTrace
from softphone_onnx_playout.training.speech import FRAME, SpeechPattern

__all__ = ["REPAIRS", "NetworkCall"]

REPAIRS = (Source.REGULAR, Source.RED, Source.LBRR, Source.DRED)
"""The columns of `NetworkCall.need`."""

_REPORT_INTERVAL = 1.0
_SAMPLES = 960


@dataclass(frozen=True, slots=True)
class NetworkCall:
    """One direction of a call with frames of 20 ms; arrays have shape (n,) unless said."""

    speech: SpeechPattern
    arrival: NDArray[np.float64]
    """Arrival of each packet, seconds since the speech began; infinite when lost."""
    lbrr: NDArray[np.bool_]
    """The packet holds in-band FEC for the frame before it."""
    reach: NDArray[np.int64]
    """How far back the packet's DRED reaches, samples."""
    silent: NDArray[np.int64]
    """How much of the recent end of its reach is known to be silence, samples."""
    copies: NDArray[np.int64]
    """Earlier packets that it holds copies of."""
    distance: NDArray[np.int64]
    """Packets from one of these to the next."""
    path_delay: float
    """Smallest one-way delay, seconds."""

    @classmethod
    def make(cls, trace: PacketTrace, speech: SpeechPattern, sending: SendingConfig) -> "NetworkCall":
        """Send ``speech`` over ``trace`` with the redundancy that the planner chooses."""
        count = speech.active.size
        fates = [trace.fate(k) for k in range(count)]
        delays = np.array([np.inf if fate is None else fate for fate in fates])
        arrival = (np.arange(count) + 1) * FRAME + delays
        lbrr, reach, copies, distance = _plan(delays, speech, sending, trace.mean_delay or 0.0)
        silent = np.minimum(_silence_before(speech.pause), reach)
        return cls(speech, arrival, lbrr, reach, silent, copies, distance, trace.min_delay or 0.0)

    @property
    def frames(self) -> int:
        """Frames in the call."""
        return self.arrival.size

    def copied(self, number: int) -> range:
        """How many packets before packet ``number`` those are of which it holds copies, oldest first."""
        distance = int(self.distance[number])
        most = min(int(self.copies[number]), number // distance)
        return range(most * distance, 0, -distance)

    def need(self) -> NDArray[np.float64]:
        """Delay since its beginning at which each frame can first be made of each source.

        Shape (n, 4), columns `REPAIRS`, seconds; infinite when never.
        """
        count = self.frames
        start = np.arange(count) * FRAME
        need = np.full((count, len(REPAIRS)), np.inf)
        need[:, 0] = self.arrival - start
        need[:-1, 2] = np.where(self.lbrr[1:], self.arrival[1:] - start[:-1], np.inf)
        for back in range(1, int((self.copies * self.distance).max(initial=0)) + 1):
            copied = (self.copies * self.distance >= back) & (back % self.distance == 0)
            column = np.where(copied[back:], self.arrival[back:] - start[:-back], np.inf)
            need[:-back, 1] = np.minimum(need[:-back, 1], column)
        for back in range(1, int(self.reach.max(initial=0)) // _SAMPLES + 1):
            column = np.where(
                self.reach[back:] >= back * _SAMPLES, self.arrival[back:] - start[:-back], np.inf
            )
            need[:-back, 3] = np.minimum(need[:-back, 3], column)
        return need


def _silence_before(pause: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Samples of silence directly before each frame."""
    count = np.arange(pause.size)
    spoke = np.maximum.accumulate(np.where(pause, -1, count))
    return _SAMPLES * np.append(0, (count - spoke)[:-1])


def _plan(
    delays: NDArray[np.float64], speech: SpeechPattern, sending: SendingConfig, back: float
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What the planner of a sender would put into each packet, with a report every second."""
    count = delays.size
    planner = RedundancyPlanner(sending)
    lost = np.isinf(delays)
    lbrr, reach = np.zeros(count, np.bool_), np.zeros(count, np.int64)
    copies, distance = np.zeros(count, np.int64), np.ones(count, np.int64)
    every = round(_REPORT_INTERVAL / FRAME)
    pending: list[NetworkReport] = []
    for k in range(count):
        now = (k + 1) * FRAME
        if k and k % every == 0:
            window, longer = lost[k - every : k], lost[max(0, k - 5 * every) : k]
            runs = int(longer[0]) + int((longer[1:] & ~longer[:-1]).sum())
            burst = max(1.0, float(longer.sum()) / runs) if runs else None
            pending.append(NetworkReport(now + back, float(window.mean()), burst, 2.0 * back))
        while pending and pending[0].at <= now:
            planner.on_report(pending.pop(0))
        plan = planner.plan(k * FRAME)
        dred = plan.dred
        reach[k] = 48 * dred.reach_ms
        copies[k], distance[k] = plan.red_copies, plan.red_distance
        if plan.inband_fec and k:
            left = plan.bitrate - dred.dred_bps
            carried = lbrr_bandwidth(left, plan.packet_loss_perc, plan.frame_ms) is not None
            lbrr[k] = carried and speech.active[k - 1] > 0.5 and not speech.pause[k - 1]
    return lbrr, reach, copies, distance
