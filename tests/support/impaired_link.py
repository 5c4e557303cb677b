"""A bad network between network namespaces, in user space: no module of the kernel is needed.

Each node is a namespace with one TUN device. A process of its own reads them all, lets
the emulator of `softphone.sim.network` decide, and writes each packet into the device of
its receiver when its time has come::

    node a --- up of a ---> switch --- down of b ---> node b

The k-th media packet of a direction meets the same fate in each run with the same seed,
whatever STUN, RTCP and signalling do. A machine that stands still delays packets too:
`Report.void` says when a run is worth nothing because of that.
"""

import array
import contextlib
import ctypes
import fcntl
import gc
import heapq
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Any

import numpy as np

from softphone.sim.network import NetworkEmulator, parse_profile
from tests.support.namespaces import Namespace

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_PR_SET_TIMERSLACK = 29
_RTCP_TYPES = range(192, 224)
_VOID_P99, _VOID_MOST = 0.005, 0.05
"""Lateness in seconds from which a run is void: one packet in a hundred, and any."""


@dataclass(frozen=True, slots=True)
class Profiles:
    """What happens to the packets of a node, as :func:`softphone.sim.presets.parse_profile` reads it."""

    up: str = ""
    down: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a run."""

    passed: int = 0
    """Packets written into a device."""
    lost: dict[str, int] = field(default_factory=dict)
    """Packets lost on purpose, by node and direction: ``a up``."""
    late_p99: float = 0.0
    """Seconds by which packets left after their time, 99 of 100 less."""
    late_most: float = 0.0

    @property
    def void(self) -> str | None:
        """Why the run says nothing about what was tested; None for a good one."""
        if self.late_p99 > _VOID_P99 or self.late_most > _VOID_MOST:
            return (
                f"the machine stood still: packets were up to {1000 * self.late_most:.0f} ms late "
                f"(p99 {1000 * self.late_p99:.1f} ms)"
            )
        return None


class ImpairedLink:
    """A context manager: ``with ImpairedLink({"a": Profiles(up="loss=20"), "b": Profiles()}) as link``."""

    def __init__(self, profiles: Mapping[str, Profiles], *, seed: int = 0) -> None:
        for profile in profiles.values():
            parse_profile(profile.up)
            parse_profile(profile.down)
        self._profiles = dict(profiles)
        self._seed = seed
        self.nodes: dict[str, Namespace] = {}
        self._stack = contextlib.ExitStack()

    def address(self, node: str) -> str:
        """IPv4 address of a node."""
        return f"10.90.0.{1 + list(self._profiles).index(node)}"

    def __enter__(self) -> "ImpairedLink":
        with contextlib.ExitStack() as stack:
            devices = []
            for name in self._profiles:
                self.nodes[name] = node = Namespace(name)
                stack.callback(node.close)
                devices.append(node.call(_open_device))
                stack.callback(os.close, devices[-1])
                node.ip(
                    f"addr add {self.address(name)}/24 dev link0",
                    "link set link0 mtu 1400 txqueuelen 5000 up",
                    "route add default dev link0",
                )
            ours, theirs = socket.socketpair()
            stack.callback(ours.close)
            settings = {
                "seed": self._seed,
                "devices": devices,
                "nodes": [{"address": self.address(n), **asdict(p)} for n, p in self._profiles.items()],
            }
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(theirs.fileno()), json.dumps(settings)],
                    pass_fds=[theirs.fileno(), *devices],
                )
            stack.callback(_end, process)
            self._control = ours.makefile("rw")
            stack.callback(self._control.close)
            assert self._control.readline() == "ready\n"
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def change(self, node: str, direction: str, profile: str) -> None:
        """From now on this profile holds; `direction`: ``up`` or ``down``."""
        self._ask({"node": list(self._profiles).index(node), "direction": direction, "profile": profile})

    def report(self) -> Report:
        """What has happened so far."""
        report = Report(**self._ask({}))
        names = list(self._profiles)
        lost = {f"{names[int(k)]} {way}": n for key, n in report.lost.items() for k, way in [key.split()]}
        return replace(report, lost=lost)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self._control.write(json.dumps(question) + "\n")
        self._control.flush()
        answer: dict[str, Any] = json.loads(self._control.readline())
        return answer


def _open_device() -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"link0", _IFF_TUN | _IFF_NO_PI))
    return device


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(5)


# -- the process between the devices


class _Switch:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._seed = settings["seed"]
        self._devices: list[int] = settings["devices"]
        nodes = settings["nodes"]
        self._nodes = {socket.inet_aton(node["address"]): k for k, node in enumerate(nodes)}
        self._pipes = {
            (k, direction): self._pipe(k, direction, node[direction])
            for k, node in enumerate(nodes)
            for direction in ("up", "down")
        }
        self._flows: list[dict[bytes, str]] = [{} for _ in nodes]
        self._queue: list[tuple[float, int, int, bytes, str, bool]] = []
        self._order = 0
        self._passed = 0
        self._late = array.array("d")

    def serve(self, control: socket.socket) -> None:
        """Run until the other end of `control` closes."""
        control.sendall(b"ready\n")
        received = b""
        while True:
            self._deliver()
            # Half a second would do for the control socket; the next packet may be due earlier.
            due = self._queue[0][0] - time.monotonic() if self._queue else 0.5
            readable, _, _ = select.select([*self._devices, control], [], [], min(max(due, 0.0), 0.5))
            for ready in readable:
                if ready is not control:
                    self._take(self._devices.index(ready))
                    continue
                chunk = control.recv(65_536)
                if not chunk:
                    return
                *lines, received = (received + chunk).split(b"\n")
                for line in lines:
                    control.sendall(json.dumps(self._answer(json.loads(line))).encode() + b"\n")

    def _pipe(self, node: int, direction: str, profile: str) -> NetworkEmulator:
        return NetworkEmulator(parse_profile(profile), self._seed, direction=f"{node} {direction}")

    def _take(self, node: int) -> None:
        for _ in range(32):
            try:
                packet = os.read(self._devices[node], 65_536)
            except OSError:
                return
            now = time.monotonic()
            receiver = self._nodes.get(packet[16:20]) if packet and packet[0] >> 4 == 4 else None
            if receiver is None or receiver == node:
                continue
            flow = self._flow(node, packet)
            for arrival in self._pipes[node, "up"].send(now, len(packet), flow):
                self._put(arrival, receiver, packet, flow, final=False)

    def _deliver(self) -> None:
        while self._queue and self._queue[0][0] <= time.monotonic():
            due, _, receiver, packet, flow, final = heapq.heappop(self._queue)
            if final:
                with contextlib.suppress(OSError):
                    os.write(self._devices[receiver], packet)
                self._late.append(time.monotonic() - due)
                self._passed += 1
            else:
                for arrival in self._pipes[receiver, "down"].send(due, len(packet), flow):
                    self._put(arrival, receiver, packet, flow, final=True)

    def _put(self, due: float, receiver: int, packet: bytes, flow: str, *, final: bool) -> None:
        self._order += 1
        heapq.heappush(self._queue, (due, self._order, receiver, packet, flow, final))

    def _flow(self, node: int, packet: bytes) -> str:
        """Name the flow: the first, second... stream of RTP that the node sends, RTCP, or the rest."""
        start = (packet[0] & 15) * 4 + 8
        if packet[9] != socket.IPPROTO_UDP or len(packet) < start + 12 or not 128 <= packet[start] <= 191:
            return "other"
        if packet[start + 1] in _RTCP_TYPES:
            return "rtcp"
        flows = self._flows[node]
        return flows.setdefault(packet[start + 8 : start + 12], f"media {len(flows)}")

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        if question:
            node, direction = question["node"], question["direction"]
            self._pipes[node, direction] = self._pipe(node, direction, question["profile"])
        late = np.frombuffer(self._late) if self._late else np.zeros(1)
        return asdict(
            Report(
                passed=self._passed,
                lost={f"{node} {direction}": _lost(pipe) for (node, direction), pipe in self._pipes.items()},
                late_p99=float(np.quantile(late, 0.99)),
                late_most=float(late.max()),
            )
        )


def _lost(pipe: NetworkEmulator) -> int:
    return pipe.statistics.lost + pipe.statistics.outage_lost + pipe.statistics.queue_lost


def main(descriptor: str, settings: str) -> None:
    """The process between the devices."""
    gc.disable()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    with socket.socket(fileno=int(descriptor)) as control, contextlib.suppress(KeyboardInterrupt):
        _Switch(json.loads(settings)).serve(control)


if __name__ == "__main__":
    main(*sys.argv[1:])
