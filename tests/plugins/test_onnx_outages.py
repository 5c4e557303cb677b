"""Whole calls with an outage every few seconds: what benchmarks/outages.py measures, without the scores."""

from types import ModuleType

import numpy as np
import pytest

from softphone.data import sample_speech
from tests.support.benchmark_program import benchmark_program


@pytest.fixture(scope="module")
def outages() -> ModuleType:
    return benchmark_program("outages")


@pytest.mark.parametrize("late", [False, True], ids=["lost", "late"])
@pytest.mark.parametrize("kbps", [48, 64])
@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        pytest.param(0.2, 0.0, id="200 ms, not worth going back"),
        pytest.param(0.5, 0.85, id="500 ms"),
        pytest.param(0.9, 0.45, id="900 ms"),
    ],
)
def test_words_of_an_outage_are_heard_and_the_delay_returns(
    outages: ModuleType, seconds: float, words: float, kbps: int, late: bool
) -> None:
    case = outages.Case(seconds, 1000 * kbps, "onnx", late)
    row = outages.run(case, sample_speech(), scores=False)
    assert row.recovered >= words
    # Of words that lasted 0.9 s no more than 0.6 can be caught up with in 3 s of speech without a pause.
    assert np.median(row.returns) < 3.0
