"""How late each packet is, measured against the fastest ones.

A receiver can't know the one-way delay, because the two clocks share no zero. What it
can know is each packet's transit time (arrival minus media time, RFC 3550, section
6.4.1) relative to the smallest one seen lately: the relative delay that decides how
long a jitter buffer must hold packets.
"""

from collections import deque
from collections.abc import Iterator

from softphone.playout.frames import BufferedFrame
from softphone.rtp.packet import OPUS_CLOCK_RATE

__all__ = ["RepairWatch", "TransitClock", "WindowMinimum"]


class WindowMinimum:
    """Smallest value of the last ``window`` seconds, in constant time per value."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._values: deque[tuple[float, float]] = deque()

    def add(self, at: float, value: float) -> float:
        """Take in a value; returns the minimum, the new value included."""
        values = self._values
        while values and values[-1][1] >= value:
            values.pop()
        values.append((at, value))
        while values[0][0] < at - self._window:
            values.popleft()
        return values[0][1]


class TransitClock:
    """Relates media time to arrival time.

    ``window`` (s) is the memory of `base`, the reference of relative delays; NetEq uses
    2 s too. ``long_window`` (s) is that of the empty network: long enough to outlive
    congestion, short enough for drifting clocks.
    """

    LATE_RUN = 0.5
    """Seconds of nothing but late packets after which `base` begins anew: they come by a longer path,
    or the sender's clock stood still for a while, and by the old path none will come soon."""

    def __init__(self, window: float = 2.0, long_window: float = 60.0) -> None:
        self._window = window
        self._late_since: float | None = None
        self._transit = WindowMinimum(window)
        self._travel = WindowMinimum(window)
        self._shortest_travel = WindowMinimum(long_window)
        self.base = 0.0
        """Smallest transit time of the last `window` seconds, seconds."""
        self.congestion = 0.0
        """How much longer the fastest packet of the last `window` seconds travelled than that of
        the last `long_window`, seconds; from the end of its media on, so that longer packets are
        no congestion."""

    def update(self, timestamp: int, samples: int, arrival: float, *, late: bool = False) -> float:
        """Take in a packet with ``samples`` of media; returns its relative delay in seconds, >= 0.

        ``late`` says that its time to be played had passed.
        """
        self._watch(arrival, late=late)
        transit = arrival - timestamp / OPUS_CLOCK_RATE
        travel = transit - samples / OPUS_CLOCK_RATE
        self.base = self._transit.add(arrival, transit)
        self.congestion = self._travel.add(arrival, travel) - self._shortest_travel.add(arrival, travel)
        return transit - self.base

    def network(self, path_delay: float, max_delay: float) -> float:
        """What of the network's delay counts against ``max_delay`` from mouth to ear, seconds.

        ``path_delay`` is that of the empty network. However long the network takes, half of the limit
        is left to the buffer: without, everything would come too late and nothing be heard at all.
        """
        return min(path_delay + self.congestion, max_delay / 2)

    def delay(self, timestamp: int, now: float) -> float:
        """Delay above `base` of media played at `now`, seconds; below 0 when not yet possible."""
        return now - timestamp / OPUS_CLOCK_RATE - self.base

    def _watch(self, arrival: float, *, late: bool) -> None:
        if not late:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = arrival
        elif arrival - self._late_since >= self.LATE_RUN:
            self._late_since = None
            self._transit, self._travel = WindowMinimum(self._window), WindowMinimum(self._window)


class RepairWatch:
    """Notices lost frames, and when what repairs them comes.

    A loss that the next packet can repair is nothing else than a frame that comes one
    packet later: the delay it needs is told to the policy like any other delay.
    """

    MAX_HOLES = 64

    def __init__(self) -> None:
        self._sequence: int | None = None
        self._end = 0

    def update(self, frame: BufferedFrame, relative_delay: float) -> Iterator[float]:
        """Take in a primary frame; yields the relative delay of each lost frame it repairs."""
        expected, end = self._sequence, self._end
        if expected is not None and frame.sequence < expected:
            return
        self._sequence, self._end = frame.sequence + 1, frame.end
        if expected is None or frame.sequence == expected:
            return
        lost = frame.sequence - expected
        gap = frame.timestamp - end
        # Media that does not match the sequence numbers is a pause of the sender, not loss.
        if lost > self.MAX_HOLES or gap != lost * frame.samples:
            return
        for back in range(lost, 0, -1):
            distance = back * frame.samples
            if frame.dred_reach >= distance or (back == 1 and frame.lbrr) or distance in frame.copies:
                yield relative_delay + distance / OPUS_CLOCK_RATE
