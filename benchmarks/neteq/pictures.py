"""Delay against quality: one point for each schedule and system."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.neteq.pareto import pareto_front
from benchmarks.neteq.summary import Estimate
from benchmarks.neteq.targets import TARGETS

__all__ = ["Point", "Style", "draw_fronts"]

# Okabe and Ito's palette, which colour-blind people can tell apart, as in the reports of calls.
_COLOURS = ("#D55E00", "#009E73", "#0072B2", "#CC79A7", "#E69F00", "#56B4E9", "#52606D", "#1F2933")
_MARKERS = "os^Dvp<>"
_FRONT_COLOUR, _LEVEL_COLOUR = "#9AA5B1", "#7B8794"
_LEGEND_ROW = 0.19
"""Inches."""
_MAX_PANELS = 8
_COLUMNS = 4
_WORST = {"PLCMOS": 1.0, "PESQ-WB": 1.0, "STOI": 0.0}
_BEST = {"PLCMOS": 5.0, "PESQ-WB": 4.65, "STOI": 1.0}
_TARGET_FIELDS = {"PLCMOS": "plcmos", "PESQ-WB": "pesq", "STOI": "stoi"}


class Style(Enum):
    """How a point is drawn."""

    MARKER = auto()
    FRONT = auto()
    """A dot; those of one label that lie on their front are joined by a line."""
    LEVEL = auto()
    """A line at its quality, whatever its delay."""


@dataclass(frozen=True, slots=True)
class Point:
    """One system on one kind of schedule."""

    kind: str
    label: str
    delay: float
    """Median from mouth to ear, ms."""
    quality: Mapping[str, Estimate]
    """By the name of the model."""
    style: Style = Style.MARKER


def draw_fronts(points: Sequence[Point], stem: Path) -> list[Path]:
    """Draw one picture for each quality model; returns the files, ``stem-plcmos.png`` and so on.

    One panel for each kind of schedule, or a single one where there are many and no lines.
    """
    kinds = list(dict.fromkeys(point.kind for point in points))
    labels = list(dict.fromkeys(point.label for point in points if point.style is Style.MARKER))
    lines = {point.label for point in points} - set(labels)
    files = []
    for model in ("PLCMOS", "PESQ-WB", "STOI"):
        if all(math.isnan(point.quality[model].mean) for point in points):
            continue
        panels = kinds if lines or len(kinds) <= _MAX_PANELS else [""]
        columns = min(_COLUMNS, len(panels))
        rows = -(-len(panels) // columns)
        figure = Figure(
            figsize=(max(7.0, 3.2 * columns), 2.9 * rows + _LEGEND_ROW * len(lines | set(labels)) + 0.6)
        )
        for number, kind in enumerate(panels):
            axes = figure.add_subplot(rows, columns, number + 1)
            chosen = [point for point in points if kind in ("", point.kind)]
            _draw_panel(axes, chosen, labels, model, kind)
        handles, names = _legend(figure)
        figure.legend(handles, names, loc="lower center", fontsize=8, frameon=False)
        figure.tight_layout(rect=(0, (_LEGEND_ROW * len(names) + 0.1) / figure.get_figheight(), 1, 1))
        FigureCanvasAgg(figure)
        path = stem.with_name(f"{stem.name}-{_TARGET_FIELDS[model]}.png")
        figure.savefig(path, dpi=100)
        files.append(path)
    return files


def _draw_panel(axes: Axes, points: Sequence[Point], labels: Sequence[str], model: str, kind: str) -> None:
    _draw_lines(axes, [point for point in points if point.style is not Style.MARKER], model)
    for point in points:
        if point.style is not Style.MARKER:
            continue
        style = labels.index(point.label)
        quality = point.quality[model]
        axes.errorbar(
            point.delay,
            quality.mean,
            yerr=None if math.isnan(quality.margin) else quality.margin,
            fmt=_MARKERS[style % len(_MARKERS)],
            color=_COLOURS[style % len(_COLOURS)],
            ecolor="#CBD2D9",
            label=point.label,
        )
    if kind in TARGETS:
        target = TARGETS[kind]
        axes.plot(
            target.delay_ms,
            getattr(target, _TARGET_FIELDS[model]),
            "k+",
            markersize=12,
            label="softphone's target",
        )
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, _WORST[model]), min(high, _BEST[model]))
    axes.set_title(kind, fontsize=9)
    axes.set_xlabel("delay from mouth to ear, ms", fontsize=8)
    axes.set_ylabel(model, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)


def _draw_lines(axes: Axes, points: Sequence[Point], model: str) -> None:
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point.label, []).append(point)
    for label, group in groups.items():
        places = [(point.delay, point.quality[model].mean) for point in group]
        if group[0].style is Style.LEVEL:
            axes.axhline(places[0][1], color=_LEVEL_COLOUR, linestyle=":", label=label)
            continue
        axes.plot(*zip(*places, strict=True), ".", color=_FRONT_COLOUR, markersize=4)
        front = pareto_front(places)
        if front:
            axes.plot(*zip(*front, strict=True), ".-", color=_FRONT_COLOUR, markersize=7, label=label)


def _legend(figure: Figure) -> tuple[list[Artist], list[str]]:
    """Each label once."""
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)
