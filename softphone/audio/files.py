"""Files as microphone and loudspeaker, in real time.

Reading takes whatever libsndfile reads (WAV, FLAC, Ogg and more) at any rate and channel
count; writing makes 16-bit WAV, whose header is kept right while the file grows, so that
what a killed process leaves behind can be played.
"""

import logging
import wave
from pathlib import Path

import numpy as np
import soundfile
import soxr

from softphone.audio.pacer import Pacer
from softphone.audio.stream import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    AudioSink,
    AudioSource,
    Deliver,
    Pcm,
    Render,
    to_int16,
)
from softphone.errors import LocalError, MediaFileError

__all__ = ["FileReader", "FileSink", "FileSource", "read_file"]

logger = logging.getLogger(__name__)

FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
SAVE_INTERVAL = 1.0
"""Seconds of audio between two updates of the header on disk."""


class FileReader:
    """Reads a file in pieces as mono float32 at 48 kHz, however long the file is."""

    def __init__(self, path: str | Path, *, loop: bool = False) -> None:
        """Open `path`; with `loop` it begins again at its end.

        Raises:
            MediaFileError: when it can't be read as audio, or is empty.
        """
        self.path = Path(path)
        self._loop = loop
        try:
            self._file = soundfile.SoundFile(self.path)
        except (OSError, soundfile.LibsndfileError) as error:
            raise MediaFileError(f"can't read {self.path} as audio: {error}") from error
        if self._file.frames == 0:
            self._file.close()
            raise MediaFileError(f"{self.path} holds no audio")
        rate = self._file.samplerate
        self._chunk = max(1, rate // 10)
        self._resampler = (
            None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", "HQ")
        )
        self._ready: Pcm = np.zeros(0, np.float32)
        self._ended = False

    @property
    def finished(self) -> bool:
        """True once every sample was returned."""
        return self._ended and len(self._ready) == 0

    def read(self, samples: int) -> Pcm:
        """The next `samples` samples, shape (n,) with n <= samples; shorter only at the end.

        Raises:
            MediaFileError: when the file breaks off in the middle.
        """
        while len(self._ready) < samples and not self._ended:
            self._ready = np.concatenate((self._ready, self._next_chunk()))
        block, self._ready = self._ready[:samples], self._ready[samples:]
        return block

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def _next_chunk(self) -> Pcm:
        try:
            chunk = self._file.read(self._chunk, dtype="float32", always_2d=True)
            if len(chunk) == 0 and self._loop:
                self._file.seek(0)
                chunk = self._file.read(self._chunk, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            self._ended = True
            raise MediaFileError(f"{self.path} can't be read on: {error}") from error
        self._ended = len(chunk) == 0
        # A float file may hold anything, even NaN.
        mono: Pcm = np.nan_to_num(chunk.mean(axis=1, dtype=np.float32))
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono, last=self._ended)
        return np.clip(mono, -1.0, 1.0)


def read_file(path: str | Path) -> Pcm:
    """A whole file as mono float32 at 48 kHz, shape (n,).

    Raises:
        MediaFileError: when it can't be read as audio, or is empty.
    """
    reader = FileReader(path)
    blocks = []
    try:
        while not reader.finished:
            blocks.append(reader.read(SAMPLE_RATE))
    finally:
        reader.close()
    return np.concatenate(blocks)


class FileSource(AudioSource):
    """Plays a file into the call as if it were spoken into a microphone."""

    def __init__(self, path: str | Path, *, loop: bool = False) -> None:
        """Open `path`; with `loop` it is repeated without a gap until `stop`.

        Raises:
            MediaFileError: when it can't be read as audio, or is empty.
        """
        self._reader = FileReader(path, loop=loop)
        self._pacer: Pacer | None = None
        self._finished = False
        self._failure: LocalError | None = None

    @property
    def finished(self) -> bool:
        return self._finished

    @property
    def failure(self) -> LocalError | None:
        return self._failure

    def start(self, deliver: Deliver) -> None:
        def tick(due: float) -> bool:
            block = self._next_block()
            if len(block):
                deliver(block, due - FRAME_SECONDS)
            self._finished = self._reader.finished
            return not self._finished

        self._pacer = Pacer(FRAME_SECONDS, tick, name="file-source")
        self._pacer.start()

    def stop(self) -> None:
        if self._pacer is not None:
            self._pacer.stop()
        self._reader.close()

    def _next_block(self) -> Pcm:
        """The next block, its end filled with zeros; none at all after the end."""
        try:
            block = self._reader.read(FRAME_SAMPLES)
        except MediaFileError as error:
            logger.warning("%s", error)
            self._failure = error
            return np.zeros(0, np.float32)
        if 0 < len(block) < FRAME_SAMPLES:
            block = np.pad(block, (0, FRAME_SAMPLES - len(block)))
        return block


class FileSink(AudioSink):
    """Writes what would be heard into a 16-bit mono WAV file, in real time."""

    def __init__(self, path: str | Path) -> None:
        """Create `path`, replacing what was there.

        Raises:
            MediaFileError: when it can't be written, or its name does not end in ".wav".
        """
        self.path = Path(path)
        if self.path.suffix.lower() != ".wav":
            raise MediaFileError(f"can't write {self.path}: choose a name that ends in .wav")
        try:
            self._file = self.path.open("wb")
        except OSError as error:
            raise MediaFileError(f"can't write {self.path}: {error.strerror or error}") from error
        self._wave = wave.Wave_write(self._file)
        self._wave.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        self._unsaved = 0
        self._pacer: Pacer | None = None
        self._failure: LocalError | None = None
        self._closed = False

    @property
    def failure(self) -> LocalError | None:
        return self._failure

    def start(self, render: Render) -> None:
        def tick(due: float) -> bool:
            block = render(FRAME_SAMPLES, due)
            if self._failure is None:
                self._write(block)
            # A full disk must not stop the call: the audio is asked for and dropped then.
            return True

        self._pacer = Pacer(FRAME_SECONDS, tick, name="file-sink")
        self._pacer.start()

    def stop(self) -> None:
        if self._pacer is not None:
            self._pacer.stop()
        if not self._closed:
            self._closed = True
            try:
                self._wave.close()
                self._file.close()
            except OSError as error:
                self._fail(error)

    def _write(self, block: Pcm) -> None:
        try:
            self._wave.writeframesraw(to_int16(block).astype("<i2", copy=False).tobytes())
            self._unsaved += len(block)
            if self._unsaved >= SAVE_INTERVAL * SAMPLE_RATE:
                self._unsaved = 0
                self._wave.writeframes(b"")  # brings the header up to date
                self._file.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._failure = MediaFileError(f"can't write {self.path} on: {error.strerror or error}")
        logger.warning("%s", self._failure)
