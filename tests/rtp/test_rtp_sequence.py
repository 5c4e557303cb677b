"""Unwrapping against the true numbers, and against forged ones."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp.sequence import SequenceUnwrapper, signed_difference


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 0, 1),
        (0, 1, -1),
        (0, 65535, 1),
        (65535, 0, -1),
        (32768, 0, 32768),
        (32769, 0, -32767),
        (7, 7, 0),
    ],
)
def test_signed_difference(a: int, b: int, expected: int) -> None:
    assert signed_difference(a, b, 16) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([10, 11, 13, 12], [10, 11, 13, 12], id="reordered"),
        pytest.param([65535, 0, 1], [65535, 65536, 65537], id="forward over the wrap"),
        pytest.param([0, 65535, 1], [0, -1, 1], id="reordered before the first"),
        pytest.param(
            [65534, 1, 65535, 0, 2], [65534, 65537, 65535, 65536, 65538], id="reordered at the wrap"
        ),
        pytest.param([5, 5, 5], [5, 5, 5], id="duplicates"),
        pytest.param([0, 3000, 6000], [0, 3000, 6000], id="outages"),
    ],
)
def test_sixteen_bits(values: list[int], expected: list[int]) -> None:
    unwrapper = SequenceUnwrapper()
    assert [unwrapper.unwrap(value) for value in values] == expected


def test_timestamps_wrap_at_32_bits() -> None:
    unwrapper = SequenceUnwrapper(32)
    start = 2**32 - 960
    assert [unwrapper.unwrap((start + 960 * k) % 2**32) for k in (0, 2, 1, 3)] == [
        start,
        start + 1920,
        start + 960,
        start + 2880,
    ]


@given(
    start=st.integers(0, 0xFFFF),
    steps=st.lists(st.integers(1, 400), min_size=1, max_size=300),
    seed=st.integers(0, 1000),
)
def test_follows_any_reordered_stream(start: int, steps: list[int], seed: int) -> None:
    numbers = [start]
    for step in steps:
        numbers.append(numbers[-1] + step)
    rng = random.Random(seed)
    tail = sorted(numbers[1:], key=lambda number: number + rng.uniform(0, 1000))
    unwrapper = SequenceUnwrapper()
    assert [unwrapper.unwrap(number & 0xFFFF) for number in [start, *tail]] == [start, *tail]


@pytest.mark.parametrize("forged", [[30_000], [35_000], [30_000, 65_000 - 1], [20_000, 40_000, 60_000]])
def test_lone_forged_numbers_never_slip_a_cycle(forged: list[int]) -> None:
    unwrapper = SequenceUnwrapper()
    unwrapper.unwrap(100)
    for offset in forged:
        unwrapper.unwrap((100 + offset) & 0xFFFF)
    assert unwrapper.unwrap(101) == 101


def test_restarted_source_is_followed_from_its_second_packet() -> None:
    unwrapper = SequenceUnwrapper()
    unwrapper.unwrap(100)
    assert [unwrapper.unwrap(40_000), unwrapper.unwrap(40_001)] == [40_000 - 65_536, 40_001 - 65_536]
    assert unwrapper.last == 40_001 - 65_536
    assert unwrapper.unwrap(40_002) == 40_002 - 65_536


def test_peek_changes_nothing() -> None:
    unwrapper = SequenceUnwrapper()
    unwrapper.unwrap(65_535)
    assert unwrapper.peek(2) == 65_538
    assert unwrapper.last == 65_535


def test_reset_starts_over() -> None:
    unwrapper = SequenceUnwrapper()
    unwrapper.unwrap(65_535)
    unwrapper.unwrap(0)
    unwrapper.reset()
    assert unwrapper.last is None
    assert unwrapper.unwrap(0) == 0


def test_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="16 or 32"):
        SequenceUnwrapper(24)
