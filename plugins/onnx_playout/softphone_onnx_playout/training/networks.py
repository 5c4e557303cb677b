"""The networks that a model is trained on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from softphone.sending import SendingConfig
from softphone.sim.network import generate_trace
from softphone.sim.profile import (
    GilbertElliott,
    JitterDistribution,
    NetworkProfile,
    OutageMode,
    PeriodicOutage,
    Stalls,
)
from softphone.sim.random_profile import log_uniform, random_profile
from softphone.sim.trace import PacketTrace
from softphone_onnx_playout.training.network_call import NetworkCall
from softphone_onnx_playout.training.speech import FRAME, SpeechLibrary

__all__ = ["NetworkGenerator", "read_traces"]

_MODES = ("auto", "auto", "auto", "auto", "auto", "auto", "both", "dred", "lbrr", "none")
_BITRATES = (24_000, 32_000, 48_000, 48_000, 48_000, 64_000)
_TRACE_SHARE = 0.5
"""Share of the calls over given traces, when there are any."""
_SHORT_SHARE = 0.5
"""Share of the calls that are as short as possible: in long ones only the end is taught."""
_PLAIN_SHARE = 0.3
"""Share of the random networks on which only one thing is wrong: there a model learns exactly what
that one thing needs."""
_CALM_SHARE = 0.25
"""Share of these on which it ends at some time in the call: a model learns how long trouble matters."""

_STILL_SHARE = 0.25
"""Share of the calm networks without any jitter: every feature must have been seen as it is there."""


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
        shortest: float = 25.0,
        longest: float = 90.0,
    ) -> None:
        """``traces``: given ones by path; every folder is drawn as often as every other.
        ``shortest``, ``longest``: length of a call, seconds; half of them are as short as can be."""
        folders: dict[str, list[PacketTrace]] = {}
        for name, trace in (traces or {}).items():
            folders.setdefault(str(Path(name).parent), []).append(trace)
        self._speech, self._folders = speech, list(folders.values())
        self._shortest, self._longest = shortest, longest

    def draw(self, seed: int) -> NetworkCall:
        """Call number ``seed``."""
        rng = np.random.default_rng((seed, 0x50F7))
        longer = rng.random() >= _SHORT_SHARE
        seconds = rng.uniform(self._shortest, self._longest) if longer else self._shortest
        frames = round(seconds / FRAME)
        trace = self._trace(rng, seed, frames)
        sending = SendingConfig(
            bitrate=int(rng.choice(_BITRATES)),
            mode=str(rng.choice(_MODES)),
            peer_red=bool(rng.random() < 0.7),
        )
        return NetworkCall.make(trace, self._speech.draw(rng, frames), sending)

    def _trace(self, rng: np.random.Generator, seed: int, frames: int) -> PacketTrace:
        if self._folders and rng.random() < _TRACE_SHARE:
            folder = self._folders[int(rng.integers(len(self._folders)))]
            whole = folder[int(rng.integers(len(folder)))]
            start = int(rng.integers(0, len(whole)))
            fates = [whole.fate(start + k) for k in range(frames)]
            delays = np.array([np.nan if fate is None else fate for fate in fates])
            if np.isfinite(delays).any():
                return PacketTrace(delays)
        plain = rng.random() < _PLAIN_SHARE
        duration = frames * FRAME
        profile = _plain_profile(rng, duration) if plain else random_profile(rng, duration=duration)
        return generate_trace(profile, frames, seed)


def _plain_profile(rng: np.random.Generator, duration: float) -> NetworkProfile:
    """Bursts of loss, jitter that reorders, stalls or outages, and nothing besides; maybe for a time."""
    calm = _calm_profile(rng)
    profile = _with_one_trouble(calm, rng)
    if rng.random() >= _CALM_SHARE:
        return profile
    return replace(profile, timeline=((float(rng.uniform(0.1, 0.6)) * duration, calm),))


def _calm_profile(rng: np.random.Generator) -> NetworkProfile:
    jitter = 0.0 if rng.random() < _STILL_SHARE else log_uniform(rng, 0.0002, 0.004)
    return NetworkProfile(delay=log_uniform(rng, 0.008, 0.15), jitter=jitter)


def _with_one_trouble(profile: NetworkProfile, rng: np.random.Generator) -> NetworkProfile:
    kind = rng.random()
    if kind < 0.5:
        loss = log_uniform(rng, 0.03, 0.4)
        burst = max(loss / (1 - loss), 1.0) * log_uniform(rng, 1.1, 8)
        return replace(profile, loss_model=GilbertElliott.from_mean(loss, burst))
    if kind < 0.65:
        return replace(
            profile,
            jitter=float(rng.uniform(0.005, 0.1)),
            jitter_distribution=JitterDistribution.UNIFORM,
            keep_order=False,
            loss=log_uniform(rng, 0.002, 0.1),
        )
    if kind < 0.85:
        shortest = log_uniform(rng, 0.08, 0.3)
        longest = shortest * float(rng.uniform(1, 3))
        return replace(profile, stalls=Stalls(log_uniform(rng, 1.0, 30.0), shortest, longest))
    mode = list(OutageMode)[int(rng.integers(len(OutageMode)))]
    period = PeriodicOutage(log_uniform(rng, 3.0, 30.0), log_uniform(rng, 0.1, 0.6), mode)
    return replace(profile, periodic_outage=period)
