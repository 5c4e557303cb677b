"""Settings of the demo call, shared by the process that runs it and the two ends."""

import json
from dataclasses import asdict, dataclass, field

from softphone.playout import MAX_DELAY, default_policy

__all__ = ["DemoConfig"]


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """What to call with, and over which network."""

    caller_source: str
    """Audio spec of the caller's microphone."""
    callee_source: str = "null"
    """Audio spec of the callee's microphone."""
    callee_sink: str = "null"
    """Audio spec of the callee's loudspeaker."""
    network: str = "loss=20,burst=3,delay=40,jitter=5"
    """Profile of the network, both ways."""
    seed: int = 1
    """Seed of the network."""
    bitrate: int = 48_000
    """Payload rate each way, bit/s."""
    redundancy: str = "auto"
    """Redundancy mode."""
    policy: str = field(default_factory=default_policy)
    """Playout policy."""
    max_delay: float = MAX_DELAY
    """Largest mouth-to-ear delay, seconds."""
    directory: str = ""
    """Where the two ends leave what they kept; set by whoever runs them."""
    seconds: float | None = None
    """How long to talk; None: until the caller's source is finished."""

    def to_json(self) -> str:
        """The settings as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "DemoConfig":
        """Read what `to_json` wrote."""
        return cls(**json.loads(line))
