"""The networks that a model is trained on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from softphone.sending import SendingConfig
from softphone.sim.network import generate_trace
from softphone.sim.random_profile import random_profile
from softphone.sim.trace import PacketTrace
from softphone_onnx_playout.training.network_call import NetworkCall
from softphone_onnx_playout.training.speech import FRAME, SpeechLibrary

__all__ = ["NetworkGenerator", "read_traces"]

_MODES = ("auto", "auto", "auto", "auto", "auto", "auto", "both", "dred", "lbrr", "none")
_BITRATES = (24_000, 32_000, 48_000, 48_000, 48_000, 64_000)
_TRACE_SHARE = 0.5
"""Share of the calls over given traces, when there are any."""


def read_traces(folder: Path) -> dict[str, PacketTrace]:
    """All traces below a folder by their path there, sorted.

    Raises :class:`softphone.errors.MediaFileError`.
    """
    files = sorted(path for path in folder.rglob("*.csv") if path.name != "MANIFEST.csv")
    return {str(path.relative_to(folder)): PacketTrace.load(path) for path in files}


class NetworkGenerator:
    """Calls over random networks and random cuts of given traces, the same for the same seed."""

    def __init__(
        self,
        speech: SpeechLibrary,
        traces: Mapping[str, PacketTrace] | None = None,
        *,
        seconds: float = 25.0,
    ) -> None:
        """``traces``: given ones by path; every folder is drawn as often as every other."""
        folders: dict[str, list[PacketTrace]] = {}
        for name, trace in (traces or {}).items():
            folders.setdefault(str(Path(name).parent), []).append(trace)
        self._speech, self._folders, self._frames = speech, list(folders.values()), round(seconds / FRAME)

    def draw(self, seed: int) -> NetworkCall:
        """Call number ``seed``."""
        rng = np.random.default_rng((seed, 0x50F7))
        trace = self._trace(rng, seed)
        sending = SendingConfig(
            bitrate=int(rng.choice(_BITRATES)),
            mode=str(rng.choice(_MODES)),
            peer_red=bool(rng.random() < 0.7),
        )
        return NetworkCall.make(trace, self._speech.draw(rng, self._frames), sending)

    def _trace(self, rng: np.random.Generator, seed: int) -> PacketTrace:
        if self._folders and rng.random() < _TRACE_SHARE:
            folder = self._folders[int(rng.integers(len(self._folders)))]
            whole = folder[int(rng.integers(len(folder)))]
            start = int(rng.integers(0, len(whole)))
            fates = [whole.fate(start + k) for k in range(self._frames)]
            delays = np.array([np.nan if fate is None else fate for fate in fates])
            if np.isfinite(delays).any():
                return PacketTrace(delays)
        profile = random_profile(rng, duration=self._frames * FRAME)
        return generate_trace(profile, self._frames, seed)
