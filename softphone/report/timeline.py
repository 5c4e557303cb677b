"""The picture of a call: what was said, what was heard and from what, and the delay."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from softphone.audio.stream import SAMPLE_RATE, Pcm
from softphone.errors import MediaFileError
from softphone.playout.config import CODEC_DELAY
from softphone.playout.frames import Source
from softphone.report.call import CallReport
from softphone.report.palette import DELAY, LOST, SENT, SOURCE_COLOURS, TARGET
from softphone.report.rate_row import draw_rate
from softphone.report.rows import SOURCE_NAMES

__all__ = ["TimelineGeometry", "draw_timeline"]

_DPI = 150
_HEIGHT_PX = 1050
_MIN_WIDTH_PX = 2000
_MAX_WIDTH_PX = 9000
_PX_PER_SECOND = 60
_CHUNK = 120  # samples: 2.5 ms, the finest detail drawn
_PITCH_CHUNKS = 5  # 12.5 ms
_FRAME_SECONDS = 0.02
_SMALL, _LARGE = 8.5, 9.5  # font sizes, points
_SOURCES = list(Source)
_UNKNOWN = -1  # audio that no record tells about
_UNKNOWN_COLOUR = "#CBD2D9"


@dataclass(frozen=True, slots=True)
class TimelineGeometry:
    """Where time lies in the picture, so that a cursor can be drawn over it."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    left: float
    """Where `start` lies, as a share of the width."""
    right: float
    """Where `end` lies, as a share of the width."""
    start: float
    """Time at the left edge of the plots, seconds after the first sample was said."""
    end: float
    """Time at their right edge."""


