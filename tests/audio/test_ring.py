import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.audio.ring import Ring

operations = st.lists(
    st.tuples(st.sampled_from(["write", "read", "clear"]), st.integers(0, 12)), min_size=1, max_size=60
)


@given(capacity=st.integers(1, 9), steps=operations)
def test_behaves_like_a_bounded_queue(capacity: int, steps: list[tuple[str, int]]) -> None:
    ring = Ring(capacity, np.int16)
    queue: list[int] = []
    sent = dropped = missing = overruns = underruns = 0
    for what, length in steps:
        if what == "write":
            samples = np.arange(sent + 1, sent + length + 1, dtype=np.int16)
            sent += length
            room = min(length, capacity - len(queue))
            assert ring.write(samples) == room
            queue += samples[:room].tolist()
            dropped += length - room
            overruns += room < length
        elif what == "read":
            out = np.full(length, -1, np.int16)
            found = ring.read_into(out)
            expected, queue = queue[:length], queue[length:]
            assert found == len(expected)
            assert out.tolist() == expected + [0] * (length - found)
            missing += length - found
            underruns += found < length
        else:
            ring.clear()
            queue = []
        assert ring.level == len(queue)
        assert ring.written - ring.consumed == len(queue)
    assert (ring.overrun_samples, ring.underrun_samples) == (dropped, missing)
    assert (ring.overruns, ring.underruns) == (overruns, underruns)


@pytest.mark.parametrize(
    ("capacity", "write_block", "read_block"), [(64, 7, 11), (5, 3, 2), (1000, 480, 960)]
)
def test_two_threads_lose_and_invent_nothing(capacity: int, write_block: int, read_block: int) -> None:
    total = 60_000
    ring = Ring(capacity, np.float32)
    data = np.arange(1, total + 1, dtype=np.float32)
    received: list[np.ndarray] = []
    room, filled = threading.Event(), threading.Event()

    def produce() -> None:
        sent = 0
        while sent < total:
            # Only what fits is offered, so that nothing may be dropped.
            block = data[sent : sent + min(write_block, ring.capacity - ring.level)]
            sent += ring.write(block)
            filled.set()
            if ring.level == ring.capacity:
                room.wait(0.01)
                room.clear()

    def consume() -> None:
        got = 0
        while got < total:
            out = np.empty(min(read_block, max(1, ring.level)), np.float32)
            found = ring.read_into(out)
            received.append(out[:found])
            got += found
            room.set()
            if found == 0:
                filled.wait(0.01)
                filled.clear()

    threads = [threading.Thread(target=produce), threading.Thread(target=consume)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    np.testing.assert_array_equal(np.concatenate(received), data)
    assert ring.overrun_samples == 0


def test_needs_room() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Ring(0, np.int16)
