"""The pictures of the report."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from softphone_onnx_playout.training.evaluate import Outcome

__all__ = ["draw_costs", "draw_front", "draw_learning"]


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=100)


def draw_costs(outcomes: list[Outcome], names: list[str], path: Path) -> None:
    """Mean cost of each policy on each kind of network, as bars."""
    kinds = sorted({each.kind for each in outcomes})
    figure = Figure(figsize=(10, 4.5))
    axes = figure.add_subplot()
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        means = [
            np.mean([each.cost["total"] for each in outcomes if (each.policy, each.kind) == (name, kind)])
            for kind in kinds
        ]
        axes.bar(np.arange(len(kinds)) + width * (number - len(names) / 2 + 0.5), means, width, label=name)
    axes.set_xticks(np.arange(len(kinds)), kinds, fontsize=8)
    axes.set_ylabel("mean loss of R")
    axes.legend(fontsize=8)
    _save(figure, path)


def draw_front(outcomes: list[Outcome], names: list[str], path: Path) -> None:
    """Mean delay against concealed speech; each family of policies is one line."""
    figure = Figure(figsize=(7, 4.5))
    axes = figure.add_subplot()
    families: dict[str, list[tuple[float, float]]] = {}
    for name in names:
        chosen = [each for each in outcomes if each.policy == name]
        point = (
            1000 * float(np.mean([each.delay for each in chosen])),
            100 * float(np.mean([each.concealed for each in chosen])),
        )
        families.setdefault(name.split()[0], []).append(point)
    for family, points in families.items():
        axes.plot(*zip(*sorted(points), strict=True), marker="o", label=family)
    axes.set_xlabel("mean delay from mouth to ear, ms")
    axes.set_ylabel("speech concealed, %")
    axes.legend()
    _save(figure, path)


def draw_learning(curves: list[list[list[float]]], path: Path) -> None:
    """Errors per epoch, round after round: on what is learned from, and on calls held out."""
    figure = Figure(figsize=(7, 3.5))
    axes = figure.add_subplot()
    start = 0
    for number, curve in enumerate(curves):
        epochs = np.arange(start, start + len(curve)) + 1
        seen, unseen = np.array(curve).T
        axes.plot(epochs, seen, "C0", label="learned from" if not number else None)
        axes.plot(epochs, unseen, "C1", label="held out" if not number else None)
        start += len(curve)
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean square error")
    axes.set_yscale("log")
    axes.legend()
    _save(figure, path)
