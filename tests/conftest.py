"""Tests of live audio may be repeated: a machine that stands still for a moment voids a run."""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_REAL_TIME = (
    "audio/test_sound_card.py",
    "benchmarks/test_neteq_live.py",
    "benchmarks/test_room_cost.py",
    "calls",
    "cli/test_demo.py",
    "cli/test_join_command.py",
    "cli/test_room_command.py",
    "conference",
    "janus",
    "nat",
    "page",
    "rooms",
    "webrtc",
    "whip",
)
_REPEATS = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what depends on the clock of the wall fail twice before it counts."""
    for item in items:
        path = item.path.relative_to(_HERE).as_posix()
        if path.startswith(_REAL_TIME):
            item.add_marker(pytest.mark.flaky(reruns=_REPEATS, reruns_delay=1))
