"""No state of the page has a serious problem that axe-core finds, and all fit on a phone."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.page.tour import tour
from tests.page.world import Serve, Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = "axe-core@4.10.3"
RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}"""


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config) -> str:
    """The source of axe-core, fetched once with npm."""
    cache = getattr(pytestconfig, "cache", None)
    if cache is None:
        pytest.skip("pytest has no cache to keep axe-core in")
    folder = cache.mkdir("axe-core")
    script = Path(folder) / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed")
        flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--fetch-retries=0"]
        try:
            subprocess.run(
                [npm, "install", "--prefix", folder, *flags, AXE], check=True, capture_output=True, timeout=60
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip("npm can't fetch axe-core")
    return script.read_text(encoding="utf-8")


async def test_no_state_has_a_serious_problem(serve: Serve, visit: Visit, axe: str) -> None:
    problems: dict[str, Any] = {}
    states = set()
    async for state, visitor in tour(serve, visit):
        states.add(state)
        await visitor.page.evaluate(f"window.axe || (() => {{ {axe} }})()")
        found = await visitor.page.evaluate(RUN)
        if found:
            problems[state] = found
        width = await visitor.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if width[0] > width[1]:
            problems[f"{state}, width"] = width
    assert problems == {}
    assert len(states) >= 15
