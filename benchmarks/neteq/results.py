"""One run on disk: a JSON file with everything measured, and what was heard as FLAC."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.neteq.delay import Return
from benchmarks.neteq.recording import Recording
from benchmarks.neteq.scoring import Score, SegmentScore
from softphone.audio.stream import SAMPLE_RATE
from softphone.errors import MediaFileError

__all__ = ["RunResult", "load_results", "plain"]


@dataclass(slots=True)
class RunResult:
    """One system on one schedule."""

    system: str
    encoding: str
    schedule: str
    kind: str
    """The schedule without its seed."""
    stream: str
    """What was sent, in words."""
    kbps: float
    """Payload rate used."""
    key: str
    """Names everything that was put in: another reference, stream or policy makes another run."""
    policy: str
    """Playout policy; empty where there is none to choose."""
    score: Score
    tries: int = 1
    """How often it was run; a segment that was spoiled is taken from an earlier try."""
    stalls: list[float] = field(default_factory=list)
    """When the machine stood still, seconds after the speaker began."""
    late_ms: dict[str, float] = field(default_factory=dict)
    """How late packets left: p50, p99, max."""
    missing: int = 0
    """Packets that could not be sent."""
    statistics: dict[str, Any] = field(default_factory=dict)
    """What the receiver says about itself."""
    receiver: str = ""
    """Version of the receiver, where it tells."""

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.system}.{self.encoding}.{self.schedule}"

    @property
    def valid(self) -> int:
        """Segments that count."""
        return sum(segment.valid for segment in self.score.segments)

    @property
    def complete(self) -> bool:
        """Whether all of them count."""
        return self.valid == len(self.score.segments)

    def save(self, folder: Path, recording: Recording) -> None:
        """Write both files; the JSON last, so that a run is there whole or not at all."""
        soundfile.write(folder / f"{self.name}.flac", recording.pcm, SAMPLE_RATE, subtype="PCM_16")
        self.save_json(folder)

    def save_json(self, folder: Path) -> None:
        """Write the figures alone."""
        part = folder / f"{self.name}.part"
        part.write_text(json.dumps(plain(asdict(self)), indent=1), encoding="utf-8")
        part.replace(folder / f"{self.name}.json")

    @classmethod
    def load(cls, path: Path) -> "RunResult":
        """Read the figures. Raises :class:`MediaFileError` when they are not such figures."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            scored = document.pop("score")
            segments = [SegmentScore(**_numbers(segment)) for segment in scored["segments"]]
            returns = [Return(**back) for back in scored["returns"]]
            return cls(score=Score(segments, returns), **document)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MediaFileError(f"{path} does not hold the figures of a run: {error}") from error


def load_results(folder: Path) -> list[RunResult]:
    """All runs in a folder, in the order of their names."""
    return [RunResult.load(path) for path in sorted(folder.glob("*.*.*.json"))]


def plain(value: object) -> object:
    """As JSON takes it; numbers that are none become null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _numbers(segment: dict[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in segment.items()}
