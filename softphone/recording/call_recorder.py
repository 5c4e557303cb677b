"""Records a call into a folder without ever holding up the call."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from softphone.audio.stream import Pcm
from softphone.playout.trace import TraceRecord
from softphone.recording.call_files import CallFiles
from softphone.recording.recorder import RecordedCall, Recorder
from softphone.rtp.packet import RtpPacket, RtpPayload

__all__ = ["CallRecorder", "RecordingStatistics"]

QUEUE_LIMIT = 4096
"""Events that may wait for the disk: about 15 s of a call."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Participant:
    name: str
    payload_types: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Sent:
    payload: RtpPayload
    now: float


@dataclass(frozen=True, slots=True)
class _Received:
    packet: RtpPacket
    arrival: float
    participant: str | None


@dataclass(frozen=True, slots=True)
class _Said:
    pcm: Pcm
    now: float


@dataclass(frozen=True, slots=True)
class _Heard:
    pcm: Pcm
    now: float


@dataclass(frozen=True, slots=True)
class _Close:
    pass


_Event = _Participant | _Sent | _Received | _Said | _Heard | _Close | TraceRecord


@dataclass(frozen=True, slots=True)
class RecordingStatistics:
    """How a recording is doing."""

    dropped: int
    """Events thrown away because the disk did not keep up."""
    failures: dict[str, str]
    """File name to what went wrong with it (disk full, say); the other files go on."""


class CallRecorder(Recorder):
    """Records one call into ``directory`` (made when missing); docs/recording.md lists the files.

    The ``on_`` methods only put a reference (of audio: a copy) into a bounded queue, so
    any thread may call them; one thread of the recorder writes. Raises
    :class:`softphone.errors.MediaFileError` when the folder can't be used.
    """

    def __init__(self, directory: Path, call: RecordedCall, *, queue_limit: int = QUEUE_LIMIT) -> None:
        self._files = CallFiles(Path(directory), call)
        self._queue: SimpleQueue[_Event] = SimpleQueue()
        self._queue_limit = queue_limit
        self._dropped = 0
        self._closed = False
        self._close_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def statistics(self) -> RecordingStatistics:
        """Counts so far."""
        return RecordingStatistics(dropped=self._dropped, failures=dict(self._files.failures))

    def on_participant(self, name: str, payload_types: Mapping[int, str]) -> None:
        self._put(_Participant(name, dict(payload_types)))

    def on_sent(self, payload: RtpPayload, now: float) -> None:
        self._put(_Sent(payload, now))

    def on_received(self, packet: RtpPacket, arrival: float, participant: str | None = None) -> None:
        self._put(_Received(packet, arrival, participant))

    def on_said(self, pcm: Pcm, now: float) -> None:
        self._put(_Said(pcm.copy(), now))

    def on_heard(self, pcm: Pcm, now: float) -> None:
        self._put(_Heard(pcm.copy(), now))

    def on_trace(self, record: TraceRecord) -> None:
        self._put(record)

    def close(self) -> None:
        """Write everything that waits and close the files; blocks until that is done. Idempotent."""
        with self._close_lock:
            if not self._closed:
                self._closed = True
                self._queue.put(_Close())
        self._thread.join()

    def _put(self, event: _Event) -> None:
        if self._closed:
            return
        # The size may be off by the few threads that put at this moment: a soft bound is enough.
        if self._queue.qsize() >= self._queue_limit:
            self._dropped += 1
            if self._dropped == 1:
                _logger.warning("the disk does not keep up: parts of the recording are missing")
            return
        self._queue.put(event)

    def _run(self) -> None:
        while True:
            event = self._queue.get()
            try:
                if isinstance(event, _Close):
                    self._files.close(self._dropped)
                    return
                self._write(event)
            except Exception:
                # Losing one event must not end the recording, nor leave the queue without a reader.
                _logger.exception("the recorder could not write an event")
                if isinstance(event, _Close):
                    return

    def _write(self, event: _Participant | _Sent | _Received | _Said | _Heard | TraceRecord) -> None:
        match event:
            case _Participant(name, payload_types):
                self._files.add_participant(name, payload_types)
            case _Sent(payload, now):
                self._files.sent(payload, now)
            case _Received(packet, arrival, participant):
                self._files.received(packet, arrival, participant)
            case _Said(pcm, now):
                self._files.said(pcm, now)
            case _Heard(pcm, now):
                self._files.heard(pcm, now)
            case TraceRecord():
                self._files.trace(event)
