"""The files of one recorded call, written by one thread. A file that fails is given up; the rest goes on."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import av

from softphone.audio.stream import Pcm
from softphone.errors import MediaFileError, RemoteProtocolError
from softphone.playout.trace import TraceRecord
from softphone.recording.manifest import MANIFEST_NAME, write_manifest
from softphone.recording.matroska import FlacFile, OpusFile
from softphone.recording.opus_track import OpusTrack, TrackBlock
from softphone.recording.packet_log import MAX_PARTICIPANTS, Direction, PacketLogWriter
from softphone.recording.recorder import RecordedCall
from softphone.rtp.packet import RtpPacket, RtpPayload
from softphone.rtp.red import unpack_red

__all__ = ["HEARD_FILE", "OPUS_FILE", "PACKET_LOG", "SAID_FILE", "SAID_TRACK", "TRACE_FILE", "CallFiles"]

OPUS_FILE = "call.mka"
SAID_FILE = "said.mka"
HEARD_FILE = "heard.mka"
PACKET_LOG = "packets.pcap"
TRACE_FILE = "trace.jsonl"
PARTICIPANT_FILE = "participant-{}.mka"
SAID_TRACK = "said"

_logger = logging.getLogger(__name__)


class CallFiles:
    """Writes ``call.mka``, ``said.mka``, ``heard.mka``, ``packets.pcap``, ``trace.jsonl``, ``session.json``.

    Of a room, there is no trace, and each participant gets a file of its own,
    ``participant-1.mka`` and so on, since a Matroska file must know its tracks beforehand.
    Not thread-safe. Times are on the clock of ``call.began``. Raises
    :class:`softphone.errors.MediaFileError` when the folder can't be made or written,
    or already holds a recording; later errors never raise: they are in `failures`.
    """

    def __init__(self, directory: Path, call: RecordedCall) -> None:
        _check_names(call.participants)
        self._directory = directory
        self._call = call
        self._started = datetime.now(UTC)
        self._began_ns = round(self._started.timestamp() * 1e9)
        self._sent_packets = 0
        self._indices = {name: index for index, name in enumerate(call.participants)}
        self._payload_types = dict.fromkeys(call.participants, call.payload_types)
        self._tracks = {name: OpusTrack() for name in (SAID_TRACK, *call.participants)}
        self._homes = dict.fromkeys(self._tracks, OPUS_FILE)
        self.failures: dict[str, str] = {}
        """File name to what went wrong with it; such a file ends before the call does."""
        self.red_errors = 0
        """RED payloads that could not be unpacked; they are in the packet log all the same."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if (directory / MANIFEST_NAME).exists():
                raise MediaFileError(f"{directory} already holds a recorded call; choose another folder")
            self._packet_log = PacketLogWriter(directory / PACKET_LOG)
            self._trace: TextIO | None = None
            if call.participants:
                self._trace = (directory / TRACE_FILE).open("x", encoding="utf-8", buffering=1)
            self._opus = {OPUS_FILE: OpusFile(directory / OPUS_FILE, tuple(self._tracks))}
            self._said = FlacFile(directory / SAID_FILE, "said")
            self._heard = FlacFile(directory / HEARD_FILE, "heard")
            self._write_manifest(ended=None)
        except (OSError, av.FFmpegError) as error:
            raise MediaFileError(
                f"can't record into {directory}: {_reason(error)}; choose another folder with --record"
            ) from error

    def add_participant(self, name: str, payload_types: Mapping[int, str]) -> None:
        """Give a participant who came later a file; one of the same name goes on with it."""
        if name in self._indices:
            self._payload_types[name] = payload_types
            return
        index = len(self._indices)
        if name in self._tracks or index >= MAX_PARTICIPANTS:
            return
        file = PARTICIPANT_FILE.format(index + 1)

        def make() -> None:
            self._opus[file] = OpusFile(self._directory / file, (name,))

        self._attempt(file, make)
        self._indices[name] = index
        self._payload_types[name] = payload_types
        self._homes[name] = file
        self._tracks[name] = OpusTrack()
        self._attempt(MANIFEST_NAME, lambda: self._write_manifest(ended=None))

    def sent(self, payload: RtpPayload, now: float) -> None:
        """Log a sent payload and put its Opus packet into the track "said"."""
        packet = RtpPacket(
            payload_type=payload.payload_type,
            sequence_number=self._sent_packets & 0xFFFF,
            timestamp=payload.timestamp & 0xFFFF_FFFF,
            ssrc=0,
            payload=payload.payload,
            marker=payload.marker,
            audio_level=payload.audio_level,
        )
        self._sent_packets += 1
        self._log(Direction.SENT, packet, now, 0)
        kind = self._call.payload_types.get(payload.payload_type)
        if kind == "red":
            # What we sent ourselves has no holes: the copies are of no use here.
            with suppress(RemoteProtocolError):
                self._push(SAID_TRACK, unpack_red(payload.payload)[-1].payload, payload.timestamp, now, 0)
        elif kind == "opus":
            self._push(SAID_TRACK, payload.payload, payload.timestamp, now, 0)

    def received(self, packet: RtpPacket, arrival: float, participant: str | None) -> None:
        """Log a received packet and put its Opus packets into the track of the participant."""
        name = participant if participant is not None else next(iter(self._indices), "")
        index = self._indices.get(name)
        if index is None:
            return
        self._log(Direction.RECEIVED, packet, arrival, index)
        types = self._payload_types[name]
        kind = types.get(packet.payload_type)
        if kind == "red":
            try:
                blocks = unpack_red(packet.payload)
            except RemoteProtocolError:
                self.red_errors += 1
                return
            primary = blocks[-1]
            if types.get(primary.payload_type) == "opus":
                self._push(name, primary.payload, packet.timestamp, arrival, packet.ssrc)
            for block in blocks[:-1]:
                if types.get(block.payload_type) == "opus":
                    timestamp = (packet.timestamp - block.timestamp_offset) & 0xFFFF_FFFF
                    self._push(name, block.payload, timestamp, arrival, packet.ssrc, redundant=True)
        elif kind == "opus":
            self._push(name, packet.payload, packet.timestamp, arrival, packet.ssrc)

    def said(self, pcm: Pcm, now: float) -> None:
        """Append audio of the microphone."""
        self._attempt(SAID_FILE, lambda: self._said.write(pcm, now - self._call.began))

    def heard(self, pcm: Pcm, now: float) -> None:
        """Append audio of the loudspeaker."""
        self._attempt(HEARD_FILE, lambda: self._heard.write(pcm, now - self._call.began))

    def trace(self, record: TraceRecord) -> None:
        """Append one step of the playout core."""
        trace = self._trace
        if trace is not None:
            self._attempt(TRACE_FILE, lambda: trace.write(record.to_json() + "\n"))

    def close(self, dropped: int) -> None:
        """Write what waits, close every file and complete the manifest; ``dropped`` events were lost."""
        for name, track in self._tracks.items():
            self._mux(name, track.flush())
        for name, opus in self._opus.items():
            self._attempt(name, opus.close)
        self._attempt(SAID_FILE, self._said.close)
        self._attempt(HEARD_FILE, self._heard.close)
        self._attempt(PACKET_LOG, self._packet_log.close)
        if self._trace is not None:
            self._attempt(TRACE_FILE, self._trace.close)
        self._attempt(MANIFEST_NAME, lambda: self._write_manifest(ended=datetime.now(UTC), dropped=dropped))

    def _push(
        self, name: str, payload: bytes, timestamp: int, now: float, ssrc: int, *, redundant: bool = False
    ) -> None:
        at = now - self._call.began
        blocks = self._tracks[name].push(payload, timestamp, at, ssrc=ssrc, redundant=redundant)
        self._mux(name, blocks)
        for other, track in self._tracks.items():
            if other != name:
                self._mux(other, track.advance(at))

    def _mux(self, name: str, blocks: list[TrackBlock]) -> None:
        for block in blocks:
            # A first packet stamped a little before the recording began starts with it.
            pts = max(block.pts, 0)
            file = self._homes[name]
            if file not in self.failures:
                write = self._opus[file].write
                self._attempt(file, partial(write, name, block.payload, pts, block.duration))

    def _log(self, direction: Direction, packet: RtpPacket, now: float, participant: int) -> None:
        time_ns = self._began_ns + round((now - self._call.began) * 1e9)
        self._attempt(PACKET_LOG, lambda: self._packet_log.write(direction, packet, time_ns, participant))

    def _attempt(self, name: str, action: Callable[[], object]) -> None:
        """Do something with one file, unless it failed before; remember it when it fails now."""
        if name in self.failures:
            return
        try:
            action()
        except (OSError, av.FFmpegError) as error:
            self.failures[name] = _reason(error)
            _logger.warning(
                "the recording of %s ends here: %s; the call goes on", self._directory / name, _reason(error)
            )

    def _write_manifest(self, ended: datetime | None, dropped: int = 0) -> None:
        track_counts = {
            name: {"late": track.late, "invalid": track.invalid, "fillers": track.fillers}
            for name, track in self._tracks.items()
        }
        values: dict[str, Any] = {
            "started": self._started.isoformat(timespec="microseconds"),
            "ended": ended.isoformat(timespec="microseconds") if ended else None,
            "local_name": self._call.local_name,
            "participants": list(self._indices),
            "payload_types": {str(key): value for key, value in self._call.payload_types.items()},
            "negotiated": dict(self._call.negotiated),
            "files": {
                "opus": OPUS_FILE,
                "said": SAID_FILE,
                "heard": HEARD_FILE,
                "packets": PACKET_LOG,
                **({"trace": TRACE_FILE} if self._trace is not None else {}),
            },
            "participant_files": {name: self._homes[name] for name in self._indices},
            "tracks": track_counts,
            "dropped_events": dropped,
            "red_errors": self.red_errors,
            "failures": dict(self.failures),
        }
        write_manifest(self._directory, values)


def _check_names(participants: tuple[str, ...]) -> None:
    names = (SAID_TRACK, *participants)
    if len(set(names)) != len(names):
        raise MediaFileError(
            f'participants need names, all different and none "{SAID_TRACK}": {participants}'
        )


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
