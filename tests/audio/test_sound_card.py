"""The sound card back-end on real PortAudio, ALSA and PulseAudio."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from softphone.audio.card import WatchdogSettings
from softphone.audio.device import SoundCardSink, SoundCardSource
from softphone.audio.devices import find_device, list_devices
from softphone.errors import DeviceError
from tests.support.virtual_audio import VirtualAudio

RATE = 48_000
BLOCK = 960
QUICK = WatchdogSettings(stall=0.5, first_delay=0.05, longest_delay=0.2)
PATIENCE = 30.0


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Player:
    """Renders white noise of whole 16-bit values, which can be found again exactly."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.noise = np.random.default_rng(5).integers(-8000, 8000, round(seconds * RATE)).astype(np.int16)
        self.asked: list[tuple[int, float]] = []
        self.position = 0

    def render(self, samples: int, playout: float) -> np.ndarray:
        self.asked.append((self.position, playout))
        block = self.noise[self.position : self.position + samples]
        self.position += samples
        return (block / np.float32(32768.0)).astype(np.float32)


class Recorder:
    """Keeps what a source delivers."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.captured: list[float] = []

    def deliver(self, block: np.ndarray, captured: float) -> None:
        self.blocks.append(block)
        self.captured.append(captured)

    @property
    def samples(self) -> np.ndarray:
        if not self.blocks:
            return np.zeros(0, np.int16)
        return (np.concatenate(self.blocks) * 32768).astype(np.int16)


def segments_found(sent: np.ndarray, heard: np.ndarray, length: int = 2400) -> dict[int, int]:
    """Where in `heard` each segment of `sent` is, sample for sample: {start in sent: start in heard}.

    By segments, because a busy machine may cost a few samples here or there.
    """
    found = {}
    for start in range(0, len(sent) - length, length):
        for at in np.flatnonzero(heard == sent[start]):
            if np.array_equal(heard[at : at + length], sent[start : start + length]):
                found[start] = int(at)
                break
    return found


@contextlib.contextmanager
def running(device: SoundCardSink | SoundCardSource, callback: Callable[..., Any]) -> Iterator[None]:
    """Started within the block."""
    device.start(callback)
    try:
        yield
    finally:
        device.stop()


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert wait_until(lambda: set(threading.enumerate()) <= before)


@pytest.mark.parametrize(
    ("played_to", "heard_on"), [("alice_mic_feed", "alice_mic"), ("alice_spk", "alice_spk_rec")]
)
def test_what_is_played_is_heard_exactly(
    cards: VirtualAudio, no_threads_left: None, played_to: str, heard_on: str
) -> None:
    player, recorder = Player(), Recorder()
    sink, source = SoundCardSink(played_to), SoundCardSource(heard_on)
    with running(source, recorder.deliver), running(sink, player.render):
        assert wait_until(lambda: player.position >= 3 * RATE)
    blocks = len(recorder.blocks)
    assert all(block.shape == (BLOCK,) and block.dtype == np.float32 for block in recorder.blocks)

    sent = player.noise[: 5 * RATE // 2]
    found = segments_found(sent, recorder.samples)
    assert len(found) >= 0.8 * (len(sent) // 2400 - 1)

    # The two clocks agree on when a sample was played and captured, but for the buffers
    # of the sound server that neither can see.
    playouts = np.array([playout for _, playout in player.asked])
    assert np.all(np.diff(playouts) > 0)
    assert np.mean(np.diff(recorder.captured)) == pytest.approx(0.020, abs=0.002)
    gaps = []
    for start, at in found.items():
        heard = np.interp(start, [position for position, _ in player.asked], playouts)
        gaps.append(recorder.captured[at // BLOCK] + at % BLOCK / RATE - heard)
    assert abs(np.median(gaps)) < 0.060

    assert sink.failure is None
    assert source.failure is None
    assert sink.statistics.device == played_to
    assert sink.statistics.reopenings == 0
    assert 0.0 < sink.statistics.latency < 0.5
    time.sleep(0.05)
    assert len(recorder.blocks) == blocks


def test_smaller_blocks_are_asked_for_when_wished(cards: VirtualAudio) -> None:
    sizes = set()
    asked = threading.Event()

    def render(samples: int, playout: float) -> np.ndarray:
        sizes.add(samples)
        asked.set()
        return np.zeros(samples, np.float32)

    sink = SoundCardSink("alice_spk", block=480)
    with running(sink, render):
        assert asked.wait(PATIENCE)
    assert sizes == {480}


def test_devices_are_listed_and_chosen(cards: VirtualAudio) -> None:
    names = {device.name for device in list_devices()}
    assert {"alice_spk", "alice_spk_rec", "alice_mic", "alice_mic_feed"} <= names
    assert find_device("MIC_FEED", "output").name == "alice_mic_feed"
    by_number = find_device("alice_spk_rec", "input")
    assert find_device(str(by_number.index), "input") == by_number
    assert find_device(None, "output").is_default("output")


def test_the_default_devices_are_the_first_machines(cards: VirtualAudio) -> None:
    player, recorder = Player(), Recorder()
    sink, source = SoundCardSink(), SoundCardSource("alice_spk_rec")
    with running(source, recorder.deliver), running(sink, player.render):
        assert wait_until(lambda: len(segments_found(player.noise[:RATE], recorder.samples)) > 5)


@pytest.mark.parametrize(("name", "message"), [("gramophone", "alice_spk"), ("alice", "more than one")])
def test_a_wrong_name_is_refused_at_once(
    cards: VirtualAudio, no_threads_left: None, name: str, message: str
) -> None:
    sink, source = SoundCardSink(name), SoundCardSource(name)
    with pytest.raises(DeviceError, match=message):
        sink.start(lambda samples, playout: np.zeros(samples, np.float32))
    with pytest.raises(DeviceError, match=message):
        source.start(lambda block, captured: None)
    sink.stop()
    source.stop()


def test_errors_of_the_user_cost_silence_only(cards: VirtualAudio) -> None:
    calls = 0

    def render(samples: int, playout: float) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls % 2:
            raise ValueError("broken engine")
        return np.zeros(7, np.float32)

    def deliver(block: np.ndarray, captured: float) -> None:
        raise ValueError("broken encoder")

    sink, source = SoundCardSink("alice_spk"), SoundCardSource("alice_mic")
    with running(sink, render), running(source, deliver):
        assert wait_until(lambda: sink.statistics.user_errors > 4 and source.statistics.user_errors > 4)
    assert sink.failure is None


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_dead_server_is_noticed_survived_and_found_again(
    cards: VirtualAudio, no_threads_left: None, fault: str
) -> None:
    player, recorder = Player(), Recorder()
    sink = SoundCardSink("alice_spk", watchdog=QUICK)
    source = SoundCardSource("alice_spk_rec", watchdog=QUICK)
    with running(source, recorder.deliver), running(sink, player.render):
        assert wait_until(lambda: player.position > RATE // 2 and len(recorder.blocks) > 25)
        cards.kill() if fault == "killed" else cards.freeze()
        try:
            assert wait_until(lambda: sink.failure is not None and source.failure is not None)
            # Time goes on without the card: blocks are still asked for and delivered.
            asked, delivered = len(player.asked), len(recorder.blocks)
            assert wait_until(lambda: len(player.asked) > asked + 20)
            assert wait_until(lambda: len(recorder.blocks) > delivered + 20)
            assert "alice_spk" in str(sink.failure)
            assert sink.statistics.away_seconds > 0.0
            assert not recorder.blocks[-1].any()
        finally:
            cards.start() if fault == "killed" else cards.thaw()
        assert wait_until(lambda: sink.failure is None and source.failure is None)
        position, blocks = player.position, len(recorder.blocks)
        assert wait_until(lambda: player.position > position + RATE and len(recorder.blocks) > blocks + 40)
    assert sink.statistics.reopenings >= 1
    assert source.statistics.reopenings >= 1
    after = np.concatenate(recorder.blocks[blocks:])
    assert segments_found(player.noise[position : position + RATE], (after * 32768).astype(np.int16))
    # However long it took, the microphone's timeline has no hole.
    elapsed = recorder.captured[-1] - recorder.captured[0]
    assert (len(recorder.blocks) - 1) * 0.020 == pytest.approx(elapsed, abs=0.25)


def test_a_hung_server_does_not_hold_the_caller(cards: VirtualAudio) -> None:
    impatient = WatchdogSettings(start_timeout=0.5, stop_timeout=0.5)
    running = SoundCardSink("alice_spk")
    running.start(lambda samples, playout: np.zeros(samples, np.float32))
    cards.freeze()
    try:
        sink = SoundCardSink("alice_spk", watchdog=impatient)
        before = time.monotonic()
        with pytest.raises(DeviceError, match="doesn't answer"):
            sink.start(lambda samples, playout: np.zeros(samples, np.float32))
        sink.stop()
        assert time.monotonic() - before < PATIENCE
    finally:
        cards.thaw()
        running.stop()
    assert wait_until(lambda: not any(t.name.startswith("card-") for t in threading.enumerate()))
