"""Network namespaces of Linux, each with an event loop of its own in this process."""

import asyncio
import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


def obstacle(*programs: str) -> str | None:
    """Why namespaces can't be used here; None when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", *programs):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    name = f"probe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespaces: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return None


class Namespace:
    """A network namespace; close it to remove it with everything in it."""

    def __init__(self, label: str) -> None:
        self.name = f"sp{os.getpid()}-{next(_numbers)}-{label}"
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        _run("ip", "netns", "add", self.name)
        self.ip("link set lo up")

    def ip(self, *commands: str) -> None:
        """Run commands of ``ip`` inside."""
        batch = "\n".join(commands)
        _run("ip", "-n", self.name, "-batch", "-", text=batch)

    def nft(self, rules: str) -> None:
        """Load rules of nftables."""
        _run("ip", "netns", "exec", self.name, "nft", "-f", "-", text=rules)

    def sysctl(self, setting: str) -> None:
        _run("ip", "netns", "exec", self.name, "sysctl", "-qw", setting)

    def start(self, *command: str, **options: Any) -> "subprocess.Popen[bytes]":
        """Start a program inside; it is ended when the namespace is closed."""
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *command], **options)
        self._processes.append(process)
        return process

    def call(self, function: Callable[[], T]) -> T:
        """Run a function inside, in a thread of its own."""
        result: Future[T] = Future()

        def body() -> None:
            try:
                _enter(self.name)
                result.set_result(function())
            except BaseException as error:
                result.set_exception(error)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        return result.result()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the event loop of the namespace; its sockets are opened inside."""
        if self._loop is None:
            ready = threading.Event()
            self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
            self._thread.start()
            assert ready.wait(5)
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """As `submit`, awaited from another event loop."""
        return await asyncio.wrap_future(self.submit(work))

    def close(self) -> None:
        """End its programs and its event loop, and remove it. Idempotent."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop = None
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)

    def _serve(self, ready: threading.Event) -> None:
        _enter(self.name)
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._loop.call_soon(ready.set)
            self._loop.run_forever()


@contextlib.contextmanager
def namespaces(*labels: str) -> Iterator[tuple[Namespace, ...]]:
    """Several at a time."""
    with contextlib.ExitStack() as stack:
        made = []
        for label in labels:
            made.append(Namespace(label))
            stack.callback(made[-1].close)
        yield tuple(made)


def join(one: Namespace, other: Namespace, names: tuple[str, str]) -> None:
    """Connect two namespaces by a cable (veth) with a plug of that name in each."""
    _run(
        *f"ip -n {one.name} link add {names[0]} type veth peer name {names[1]} netns {other.name}".split(),
    )


def _enter(name: str) -> None:
    """Move the calling thread, and the threads it will start, into a namespace."""
    descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


def _run(*command: str, text: str | None = None) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{text or ''}\n{done.stderr}"
