"""The fronts as tables and pictures."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.neteq.front import CEILING, Front, FrontPoint
from benchmarks.neteq.pages import images_of, write_section
from benchmarks.neteq.pareto import quality_at
from benchmarks.neteq.pictures import Point, Style, draw_fronts
from benchmarks.neteq.scoring import METRICS
from benchmarks.neteq.summary import Estimate
from benchmarks.neteq.targets import NETEQ, TARGETS, Figures

__all__ = ["draw", "front_table", "notes", "write_front_section"]

_TITLES = {"plcmos": "PLCMOS", "pesq": "PESQ-WB", "stoi": "STOI"}
_DIGITS = {"plcmos": 2, "pesq": 2, "stoi": 3}
_FIXED, _NETEQ, _REPAIRED = (
    "fixed delays and their front",
    "NetEq (Chromium), LBRR + RED",
    "everything repaired",
)

_EXPLANATION = f"""\
What quality a delay buys on each network: the same packets, {{stream}}, played in virtual time by
softphone at fixed delays, by its adaptive policies, and {1000 * CEILING:.0f} ms late, when everything is
repaired that the packets hold: the bound of what they are worth. **Bold**: on the front; nothing here
has less delay and at least that quality. *Against the front*: how far PLCMOS, PESQ-WB and STOI are above
(+) or below (-) the front of the fixed delays, at the same delay and between them on a straight line; a
lone - where the front begins later. No fixed delay reaches a target above the front. NetEq's figures
were measured live, PLCMOS with other raters."""
_COST = """\
*Cost* is the mean loss of R (E-model), in the unit of the policy `onnx` and on the model of a call that
it is trained on. The *bound* is that of its teacher, who knows everything that will come. *Gap* is how
much of the way from the cost of `histogram` to the bound is made."""
_NO_COST = """\
The cost in R and the teacher's bound are left out: they need the plugin `onnx_playout` and a plan that
adapts."""


def front_table(front: Front) -> Iterator[str]:
    """Heading and rows in Markdown, for one kind of schedule."""
    priced = front.costs is not None
    header = ["playout", "delay p50, ms", *(_TITLES[metric] for metric in METRICS), "against the front"]
    header += ["cost, R", "gap, %"] if priced else []
    yield f"### {front.kind}, {front.kbps:.1f} kb/s"
    yield ""
    yield _row(header)
    yield "|---" * len(header) + "|"
    cheapest = min(front.fixed, key=front.cost) if priced else None
    for point in front.fixed:
        note = ", the cheapest" if point is cheapest else ""
        yield _row(_cells(front, point, f"fixed, {1000 * point.limit:.0f} ms{note}"))
    for point in front.adaptive:
        yield _row(_cells(front, point, f"`{point.policy}`"))
    if front.costs is not None:
        bound = front.costs.bound
        yield _row(["teacher's bound", *[""] * (len(METRICS) + 2), *_cost(front, bound)])
    yield _row(_cells(front, front.ceiling, _REPAIRED))
    for name, figures in (("NetEq", NETEQ.get(front.kind)), ("target", TARGETS.get(front.kind))):
        if figures is not None:
            yield _row([name, *_figures(front, figures), *([""] * 2 if priced else [])])


def _cells(front: Front, point: FrontPoint, name: str) -> Iterator[str]:
    yield name
    yield _number(point.delay, 0)
    for metric in METRICS:
        text = _number(point.place(metric)[1], _DIGITS[metric])
        yield f"**{text}**" if point.place(metric) in front.best[metric] else text
    qualities = {metric: point.place(metric)[1] for metric in METRICS}
    yield _against(front, point.delay, qualities) if point in front.adaptive else ""
    if front.costs is not None:
        yield from _cost(front, front.cost(point))


def _cost(front: Front, cost: float) -> tuple[str, str]:
    if math.isnan(cost):
        return "", ""
    return f"{cost:.2f}", _number(100 * front.gap_closed(cost), 0)


def _figures(front: Front, figures: Figures) -> Iterator[str]:
    qualities = {metric: float(getattr(figures, metric)) for metric in METRICS}
    yield f"{figures.delay_ms:.0f}"
    yield from (_number(qualities[metric], _DIGITS[metric]) for metric in METRICS)
    yield _against(front, figures.delay_ms, qualities)


def _against(front: Front, delay: float, qualities: dict[str, float]) -> str:
    differences = {metric: qualities[metric] - quality_at(front.line[metric], delay) for metric in METRICS}
    return " / ".join(_number(differences[metric], _DIGITS[metric], "+") for metric in METRICS)


def _number(value: float, digits: int, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.{digits}f}"


def _row(cells: Iterator[str] | Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def draw(fronts: Sequence[Front], stem: Path) -> list[Path]:
    """Draw the pictures ``stem-plcmos.png`` and so on; returns the files."""
    return draw_fronts([point for front in fronts for point in _points(front)], stem)


def _points(front: Front) -> Iterator[Point]:
    groups = ((_FIXED, Style.FRONT, front.fixed), (_REPAIRED, Style.LEVEL, [front.ceiling]))
    for label, style, group in groups:
        yield from (_point(front, point, label, style) for point in group)
    for point in front.adaptive:
        yield _point(front, point, f"softphone, {point.policy}", Style.MARKER)
    if front.kind in NETEQ:
        figures = NETEQ[front.kind]
        measured = [metric for metric in METRICS if not math.isnan(front.ceiling.place(metric)[1])]
        quality = dict.fromkeys(_TITLES.values(), _exactly(math.nan))
        quality |= {_TITLES[metric]: _exactly(getattr(figures, metric)) for metric in measured}
        yield Point(front.kind, _NETEQ, figures.delay_ms, quality)


def _point(front: Front, point: FrontPoint, label: str, style: Style) -> Point:
    # Without intervals: they are those of the speech, which is the same for all points.
    quality = {title: _exactly(point.place(metric)[1]) for metric, title in _TITLES.items()}
    return Point(front.kind, label, point.delay, quality, style)


def _exactly(value: float) -> Estimate:
    return Estimate(value, math.nan)


def notes(fronts: Sequence[Front], stream: str) -> str:
    """What the tables mean; ``stream`` says what was sent."""
    cost = _COST if any(front.costs for front in fronts) else _NO_COST
    return f"{_EXPLANATION.format(stream=stream)}\n\n{cost}"


def write_front_section(fronts: Sequence[Front], stream: str, page: Path) -> None:
    """Write tables and pictures into their section of ``page``; ``stream`` says what was sent."""
    pictures = draw(fronts, images_of(page) / f"{page.stem}-front")
    lines = ["## What delay buys", "", notes(fronts, stream), ""]
    lines += [f"![delay against quality]({picture.relative_to(page.parent)})" for picture in pictures]
    for front in fronts:
        lines += ["", *front_table(front)]
    write_section(page, "front", lines)
