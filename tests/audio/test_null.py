import logging
import threading
import time

import numpy as np
import pytest

from softphone.audio.null import NullSink, NullSource, VirtualSink, VirtualSource
from softphone.audio.pacer import Pacer
from softphone.errors import ConfigError


def test_a_virtual_source_delivers_as_time_passes() -> None:
    samples = np.linspace(0.0, 1.0, 2000, dtype=np.float32)
    source = VirtualSource(samples, start_time=5.0)
    got: list[tuple[np.ndarray, float]] = []
    source.start(lambda block, captured: got.append((block, captured)))
    source.advance(0.019)
    assert got == []
    source.advance(0.001)
    assert [captured for _, captured in got] == [5.0]
    source.advance(0.5)
    assert source.finished
    assert source.now == pytest.approx(5.52)
    assert [captured for _, captured in got] == pytest.approx([5.0, 5.02, 5.04])
    np.testing.assert_array_equal(np.concatenate([block for block, _ in got])[:2000], samples)
    assert not got[-1][0][80:].any()


def test_small_steps_lose_nothing_to_rounding() -> None:
    source = VirtualSource(np.zeros(960, np.float32), loop=True)
    sink = VirtualSink()
    count = 0

    def deliver(block: np.ndarray, captured: float) -> None:
        nonlocal count
        count += 1

    source.start(deliver)
    sink.start(lambda samples, playout: np.zeros(samples, np.float32))
    for _ in range(30_000):
        source.advance(0.01)
        sink.advance(0.01)
    assert count == 15_000
    assert len(sink.heard) == 15_000 * 960
    assert not source.finished


def test_a_loop_needs_whole_blocks() -> None:
    with pytest.raises(ConfigError):
        VirtualSource(np.zeros(100, np.float32), loop=True)


def test_a_virtual_sink_keeps_what_is_heard_and_when() -> None:
    sink = VirtualSink(start_time=2.0, block=480, latency=0.040)
    playouts: list[float] = []

    def render(samples: int, playout: float) -> np.ndarray:
        playouts.append(playout)
        return np.full(samples, len(playouts), np.float32)

    sink.start(render)
    sink.advance(0.025)
    assert playouts == pytest.approx([2.04, 2.05])
    sink.stop()
    sink.advance(1.0)
    np.testing.assert_array_equal(sink.heard, np.repeat([1.0, 2.0], 480))


def test_a_virtual_card_may_drift() -> None:
    sink = VirtualSink(rate_ppm=100.0)
    sink.start(lambda samples, playout: np.zeros(samples, np.float32))
    sink.advance(1000.0)
    assert len(sink.heard) == pytest.approx(1000 * 48_000 * 1.0001, abs=960)


@pytest.mark.parametrize("kind", ["source", "sink"])
def test_the_null_devices_run_in_real_time_until_stopped(kind: str) -> None:
    times: list[float] = []
    enough = threading.Event()

    def note(at: float) -> None:
        times.append(at)
        if len(times) == 10:
            enough.set()

    device: NullSource | NullSink
    started = time.monotonic()
    if kind == "source":
        device = NullSource()
        device.start(lambda block, captured: note(captured))
    else:
        device = NullSink()

        def render(samples: int, playout: float) -> np.ndarray:
            note(playout)
            return np.zeros(samples, np.float32)

        device.start(render)
    assert enough.wait(30)
    assert time.monotonic() - started >= 0.199
    device.stop()
    count = len(times)
    time.sleep(0.05)
    assert len(times) == count
    np.testing.assert_allclose(np.diff(times), 0.020, atol=1e-6)


def test_a_pacer_catches_up_with_absolute_deadlines() -> None:
    dues: list[float] = []
    done = threading.Event()

    def tick(due: float) -> bool:
        dues.append(due)
        if len(dues) == 3:
            time.sleep(0.1)
        if len(dues) == 20:
            done.set()
            return False
        return True

    started = time.monotonic()
    pacer = Pacer(0.010, tick)
    pacer.start()
    assert done.wait(30)
    pacer.stop()
    np.testing.assert_allclose(np.diff(dues), 0.010, atol=1e-9)
    assert time.monotonic() - started >= 0.199
    assert pacer.skipped == 0.0
    with pytest.raises(RuntimeError):
        pacer.start()


def test_a_pacer_skips_what_was_slept_through() -> None:
    dues: list[float] = []
    done = threading.Event()

    def tick(due: float) -> bool:
        dues.append(due)
        if len(dues) == 1:
            time.sleep(1.2)
        if len(dues) == 3:
            done.set()
        return len(dues) < 3

    pacer = Pacer(0.010, tick)
    pacer.start()
    assert done.wait(30)
    pacer.stop()
    assert pacer.skipped > 1.0
    assert dues[1] - dues[0] > 1.0


def test_a_pacer_survives_errors_and_logs_the_first(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    count = 0

    def tick(due: float) -> bool:
        nonlocal count
        count += 1
        if count == 5:
            done.set()
        raise ValueError("broken consumer")

    pacer = Pacer(0.005, tick)
    with caplog.at_level(logging.ERROR):
        pacer.start()
        assert done.wait(30)
        pacer.stop()
    assert pacer.errors >= 5
    assert len(caplog.records) == 1
