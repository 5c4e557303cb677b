"""Recording of calls: what arrived, what was heard, and every packet, safe against crashes."""

from softphone.recording.call_recorder import CallRecorder, RecordingStatistics
from softphone.recording.manifest import read_manifest, recording_directory
from softphone.recording.packet_log import Direction, LoggedPacket, read_packet_log
from softphone.recording.readback import RecordedPacket, read_opus_track, read_pcm, track_names
from softphone.recording.recorder import RecordedCall, Recorder, RecorderFactory, recorders

__all__ = [
    "CallRecorder",
    "Direction",
    "LoggedPacket",
    "RecordedCall",
    "RecordedPacket",
    "Recorder",
    "RecorderFactory",
    "RecordingStatistics",
    "read_manifest",
    "read_opus_track",
    "read_packet_log",
    "read_pcm",
    "recorders",
    "recording_directory",
    "track_names",
]
