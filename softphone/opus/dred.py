"""Deep redundancy: up to a second of coarse speech that rides in a later packet."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from softphone.opus.errors import DredRangeError, UnimplementedError
from softphone.opus.library import check, check_rate_and_channels, ffi, lib, packet_bytes

__all__ = ["DredState"]

_MAX_DRED_SECONDS: Final = 1.04
_STATE_BYTES: Final = 11_300


class DredState:
    """The redundancy read from one packet; reusable for packet after packet (11 kB).

    Parsing is cheap (5 us) and tells how far back the packet can help. The expensive part
    (5 us for each 40 ms) runs once, when the first sample of it is decoded.

    Offsets count samples backwards from the start of the packet's own audio: 960 is the
    20 ms frame just before it. A libopus without DRED parses every packet to nothing.
    """

    def __init__(self, sample_rate: int = 48_000) -> None:
        check_rate_and_channels(sample_rate, 1)
        self.sample_rate: Final = sample_rate
        self._lock: Final = threading.Lock()
        self._reach = 0
        self._end = 0
        self._processed = False
        try:
            self._model = _dred_model()
            self._state = _allocate()
        except UnimplementedError:
            self._model = self._state = None

    @property
    def reach(self) -> int:
        """The largest offset that can be decoded, in samples; 0 when the packet has no DRED.

        This is 15 ms more than libopus reports: it names the age of its oldest full pair of
        latents, but decodes from two 10 ms feature frames beyond, just as well.
        """
        return self._reach

    @property
    def end(self) -> int:
        """The smallest offset with data, in samples: from there on the sender was silent."""
        return self._end

    def parse(self, packet: bytes, max_samples: int) -> int:
        """Read the redundancy of ``packet``, replacing what was held before.

        Args:
            packet: an Opus packet.
            max_samples: how far back it is wanted; more may be read, and less may be there.

        Returns:
            `reach`.

        Raises:
            InvalidPacketError: the bytes are no Opus packet; the state is empty then.
        """
        with self._lock:
            self._reach = self._end = 0
            self._processed = False
            data = packet_bytes(packet)
            if self._state is None:
                return 0
            wanted = max(0, min(max_samples, int(_MAX_DRED_SECONDS * self.sample_rate)))
            end = ffi.new("int *")
            result = lib.opus_dred_parse(
                self._model, self._state, data, len(data), wanted, self.sample_rate, end, 1
            )
            reported = check(result, "parse the DRED of a packet")
            if reported > 0:
                self._reach = reported + self.sample_rate * 15 // 1000
                self._end = end[0]
            return self._reach

    def covers(self, offset: int, samples: int) -> bool:
        """Whether every one of ``samples`` samples from ``offset`` on can be decoded."""
        return 0 < samples <= offset <= self._reach and offset - samples >= self._end

    def process(self) -> None:
        """Run the DRED network over what was parsed; a second call does nothing.

        Decoding does this on demand. Raises :class:`DredRangeError` when there is no DRED.
        """
        with self._lock:
            self._process()

    @contextmanager
    def processed(self, offset: int, samples: int) -> Iterator[Any]:
        """For :class:`Decoder`: the processed ``OpusDRED *``, which does not change meanwhile.

        Raises :class:`DredRangeError` unless it `covers` the samples.
        """
        with self._lock:
            if not self.covers(offset, samples):
                raise DredRangeError(
                    f"DRED holds {self._reach} to {self._end} samples before its packet, "
                    f"not {offset} to {offset - samples}"
                )
            self._process()
            yield self._state

    def _process(self) -> None:
        if self._reach == 0:
            raise DredRangeError("the packet carries no DRED")
        if not self._processed:
            check(lib.opus_dred_process(self._model, self._state, self._state), "process DRED")
            self._processed = True


def copy_processed(state: Any) -> Any:
    """A copy of a processed ``OpusDRED *``; frees itself."""
    copy = _allocate()
    check(lib.opus_dred_process(_dred_model(), state, copy), "copy DRED")
    return copy


@functools.cache
def _dred_model() -> Any:
    """The DRED decoder: weights that nothing writes to, so one serves every state and thread."""
    error = ffi.new("int *")
    decoder = lib.opus_dred_decoder_create(error)
    check(error[0], "make a DRED decoder")
    return ffi.gc(decoder, lib.opus_dred_decoder_destroy)


def _allocate() -> Any:
    error = ffi.new("int *")
    state = lib.opus_dred_alloc(error)
    check(error[0], "make a DRED state")
    return ffi.gc(state, lib.opus_dred_free, _STATE_BYTES)
