import asyncio
import socket
import sys
import time

import pytest

from softphone.webrtc import Peer
from softphone.webrtc.arrival import ArrivalClock
from tests.support.webrtc_calls import send_all, until

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernel stamps need Linux")


async def test_arrivals_are_monotonic_and_near_the_loops_time(pair: tuple[Peer, Peer]) -> None:
    caller, callee = pair
    seen: list[tuple[float, float]] = []
    callee.receiver.on_packet = lambda packet, arrival: seen.append((arrival, time.monotonic()))
    await send_all(caller, [b"x"] * 100)
    await until(lambda: len(seen) == 100)
    arrivals = [arrival for arrival, _ in seen]
    assert arrivals == sorted(arrivals)
    assert all(0 <= now - arrival < 0.5 for arrival, now in seen)


@linux_only
async def test_a_blocked_loop_does_not_spoil_them(pair: tuple[Peer, Peer]) -> None:
    caller, callee = pair
    seen: list[tuple[float, float]] = []
    await send_all(caller, [b"x"])
    callee.receiver.on_packet = lambda packet, arrival: seen.append((arrival, time.monotonic()))
    await send_all(caller, [b"x"], interval=0, first=1)
    await asyncio.sleep(0)  # the packet is in the kernel now
    sent = time.monotonic()
    time.sleep(0.06)  # noqa: ASYNC251
    await until(lambda: len(seen) == 1)
    arrival, handled = seen[0]
    assert handled - sent > 0.05
    assert arrival - sent < 0.03


@linux_only
def test_the_kernels_word_is_used_once_stamping_is_on() -> None:
    clock = ArrivalClock()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        clock.stamp(sock)
        assert (clock.kernel_stamps, clock.loop_stamps) == (0, 1)
        sock.sendto(b"x", sock.getsockname())
        sent = time.monotonic()
        time.sleep(0.03)
        sock.recv(10)
        assert clock.stamp(sock) == pytest.approx(sent, abs=0.01)
        assert (clock.kernel_stamps, clock.loop_stamps) == (1, 1)


def test_without_a_socket_it_is_now() -> None:
    clock = ArrivalClock()
    before = time.monotonic()
    assert before <= clock.stamp(None) <= time.monotonic()


@linux_only
def test_a_stamp_from_before_the_clock_was_set_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ArrivalClock()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        clock.stamp(sock)
        sock.sendto(b"x", sock.getsockname())
        sock.recv(10)
        later = time.time() + 3600
        monkeypatch.setattr(time, "time", lambda: later)
        assert clock.stamp(sock) == pytest.approx(time.monotonic(), abs=0.05)
    assert clock.kernel_stamps == 0
