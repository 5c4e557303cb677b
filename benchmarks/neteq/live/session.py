"""A few calls at a time: connect, release the packets, take what was played, look for stalls."""

import asyncio
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.neteq.live.receivers import Captured, Receiver
from benchmarks.neteq.live.sender import LiveSender, Release
from benchmarks.neteq.reference import Reference
from benchmarks.neteq.schedules import Schedule
from benchmarks.neteq.streams import Stream

__all__ = ["CONNECT_SECONDS", "LiveCall", "LiveResult", "hold_calls"]

CONNECT_SECONDS = 5.0
"""What a batch takes besides the speech, about."""

_LATE = 0.010
_GAP = 0.035
_LEAD = 1.0
_AFTER = 1.2
_STAGGER = 0.0043
"""Seconds between the beginnings of calls held together: their packets need not meet."""


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call to hold."""

    stream: Stream
    schedule: Schedule
    receiver: Receiver


@dataclass(frozen=True, slots=True)
class LiveResult:
    """What came of it."""

    captured: Captured
    release: Release
    stalls: list[float]
    """When the machine stood still: a packet left more than 10 ms late, or the output did not
    ask for more than 35 ms. Seconds after the speaker began."""


async def hold_calls(reference: Reference, calls: Sequence[LiveCall]) -> list[LiveResult]:
    """Hold all ``calls`` at the same time, each with a sender of its own.

    Raises :class:`softphone.errors.RemoteError` when one can't be connected.
    """
    async with contextlib.AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(LiveSender()) for _ in calls]
        for call in calls:
            stack.push_async_callback(call.receiver.close)
        await asyncio.gather(*(_connect(call, sender) for call, sender in zip(calls, senders, strict=True)))
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in calls]
        start = asyncio.get_running_loop().time() + _LEAD + 0.2 * len(calls)
        return await asyncio.gather(
            *(
                _hold(reference, call, sender, start + _STAGGER * number, folder)
                for number, (call, sender, folder) in enumerate(zip(calls, senders, folders, strict=True))
            )
        )


async def _connect(call: LiveCall, sender: LiveSender) -> None:
    await sender.connect(await call.receiver.answer(await sender.offer()))


async def _hold(
    reference: Reference, call: LiveCall, sender: LiveSender, began: float, folder: Path
) -> LiveResult:
    until = began + reference.seconds + _AFTER
    release, captured = await asyncio.gather(
        sender.release(call.stream, call.schedule, began, folder),
        call.receiver.capture(began, until, folder),
    )
    late = [at for at, seconds in release.late if seconds > _LATE]
    gaps = [before for before, after in pairwise(captured.pulls) if after - before > _GAP]
    return LiveResult(captured, release, sorted(late + gaps))
