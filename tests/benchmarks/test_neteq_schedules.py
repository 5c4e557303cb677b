"""The networks of the comparison with NetEq."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.neteq.schedules import SCHEDULES, generate, select
from softphone.errors import ConfigError

PACKETS = 20_000


@pytest.mark.parametrize(
    ("name", "loss", "burst"),
    [("clean", 0.0, None), ("rand10", 0.10, 1.1), ("ge20b3", 0.20, 3.0), ("ge30b6", 0.30, 6.0)],
)
def test_losses_are_as_the_name_says(name: str, loss: float, burst: float | None) -> None:
    trace = generate(name, 1, PACKETS).trace
    assert trace.fraction_lost == pytest.approx(loss, abs=0.02)
    assert trace.quantile(1.0) == 0.0
    if burst is not None:
        assert trace.bursts.mean_burst == pytest.approx(burst, rel=0.15)


def test_jitter_is_uniform_up_to_80_ms_and_reorders() -> None:
    trace = generate("jit80l5", 1, PACKETS).trace
    assert trace.fraction_lost == pytest.approx(0.05, abs=0.01)
    assert trace.quantile(0.5) == pytest.approx(0.040, abs=0.003)
    assert trace.quantile(1.0) == pytest.approx(0.080, abs=0.001)
    assert trace.reordered > PACKETS / 10


def test_outages_take_400_ms_of_every_5_s() -> None:
    lost = np.isnan(generate("out400", 1, 2750).trace.delays)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], lost.astype(int), [0]))))
    begins, lengths = edges[::2], edges[1::2] - edges[::2]
    assert (lengths == 20).all()
    assert [int(begin) // 250 for begin in begins] == list(range(11))
    assert len({int(begin) % 250 for begin in begins}) > 5


def test_spikes_hold_packets_and_deliver_them_at_once() -> None:
    trace = generate("spike", 1, 2750).trace
    assert trace.fraction_lost == 0.0
    gaps = np.diff(np.sort(trace.send_times + trace.delays))
    stalls = gaps[gaps > 0.12]
    assert 8 <= stalls.size <= 22
    assert stalls.max() < 0.40
    assert 0.2 < (trace.quantile(1.0) or 0.0) < 0.45


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_schedules_are_seeded_and_begin_clean(name: str) -> None:
    first, again, other = generate(name, 1, 2750), generate(name, 1, 2750), generate(name, 2, 2750)
    assert np.array_equal(first.trace.delays, again.trace.delays, equal_nan=True)
    assert np.array_equal(first.trace.delays, other.trace.delays, equal_nan=True) == (name == "clean")
    assert (first.trace.delays[:50] == 0.0).all()


def test_selection_by_name_seed_file_and_folder(tmp_path: Path) -> None:
    generate("out400", 7, 500).trace.save(tmp_path / "out400_s7.csv")
    assert [s.name for s in select(["rand10", "clean"], [1, 2], 500)] == [
        "clean_s1",
        "rand10_s1",
        "rand10_s2",
    ]
    assert [s.name for s in select(["ge20b3_s5"], [1], 500)] == ["ge20b3_s5"]
    (found,) = select([str(tmp_path)], [1], 500)
    assert (found.name, found.kind) == ("out400_s7", "out400")
    assert np.array_equal(found.trace.delays, generate("out400", 7, 500).trace.delays, equal_nan=True)
    assert [s.name for s in select([], [1], 500, "ge")] == ["ge20b3_s1", "ge30b6_s1"]
    with pytest.raises(ConfigError, match="no schedule 'rain'"):
        select(["rain"], [1], 500)
    with pytest.raises(ConfigError, match="no schedule is left"):
        select(["clean"], [1], 500, "rand")
