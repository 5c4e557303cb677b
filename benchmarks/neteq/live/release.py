"""Process that releases ready-made datagrams at given times, and notes how late each was.

    python release.py SOCKET_FD HOST PORT DATAGRAMS LATENESS

``DATAGRAMS`` holds records of time (double, seconds on the monotonic clock), packet number
and length (32-bit), and the bytes; ``LATENESS`` gets packet number and seconds. On its own,
so that neither recording nor the interpreter lock of the parent disturbs it.
"""

import ctypes
import os
import socket
import struct
import sys
import time
from pathlib import Path

RECORD = struct.Struct("<dII")
LATENESS = struct.Struct("<Id")

_PRIORITY = 50
_CURRENT_AND_FUTURE = 3


def _hold_still() -> None:
    """Stay in memory and ahead of everybody else, as far as the system allows."""
    try:
        ctypes.CDLL(None).mlockall(_CURRENT_AND_FUTURE)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except (AttributeError, OSError):
        pass


def main() -> None:
    """Release everything, then write the lateness."""
    descriptor, host, port, datagrams, lateness = sys.argv[1:]
    data = Path(datagrams).read_bytes()
    packets, position = [], 0
    while position < len(data):
        due, number, length = RECORD.unpack_from(data, position)
        position += RECORD.size
        packets.append((due, number, data[position : position + length]))
        position += length
    address = (host, int(port))
    sock = socket.socket(fileno=int(descriptor))
    late = []
    _hold_still()
    for due, number, datagram in packets:
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        try:
            sock.sendto(datagram, address)
        except BlockingIOError:
            continue  # missing in the list: counts as an endless delay
        late.append(LATENESS.pack(number, time.monotonic() - due))
    sock.detach()
    Path(lateness).write_bytes(b"".join(late))


if __name__ == "__main__":
    main()
