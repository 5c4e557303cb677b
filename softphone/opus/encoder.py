"""The Opus encoder."""

import threading
from enum import StrEnum
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softphone.opus.errors import BadArgumentError, UnimplementedError
from softphone.opus.library import Bandwidth, Request, check, check_rate_and_channels, ffi, lib

__all__ = ["MAX_DRED_MS", "Application", "Encoder", "Signal"]

MAX_DRED_MS: Final = 1040
"""Most DRED libopus can put into a packet, in ms."""

FRAME_LENGTHS_MS: Final = (10, 20, 40, 60)
_MAX_PACKET_BYTES: Final = 4000
_ENCODER_BYTES: Final = 126_000

_InputPcm: TypeAlias = NDArray[np.float32] | NDArray[np.int16]


class Application(StrEnum):
    """What the encoder is tuned for."""

    VOIP = "voip"
    """Speech; the only one in which LBRR and DRED work well."""
    AUDIO = "audio"
    """Faithful reproduction of anything."""
    LOWDELAY = "lowdelay"
    """CELT only, 4 ms less delay, no LBRR."""


class Signal(StrEnum):
    """A hint on what is being encoded."""

    AUTO = "auto"
    VOICE = "voice"
    MUSIC = "music"


_APPLICATIONS: Final = {Application.VOIP: 2048, Application.AUDIO: 2049, Application.LOWDELAY: 2051}
_SIGNALS: Final = {Signal.AUTO: -1000, Signal.VOICE: 3001, Signal.MUSIC: 3002}


