"""What was sent over the time of a call, beside what the bottleneck carried."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from softphone.playout.frames import Source
from softphone.report.call import CallReport
from softphone.report.palette import LOST, SOURCE_COLOURS, TARGET
from softphone.sending import PACKET_OVERHEAD, PlanRecord, RateState

__all__ = ["draw_rate"]
_HEADERS = "#CBD2D9"
_SPEECH = SOURCE_COLOURS[Source.REGULAR]
_REDUNDANCY = SOURCE_COLOURS[Source.DRED]
_STATES = {RateState.BACKING_OFF: LOST, RateState.HOLDING: "#7B8794", RateState.PROBING: TARGET}
_LBRR_SHARE = 0.25
"""Of the speech, roughly; the plan doesn't know more."""


def draw_rate(axes: Axes, report: CallReport, end: float) -> None:
    """Draw planned rates in kb/s, headers included, up to ``end`` seconds after the beginning.

    Speech, redundancy and headers lie on each other; a line is the rate of the bottleneck, and
    a band above tells where the congestion control was at work.
    """
    times = [record.at - report.sent_start for record in report.plans] + [end]
    parts = np.array([_parts(record) for record in (*report.plans, report.plans[-1])]) / 1000.0
    stacked = np.cumsum(parts, axis=1)
    link = [(at - report.sent_start, rate) for at, rate in report.link]
    most = max(float(stacked.max()), *(rate / 1000.0 for _, rate in link if rate is not None), 1.0)
    lowest = np.zeros(len(times))
    for column, colour in enumerate((_SPEECH, _REDUNDANCY, _HEADERS)):
        upper = stacked[:, column]
        axes.fill_between(times, lowest, upper, step="post", color=colour, linewidth=0)
        lowest = upper
    _draw_link(axes, link, end)
    for record, (begin, until) in zip(report.plans, pairwise(times), strict=True):
        mark = _STATES.get(record.limit.state)
        if mark is not None:
            axes.broken_barh([(begin, until - begin)], (1.1 * most, 0.08 * most), facecolors=mark)
    axes.set_ylim(0, 1.6 * most)
    axes.set_ylabel("sent, kb/s")
    handles = [
        Patch(facecolor=_SPEECH, label="speech"),
        Patch(facecolor=_REDUNDANCY, label="redundancy"),
        Patch(facecolor=_HEADERS, label="headers"),
        *(
            Patch(facecolor=colour, label=str(state))
            for state, colour in _STATES.items()
            if any(record.limit.state is state for record in report.plans)
        ),
    ]
    axes.legend(handles=handles, loc="upper left", ncols=len(handles), fontsize=7.5, frameon=False)


def _parts(record: PlanRecord) -> tuple[float, float, float]:
    """Bit/s of speech, redundancy and headers."""
    plan = record.plan
    speech = plan.bitrate - plan.dred.dred_bps
    lbrr = _LBRR_SHARE * speech if plan.inband_fec else 0.0
    headers = PACKET_OVERHEAD * 8 * 1000 / plan.frame_ms
    return speech - lbrr, plan.total_bitrate - speech + lbrr, headers


def _draw_link(axes: Axes, link: Sequence[tuple[float, float | None]], end: float) -> None:
    edges = [*(at for at, _ in link[1:]), end][: len(link)]
    for (at, rate), until in zip(link, edges, strict=True):
        if rate is not None and at < end:
            axes.hlines(rate / 1000.0, at, min(until, end), colors=LOST, linewidth=1.4)
