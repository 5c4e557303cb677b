"""One record per step of the playout core: it plots, replays and explains a call."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from softphone.errors import MediaFileError
from softphone.playout.frames import Action, Source

__all__ = ["TraceRecord", "read_trace", "write_trace"]


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """What one step did."""

    time: float
    """When the first sample of the step is heard, seconds."""
    timestamp: int
    """Extended RTP timestamp of the media, 48 kHz samples; the next media for `WAIT`."""
    sequence: int | None
    """Extended sequence number of the packet the audio came from; None for concealment."""
    source: Source
    """What the audio was made of."""
    action: Action
    """What happened to the play position."""
    samples: int
    """Audio produced, samples at 48 kHz; 0 for `SKIP` and `RECOVER`."""
    media: int
    """Media consumed, samples at 48 kHz; 0 for `WAIT`; less than 0 for `RECOVER`,
    which will play it again."""
    delay_ms: float
    """Delay of the media above the fastest packet of the last seconds."""
    target_ms: float
    """Delay the policy wants, on the same scale."""
    level_dbov: float
    """Level of the audio, dB below full scale, -127..0."""

    def to_json(self) -> str:
        """The record as one line of JSON."""
        values = asdict(self)
        for name in ("time", "delay_ms", "target_ms", "level_dbov"):
            values[name] = round(values[name], 4)
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> "TraceRecord":
        """The record in one line of JSON. Raises ValueError, KeyError or TypeError."""
        values: dict[str, Any] = json.loads(line)
        values["source"] = Source(values["source"])
        values["action"] = Action(values["action"])
        return cls(**values)


def write_trace(path: Path, records: Iterable[TraceRecord]) -> None:
    """Write records as JSON lines. Raises :class:`softphone.errors.MediaFileError`."""
    try:
        path.write_text("".join(record.to_json() + "\n" for record in records), encoding="utf-8")
    except OSError as error:
        raise MediaFileError(f"can't write the playout trace {path}: {error}") from error


def read_trace(path: Path) -> Iterator[TraceRecord]:
    """Read records written by `write_trace`. Raises :class:`softphone.errors.MediaFileError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MediaFileError(f"can't read the playout trace {path}: {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            yield TraceRecord.from_json(line)
        except (ValueError, KeyError, TypeError) as error:
            raise MediaFileError(f"{path}, line {number}: not a playout trace record: {error}") from error
