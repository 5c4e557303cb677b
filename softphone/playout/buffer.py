"""The packets that have come and not been played, in media order."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from enum import Enum, auto

from softphone.playout.frames import BufferedFrame

__all__ = ["InsertResult", "PacketBuffer"]


class InsertResult(Enum):
    """What became of a frame given to the buffer."""

    ADDED = auto()
    UPGRADED = auto()
    """It replaced a worse copy of the same frame."""
    DUPLICATE = auto()
    """The same frame, at least as good, was there."""
    OVERFLOW = auto()
    """It lies further ahead than the buffer holds."""


class PacketBuffer:
    """Frames by extended timestamp.

    ``max_span`` bounds the media held, in samples at 48 kHz; it is a defence against a
    peer that floods, far beyond what any network delivers.
    """

    def __init__(self, max_span: int = 20 * 48_000) -> None:
        self._max_span = max_span
        self._frames: dict[int, BufferedFrame] = {}
        self._order: list[int] = []

    def __len__(self) -> int:
        return len(self._order)

    def insert(self, frame: BufferedFrame) -> InsertResult:
        """Hold a frame until it is played."""
        held = self._frames.get(frame.timestamp)
        if held is not None:
            if frame.redundancy >= held.redundancy:
                return InsertResult.DUPLICATE
            self._frames[frame.timestamp] = frame
            return InsertResult.UPGRADED
        if self._order and frame.end - self._order[0] > self._max_span:
            return InsertResult.OVERFLOW
        self._frames[frame.timestamp] = frame
        insort(self._order, frame.timestamp)
        return InsertResult.ADDED

    def get(self, timestamp: int) -> BufferedFrame | None:
        """The frame that begins exactly at `timestamp`."""
        return self._frames.get(timestamp)

    def begun(self, timestamp: int) -> BufferedFrame | None:
        """The frame that begins before `timestamp` and ends after it."""
        index = bisect_left(self._order, timestamp) - 1
        if index < 0:
            return None
        frame = self._frames[self._order[index]]
        return frame if frame.end > timestamp else None

    def first(self) -> BufferedFrame | None:
        """The earliest frame held."""
        return self._frames[self._order[0]] if self._order else None

    def last(self) -> BufferedFrame | None:
        """The latest frame held."""
        return self._frames[self._order[-1]] if self._order else None

    def after(self, timestamp: int) -> Iterator[BufferedFrame]:
        """Frames that begin after `timestamp`, earliest first."""
        for index in range(bisect_left(self._order, timestamp + 1), len(self._order)):
            yield self._frames[self._order[index]]

    def run_before(self, timestamp: int) -> list[BufferedFrame]:
        """Frames that follow each other without a hole and end at `timestamp`, earliest first."""
        run: list[BufferedFrame] = []
        for index in range(bisect_left(self._order, timestamp) - 1, -1, -1):
            frame = self._frames[self._order[index]]
            if frame.end != timestamp:
                break
            run.append(frame)
            timestamp = frame.timestamp
        return run[::-1]

    def drop_before(self, timestamp: int) -> int:
        """Forget frames that begin before `timestamp`; returns how many."""
        count = bisect_left(self._order, timestamp)
        for stale in self._order[:count]:
            del self._frames[stale]
        del self._order[:count]
        return count

    def contiguous_until(self, timestamp: int) -> int:
        """End of the media that is held without a hole from `timestamp` on."""
        begun = self.begun(timestamp)
        end = timestamp if begun is None or timestamp in self._frames else begun.end
        while (frame := self._frames.get(end)) is not None:
            end = frame.end
        return end

    def clear(self) -> None:
        """Forget everything."""
        self._frames.clear()
        self._order.clear()
