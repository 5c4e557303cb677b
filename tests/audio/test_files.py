import threading
import time
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from softphone.audio.files import FileReader, FileSink, FileSource, read_file
from softphone.errors import MediaFileError

RATE = 48_000


def sine(seconds: float, rate: int, frequency: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def dominant_frequency(pcm: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum)) * RATE / len(pcm)


@pytest.mark.parametrize(
    ("suffix", "subtype", "rate", "channels"),
    [
        ("wav", "PCM_16", 48_000, 1),
        ("wav", "PCM_U8", 8_000, 1),
        ("wav", "FLOAT", 44_100, 2),
        ("wav", "PCM_24", 96_000, 6),
        ("flac", "PCM_16", 16_000, 1),
        ("ogg", "VORBIS", 44_100, 2),
        ("ogg", "OPUS", 48_000, 1),
    ],
)
def test_reads_any_format_as_mono_48_khz(
    tmp_path: Path, suffix: str, subtype: str, rate: int, channels: int
) -> None:
    path = tmp_path / f"a.{suffix}"
    tone = sine(1.0, rate)
    soundfile.write(path, np.stack([tone] * channels, axis=1), rate, subtype=subtype)
    pcm = read_file(path)
    assert pcm.dtype == np.float32
    assert abs(len(pcm) - RATE) <= 2
    assert dominant_frequency(pcm) == pytest.approx(440.0, abs=2.0)
    assert np.sqrt(np.mean(pcm[4800:-4800] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_channels_are_mixed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([np.full(960, 0.5), np.full(960, -0.25)], axis=1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_file(path), 0.125, atol=1e-6)


def test_reading_in_pieces_gives_the_same_as_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(0.7, 22_050), 22_050)
    reader = FileReader(path)
    pieces = []
    while not reader.finished:
        pieces.append(reader.read(777))
    assert all(len(piece) == 777 for piece in pieces[:-1])
    np.testing.assert_array_equal(np.concatenate(pieces), read_file(path))


def test_what_a_float_file_may_not_hold_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([np.nan, np.inf, -7.0, 0.25]), RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_file(path), [0.0, 1.0, -1.0, 0.25])


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 100, None])
def test_what_is_no_audio_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaFileError, match=r"bad\.wav"):
        FileSource(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros(0), RATE)
    with pytest.raises(MediaFileError, match="no audio"):
        FileSource(path)


def test_the_source_delivers_everything_in_real_time(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(1).integers(-20000, 20000, 960 * 12 + 100).astype(np.int16)
    soundfile.write(path, samples, RATE)
    source = FileSource(path)
    blocks: list[np.ndarray] = []
    times: list[float] = []
    done = threading.Event()

    def deliver(block: np.ndarray, captured: float) -> None:
        blocks.append(block)
        times.append(captured)
        if len(blocks) == 13:
            done.set()

    assert not source.finished
    before = time.monotonic()
    source.start(deliver)
    assert done.wait(30)
    elapsed = time.monotonic() - before
    deadline = time.monotonic() + 30
    while not source.finished and time.monotonic() < deadline:
        time.sleep(0.005)
    assert source.finished
    source.stop()
    source.stop()
    assert elapsed >= 13 * 0.020 - 0.001
    np.testing.assert_allclose(np.diff(times), 0.020, atol=1e-6)
    heard = np.concatenate(blocks)
    np.testing.assert_array_equal(heard[: len(samples)] * 32768, samples)
    assert not heard[len(samples) :].any()


def test_a_loop_goes_on_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.arange(1, 1001, dtype=np.int16)
    soundfile.write(path, samples, RATE)
    reader = FileReader(path, loop=True)
    np.testing.assert_array_equal(reader.read(3500) * 32768, np.tile(samples, 4)[:3500])
    assert not reader.finished


def test_the_sink_writes_what_it_was_given_and_keeps_the_file_readable(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    sink = FileSink(path)
    rendered: list[np.ndarray] = []
    playouts: list[float] = []
    rng = np.random.default_rng(2)
    saved = threading.Event()

    def render(samples: int, playout: float) -> np.ndarray:
        block = (rng.integers(-30000, 30000, samples) / 32768).astype(np.float32)
        rendered.append(block)
        playouts.append(playout)
        if len(rendered) == 52:
            saved.set()
        return block

    sink.start(render)
    assert saved.wait(60)
    # As a killed process would leave it: the first second is there, with a right header.
    with wave.open(str(path)) as unfinished:
        assert unfinished.getnframes() == RATE
    sink.stop()
    sink.stop()
    np.testing.assert_allclose(np.diff(playouts), 0.020, atol=1e-6)
    written, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(written, np.concatenate(rendered) * 32768)


def test_a_sink_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(MediaFileError, match="missing"):
        FileSink(tmp_path / "missing" / "a.wav")
    with pytest.raises(MediaFileError, match=r"\.wav"):
        FileSink(tmp_path / "a.mp3")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_and_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "full.wav"
    path.symlink_to("/dev/full")
    sink = FileSink(path)
    asked: list[int] = []
    enough = threading.Event()

    def render(samples: int, playout: float) -> np.ndarray:
        asked.append(samples)
        if sink.failure is not None and len(asked) > 60:
            enough.set()
        return np.ones(samples, np.float32)

    sink.start(render)
    assert enough.wait(60)
    sink.stop()
    assert "space" in str(sink.failure)
