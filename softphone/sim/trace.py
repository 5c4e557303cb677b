"""Packet traces: when each packet of a recorded or generated flow arrived, if at all."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softphone.errors import ConfigError, MediaFileError
from softphone.rtp.bursts import BurstStatistics

__all__ = ["DEFAULT_INTERVAL", "PacketTrace"]

DEFAULT_INTERVAL = 0.02
"""Seconds between packets unless said otherwise."""

_COLUMNS = ("seq", "send_ms", "arrival_ms")
_SAME_INTERVAL = 0.05
"""Relative difference of packet intervals up to which a trace is taken packet by packet."""
_MAX_PACKETS = 10_000_000
_MAX_BASE_DELAY_MS = 60_000.0


class PacketTrace:
    """The one-way delay of each packet of a flow sent at a fixed interval, or its loss.

    Repeated without end: packet ``k`` beyond the last meets the fate of ``k % len(trace)``.
    Where the trace itself keeps the order of packets, so does the seam: the first packets
    of a repetition don't overtake the last ones of the round before. Immutable.
    """

    def __init__(self, delays: ArrayLike, interval: float = DEFAULT_INTERVAL) -> None:
        """``delays``: shape (n,), n >= 1, seconds >= 0, NaN = lost; ``interval`` in seconds.

        Raises :class:`ConfigError` when these are out of range.
        """
        values = np.array(delays, dtype=np.float64)
        if values.ndim != 1 or not values.size:
            raise ConfigError("a packet trace needs at least one packet")
        if not (math.isfinite(interval) and interval > 0):
            raise ConfigError(f"the packet interval must be positive, not {interval} s")
        if np.isinf(values).any() or (values < 0).any():
            raise ConfigError("delays of a packet trace must be finite and not negative")
        values.flags.writeable = False
        self._delays: NDArray[np.float64] = values
        self._interval = interval
        arrivals = (self.send_times + values)[~np.isnan(values)]
        self._reordered = int((np.diff(arrivals) < -1e-9).sum())
        self._first_round = _as_fates(values)
        self._later_rounds = _as_fates(self._after_seam())

    @classmethod
    def perfect(cls, delay: float = 0.0, interval: float = DEFAULT_INTERVAL) -> "PacketTrace":
        """A network that loses nothing and delays every packet by ``delay`` seconds."""
        return cls([delay], interval)

    @classmethod
    def load(cls, path: str | Path, interval: float = DEFAULT_INTERVAL) -> "PacketTrace":
        """Read a CSV file with the columns ``seq,send_ms,arrival_ms``, for packets each ``interval``.

        An empty or NaN arrival means lost, as does a sequence number that is skipped.
        When the median packet interval of the file is within 5 % of ``interval``, row ``k``
        is packet ``k`` whatever the jitter of its sending time. Otherwise the trace is
        resampled as :meth:`resampled` says. When clocks were not in step, so that some delay
        is negative, all delays are moved up until the smallest is zero.

        Raises :class:`MediaFileError`, naming the line, for anything it can't use.
        """
        path = Path(path)
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                send_ms, arrival_ms = _read(file, path)
        except OSError as error:
            raise MediaFileError(f"can't read trace {path}: {error.strerror or error}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise MediaFileError(f"trace {path} is not a CSV text file: {error}") from error
        delay_ms = arrival_ms - send_ms
        received = np.isfinite(delay_ms)
        if received.any():
            smallest = float(delay_ms[received].min())
            if smallest > _MAX_BASE_DELAY_MS:
                raise MediaFileError(
                    f"trace {path}: every delay is above {_MAX_BASE_DELAY_MS / 1000:.0f} s; "
                    "send_ms and arrival_ms must count from the same origin"
                )
            # Rounded to the nanosecond: a constant delay stays constant.
            delay_ms = np.round(delay_ms - min(0.0, smallest), 6)
        send = (send_ms - send_ms[0]) / 1000
        step = float(np.median(np.diff(send))) if len(send) > 1 else interval
        if abs(step - interval) <= _SAME_INTERVAL * interval:
            return cls(delay_ms / 1000, interval)
        if step <= 0:
            raise MediaFileError(f"trace {path}: packets are sent at the same time; check send_ms")
        try:
            return cls(_sample(send, delay_ms / 1000, step, interval), interval)
        except ConfigError as error:
            raise MediaFileError(f"trace {path}: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write it as `load` reads it, times to the microsecond.

        Raises :class:`MediaFileError` when the file can't be written.
        """
        rows = (
            (k, f"{send * 1000:.3f}", "NaN" if fate is None else f"{(send + fate) * 1000:.3f}")
            for k, (send, fate) in enumerate(zip(self.send_times.tolist(), self._first_round, strict=True))
        )
        try:
            with Path(path).open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(_COLUMNS)
                writer.writerows(rows)
        except OSError as error:
            raise MediaFileError(f"can't write trace {path}: {error.strerror or error}") from error

    def resampled(self, interval: float) -> "PacketTrace":
        """The same network met by packets sent each ``interval`` seconds instead.

        The delay is a function of the sending time: interpolated between the packets that
        arrived, which keeps order and gives spikes and stalls the length they had. A packet
        is lost when the original packet sent nearest to it was (the earlier of two), so an
        outage keeps its length and the share of loss stays.
        """
        if interval == self._interval:
            return self
        if not (math.isfinite(interval) and interval > 0):
            raise ConfigError(f"the packet interval must be positive, not {interval} s")
        return PacketTrace(_sample(self.send_times, self._delays, self._interval, interval), interval)

    def fate(self, k: int) -> float | None:
        """One-way delay of packet ``k`` >= 0 in seconds; None when it is lost."""
        if k < len(self._first_round):
            return self._first_round[k]
        return self._later_rounds[k % len(self._later_rounds)]

    def arrival(self, k: int) -> float | None:
        """When packet ``k`` arrives, in seconds after packet 0 was sent; None when lost."""
        fate = self.fate(k)
        return None if fate is None else k * self._interval + fate

    def __len__(self) -> int:
        """Packets before it repeats."""
        return len(self._delays)

    def __iter__(self) -> Iterator[float | None]:
        """The fates of one round."""
        return iter(self._first_round)

    @property
    def interval(self) -> float:
        """Seconds between packets."""
        return self._interval

    @property
    def duration(self) -> float:
        """Seconds before it repeats."""
        return len(self) * self._interval

    @property
    def delays(self) -> NDArray[np.float64]:
        """One-way delays in seconds, shape (n,), float64, NaN = lost; read-only."""
        return self._delays

    @property
    def send_times(self) -> NDArray[np.float64]:
        """Sending times in seconds from 0, shape (n,), float64."""
        return np.arange(len(self), dtype=np.float64) * self._interval

    @property
    def bursts(self) -> BurstStatistics:
        """Loss and loss bursts of one round."""
        return BurstStatistics.of(np.isnan(self._delays).tolist())

    @property
    def fraction_lost(self) -> float:
        """Share of lost packets, 0..1."""
        return float(np.isnan(self._delays).mean())

    @property
    def mean_delay(self) -> float | None:
        """Mean delay of the packets that arrive, in seconds; None when none does."""
        received = self._received()
        return float(received.mean()) if received.size else None

    @property
    def min_delay(self) -> float | None:
        """Smallest delay in seconds; None when no packet arrives."""
        received = self._received()
        return float(received.min()) if received.size else None

    def quantile(self, q: float) -> float | None:
        """Delay in seconds that a share ``q`` (0..1) of the arriving packets doesn't exceed."""
        received = self._received()
        return float(np.quantile(received, q)) if received.size else None

    @property
    def reordered(self) -> int:
        """Packets that arrive before one sent earlier."""
        return self._reordered

    def _received(self) -> NDArray[np.float64]:
        return self._delays[~np.isnan(self._delays)]

    def _after_seam(self) -> NDArray[np.float64]:
        """Delays of the second round: none arrives before the last of the first round."""
        if self.reordered or np.isnan(self._delays).all():
            return self._delays
        latest = float(np.nanmax(self.send_times + self._delays)) - self.duration
        return np.maximum(self._delays, latest - self.send_times)


