"""What the network does to each packet: seven named schedules, or traces from files.

A schedule gives every 20 ms packet a one-way delay or loses it, whatever is in it, so that
every system and every encoding meets the same network.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigError
from softphone.sim.trace import DEFAULT_INTERVAL, PacketTrace

__all__ = ["SCHEDULES", "Schedule", "generate", "select"]

FREE_SECONDS = 1.0
"""Nothing happens to the first packets: every receiver starts on a clean network."""

_PER_SECOND = round(1 / DEFAULT_INTERVAL)

Delays = NDArray[np.float64]
"""One-way delay of each packet in seconds, NaN = lost; shape (n,)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A network under a name."""

    name: str
    trace: PacketTrace

    @property
    def kind(self) -> str:
        """The name without its seed: ``rand10`` of ``rand10_s2``."""
        stem, _, seed = self.name.rpartition("_s")
        return stem if stem and seed.isdigit() else self.name

    def fate(self, number: int) -> float | None:
        """One-way delay of 20 ms packet ``number`` in seconds; None when it is lost."""
        return self.trace.fate(number)

    def arrivals(self, packets: int) -> list[float]:
        """When the packets that arrive do so, seconds after the speaker began, ascending."""
        fates = ((number, self.trace.fate(number)) for number in range(packets))
        return sorted((number + 1) * DEFAULT_INTERVAL + fate for number, fate in fates if fate is not None)

    def lost(self, first: int, last: int) -> float:
        """Share of the packets from ``first`` up to ``last`` that are lost, 0..1."""
        return sum(self.trace.fate(number) is None for number in range(first, last)) / max(1, last - first)


def _clean(rng: np.random.Generator, packets: int) -> Delays:
    """Nothing happens."""
    return np.zeros(packets)


def _random(loss: float) -> Callable[[np.random.Generator, int], Delays]:
    def delays(rng: np.random.Generator, packets: int) -> Delays:
        return np.where(rng.random(packets) < loss, np.nan, 0.0)

    return delays


def _gilbert(loss: float, burst: float) -> Callable[[np.random.Generator, int], Delays]:
    """Two states, one of which loses everything; ``burst`` is its mean length in packets."""

    def delays(rng: np.random.Generator, packets: int) -> Delays:
        leave = 1 / burst
        enter = leave * loss / (1 - loss)
        values = np.zeros(packets)
        bad = False
        for number, chance in enumerate(rng.random(packets)):
            bad = chance >= leave if bad else chance < enter
            if bad:
                values[number] = np.nan
        return values

    return delays


def _jitter(rng: np.random.Generator, packets: int) -> Delays:
    """Each packet 0 to 80 ms, independently, so that they overtake each other; 5 % lost."""
    return np.where(rng.random(packets) < 0.05, np.nan, rng.uniform(0.0, 0.080, packets))


def _outages(rng: np.random.Generator, packets: int) -> Delays:
    """In every 5 s an outage of 400 ms, anywhere but in the first and the last half second."""
    values = np.zeros(packets)
    period, length, margin = 5 * _PER_SECOND, round(0.4 * _PER_SECOND), _PER_SECOND // 2
    for start in range(0, packets, period):
        begin = start + int(rng.integers(margin, period - length - margin))
        values[begin : begin + length] = np.nan
    return values


def _spikes(rng: np.random.Generator, packets: int) -> Delays:
    """Every 2.5 to 5 s a stall of 150 to 350 ms, whose packets then come at once.

    Every packet has exponential jitter of 5 ms in the mean on top.
    """
    sent = np.arange(packets) * DEFAULT_INTERVAL
    values = np.zeros(packets)
    begin = rng.uniform(2.5, 5.0)
    while begin < sent[-1]:
        end = begin + rng.uniform(0.150, 0.350)
        held = (sent >= begin) & (sent < end)
        values[held] = end - sent[held]
        begin = end + rng.uniform(2.5, 5.0)
    return values + rng.exponential(0.005, packets)


SCHEDULES: dict[str, Callable[[np.random.Generator, int], Delays]] = {
    "clean": _clean,
    "rand10": _random(0.10),
    "ge20b3": _gilbert(0.20, 3.0),
    "ge30b6": _gilbert(0.30, 6.0),
    "jit80l5": _jitter,
    "out400": _outages,
    "spike": _spikes,
}
"""The named schedules: no loss; 10 % random; 20 % and 30 % in bursts of 3 and 6 packets;
jitter of 80 ms with 5 % loss; outages of 400 ms; delay spikes of 150 to 350 ms."""


def generate(name: str, seed: int, packets: int) -> Schedule:
    """The schedule ``name`` for ``packets`` packets. Raises :class:`ConfigError` for an unknown name."""
    try:
        draw = SCHEDULES[name]
    except KeyError:
        known = ", ".join(SCHEDULES)
        raise ConfigError(f"there is no schedule {name!r}; choose of {known}, or give a CSV file") from None
    delays = draw(np.random.default_rng([seed, zlib.crc32(name.encode())]), packets)
    delays[: round(FREE_SECONDS * _PER_SECOND)] = 0.0
    return Schedule(f"{name}_s{seed}", PacketTrace(delays))


def select(wanted: Sequence[str], seeds: Sequence[int], packets: int, match: str = "") -> list[Schedule]:
    """Schedules by what the user named: ``rand10``, ``rand10_s2``, a CSV file or a folder of them.

    ``wanted`` empty: all named ones. A bare name is made with each of ``seeds``, ``clean``
    once. Only names that contain ``match`` are returned. Raises :class:`ConfigError` for
    an unknown name and :class:`softphone.errors.MediaFileError` for an unusable file.
    """
    schedules: list[Schedule] = []
    for word in wanted or SCHEDULES:
        path = Path(word)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*.csv") if file.name != "MANIFEST.csv")
            schedules += [Schedule(file.stem, PacketTrace.load(file)) for file in files if match in file.stem]
            continue
        if path.suffix == ".csv":
            schedules.append(Schedule(path.stem, PacketTrace.load(path)))
            continue
        name, _, seed = word.rpartition("_s")
        if seed.isdigit() and name:
            schedules.append(generate(name, int(seed), packets))
        else:
            schedules += [generate(word, s, packets) for s in (seeds[:1] if word == "clean" else seeds)]
    chosen = [schedule for schedule in schedules if match in schedule.name]
    if not chosen:
        raise ConfigError("no schedule is left; give other --schedules or another --match")
    # In the order of the table, whatever the file system says.
    order = list(SCHEDULES)
    return sorted(chosen, key=lambda s: order.index(s.kind) if s.kind in order else len(order))
