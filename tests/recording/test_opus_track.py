"""Ordering of packets and filling of holes: rows of packets in, rows of blocks out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.recording.opus_track import HOLD_SECONDS, LONGEST_FILL_SECONDS, OpusTrack, TrackBlock

TOC_20MS = 0x78  # CELT, 20 ms, mono, one frame
MS = 48


def packet(number: int) -> bytes:
    return bytes((TOC_20MS, number & 0xFF, number >> 8 & 0xFF, 7))


def play(events: list[tuple[int, float]]) -> tuple[OpusTrack, list[TrackBlock]]:
    """Push (packet number, arrival) and return everything that came out, the end included."""
    track, blocks = OpusTrack(), []
    for number, arrival in events:
        blocks += track.push(packet(number), number * 960, arrival)
    return track, blocks + track.flush()


def numbers(blocks: list[TrackBlock]) -> list[int | None]:
    return [None if block.filler else block.payload[1] | block.payload[2] << 8 for block in blocks]


@pytest.mark.parametrize(
    ("events", "expected", "late"),
    [
        pytest.param([(0, 0.0), (1, 0.02), (2, 0.04)], [0, 1, 2], 0, id="in order"),
        pytest.param([(0, 0.0), (2, 0.02), (1, 0.03), (3, 0.06)], [0, 1, 2, 3], 0, id="reordered"),
        pytest.param([(0, 0.0), (0, 0.01), (1, 0.02)], [0, 1], 1, id="duplicate"),
        pytest.param([(0, 0.0), (3, 0.06), (4, 0.08)], [0, None, None, 3, 4], 0, id="hole"),
        pytest.param(
            [(0, 0.0), (2, 0.04), (12, 0.3), (1, 0.31)], [0, None, 2, *[None] * 9, 12], 1, id="too late"
        ),
    ],
)
def test_order_and_holes(events: list[tuple[int, float]], expected: list[int | None], late: int) -> None:
    track, blocks = play(events)
    assert numbers(blocks) == expected
    assert track.late == late
    assert [block.pts for block in blocks] == [index * 960 for index in range(len(blocks))]


def test_stand_in_keeps_configuration_and_has_no_data() -> None:
    _, blocks = play([(0, 0.0), (2, 0.04)])
    assert blocks[1] == TrackBlock(960, bytes((TOC_20MS,)), 960, filler=True)


def test_hole_is_written_after_the_hold_and_not_before() -> None:
    track = OpusTrack()
    track.push(packet(0), 0, 0.0)
    assert track.push(packet(2), 1920, 0.04) == []
    assert track.advance(0.04 + HOLD_SECONDS - 0.001) == []
    assert numbers(track.advance(0.04 + HOLD_SECONDS)) == [None, 2]


def test_long_hole_is_left_as_a_jump_of_time() -> None:
    frames = int(LONGEST_FILL_SECONDS * 50) + 10
    _, blocks = play([(0, 0.0), (frames, frames * 0.02)])
    assert [(block.pts, block.filler) for block in blocks] == [(0, False), (frames * 960, False)]


def test_redundant_copy_fills_a_hole_but_yields_to_the_packet() -> None:
    track = OpusTrack()
    blocks = track.push(packet(0), 0, 0.0)
    blocks += track.push(packet(3), 3 * 960, 0.06)
    blocks += track.push(packet(100), 2 * 960, 0.06, redundant=True)
    blocks += track.push(packet(2), 2 * 960, 0.07)
    blocks += track.push(packet(101), 1 * 960, 0.08, redundant=True)
    assert numbers(blocks) == [0, 101, 2, 3]
    assert track.late == 0


def test_timestamp_wraps() -> None:
    track, blocks = OpusTrack(), []
    for number in range(4):
        blocks += track.push(packet(number), (0xFFFF_FFFF - 1000 + number * 960) & 0xFFFF_FFFF, number * 0.02)
    assert [block.pts for block in blocks] == [0, 960, 1920, 2880]


@pytest.mark.parametrize(("ssrc", "timestamp"), [(2, 12_345), (1, 0x7000_0000)])
def test_new_source_or_jump_goes_on_where_the_clock_is(ssrc: int, timestamp: int) -> None:
    track = OpusTrack()
    blocks = track.push(packet(0), 0, 1.0, ssrc=1)
    blocks += track.push(packet(1), timestamp, 2.0, ssrc=ssrc)
    blocks += track.push(packet(2), timestamp + 960, 2.02, ssrc=ssrc)
    assert [(block.pts, block.filler) for block in blocks] == [
        (48_000, False),
        (96_000, False),
        (96_960, False),
    ]


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\x7b\xff"])
def test_payload_that_is_no_opus_is_counted_and_left_out(payload: bytes) -> None:
    track = OpusTrack()
    assert track.push(payload, 0, 0.0) == []
    assert track.invalid == 1


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=12),
            st.integers(0, 0xFFFF_FFFF),
            st.floats(0, 0.5),
            st.integers(0, 2),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_any_input_gives_blocks_in_order(rows: list[tuple[bytes, int, float, int, bool]]) -> None:
    track, now, blocks = OpusTrack(), 0.0, []
    for payload, timestamp, pause, ssrc, redundant in rows:
        now += pause
        blocks += track.push(payload, timestamp, now, ssrc=ssrc, redundant=redundant)
    blocks += track.flush()
    end = 0
    for block in blocks:
        assert block.pts >= end
        end = block.pts + block.duration
    # A hostile timestamp can't make the file grow without bound.
    assert track.fillers <= len(rows) * LONGEST_FILL_SECONDS * 400
