"""Read a recorded call again."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream

from softphone.audio.stream import SAMPLE_RATE, Pcm
from softphone.errors import MediaFileError

__all__ = ["RecordedPacket", "read_opus_track", "read_pcm", "track_names"]


@dataclass(frozen=True, slots=True)
class RecordedPacket:
    """One block of a track in ``call.mka``."""

    start: float
    """Seconds since the recording began, rounded to milliseconds by Matroska."""
    payload: bytes
    """The Opus packet, or a one-byte stand-in for a lost one."""


def track_names(path: Path) -> list[str]:
    """Return the titles of the tracks of a Matroska file, in their order. Raises MediaFileError."""
    try:
        with av.open(str(path)) as container:
            return [stream.metadata.get("title", "") for stream in container.streams.audio]
    except (OSError, av.FFmpegError) as error:
        raise _unreadable(path, error) from error


def read_opus_track(path: Path, track: str) -> list[RecordedPacket]:
    """Return the packets of one track. Raises MediaFileError when the file or the track is missing."""
    try:
        with av.open(str(path)) as container:
            stream = _find(container.streams.audio, track, path)
            return [
                RecordedPacket(float(packet.pts * packet.time_base), bytes(packet))
                for packet in container.demux(stream)
                if packet.pts is not None and packet.time_base is not None and packet.size
            ]
    except (OSError, av.FFmpegError) as error:
        raise _unreadable(path, error) from error


def read_pcm(path: Path, track: str | None = None) -> Pcm:
    """Return a track decoded to mono float32 at 48 kHz, shape (n,), from its first block on.

    Works for the FLAC files and the Opus tracks; ``track`` None means the first.
    Raises MediaFileError when the file or the track is missing.
    """
    try:
        with av.open(str(path)) as container:
            streams = container.streams.audio
            stream = _find(streams, track, path) if track is not None else streams[0]
            resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
            blocks = [
                block.to_ndarray().reshape(-1)
                for frame in container.decode(stream)
                for block in resampler.resample(frame)
            ]
    except (OSError, IndexError, av.FFmpegError) as error:
        raise _unreadable(path, error) from error
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def _find(streams: tuple[AudioStream, ...], track: str, path: Path) -> AudioStream:
    for stream in streams:
        if stream.metadata.get("title") == track:
            return stream
    raise MediaFileError(f"{path} has no track {track!r}")


def _unreadable(path: Path, error: BaseException) -> MediaFileError:
    return MediaFileError(f"can't read the recording {path}: {getattr(error, 'strerror', None) or error}")
