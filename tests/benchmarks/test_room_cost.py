"""A room on Janus as `benchmarks/room_cost.py` measures it: whether all hear all, not what it costs."""

import asyncio

import pytest

from tests.support.benchmark_program import benchmark_program
from tests.support.janus_server import JanusProcess, missing_for_janus


async def test_both_participants_of_a_room_on_janus_send_and_hear() -> None:
    if missing := missing_for_janus():
        pytest.skip(missing)
    room_cost = benchmark_program("room_cost")
    with JanusProcess() as server:
        plans = [room_cost.Plan(kind, 2, 0.5, 1.0) for kind in ("softphone-all", "aiortc-all")]
        found = await asyncio.gather(*(room_cost.measure(plan, server.url) for plan in plans))
    for values in found:
        assert values["cpu"] > 0.0
        assert values["share"] > 0.5
        assert values["up"] > 30.0
        assert values["down"] > 1.2 * 48.0, "less than two voices"
