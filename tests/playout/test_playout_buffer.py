"""The packet buffer: order, copies, bounds."""

import random

import pytest

from softphone.playout.buffer import InsertResult, PacketBuffer
from softphone.playout.frames import BufferedFrame


def frame(number: int, *, redundancy: int = 0, samples: int = 960) -> BufferedFrame:
    return BufferedFrame(number * 960, number, samples, b"opus", 0.0, redundancy)


def test_frames_come_out_in_media_order() -> None:
    numbers = list(range(50))
    random.Random(7).shuffle(numbers)
    buffer = PacketBuffer()
    for number in numbers:
        assert buffer.insert(frame(number)) is InsertResult.ADDED
    assert [held.sequence for held in buffer.after(-1)] == list(range(50))
    assert [held.sequence for held in buffer.after(47 * 960)] == [48, 49]


@pytest.mark.parametrize(
    ("held", "new", "result", "kept"),
    [
        (0, 0, InsertResult.DUPLICATE, 0),
        (0, 1, InsertResult.DUPLICATE, 0),
        (1, 0, InsertResult.UPGRADED, 0),
        (2, 1, InsertResult.UPGRADED, 1),
        (1, 2, InsertResult.DUPLICATE, 1),
    ],
)
def test_best_copy_is_kept(held: int, new: int, result: InsertResult, kept: int) -> None:
    buffer = PacketBuffer()
    buffer.insert(frame(3, redundancy=held))
    assert buffer.insert(frame(3, redundancy=new)) is result
    assert len(buffer) == 1
    assert buffer.get(3 * 960).redundancy == kept


def test_span_is_bounded() -> None:
    buffer = PacketBuffer(max_span=10 * 960)
    assert buffer.insert(frame(0)) is InsertResult.ADDED
    assert buffer.insert(frame(9)) is InsertResult.ADDED
    assert buffer.insert(frame(10)) is InsertResult.OVERFLOW
    buffer.drop_before(960)
    assert buffer.insert(frame(10)) is InsertResult.ADDED


def test_contiguous_media_ends_at_the_first_hole() -> None:
    buffer = PacketBuffer()
    for number in (4, 5, 7):
        buffer.insert(frame(number))
    assert buffer.contiguous_until(4 * 960) == 6 * 960
    assert buffer.contiguous_until(4 * 960 + 480) == 6 * 960
    assert buffer.contiguous_until(6 * 960) == 6 * 960
    assert buffer.drop_before(5 * 960) == 1
    assert buffer.first().sequence == 5
    assert buffer.last().sequence == 7


@pytest.mark.parametrize(
    ("timestamp", "sequence"), [(3840, None), (3841, 4), (4320, 4), (4799, 4), (4800, None), (5760, None)]
)
def test_a_frame_has_begun_and_not_ended(timestamp: int, sequence: int | None) -> None:
    buffer = PacketBuffer()
    for number in (4, 7):
        buffer.insert(frame(number))
    begun = buffer.begun(timestamp)
    assert (begun and begun.sequence) == sequence


@pytest.mark.parametrize(
    ("timestamp", "run"), [(9 * 960, [7, 8]), (7 * 960, []), (6 * 960, [4, 5]), (4 * 960, []), (4000, [])]
)
def test_run_before_a_frame(timestamp: int, run: list[int]) -> None:
    buffer = PacketBuffer()
    for number in (4, 5, 7, 8):
        buffer.insert(frame(number))
    assert [each.sequence for each in buffer.run_before(timestamp)] == run
