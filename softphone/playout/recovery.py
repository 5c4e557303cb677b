"""Late recovery: going back to words that were concealed because nothing had come yet.

After a stall, or a burst of losses longer than the delay, the words are in the packets
that come next: in the late packets themselves, or in the DRED of the first one. By then the
listener has heard a guess and then silence. The engine can go on, and the words are lost; or
go back to where the hole began, play the words late, and catch up afterwards.
"""

import math

from softphone.playout.buffer import PacketBuffer
from softphone.rtp.packet import OPUS_CLOCK_RATE

__all__ = ["Hole"]

_STEP = 480
_MEMORY = 2 * OPUS_CLOCK_RATE
"""Words older than this nobody wants to hear any more; samples."""


class Hole:
    """The run of concealment at the play position, and what could still be made of it."""

    def __init__(self) -> None:
        self._begin: int | None = None

    def extend(self, timestamp: int) -> None:
        """The media at ``timestamp`` was concealed."""
        if self._begin is None:
            self._begin = timestamp

    def close(self) -> None:
        """Speech was heard, or the sender is silent: nobody goes back beyond this."""
        self._begin = None

    def oldest(self, position: int) -> int:
        """The first media that may still be wanted, given the play position."""
        return position if self._begin is None else max(self._begin, position - _MEMORY)

    def recoverable(self, buffer: PacketBuffer, position: int, room: float) -> float:
        """Seconds before ``position`` to go back to where what is held begins, whole steps of 10 ms.

        At most ``room`` seconds; 0 when nothing is held that describes so late a part of the hole.
        """
        begin = self.oldest(position)
        if begin == position:
            return 0.0
        first = max(begin, position - math.floor(room * OPUS_CLOCK_RATE + 0.5))
        described = (
            max(first, frame.timestamp - frame.dred_reach)
            for frame in buffer.after(begin - 1)
            if frame.end > first
        )
        back = position - min(described, default=position)
        return max(0, back) // _STEP * _STEP / OPUS_CLOCK_RATE