def _as_fates(delays: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(delay) else delay for delay in delays.tolist()]


def _sample(
    send: NDArray[np.float64], delays: NDArray[np.float64], step: float, interval: float
) -> NDArray[np.float64]:
    """Delays at multiples of ``interval``; ``send`` ascends from 0, about ``step`` apart."""
    length = (float(send[-1]) + step) / interval
    count = max(1, math.ceil(min(length, 2.0 * _MAX_PACKETS) - 1e-9))
    if count > _MAX_PACKETS:
        raise ConfigError(f"the trace is too long: it can't have more than {_MAX_PACKETS} packets")
    times = np.arange(count, dtype=np.float64) * interval
    received = ~np.isnan(delays)
    if not received.any():
        return np.full(count, np.nan)
    sampled = np.interp(times, send[received], delays[received])
    after = np.clip(np.searchsorted(send, times), 1, max(1, len(send) - 1))
    before = after - 1
    after = np.minimum(after, len(send) - 1)
    nearest = np.where(times - send[before] <= send[after] - times + 1e-9, before, after)
    return np.where(received[nearest], sampled, np.nan)


def _read(file: TextIO, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sending and arrival times in ms (NaN = lost), one item a packet."""
    reader = csv.reader(file)
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise MediaFileError(
            f"trace {path}, line 1: no column {' and '.join(missing)}; "
            f"the header must be {','.join(_COLUMNS)}"
        )
    columns = [header.index(name) for name in _COLUMNS]
    send: list[float] = []
    arrival: list[float] = []
    previous: int | None = None
    for row in reader:
        if not row:
            continue
        where = f"trace {path}, line {reader.line_num}"
        if len(row) <= max(columns):
            raise MediaFileError(f"{where}: {len(row)} fields instead of {len(header)}")
        sequence_text, send_text, arrival_text = (row[column].strip() for column in columns)
        sequence = _number(sequence_text, "seq", where)
        send_ms = _number(send_text, "send_ms", where)
        arrival_ms = math.nan
        if arrival_text.lower() not in ("", "nan"):
            arrival_ms = _number(arrival_text, "arrival_ms", where)
        if sequence != int(sequence):
            raise MediaFileError(f"{where}: seq must be a whole number, not {sequence_text!r}")
        if previous is not None:
            skipped = int(sequence) - previous - 1
            if skipped < 0:
                raise MediaFileError(f"{where}: seq must ascend; {sequence_text} follows {previous}")
            if send_ms < send[-1]:
                raise MediaFileError(
                    f"{where}: send_ms must not go back; it does by {send[-1] - send_ms:g} ms"
                )
            if len(send) + skipped >= _MAX_PACKETS:
                raise MediaFileError(f"{where}: a trace can't have more than {_MAX_PACKETS} packets")
            if skipped:
                send.extend(np.linspace(send[-1], send_ms, skipped + 2)[1:-1].tolist())
                arrival.extend([math.nan] * skipped)
        previous = int(sequence)
        send.append(send_ms)
        arrival.append(arrival_ms)
    if not send:
        raise MediaFileError(f"trace {path} has a header but no packets")
    return np.array(send), np.array(arrival)


def _number(text: str, column: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise MediaFileError(f"{where}: {column} must be a number, not {text!r}")
    return value