def draw_timeline(path: Path, report: CallReport) -> TimelineGeometry:
    """Draw the picture as PNG. Raises :class:`softphone.errors.MediaFileError` when it can't be written."""
    offset = report.heard_start - report.sent_start
    start = min(0.0, offset)
    end = max(len(report.sent) / SAMPLE_RATE, offset + len(report.heard) / SAMPLE_RATE, start + 0.1)
    width = int(np.clip((end - start) * _PX_PER_SECOND, _MIN_WIDTH_PX, _MAX_WIDTH_PX))
    figure = Figure(figsize=(width / _DPI, _HEIGHT_PX / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    left, right = 110 / width, 1 - 30 / width
    ratios = (3, 0.32, 3, 2.1, 1.8) if report.plans else (3, 0.32, 3, 2.1)
    grid = figure.add_gridspec(
        len(ratios), 1, height_ratios=ratios, hspace=0.16, left=left, right=right, top=0.855, bottom=0.085
    )
    rows = [figure.add_subplot(grid[row]) for row in range(len(ratios))]
    said, losses, heard, delay = rows[:4]
    columns = round(width * (right - left))
    limits = _amplitude_limits(report)

    _draw_sent(said, report, start, end, columns, limits)
    _draw_losses(losses, report)
    _draw_heard(heard, report, offset, (start, end), columns, limits)
    _draw_delay(delay, report)
    if report.plans:
        draw_rate(rows[-1], report, end)
    rows[-1].set_xlabel("seconds", fontsize=_SMALL)
    for axes in rows:
        axes.set_xlim(start, end)
        _clean(axes, ticks=columns // 90 if axes is rows[-1] else 0, values=axes in rows[3:])
    _draw_legend(figure, report, left)
    try:
        figure.savefig(path, dpi=_DPI, format="png")
    except OSError as error:
        raise MediaFileError(f"can't write the picture {path}: {error.strerror}") from error
    return TimelineGeometry(width, _HEIGHT_PX, left, right, start, end)


def _draw_sent(
    axes: Axes, report: CallReport, start: float, end: float, columns: int, limits: tuple[float, float]
) -> None:
    low, high = _envelope(report.sent)
    edges = np.arange(len(low)) * _CHUNK / SAMPLE_RATE
    axes.set_ylim(*limits)
    _draw_wave(axes, edges, low, high, SENT, (start, end), columns)
    axes.set_ylabel("said")


def _draw_losses(axes: Axes, report: CallReport) -> None:
    axes.set_ylim(0, 1)
    axes.set_facecolor("#F1F4F7")
    if report.lost is not None and len(report.lost):
        begins = np.asarray(report.lost, dtype=float) - report.sent_start
        spans = [(float(begin), _FRAME_SECONDS) for begin in begins]
        axes.broken_barh(spans, (0, 1), facecolors=LOST, linewidth=0.4, edgecolors=LOST)
    axes.set_ylabel("lost", rotation=0, ha="right", va="center")


def _draw_heard(
    axes: Axes,
    report: CallReport,
    offset: float,
    span: tuple[float, float],
    columns: int,
    limits: tuple[float, float],
) -> None:
    low, high = _envelope(report.heard)
    edges = np.arange(len(low)) * _CHUNK / SAMPLE_RATE + offset
    labels = _labels(report, len(low))
    lowest, highest = limits
    thick = 0.13 * (highest - lowest)
    axes.set_ylim(lowest - 1.6 * thick, highest)
    unknown = labels == _UNKNOWN
    _draw_wave(axes, edges[unknown], low[unknown], high[unknown], _UNKNOWN_COLOUR, span, columns)
    for index, source in enumerate(_SOURCES):
        chosen = labels == index
        if not chosen.any():
            continue
        colour = SOURCE_COLOURS[source]
        _draw_wave(axes, edges[chosen], low[chosen], high[chosen], colour, span, columns, zorder=2 + index)
        axes.broken_barh(
            _spans(chosen, offset),
            (lowest - 1.5 * thick, thick),
            facecolors=colour,
            linewidth=0.3,
            edgecolors=colour,
            zorder=2 + index,
        )
    axes.set_ylabel("heard")


def _draw_delay(axes: Axes, report: CallReport) -> None:
    records = [record for record in report.trace if record.samples]
    times = np.array([record.time for record in records]) - report.sent_start
    # When it was heard less when it was said: the delays of the trace begin at the fastest packet
    # of late, which may have been a long one or have waited in a queue.
    said = np.array([record.timestamp for record in records]) / SAMPLE_RATE
    delays = 1000.0 * (times - said + CODEC_DELAY)
    targets = delays + np.array([record.target_ms - record.delay_ms for record in records])
    if len(times):
        axes.fill_between(times, 0, delays, step="post", color=DELAY, alpha=0.13, linewidth=0)
        axes.step(times, targets, where="post", color=TARGET, linewidth=1.1, linestyle=(0, (4, 1.5)))
        axes.step(times, delays, where="post", color=DELAY, linewidth=1.2)
        axes.set_ylim(0, max(float(delays.max()), float(targets.max()), 20.0) * 1.12)
    axes.set_ylabel("delay, ms")
    axes.grid(axis="y", color="#E4E7EB", linewidth=0.7)
    axes.set_axisbelow(True)


def _draw_wave(
    axes: Axes,
    times: NDArray[np.float64],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    colour: str,
    span: tuple[float, float],
    columns: int,
    zorder: int = 2,
) -> None:
    """Draw one vertical line for each pixel column, from the lowest to the highest sample in it."""
    if not len(times):
        return
    start, end = span
    column = np.clip(((times - start) / (end - start) * columns).astype(int), 0, columns - 1)
    lowest = np.full(columns, np.inf)
    highest = np.full(columns, -np.inf)
    np.minimum.at(lowest, column, low)
    np.maximum.at(highest, column, high)
    used = np.flatnonzero(np.isfinite(lowest))
    middle = start + (used + 0.5) / columns * (end - start)
    # A chunk may be wider than a pixel: draw it as wide as it is, and overlap a little.
    pixels = max(1.0, _CHUNK / SAMPLE_RATE * columns / (end - start))
    least = 0.004 * axes.get_ylim()[1]
    axes.vlines(
        middle,
        np.minimum(lowest[used], -least),
        np.maximum(highest[used], least),
        colors=colour,
        linewidth=72 / _DPI * (pixels + 0.8),
        zorder=zorder,
        snap=False,  # rounding to whole pixels would leave stripes
    )


def _envelope(pcm: Pcm) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest sample of each chunk."""
    count = -(-len(pcm) // _CHUNK)
    padded = np.zeros(count * _CHUNK, dtype=np.float32)
    padded[: len(pcm)] = pcm
    chunks = padded.reshape(count, _CHUNK)
    return -_running_maximum(-chunks.min(axis=1)), _running_maximum(chunks.max(axis=1))


def _running_maximum(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest value around each one: over a period of a low voice, so that pitch makes no stripes."""
    if not len(values):
        return values
    padded = np.pad(values, _PITCH_CHUNKS // 2, mode="edge")
    largest: NDArray[np.float32] = sliding_window_view(padded, _PITCH_CHUNKS).max(axis=1)
    return largest


def _labels(report: CallReport, chunks: int) -> NDArray[np.int8]:
    """Index into `_SOURCES` of each chunk of what was heard; `_UNKNOWN` without a record."""
    labels = np.full(chunks, _UNKNOWN, dtype=np.int8)
    for record in report.trace:
        begin = round((record.time - report.heard_start) * SAMPLE_RATE / _CHUNK)
        length = max(round(record.samples / _CHUNK), 1) if record.samples else 0
        labels[max(begin, 0) : max(begin + length, 0)] = _SOURCES.index(record.source)
    return labels


def _spans(chosen: NDArray[np.bool_], offset: float) -> list[tuple[float, float]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False]))))
    seconds = edges * _CHUNK / SAMPLE_RATE + offset
    return [
        (float(begin), float(end - begin)) for begin, end in zip(seconds[::2], seconds[1::2], strict=True)
    ]


