"""The systems that are compared, and what each is sent."""

from dataclasses import dataclass

from benchmarks.neteq.streams import StreamSpec
from softphone.errors import ConfigError

__all__ = ["SYSTEMS", "Encoding", "System", "parse_encoding"]


@dataclass(frozen=True, slots=True)
class System:
    """A receiver under test."""

    name: str
    title: str
    """For tables and pictures."""
    red: bool = False
    """It takes the best that browsers can be sent: LBRR and RED."""
    planned: bool = False
    """It takes what softphone sends to a softphone."""
    field_trials: str = ""
    """For a browser."""
    deep_plc: bool = False
    """A browser that is given a libopus with deep PLC."""

    @property
    def in_browser(self) -> bool:
        """Whether Chromium runs it."""
        return self.name.startswith("chromium")


_ALL = (
    System("chromium", "NetEq (Chromium)", red=True),
    System(
        "chromium-deepplc",
        "NetEq with deep PLC",
        red=True,
        field_trials="WebRTC-Audio-OpusGeneratePlc/Enabled/",
        deep_plc=True,
    ),
    System("softphone", "softphone", planned=True),
    System("aiortc", "aiortc"),
    System("softphone-sim", "softphone, simulated", planned=True),
)
SYSTEMS = {system.name: system for system in _ALL}
"""Every system by name."""

_RED_COPIES_FROM = 46_000
_LBRR = "fec=1,loss=20"
# The encoder stays a little below its rate, which makes room for the headers of RED.
_RED_RATE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Encoding:
    """A stream to compare with: ``best48`` or ``lbrr32``."""

    kind: str
    """``best``: the best that each system takes; ``lbrr``: LBRR alone, the same for all."""
    kbps: int
    """Rate of the payload, kb/s."""

    def __str__(self) -> str:
        return f"{self.kind}{self.kbps}"

    def spec(self, system: System, plan: str) -> StreamSpec:
        """What ``system`` is sent; ``plan`` is that of softphone."""
        bitrate = 1000 * self.kbps
        if self.kind == "best" and system.planned:
            return StreamSpec(plan, bitrate)
        if self.kind == "best" and system.red and bitrate >= _RED_COPIES_FROM:
            return StreamSpec(f"{_LBRR},red=1,rate={round(bitrate * _RED_RATE_SHARE)}", bitrate)
        return StreamSpec(_LBRR, bitrate)

    def title(self, system: System, spec: StreamSpec) -> str:
        """What is sent, in words."""
        if spec.plan == _LBRR:
            return "LBRR"
        if spec.plan.startswith(f"{_LBRR},red=1"):
            return "LBRR + RED"
        return f"plan {spec.plan}"


def parse_encoding(text: str) -> Encoding:
    """``best48``, ``lbrr32`` and so on. Raises :class:`ConfigError` for anything else."""
    kind, rate = text.rstrip("0123456789"), text.lstrip("abcdefghijklmnopqrstuvwxyz")
    if kind not in ("best", "lbrr") or not rate.isdigit() or not 6 <= int(rate) <= 510:
        raise ConfigError(f"an encoding is best or lbrr and its kb/s, like best48, not {text!r}")
    return Encoding(kind, int(rate))
