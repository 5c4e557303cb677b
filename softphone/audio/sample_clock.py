"""When does sample number n pass the sound card? A line fitted through noisy callback times.

Sans-I/O. Callbacks come late by whatever the scheduler likes and often two at once; the
card itself runs smoothly, a few ppm beside the nominal rate. So the times reported with
the callbacks are filtered by an expanding-memory fit of time over position (each new
point weighs what it would in a least-squares line), whose memory stops growing at
`memory` points: from there on it is a g-h filter with fixed gains.
"""

__all__ = ["SampleClock", "glide"]

MAX_RATE_ERROR = 1e-3
"""Largest relative deviation from the nominal rate that is believed; crystals keep 1e-4."""

MAX_GLIDE = 0.005
"""Seconds by which one block's time may differ from the end of the block before."""
MAX_GAP = 0.200
"""Seconds off from which on a time is taken as it is: the stream was interrupted."""


def glide(expected: float, measured: float) -> float:
    """The time of a block: where the one before ended (`expected`), drawn towards `measured`.

    So the times of an uninterrupted stream always grow, though a card learns its latency
    only from its first callbacks.
    """
    error = measured - expected
    if abs(error) > MAX_GAP:
        return measured
    return expected + min(max(error, -MAX_GLIDE), MAX_GLIDE)


class SampleClock:
    """Maps a position in samples to seconds."""

    def __init__(self, sample_rate: int, *, memory: int = 512, resync: float = 0.050) -> None:
        """
        Args:
            sample_rate: nominal rate in Hz.
            memory: callbacks that the fit remembers; 512 of 10 ms are about five seconds.
            resync: a callback further than this from the line (seconds) means that the card
                stopped in between: the line starts anew there.
        """
        self._nominal = 1.0 / sample_rate
        self._memory = memory
        self._resync = resync
        self.resyncs = 0
        """Times the line was started anew because the card had jumped."""
        self.reset()

    def reset(self) -> None:
        """Forget everything: the stream was opened anew."""
        self._points = 0
        self._position = 0.0
        self._time = 0.0
        self._period = self._nominal

    @property
    def known(self) -> bool:
        """True once there is at least one point."""
        return self._points > 0

    @property
    def rate_error_ppm(self) -> float:
        """How much faster than nominal the card runs against the time given, in ppm."""
        return (self._nominal / self._period - 1.0) * 1e6

    def update(self, position: float, time: float) -> None:
        """Learn that sample `position` passed the card at about `time` (seconds).

        Positions must grow from call to call; one that does not is ignored.
        """
        if self._points == 0:
            self._anchor(position, time)
            return
        step = position - self._position
        if step <= 0:
            return
        predicted = self._time + step * self._period
        error = time - predicted
        if abs(error) > self._resync:
            self.resyncs += 1
            self._anchor(position, time)
            return
        n = self._points = min(self._points + 1, self._memory)
        position_gain = 2.0 * (2 * n - 1) / (n * (n + 1))
        period_gain = 6.0 / (n * (n + 1))
        self._position = position
        self._time = predicted + position_gain * error
        period = self._period + period_gain * error / step
        slowest, fastest = self._nominal * (1 + MAX_RATE_ERROR), self._nominal * (1 - MAX_RATE_ERROR)
        self._period = min(max(period, fastest), slowest)

    def time_at(self, position: float) -> float:
        """Seconds at which sample `position` passes, past or future. Needs `known`."""
        return self._time + (position - self._position) * self._period

    def _anchor(self, position: float, time: float) -> None:
        """Start a line here, at the rate learnt so far."""
        self._points = 1
        self._position = position
        self._time = time
