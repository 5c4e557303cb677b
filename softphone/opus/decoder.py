"""The Opus decoder: packets, in-band FEC, DRED and concealment into one continuous signal."""

import threading
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from softphone.opus.dred import DredState, copy_processed
from softphone.opus.errors import BadArgumentError, MissingLbrrError
from softphone.opus.library import Request, check, check_rate_and_channels, ffi, lib, packet_bytes

__all__ = ["DEEP_PLC_COMPLEXITY", "Decoder"]

DEEP_PLC_COMPLEXITY: Final = 5
"""From this complexity on a neural network conceals lost frames; 6 adds LACE, 7 NoLACE."""

_DECODER_BYTES: Final = 155_000
_OUT_OF_RANGE: Final = -(1 << 24)
"""A DRED offset for which no state holds data."""


class Decoder:
    """Turns Opus packets, and what is left of lost ones, into PCM.

    The calls must follow the signal: each continues where the one before ended. One
    thread at a time decodes; others wait. Output is float32 in [-1, 1], never NaN, of
    shape (n,) for mono and (n, 2) for stereo, whatever the bytes were.
    """

    def __init__(self, sample_rate: int = 48_000, channels: int = 1, complexity: int = 5) -> None:
        check_rate_and_channels(sample_rate, channels)
        self.sample_rate: Final = sample_rate
        self.channels: Final = channels
        error = ffi.new("int *")
        state = lib.opus_decoder_create(sample_rate, channels, error)
        check(error[0], "make a decoder")
        self._state: Final = ffi.gc(state, lib.opus_decoder_destroy, _DECODER_BYTES)
        self._clip_memory: Final = ffi.new("float[2]")
        self._lock: Final = threading.Lock()
        self._some_dred: Any = None
        self._dred_queued = False
        # The state is one block that may be copied (opus.h).
        self._size: Final = lib.opus_decoder_get_size(channels)
        self._marked: Any = None
        self._marked_rest = (0.0, 0.0, False)
        self.complexity = complexity

    @property
    def complexity(self) -> int:
        """Computing effort, 0..10; see `DEEP_PLC_COMPLEXITY`."""
        return self._get(Request.COMPLEXITY + 1)

    @complexity.setter
    def complexity(self, value: int) -> None:
        with self._lock:
            result = lib.softphone_decoder_set(self._state, Request.COMPLEXITY, value)
        check(result, f"set complexity to {value}")

    @property
    def last_packet_duration(self) -> int:
        """Samples per channel of the last packet decoded or stretch filled."""
        return self._get(Request.GET_LAST_PACKET_DURATION)

    def decode(self, packet: bytes) -> NDArray[np.float32]:
        """Decode a packet that arrived: 2.5 to 120 ms, as it says itself.

        Raises :class:`InvalidPacketError` when ``packet`` is no Opus packet.
        """
        data = packet_bytes(packet)
        samples = check(
            lib.opus_packet_get_nb_samples(data, len(data), self.sample_rate), "measure the packet"
        )
        pcm = self._empty(samples)
        with self._lock:
            self._decode(data, len(data), pcm, fec=False)
        return pcm

    def decode_fec(self, next_packet: bytes, samples: int) -> NDArray[np.float32]:
        """Fill the gap before ``next_packet`` with the in-band FEC (LBRR) in it.

        Args:
            next_packet: the packet right after the gap; it must be decoded afterwards.
            samples: length of the gap: a multiple of 2.5 ms, at least one frame of
                ``next_packet``, at most 1 s. LBRR repairs its last frame, the rest is concealed.

        Raises:
            MissingLbrrError: the packet has no LBRR (libopus would conceal without a word).
            BadArgumentError: ``samples`` does not fit.
            InvalidPacketError: ``next_packet`` is no Opus packet.
        """
        data = packet_bytes(next_packet)
        if check(lib.opus_packet_has_lbrr(data, len(data)), "look for in-band FEC") != 1:
            raise MissingLbrrError("the packet carries no in-band FEC")
        self._check_gap(samples)
        frame = lib.opus_packet_get_samples_per_frame(data, self.sample_rate)
        if samples < frame:
            raise BadArgumentError(f"the in-band FEC of this packet fills {frame} samples, not {samples}")
        pcm = self._empty(samples)
        with self._lock:
            if samples > frame:
                self._conceal(pcm[:-frame])
            self._decode(data, len(data), pcm[-frame:], fec=True)
        return pcm

    def conceal(self, samples: int) -> NDArray[np.float32]:
        """Continue the signal without data, for a multiple of 2.5 ms up to 1 s.

        Raises :class:`BadArgumentError` for other lengths.
        """
        self._check_gap(samples)
        pcm = self._empty(samples)
        with self._lock:
            self._conceal(pcm)
        return pcm

    def decode_dred(self, state: DredState, offset: int, samples: int) -> NDArray[np.float32]:
        """Fill a gap from the DRED of a later packet.

        Args:
            state: what :meth:`DredState.parse` read from the later packet, at the same rate.
            offset: where the gap starts, in samples before the later packet's first one.
                DRED knows steps of 10 ms; in between it starts up to one step early.
            samples: length of the gap, up to 1 s. DRED comes in pieces of 10 ms: if this is
                no multiple, the last piece is cut, and the decoder has moved on to its end.

        Raises:
            DredRangeError: ``state`` does not hold these samples (libopus would conceal
                without a word); see :meth:`DredState.covers`.
            BadArgumentError: the rates differ, or ``samples`` is not 1 up to 1 s.
        """
        if state.sample_rate != self.sample_rate:
            raise BadArgumentError(f"DRED is at {state.sample_rate} Hz, the decoder at {self.sample_rate} Hz")
        if not 0 < samples <= self.sample_rate:
            raise BadArgumentError(f"a gap has 1..{self.sample_rate} samples, not {samples}")
        step = self.sample_rate // 100
        pcm = self._empty(-(-samples // step) * step)
        with state.processed(offset, samples) as dred, self._lock:
            # One call for all of it: libopus queues features for 1.04 s and splits the rest itself.
            self._decode_dred(dred, offset, pcm)
            if self._some_dred is None:
                self._some_dred = copy_processed(dred)
            self._dred_queued = True
        return pcm[:samples]

    def mark(self) -> None:
        """Remember this point of the signal for `rewind`, in place of the one marked before."""
        with self._lock:
            if self._marked is None:
                self._marked = ffi.new("char[]", self._size)
            ffi.memmove(self._marked, self._state, self._size)
            self._marked_rest = self._clip_memory[0], self._clip_memory[1], self._dred_queued

    def rewind(self) -> None:
        """Go back to the point marked, as if nothing had been decoded or concealed since; settings stay.

        Raises :class:`BadArgumentError` when no point was marked.
        """
        if self._marked is None:
            raise BadArgumentError("no point of the signal was marked")
        complexity = self.complexity
        with self._lock:
            ffi.memmove(self._state, self._marked, self._size)
            self._clip_memory[0], self._clip_memory[1], self._dred_queued = self._marked_rest
        self.complexity = complexity

    def reset(self) -> None:
        """Forget the signal so far, as for a new stream; settings stay."""
        with self._lock:
            check(lib.softphone_decoder_reset(self._state), "reset the decoder")
            self._clip_memory[0] = self._clip_memory[1] = 0.0
            self._dred_queued = False

    def _get(self, request: int) -> int:
        value = ffi.new("int32_t *")
        with self._lock:
            check(lib.softphone_decoder_get(self._state, request, value), "read a setting")
        return int(value[0])

    def _check_gap(self, samples: int) -> None:
        if samples % (self.sample_rate // 400) or not 0 < samples <= self.sample_rate:
            raise BadArgumentError(
                f"a gap is a multiple of 2.5 ms up to 1 s ({self.sample_rate} samples), not {samples} samples"
            )

    def _empty(self, samples: int) -> NDArray[np.float32]:
        return np.empty((samples, 2) if self.channels == 2 else samples, np.float32)

    def _conceal(self, pcm: NDArray[np.float32]) -> None:
        if self._dred_queued:
            # libopus keeps the features of the last DRED decode, and while it has them runs
            # its neural concealment at any complexity. Only another DRED call clears them.
            self._dred_queued = False
            self._decode_dred(self._some_dred, _OUT_OF_RANGE, pcm)
        else:
            self._decode(ffi.NULL, 0, pcm, fec=False)

    def _decode(self, data: Any, size: int, pcm: NDArray[np.float32], *, fec: bool) -> None:
        out = ffi.from_buffer("float[]", pcm, require_writable=True)
        got = lib.softphone_decode(
            self._state, data, size, out, len(pcm), int(fec), self.channels, self._clip_memory
        )
        pcm[check(got, "decode") :] = 0.0

    def _decode_dred(self, dred: Any, offset: int, pcm: NDArray[np.float32]) -> None:
        out = ffi.from_buffer("float[]", pcm, require_writable=True)
        got = lib.softphone_dred_decode(
            self._state, dred, offset, out, len(pcm), self.channels, self._clip_memory
        )
        pcm[check(got, "decode DRED") :] = 0.0
