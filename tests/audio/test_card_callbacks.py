"""What the callbacks and workers do when they are late, without a card and without threads."""

from types import SimpleNamespace

import numpy as np
import pytest

from softphone.audio.device import SoundCardSink, SoundCardSource

RATE = 48_000
FRAMES = 480


def card_times(delay: float) -> SimpleNamespace:
    """PortAudio's times: `delay` until played, or since captured. An own epoch, as usual."""
    return SimpleNamespace(currentTime=9e8, outputBufferDacTime=9e8 + delay, inputBufferAdcTime=9e8 - delay)


@pytest.fixture
def sink() -> SoundCardSink:
    """A sink that believes its card runs and renders a ramp 1, 2, 3..."""
    sink = SoundCardSink()
    position = 0

    def render(samples: int, playout: float) -> np.ndarray:
        nonlocal position
        block = np.arange(position + 1, position + samples + 1) / 32768
        position += samples
        return block.astype(np.float32)

    sink._render = render
    sink._worker.stream.running = True
    return sink


def play(sink: SoundCardSink, callbacks: int = 1, delay: float = 0.05) -> np.ndarray:
    """What the card gets in so many callbacks."""
    out = np.full(callbacks * FRAMES, -7, np.int16)
    for k in range(callbacks):
        buffer = out[k * FRAMES : (k + 1) * FRAMES].data.cast("B")
        sink._on_callback(buffer, FRAMES, card_times(delay), False)
    return out


def test_silence_until_the_first_block_is_there(sink: SoundCardSink) -> None:
    assert not play(sink, 3).any()
    sink._step()
    np.testing.assert_array_equal(play(sink), np.arange(1, FRAMES + 1))
    assert sink.statistics.ring_faults == 0


def test_the_ring_is_kept_at_its_level(sink: SoundCardSink) -> None:
    sink._step()
    assert sink._worker.ring.level == 1920
    play(sink, 1)
    sink._step()
    assert sink._worker.ring.level == 1440
    play(sink, 1)
    sink._step()
    assert sink._worker.ring.level == 1920


def test_a_late_worker_costs_silence_and_is_counted(sink: SoundCardSink) -> None:
    sink._step()
    heard = play(sink, 6)
    np.testing.assert_array_equal(heard[:1920], np.arange(1, 1921))
    assert not heard[1920:].any()
    assert (sink.statistics.ring_faults, sink.statistics.ring_fault_samples) == (2, 960)
    sink._step()
    np.testing.assert_array_equal(play(sink), np.arange(1921, 1921 + FRAMES))


def test_a_late_encoder_loses_samples_but_no_time() -> None:
    source = SoundCardSource()
    blocks: list[np.ndarray] = []
    captured: list[float] = []

    def deliver(block: np.ndarray, at: float) -> None:
        blocks.append(block)
        captured.append(at)

    source._deliver = deliver
    source._worker.stream.running = True
    sent = (np.arange(150 * FRAMES) % 30000 + 1).astype(np.int16)
    for k in range(150):
        buffer = sent[k * FRAMES : (k + 1) * FRAMES].data.cast("B")
        source._on_callback(buffer, FRAMES, card_times(0.02), False)
    source._step()
    heard = np.concatenate(blocks)
    assert len(heard) == len(sent)
    np.testing.assert_array_equal(heard[:RATE] * 32768, sent[:RATE])
    assert not heard[RATE:].any()
    assert source.statistics.ring_fault_samples == len(sent) - RATE
    np.testing.assert_allclose(np.diff(captured)[1:], 0.020, atol=0.0051)
