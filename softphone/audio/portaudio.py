"""The one PortAudio of this process: loaded late, guarded by a lock, restarted when needed.

PortAudio keeps a single list of devices, made when it is initialised: a headset plugged in
later, or a sound server that came back, exists for it only after terminating and
initialising it again, which closes every stream. Its calls that open and close are not
thread-safe, and any of them blocks for as long as a hung sound server pleases. Hence one
lock, and callers that run on threads they can do without.
"""

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from softphone.errors import DeviceError

__all__ = ["PortAudio", "portaudio"]

LOCK_TIMEOUT = 5.0
"""Seconds to wait for a call that another thread has going before saying that it hangs."""

RESTART_INTERVAL = 30.0
"""Least seconds between restarts that interrupt streams which are well."""


class PortAudio:
    """Opens, closes and restarts; use the module's one instance, :data:`portaudio`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._streams: list[Any] = []
        self._module: Any = None
        self._restarted_at = -RESTART_INTERVAL

    @contextlib.contextmanager
    def locked(self) -> Iterator[Any]:
        """The ``sounddevice`` module, for exclusive use within the block.

        Raises:
            DeviceError: when PortAudio isn't installed, or hangs in another thread's call.
        """
        if not self._lock.acquire(timeout=LOCK_TIMEOUT):
            raise DeviceError("the sound system doesn't answer; restart the sound server and try again")
        try:
            if self._module is None:
                self._module = _load()
            yield self._module
        finally:
            self._lock.release()

    def open(self, make: Callable[[Any], Any]) -> Any:
        """Open a stream with ``make(sounddevice)``, start it and remember it.

        Raises:
            DeviceError: when the card refuses.
        """
        with self.locked() as sounddevice:
            try:
                stream = make(sounddevice)
            except (sounddevice.PortAudioError, ValueError) as error:
                raise DeviceError(f"can't open the sound device: {error}") from error
            try:
                stream.start()
            except sounddevice.PortAudioError as error:
                stream.close()
                raise DeviceError(f"can't start the sound device: {error}") from error
            self._streams.append(stream)
            return stream

    def close(self, stream: Any) -> None:
        """Close a stream that `open` returned; nothing happens if a restart closed it before."""
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)
                stream.close()

    def restart(self) -> bool:
        """Make PortAudio look for devices again.

        Streams that are open are closed by this (whoever supervises them opens them again),
        so while there are any it is done only every `RESTART_INTERVAL` seconds.

        Returns:
            Whether it was done.

        Raises:
            DeviceError: as `locked`.
        """
        with self.locked() as sounddevice:
            now = time.monotonic()
            if self._streams and now - self._restarted_at < RESTART_INTERVAL:
                return False
            self._restarted_at = now
            for stream in self._streams:
                stream.close()
            self._streams.clear()
            # sounddevice documents no other way to rescan than this pair.
            sounddevice._terminate()
            try:
                sounddevice._initialize()
            except sounddevice.PortAudioError as error:
                raise DeviceError(f"can't start PortAudio again: {error}") from error
            return True


def _load() -> Any:
    """Import ``sounddevice``, which loads PortAudio and initialises it."""
    try:
        return importlib.import_module("sounddevice")
    except ImportError as error:
        raise DeviceError(
            f"sound cards need the package sounddevice ({error}): pip install sounddevice"
        ) from error
    except OSError as error:
        raise DeviceError(
            f"sound cards need PortAudio ({error}): install libportaudio2 (Debian, Ubuntu: "
            "apt install libportaudio2), portaudio (Fedora, Arch, Homebrew)"
        ) from error
    except Exception as error:  # sounddevice.PortAudioError, which can't be named without the import
        raise DeviceError(f"PortAudio doesn't start: {error}") from error


portaudio = PortAudio()
"""The process's PortAudio."""
