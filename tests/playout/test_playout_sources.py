"""Which sources a frame has, and in which order they are preferred."""

import pytest

from softphone.playout.buffer import PacketBuffer
from softphone.playout.frames import BufferedFrame, Source
from softphone.playout.sources import find_sources


def held(
    number: int, *, samples: int = 960, lbrr: bool = False, reach_ms: int = 0, end_ms: int = 0, red: int = 0
):
    return BufferedFrame(number * 960, number, samples, b"opus", 0.0, red, lbrr, reach_ms * 48, end_ms * 48)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([held(0)], "regular plc"),
        ([held(0), held(1, lbrr=True, reach_ms=255)], "regular plc"),
        ([held(0, red=1)], "red plc"),
        ([held(1)], "plc"),
        ([held(1, lbrr=True)], "lbrr plc"),
        ([held(2, lbrr=True)], "plc"),
        ([held(1, lbrr=True, reach_ms=255)], "lbrr dred plc"),
        ([held(2, lbrr=True, reach_ms=255)], "dred plc"),
        ([held(2, reach_ms=15), held(3, reach_ms=95)], "dred plc"),
        ([held(3, reach_ms=55)], "plc"),
        ([held(3, reach_ms=255, end_ms=60)], "dred plc"),
        ([], "plc"),
    ],
)
def test_sources_of_the_frame_at_the_play_position(frames: list[BufferedFrame], expected: str) -> None:
    buffer = PacketBuffer()
    for frame in frames:
        buffer.insert(frame)
    assert " ".join(find_sources(buffer, 0, 960).available()) == expected


@pytest.mark.parametrize(
    ("frame", "position", "expected", "samples"),
    [
        (held(0), 480, "regular plc", 480),
        (held(0, samples=2880), 480, "regular plc", 2400),
        (held(0, red=2), 480, "red plc", 480),
        (held(0, samples=480), 480, "plc", 480),
        (held(0), 840, "regular plc", 120),
        (held(0), 841, "plc", 480),
    ],
)
def test_of_a_frame_whose_beginning_has_passed_the_rest_is_offered(
    frame: BufferedFrame, position: int, expected: str, samples: int
) -> None:
    buffer = PacketBuffer()
    buffer.insert(frame)
    buffer.insert(held(8))
    found = find_sources(buffer, position, 480)
    assert " ".join(found.available()) == expected
    assert found.samples == samples
    assert found.next is not None
    assert found.next.sequence == 8


def test_nearest_packet_with_enough_dred_is_used() -> None:
    buffer = PacketBuffer()
    for frame in (held(2, reach_ms=15), held(3, reach_ms=95), held(4, reach_ms=500)):
        buffer.insert(frame)
    found = find_sources(buffer, 0, 960)
    assert found.dred is not None
    assert found.dred.sequence == 3


@pytest.mark.parametrize(
    ("gap", "frame", "samples"),
    [(480, 960, 480), (960, 2880, 960), (700, 960, 600), (100, 960, 0), (4800, 960, 960)],
)
def test_a_missing_frame_is_cut_short_by_the_next_packet(gap: int, frame: int, samples: int) -> None:
    buffer = PacketBuffer()
    buffer.insert(BufferedFrame(gap, 1, 960, b"opus", 0.0))
    assert find_sources(buffer, 0, frame).samples == samples


def test_lbrr_of_a_long_packet_is_not_used_for_a_short_hole() -> None:
    buffer = PacketBuffer()
    buffer.insert(BufferedFrame(480, 1, 2880, b"opus", 0.0, 0, lbrr=True))
    assert Source.LBRR not in find_sources(buffer, 0, 960).available()


@pytest.mark.parametrize(("end_ms", "silent"), [(0, False), (40, False), (45, True), (60, True)])
def test_dred_tells_silence(end_ms: int, silent: bool) -> None:
    buffer = PacketBuffer()
    buffer.insert(held(3, reach_ms=255, end_ms=end_ms))
    assert find_sources(buffer, 0, 960).silent is silent