def _amplitude_limits(report: CallReport) -> tuple[float, float]:
    """One scale for both waves: what was heard must not look louder than it was."""
    waves = [pcm for pcm in (report.sent, report.heard) if len(pcm)]
    lowest = min((float(pcm.min()) for pcm in waves), default=0.0)
    highest = max((float(pcm.max()) for pcm in waves), default=0.0)
    return min(lowest, -0.02) * 1.05, max(highest, 0.02) * 1.05


def _clean(axes: Axes, *, ticks: int, values: bool) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#CBD2D9")
    axes.tick_params(labelsize=_SMALL, colors="#52606D", length=0)
    axes.yaxis.label.set_fontsize(_LARGE)
    axes.yaxis.label.set_color("#1F2933")
    if ticks:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=ticks, steps=(1, 2, 5, 10)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
    if values:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=(1, 2, 5, 10)))
    else:
        axes.set_yticks([])


def _draw_legend(figure: Figure, report: CallReport, left: float) -> None:
    frames = report.summary.frames
    handles: list[Patch | Line2D] = []
    for source in _SOURCES:
        count = getattr(frames, source.value)
        if count:
            share = 100 * count / frames.total
            text = f"{SOURCE_NAMES[source]} {share:.1f} %" if share < 99.95 else SOURCE_NAMES[source]
            handles.append(Patch(facecolor=SOURCE_COLOURS[source], label=text))
    if report.lost is not None:
        handles.append(Patch(facecolor=LOST, label="lost packet"))
    handles.append(Line2D([], [], color=DELAY, linewidth=1.6, label="delay"))
    handles.append(Line2D([], [], color=TARGET, linewidth=1.6, linestyle=(0, (4, 1.5)), label="target"))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(left, 0.903),
        ncols=len(handles),
        frameon=False,
        fontsize=_SMALL,
        handlelength=1.3,
        handleheight=0.9,
        columnspacing=1.6,
        borderaxespad=0.0,
        borderpad=0.0,
    )
    style: dict[str, Any] = {"ha": "left", "va": "baseline", "parse_math": False}
    figure.text(left, 0.957, report.title, fontsize=12, fontweight="bold", color="#1F2933", **style)
    figure.text(left, 0.927, report.subtitle, fontsize=_SMALL, color="#52606D", **style)
