"""Priority over everything else on the machine, where the system grants it.

A comparison of receivers is void while the machine stands still, so everything that takes
part runs under a real-time scheduler; children inherit it.
"""

import contextlib
import os
from collections.abc import Iterator

__all__ = ["RECEIVERS", "SENDER", "raise_priority", "real_time"]

RECEIVERS = 5
"""Priority of receivers and of the process that looks after them."""
SENDER = 50
"""Priority of the process that releases packets: it hardly computes and must be on time."""


def raise_priority(priority: int, *, preempt: bool = False) -> bool:
    """Put this process and its future children under a real-time scheduler.

    ``preempt``: first in, first out, instead of turns among equals. Returns False where
    the system does not allow it or knows no such thing.
    """
    try:
        policy = os.SCHED_FIFO if preempt else os.SCHED_RR
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except (AttributeError, OSError):
        return False
    return True


@contextlib.contextmanager
def real_time() -> Iterator[bool]:
    """Real-time priority inside the block, for what is started in it too; yields whether it was granted."""
    granted = raise_priority(RECEIVERS)
    try:
        yield granted
    finally:
        if granted:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
