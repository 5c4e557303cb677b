"""Delay against quality: the front of fixed delays, the bound, their tables and pictures."""

import math
import sys
from pathlib import Path

import pytest

from benchmarks.neteq.bounds import Costs, make_pricing
from benchmarks.neteq.front import CEILING, Front, FrontPoint, measure_fronts
from benchmarks.neteq.front_report import front_table, notes, write_front_section
from benchmarks.neteq.pages import write_end, write_section
from benchmarks.neteq.pareto import Place, pareto_front, quality_at
from benchmarks.neteq.reference import Reference, load_reference
from benchmarks.neteq.schedules import generate
from benchmarks.neteq.simulation import Settings
from benchmarks.neteq.streams import StreamSpec
from benchmarks.neteq.summary import Estimate, Summary
from softphone.errors import ConfigError


@pytest.mark.parametrize(
    ("places", "front"),
    [
        ([], []),
        ([(90, 3.0), (50, 2.0)], [(50, 2.0), (90, 3.0)]),
        ([(50, 3.0), (90, 2.0)], [(50, 3.0)]),
        ([(50, 3.0), (90, 3.0)], [(50, 3.0)]),
        ([(50, 2.0), (50, 3.0)], [(50, 3.0)]),
        ([(50, 3.0), (50, 3.0)], [(50, 3.0), (50, 3.0)]),
        (
            [(50, 2.0), (70, math.nan), (math.nan, 5.0), (90, 2.5), (80, 2.4)],
            [(50, 2.0), (80, 2.4), (90, 2.5)],
        ),
    ],
)
def test_the_front_is_what_nothing_is_preferable_to(places: list[Place], front: list[Place]) -> None:
    assert pareto_front(places) == front


@pytest.mark.parametrize(("delay", "quality"), [(49, None), (50, 2.0), (70, 2.5), (90, 3.0), (400, 3.0)])
def test_between_its_places_the_front_is_straight(delay: float, quality: float | None) -> None:
    found = quality_at([(50.0, 2.0), (90.0, 3.0)], delay)
    assert math.isnan(found) if quality is None else found == pytest.approx(quality)


def point(policy: str, limit: float, delay: float, quality: float) -> FrontPoint:
    def known(value: float) -> Estimate:
        return Estimate(value, math.nan)

    nothing = known(math.nan)
    summary = Summary(
        1, 0.2, known(quality), known(quality - 1), nothing, known(delay), nothing, 0.0, 0.0, 0, 0.0, 0.0
    )
    return FrontPoint(policy, limit, summary)


def made(costs: bool) -> Front:
    fixed = [point("fixed", 0.05, 50, 3.0), point("fixed", 0.09, 90, 3.5), point("fixed", 0.2, 200, 3.4)]
    adaptive = [point("histogram", 0.5, 70, 3.2), point("onnx", 0.5, 74, 3.45)]
    prices = {("fixed", 0.05): 12.0, ("fixed", 0.09): 11.0, ("fixed", 0.2): 14.0}
    prices |= {("histogram", 0.5): 10.0, ("onnx", 0.5): 8.0}
    known = Costs(5.0, prices) if costs else None
    return Front("ge20b3", 46.0, fixed, adaptive, point("fixed", CEILING, 1000, 4.0), known)


def test_a_table_tells_what_lies_on_the_front_and_how_far_from_it() -> None:
    rows = {
        cells[0].split(",")[-1].strip(): cells[1:]
        for cells in ([cell.strip() for cell in row.strip("|").split("|")] for row in front_table(made(True)))
    }
    assert rows["50 ms"] == ["50", "**3.00**", "**2.00**", "-", "", "12.00", "-40"]
    assert rows["the cheapest"] == ["90", "**3.50**", "**2.50**", "-", "", "11.00", "-20"]
    assert rows["200 ms"] == ["200", "3.40", "2.40", "-", "", "14.00", "-80"]
    assert rows["`histogram`"] == ["70", "**3.20**", "**2.20**", "-", "-0.05 / -0.05 / -", "10.00", "0"]
    assert rows["`onnx`"] == ["74", "**3.45**", "**2.45**", "-", "+0.15 / +0.15 / -", "8.00", "40"]
    assert rows["teacher's bound"][-2:] == ["5.00", "100"]
    assert rows["everything repaired"] == ["1000", "4.00", "3.00", "-", "", "", ""]
    assert rows["NetEq"][:2] == ["87", "3.36"]
    assert rows["target"][4] == "+0.45 / +0.35 / -"


