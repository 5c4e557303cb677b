"""What the next frame of media can be made of."""

from dataclasses import dataclass
from itertools import islice

from softphone.playout.buffer import PacketBuffer
from softphone.playout.frames import BufferedFrame, Source

__all__ = ["FrameSources", "find_sources"]

_DRED_LOOKAHEAD = 64
"""Later packets searched for DRED: more than the second that DRED can reach back."""

_MIN_STEP = 120
"""libopus conceals in steps of 2.5 ms; a smaller hole, or rest of a frame, is passed over."""


@dataclass(frozen=True, slots=True)
class FrameSources:
    """The frame at the play position and where its audio could come from."""

    timestamp: int
    """Extended timestamp of the frame, or of what is left of it."""
    samples: int
    """Media it spans, samples at 48 kHz; 0 for a hole too small to fill."""
    own: BufferedFrame | None
    """The packet itself or a whole copy of it. It begins before `timestamp` when it came so late that
    its beginning has been guessed."""
    lbrr: BufferedFrame | None
    """The next packet, when it holds in-band FEC for this frame."""
    dred: BufferedFrame | None
    """The nearest later packet whose DRED reaches back to this frame."""
    next: BufferedFrame | None
    """The next packet held after this frame."""
    silent: bool = False
    """`dred` does not describe the frame but says that the sender was silent then."""

    @property
    def gap(self) -> int | None:
        """Samples from `timestamp` to the first that is held; None when nothing is."""
        if self.own is not None:
            return 0
        return None if self.next is None else self.next.timestamp - self.timestamp

    def available(self) -> tuple[Source, ...]:
        """All sources, best first; always ends with PLC."""
        found: list[Source] = []
        if self.own is not None:
            found.append(Source.RED if self.own.redundancy else Source.REGULAR)
        if self.lbrr is not None:
            found.append(Source.LBRR)
        if self.dred is not None:
            found.append(Source.DRED)
        found.append(Source.PLC)
        return tuple(found)


def find_sources(buffer: PacketBuffer, position: int, frame_samples: int) -> FrameSources:
    """Look for everything that could fill the frame at ``position``.

    ``frame_samples`` is the length to assume for a frame that is missing; a packet that
    begins sooner cuts it short. LBRR is offered for the last missing frame before a
    packet only, which is the one it describes; the regular frames after it then start
    from a better decoder state than after DRED.
    """
    own = buffer.get(position)
    if own is None:
        own = buffer.begun(position)
    if own is not None and own.end - position >= _MIN_STEP:
        return FrameSources(position, own.end - position, own, None, None, next(buffer.after(position), None))
    later = next(buffer.after(position), None)
    if later is None:
        return FrameSources(position, frame_samples, None, None, None, None)
    gap = later.timestamp - position
    # What was begun is finished first, so that the last missing frame is whole for LBRR.
    begun = gap % frame_samples
    samples = begun if begun >= _MIN_STEP else min(frame_samples, gap)
    samples -= samples % _MIN_STEP
    lbrr = later if later.lbrr and samples == gap and gap >= _lbrr_span(later) else None
    dred = None
    for frame in islice(buffer.after(position), _DRED_LOOKAHEAD):
        if frame.dred_reach >= frame.timestamp - position:
            dred = frame
            break
    silent = dred is not None and dred.timestamp - position - samples < dred.dred_end
    return FrameSources(position, samples, None, lbrr, dred, later, silent)


def _lbrr_span(frame: BufferedFrame) -> int:
    """Smallest hole that in-band FEC of a packet can fill: one of its Opus frames."""
    return min(frame.samples, 2880)
