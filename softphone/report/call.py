"""Everything a report on a finished call is made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from softphone.audio.stream import Pcm
from softphone.playout.trace import TraceRecord
from softphone.report.summary import CallSummary
from softphone.sending import PlanRecord

__all__ = ["CallReport"]


@dataclass(frozen=True, slots=True)
class CallReport:
    """The pieces of a finished call. Audio is mono float32 at 48 kHz."""

    summary: CallSummary
    """The numbers."""
    sent: Pcm
    """What was said, shape (n,)."""
    heard: Pcm
    """What was heard, shape (m,)."""
    trace: Sequence[TraceRecord]
    """What the playout core did, in order; its times are on one clock with the starts below, its
    timestamps count from the first sample of `sent`."""
    plc_only: Pcm | None = None
    """What the same packets give with concealment alone, aligned with `heard`; None: not made."""
    sent_start: float = 0.0
    """When the first sample of `sent` was captured, seconds."""
    heard_start: float = 0.0
    """When the first sample of `heard` was heard, seconds on the same clock."""
    lost: Sequence[float] | None = None
    """When the audio in each lost packet was captured (its first sample), seconds on the
    same clock; None: not known, nothing is marked."""
    loss_bursts: Sequence[int] = ()
    """Lengths of the runs of consecutive lost packets, in packets."""
    plans: Sequence[PlanRecord] = ()
    """Changes of what was sent, on the same clock; empty: not known, no rate is drawn."""
    link: Sequence[tuple[float, float | None]] = ()
    """Rate of the bottleneck in bit/s, headers included, from each time on (seconds on the same
    clock); None: not limited. Empty: there is none, or it isn't known."""
    title: str = "Call"
    """Heading of the page."""
    subtitle: str = ""
    """One line below it: input, network, settings."""
    notes: Sequence[str] = field(default_factory=tuple)
    """Sentences for the reader, shown below the table."""