def test_without_costs_the_table_has_none_and_the_notes_say_so() -> None:
    front = made(False)
    assert not any("bound" in row or "cost" in row for row in front_table(front))
    assert "are left out" in notes([front], "any")
    assert "are left out" not in notes([made(True)], "any")


def test_the_section_of_a_page_is_written_anew_and_the_rest_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Mine\n\nAbove.\n", encoding="utf-8")
    write_end(page, ["results"])
    write_section(page, "front", ["old"])
    first = page.read_text(encoding="utf-8")
    assert first.index("Above.") < first.index("old") < first.index("results")
    write_section(page, "front", ["new"])
    assert page.read_text(encoding="utf-8") == first.replace("old", "new")
    write_end(page, ["more"])
    assert page.read_text(encoding="utf-8") == first.replace("old", "new").replace("results", "more")
    page.write_text(first.replace("<!-- end of front -->", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match="end of front"):
        write_section(page, "front", ["new"])


def test_a_page_gets_tables_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    page = tmp_path / "neteq.md"
    write_front_section([made(True)], "plan `auto`", page)
    text = page.read_text(encoding="utf-8")
    assert "### ge20b3, 46.0 kb/s" in text
    # Nobody measured STOI.
    files = ["neteq-front-pesq.png", "neteq-front-plcmos.png"]
    assert sorted(file.name for file in (tmp_path / "images").iterdir()) == files
    assert all(f"](images/{file})" in text for file in files)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load_reference(None, segments=1)


def settings(cache: Path, plan: str = "auto") -> Settings:
    return Settings(StreamSpec(plan), "fixed", 0.5, 5, 0.005, ("stoi",), cache)


def test_delay_buys_quality_up_to_what_the_packets_hold(reference: Reference, tmp_path: Path) -> None:
    pytest.importorskip("pystoi", reason="the scoring models are an extra")
    schedule = generate("ge20b3", 1, reference.packets)
    policies = ["histogram"]
    (front,) = measure_fronts(reference, [schedule], settings(tmp_path), [0.15, 0.06], policies, jobs=1)
    short, long = front.fixed
    assert short.delay == pytest.approx(60, abs=6)
    assert long.delay == pytest.approx(150, abs=6)
    (adaptive,) = front.adaptive
    assert front.ceiling.delay == pytest.approx(1000, abs=6)
    quality = [one.place("stoi")[1] for one in (short, long, front.ceiling)]
    assert quality == sorted(quality)
    assert quality[0] < quality[1]
    assert front.line["stoi"] == [short.place("stoi"), long.place("stoi")]
    assert front.costs is not None
    costs = [front.cost(one) for one in (short, long, adaptive)]
    assert front.costs.bound < min(costs)
    assert max(costs) < 40.0


def test_what_has_no_price_is_not_priced(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_pricing(reference, StreamSpec("fec=1,loss=20")) is None
    monkeypatch.setitem(sys.modules, "softphone_onnx_playout.training.speech", None)
    assert make_pricing(reference, StreamSpec("auto")) is None


@pytest.mark.parametrize("delays", [[], [0.0], [0.06, 1.3]])
def test_delays_that_can_not_be_measured_are_refused(
    reference: Reference, tmp_path: Path, delays: list[float]
) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1000 ms"):
        next(measure_fronts(reference, [], settings(tmp_path), delays, [], jobs=1))