class Encoder:
    """Turns PCM into Opus packets.

    One thread at a time encodes; others wait. Every property is read from libopus and
    set there at once; each raises :class:`BadArgumentError` when out of range.

    LBRR and DRED appear only while ``packet_loss_perc`` is above 0, and both share the
    bitrate: `softphone.sending` knows how to choose.
    """

    def __init__(
        self, sample_rate: int = 48_000, channels: int = 1, application: Application = Application.VOIP
    ) -> None:
        check_rate_and_channels(sample_rate, channels)
        self.sample_rate: Final = sample_rate
        self.channels: Final = channels
        self.application: Final = Application(application)
        error = ffi.new("int *")
        state = lib.opus_encoder_create(sample_rate, channels, _APPLICATIONS[self.application], error)
        check(error[0], "make an encoder")
        self._state: Final = ffi.gc(state, lib.opus_encoder_destroy, _ENCODER_BYTES)
        self._packet: Final = ffi.new("unsigned char[]", _MAX_PACKET_BYTES)
        self._lock: Final = threading.Lock()

    def encode(self, pcm: _InputPcm) -> bytes:
        """Encode one packet.

        Args:
            pcm: float32 in [-1, 1] or int16, shape (n,) for mono or (n, channels), n being
                10, 20, 40 or 60 ms. Not copied when C-contiguous.

        Returns:
            The packet; one or two bytes when DTX found silence that need not be sent.

        Raises:
            BadArgumentError: wrong dtype, shape or length.
        """
        samples = self._samples_of(pcm)
        contiguous = np.ascontiguousarray(pcm)
        with self._lock:
            if contiguous.dtype == np.float32:
                data = ffi.from_buffer("float[]", contiguous)
                size = lib.opus_encode_float(self._state, data, samples, self._packet, _MAX_PACKET_BYTES)
            else:
                data = ffi.from_buffer("int16_t[]", contiguous)
                size = lib.opus_encode(self._state, data, samples, self._packet, _MAX_PACKET_BYTES)
            return bytes(ffi.buffer(self._packet, check(size, "encode")))

    def reset(self) -> None:
        """Forget the signal so far, as for a new stream; settings stay."""
        with self._lock:
            check(lib.softphone_encoder_reset(self._state), "reset the encoder")

    @property
    def bitrate(self) -> int:
        """Total rate in bit/s, redundancy included, 500..512000 a channel."""
        return self._get(Request.BITRATE)

    @bitrate.setter
    def bitrate(self, value: int) -> None:
        if not 500 <= value <= 512_000 * self.channels:
            raise BadArgumentError(f"bitrate must be 500..{512_000 * self.channels} bit/s, not {value}")
        self._set(Request.BITRATE, value)

    @property
    def vbr(self) -> bool:
        """Variable bitrate; off makes every packet the same size."""
        return bool(self._get(Request.VBR))

    @vbr.setter
    def vbr(self, value: bool) -> None:
        self._set(Request.VBR, int(value))

    @property
    def constrained_vbr(self) -> bool:
        """Keep the variable bitrate within what one frame of buffering evens out."""
        return bool(self._get(Request.VBR_CONSTRAINT))

    @constrained_vbr.setter
    def constrained_vbr(self, value: bool) -> None:
        self._set(Request.VBR_CONSTRAINT, int(value))

    @property
    def complexity(self) -> int:
        """Computing effort, 0..10."""
        return self._get(Request.COMPLEXITY)

    @complexity.setter
    def complexity(self, value: int) -> None:
        self._set(Request.COMPLEXITY, value)

    @property
    def inband_fec(self) -> bool:
        """Put a coarse copy of the frame before (LBRR) into packets of active speech."""
        return bool(self._get(Request.INBAND_FEC))

    @inband_fec.setter
    def inband_fec(self, value: bool) -> None:
        self._set(Request.INBAND_FEC, int(value))

    @property
    def packet_loss_perc(self) -> int:
        """Expected loss in percent, 0..100. At 0 there is neither LBRR nor DRED."""
        return self._get(Request.PACKET_LOSS_PERC)

    @packet_loss_perc.setter
    def packet_loss_perc(self, value: int) -> None:
        self._set(Request.PACKET_LOSS_PERC, value)

    @property
    def dred_duration_ms(self) -> int:
        """Most DRED to put into a packet, 0..1040 ms; set values round down to whole 10 ms.

        Setting it above 0 raises :class:`UnimplementedError` when libopus has no DRED.
        """
        try:
            return self._get(Request.DRED_DURATION) * 10
        except UnimplementedError:
            return 0

    @dred_duration_ms.setter
    def dred_duration_ms(self, value: int) -> None:
        if not 0 <= value <= MAX_DRED_MS:
            raise BadArgumentError(f"DRED lasts 0..{MAX_DRED_MS} ms, not {value}")
        try:
            self._set(Request.DRED_DURATION, value // 10)
        except UnimplementedError:
            if value > 0:
                raise

    @property
    def dtx(self) -> bool:
        """Send next to nothing in silence. It leaves the end of a talk spurt without DRED."""
        return bool(self._get(Request.DTX))

    @dtx.setter
    def dtx(self, value: bool) -> None:
        self._set(Request.DTX, int(value))

    @property
    def max_bandwidth(self) -> Bandwidth:
        """The widest audio bandwidth the encoder may choose."""
        return Bandwidth.from_code(self._get(Request.MAX_BANDWIDTH))

    @max_bandwidth.setter
    def max_bandwidth(self, value: Bandwidth | str) -> None:
        try:
            bandwidth = Bandwidth(value)
        except ValueError:
            raise BadArgumentError(f"bandwidth must be one of {', '.join(Bandwidth)}, not {value}") from None
        self._set(Request.MAX_BANDWIDTH, bandwidth.code)

    @property
    def signal(self) -> Signal:
        """Hint on the kind of signal."""
        code = self._get(Request.SIGNAL)
        return next(signal for signal, value in _SIGNALS.items() if value == code)

    @signal.setter
    def signal(self, value: Signal | str) -> None:
        try:
            signal = Signal(value)
        except ValueError:
            raise BadArgumentError(f"signal must be one of {', '.join(Signal)}, not {value}") from None
        self._set(Request.SIGNAL, _SIGNALS[signal])

    @property
    def lsb_depth(self) -> int:
        """Significant bits of the samples, 8..24. What lies below is noise to the encoder, not sound.

        int16 input never counts for more than 16.
        """
        return self._get(Request.LSB_DEPTH)

    @lsb_depth.setter
    def lsb_depth(self, value: int) -> None:
        self._set(Request.LSB_DEPTH, value)

    @property
    def lookahead(self) -> int:
        """Samples by which the decoded signal lags the encoded one (6.5 ms for VOIP)."""
        return self._get(Request.GET_LOOKAHEAD)

    @property
    def in_dtx(self) -> bool:
        """Whether the last packet was one of silence not sent."""
        return bool(self._get(Request.GET_IN_DTX))

    def _samples_of(self, pcm: _InputPcm) -> int:
        if pcm.dtype not in (np.dtype(np.float32), np.dtype(np.int16)):
            raise BadArgumentError(f"PCM must be float32 or int16, not {pcm.dtype}")
        if pcm.shape[1:] != (self.channels,) and not (pcm.ndim == 1 and self.channels == 1):
            raise BadArgumentError(f"PCM of shape {pcm.shape} does not have {self.channels} channel(s)")
        samples = int(pcm.shape[0])
        if samples not in [self.sample_rate // 1000 * length for length in FRAME_LENGTHS_MS]:
            raise BadArgumentError(
                f"a packet holds 10, 20, 40 or 60 ms; {samples} samples are "
                f"{1000 * samples / self.sample_rate:g} ms"
            )
        return samples

    def _get(self, request: Request) -> int:
        value: Any = ffi.new("int32_t *")
        getter = request if request.name.startswith("GET_") else request + 1
        with self._lock:
            check(lib.softphone_encoder_get(self._state, getter, value), f"read {request.name}")
        return int(value[0])

    def _set(self, request: Request, value: int) -> None:
        with self._lock:
            check(
                lib.softphone_encoder_set(self._state, request, value),
                f"set {request.name.lower()} to {value}",
            )
