"""When a datagram arrived: the kernel's word where it can be had, the event loop's otherwise.

A loop that is busy for 8 ms sees its datagrams 8 ms late; the kernel stamps them as the
network hands them over, within about 0.05 ms.
"""

import fcntl
import socket
import struct
import sys
import time
from typing import Protocol

__all__ = ["ArrivalClock"]

_SIOCGSTAMPNS = 0x8907
"""ioctl of Linux: receive time of the datagram last read from the socket (socket(7))."""
_TIMESPEC = struct.Struct("@ll")
_MAX_AGE = 5.0
"""Seconds a datagram may have waited; an older stamp means that the wall clock was set."""


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class ArrivalClock:
    """Arrival times of one peer's datagrams in seconds on ``time.monotonic``, never decreasing."""

    def __init__(self) -> None:
        self._last = 0.0
        self.kernel_stamps = 0
        """Datagrams whose time came from the kernel."""
        self.loop_stamps = 0
        """Datagrams whose time is that of the event loop."""

    def stamp(self, sock: socket.socket | _HasFileno | None) -> float:
        """Return the arrival time of the datagram just read from `sock`; None: no socket to ask."""
        now = time.monotonic()
        age = None if sock is None else _kernel_age(sock)
        if age is None:
            self.loop_stamps += 1
            arrival = now
        else:
            self.kernel_stamps += 1
            arrival = now - age
        # Two sockets, or a wall clock being slewed, must not make time run backwards.
        self._last = max(self._last, arrival)
        return self._last


def _kernel_age(sock: socket.socket | _HasFileno) -> float | None:
    """Return how long ago the kernel received the last datagram, in seconds; None when it can't tell."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        # The first request switches stamping on and fails with ENOENT.
        stamp = fcntl.ioctl(sock.fileno(), _SIOCGSTAMPNS, bytes(_TIMESPEC.size))
    except OSError:
        return None
    seconds, nanoseconds = _TIMESPEC.unpack(stamp)
    age = time.time() - (seconds + nanoseconds * 1e-9)
    return age if 0.0 <= age <= _MAX_AGE else None
