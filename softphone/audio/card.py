"""One PortAudio stream that is kept alive: opened, watched, and opened again.

All blocking calls are made by a supervisor thread, which a hung sound server may hold for
ever without holding anybody else. It learns of a dead device in two ways: PortAudio calls
``finished_callback`` when a card is pulled out, and when a server hangs there is simply
no callback any more, which only a look at the time of the last one shows.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from softphone.audio.devices import DeviceInfo, Direction, find_device
from softphone.audio.portaudio import portaudio
from softphone.audio.stream import SAMPLE_RATE
from softphone.errors import DeviceError

__all__ = ["CardCallback", "CardStream", "WatchdogSettings"]

logger = logging.getLogger(__name__)

CardCallback: TypeAlias = Callable[[Any, int, Any, Any], None]
"""PortAudio's: (buffer of int16, frames, times, flags). Runs on PortAudio's thread."""


@dataclass(frozen=True, slots=True)
class WatchdogSettings:
    """When a card counts as dead, and how its opening is tried again. All in seconds."""

    stall: float = 1.0
    """Without a callback for this long, the card hangs."""
    first_delay: float = 0.1
    """Wait before the first try to open again; each failure doubles it."""
    longest_delay: float = 5.0
    """Longest wait between tries."""
    start_timeout: float = 5.0
    """How long `CardStream.start` waits for the first opening."""
    stop_timeout: float = 2.0
    """How long `CardStream.stop` waits for a card that hangs, before it is left to itself."""


class CardStream:
    """A raw int16 mono stream of 48 kHz in one direction, with a supervisor."""

    def __init__(
        self,
        direction: Direction,
        device: str | int | None,
        callback: CardCallback,
        *,
        prepare: Callable[[], None],
        block: int,
        latency: float,
        watchdog: WatchdogSettings,
    ) -> None:
        """
        Args:
            direction: "input" or "output".
            device: as :func:`softphone.audio.devices.choose_device` wants it.
            callback: copies, and nothing else.
            prepare: called before each opening, while no callback runs.
            block: frames per callback.
            latency: suggested to PortAudio, seconds.
            watchdog: times of the supervisor.
        """
        self._direction = direction
        self._wanted = device
        self._callback = callback
        self._prepare = prepare
        self._block = block
        self._latency = latency
        self._watchdog = watchdog
        self._stopping = threading.Event()
        self._opened = threading.Event()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_callback = 0.0
        self.running = False
        """Whether the card is open and calling back."""
        self.abandoned = False
        """Whether callbacks that still come are those of a card given up as dead."""
        self.device: DeviceInfo | None = None
        """The device in use, or the last one that was."""
        self.latency = latency
        """Latency that PortAudio reports for the open stream, seconds."""
        self.failure: DeviceError | None = None
        """What is wrong now; None when all is well."""
        self.openings = 0
        """Successful openings."""
        self.xruns = 0
        """Callbacks that PortAudio flagged: the card had to drop or to invent samples."""

    def start(self) -> None:
        """Open the card.

        Raises:
            DeviceError: when it can't be opened; nothing is left running then.
        """
        self._thread = threading.Thread(target=self._supervise, name=f"card-{self._direction}", daemon=True)
        self._thread.start()
        if not self._opened.wait(self._watchdog.start_timeout):
            self._stopping.set()
            self._changed.set()
            raise DeviceError("the sound system doesn't answer; restart the sound server and try again")
        if self.openings == 0:
            self._thread.join()
            assert self.failure is not None
            raise self.failure

    def stop(self) -> None:
        """Close the card; no callback runs after this, unless the card hangs. Idempotent."""
        self._stopping.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join(self._watchdog.stop_timeout)
            if self._thread.is_alive():
                logger.warning("the sound device hangs while it is closed; leaving it")

    def _supervise(self) -> None:
        """Open, watch, close, again and again."""
        watchdog = self._watchdog
        delay = watchdog.first_delay
        while not self._stopping.is_set():
            try:
                stream = self._open()
            except DeviceError as error:
                if self.openings == 0:
                    self.failure = error
                    break
                self.failure = DeviceError(f"{self._name()} can't be opened again yet: {error}")
                self._stopping.wait(delay)
                delay = min(delay * 2.0, watchdog.longest_delay)
                continue
            delay = watchdog.first_delay
            self._opened.set()
            reason = self._watch()
            self.abandoned = True
            self.running = False
            if reason is not None:
                self.failure = DeviceError(reason)
                logger.warning("%s; trying to open it again", reason)
            portaudio.close(stream)
            if reason is not None:
                self._stopping.wait(delay)
        self.running = False
        self._opened.set()

    def _open(self) -> Any:
        # The lock is held from the look-up on: a restart in between would change the numbers.
        with portaudio.locked():
            self.device = find_device(self._wanted, self._direction)
            self._prepare()
            self._changed.clear()
            self.abandoned = False
            self._last_callback = time.monotonic()
            try:
                stream = portaudio.open(self._make)
            except DeviceError:
                # PortAudio may still list what is there no more, or under another number now.
                if self.openings:
                    portaudio.restart()
                raise
        if self.openings:
            logger.warning("%s is back", self._name())
        self.latency = float(stream.latency)
        self.openings += 1
        self.failure = None
        self.running = True
        return stream

    def _make(self, sounddevice: Any) -> Any:
        assert self.device is not None
        kind = sounddevice.RawInputStream if self._direction == "input" else sounddevice.RawOutputStream
        # Shared-mode WASAPI plays only its own rate unless it is told to convert.
        wasapi = "WASAPI" in self.device.host_api
        return kind(
            device=self.device.index,
            samplerate=SAMPLE_RATE,
            channels=1,
            dtype="int16",
            blocksize=self._block,
            latency=self._latency,
            callback=self._on_callback,
            finished_callback=self._changed.set,
            extra_settings=sounddevice.WasapiSettings(auto_convert=True) if wasapi else None,
        )

    def _on_callback(self, buffer: Any, frames: int, times: Any, flags: Any) -> None:
        self._last_callback = time.monotonic()
        if flags:
            self.xruns += 1
        self._callback(buffer, frames, times, flags)

    def _watch(self) -> str | None:
        """Wait until the card dies (and say why) or is to be stopped (None)."""
        stall = self._watchdog.stall
        while not self._stopping.is_set() and not self._changed.wait(stall / 4.0):
            if time.monotonic() - self._last_callback > stall:
                return f"{self._name()} doesn't answer any more"
        return None if self._stopping.is_set() else f"{self._name()} is gone"

    def _name(self) -> str:
        return f"the sound device {self.device.name}" if self.device is not None else "the sound device"
