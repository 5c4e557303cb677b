"""Matroska files that stay playable when the process is killed.

Every packet is flushed to the file and a cluster is closed every 100 ms, so that at
most about that much is lost; the muxer does not hold one track back for another.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream

from softphone.audio.stream import SAMPLE_RATE, Pcm

__all__ = ["FlacFile", "OpusFile"]

_TIME_BASE = Fraction(1, SAMPLE_RATE)
_OPTIONS = {
    "flush_packets": "1",
    "cluster_time_limit": "100",  # milliseconds
    "max_interleave_delta": "100000",  # microseconds that one track waits for another
}
_LONGEST_PAUSE = 0.06
"""Seconds by which a block may be late before the gap is written as silence: more than
the jitter of a sound card's times, less than a cut that could be heard."""
_SILENCE = np.zeros((1, SAMPLE_RATE), dtype=np.int16)


class OpusFile:
    """A Matroska file with one Opus track per name, packets passed through untouched.

    Raises OSError (also from `write`) when the file can't be made or written.
    """

    def __init__(self, path: Path, tracks: Sequence[str]) -> None:
        self._container = av.open(str(path), "w", format="matroska", options=_OPTIONS)
        self._tracks: dict[str, AudioStream] = {}
        for name in tracks:
            # The encoder is never fed: it only describes the track (OpusHead, RFC 7845).
            stream = self._container.add_stream("libopus", rate=SAMPLE_RATE)
            stream.layout = "mono"
            stream.time_base = _TIME_BASE
            stream.metadata["title"] = name
            self._tracks[name] = stream
        self._container.start_encoding()

    def write(self, track: str, payload: bytes, pts: int, duration: int) -> None:
        """Append a packet; ``pts`` and ``duration`` in 48 kHz samples, ``pts`` never falling."""
        packet = av.Packet(payload)
        packet.stream = self._tracks[track]
        packet.time_base = _TIME_BASE
        packet.pts = packet.dts = pts
        packet.duration = duration
        self._container.mux_one(packet)

    def close(self) -> None:
        """Write the index and close. Raises OSError when the disk does not take it."""
        self._container.close()


class FlacFile:
    """A Matroska file with one FLAC track: what was said, or what was heard.

    Blocks are written one after the other. The silence before the first block, and
    wherever the audio paused for more than 60 ms, is written out, so that sample n
    was heard about n / 48000 s after the recording began.
    """

    def __init__(self, path: Path, title: str) -> None:
        self._container = av.open(str(path), "w", format="matroska", options=_OPTIONS)
        # Level 2 is the highest with short blocks (27 ms): a crash costs little.
        options = {"compression_level": "2"}
        self._stream = self._container.add_stream("flac", rate=SAMPLE_RATE, options=options)
        self._stream.layout = "mono"
        self._stream.format = "s16"
        self._stream.metadata["title"] = title
        self._written = 0
        self._expected = 0.0

    def write(self, pcm: Pcm, at: float) -> None:
        """Append samples, shape (n,), whose first was heard ``at`` seconds into the recording."""
        if at - self._expected > _LONGEST_PAUSE:
            self._write_silence(round((at - self._expected) * SAMPLE_RATE))
        samples = np.clip(np.nan_to_num(pcm) * 32768.0, -32768.0, 32767.0)
        self._encode(np.rint(samples).astype(np.int16)[np.newaxis, :])
        self._expected = at + len(pcm) / SAMPLE_RATE

    def close(self) -> None:
        """Write what is still in the encoder, and the index. Raises OSError."""
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def _write_silence(self, samples: int) -> None:
        while samples > 0:
            block = _SILENCE[:, :samples]
            self._encode(block)
            samples -= block.shape[1]

    def _encode(self, samples: np.ndarray[tuple[int, int], np.dtype[np.int16]]) -> None:
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = _TIME_BASE
        frame.pts = self._written
        self._written += samples.shape[1]
        self._container.mux(self._stream.encode(frame))
