"""What a call costs, in R of the E-model times seconds (R·s).

    delay        Id (ITU-T G.107) of each frame's delay from mouth to ear, times its length
    redundancy   speech made of LBRR or DRED instead of its own packet
    concealment  speech that nothing could restore, by how long the hole has lasted
    waiting      concealment while the speech itself is still to come: it breaks the flow but
                 loses no words; a hole that is gone back to counts the same
    skipping     speech passed over: its words are lost, without any guess to be heard
    tempo        each change of tempo within speech

Everything but the delay counts by the share of the frame in which somebody speaks, with
a small rest for pauses. The prices are measured, by the sound (PLCMOS) and by the words left
(STOI): `calibrate` writes them to ``costs.json``.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from softphone.playout import Action, Source, TraceRecord
from softphone.playout.config import CODEC_DELAY
from softphone.rtp.packet import OPUS_CLOCK_RATE
from softphone_onnx_playout.e_model import delay_impairment

__all__ = ["CallCost", "CostTable", "call_cost"]


@cache
def _measured() -> dict[str, float]:
    text = resources.files(__package__).joinpath("costs.json").read_text(encoding="utf-8")
    prices: dict[str, float] = json.loads(text)
    return prices


def _runs(prefix: str) -> tuple[float, ...]:
    return tuple(price for name, price in _measured().items() if name.startswith(prefix))


def _price(name: str) -> Callable[[], float]:
    return lambda: _measured()[name]


@dataclass(frozen=True, slots=True)
class CostTable:
    """Prices in R for active speech, that is R·s per second of it."""

    positions: tuple[float, ...] = field(
        default_factory=lambda: tuple(
            float(name[4:]) / 1000.0 for name in _measured() if name.startswith("plc_")
        )
    )
    """Where in a run of concealment each price begins, seconds."""
    concealment: tuple[float, ...] = field(default_factory=lambda: _runs("plc_"))
    waiting: tuple[float, ...] = field(default_factory=lambda: _runs("wait_"))
    lbrr: float = field(default_factory=_price("lbrr"))
    dred: float = field(default_factory=_price("dred"))
    skipping: float = field(default_factory=_price("skip"))
    tempo: float = field(default_factory=_price("tempo"))
    """R·s for one change of tempo in active speech."""
    silence: float = 0.03
    """What a pause counts, as a share of active speech."""

    def conceal(self, run: float) -> float:
        """Price of concealment in place after a run of ``run`` seconds of it."""
        return self.concealment[self._position(run)]

    def wait(self, run: float) -> float:
        """Price of audio made up while the speech is still to come, after such a run."""
        return self.waiting[self._position(run)]

    def _position(self, run: float) -> int:
        return int(np.searchsorted(self.positions, run + 1e-9, "right")) - 1

    def weight(self, active: NDArray[np.float64]) -> NDArray[np.float64]:
        """What frames count, given the share of active speech in each."""
        return self.silence + (1.0 - self.silence) * active


@dataclass(slots=True)
class CallCost:
    """Cost of a call in R·s by its parts."""

    seconds: float = 0.0
    """Media the call had."""
    delay: float = 0.0
    redundancy: float = 0.0
    concealment: float = 0.0
    waiting: float = 0.0
    skipping: float = 0.0
    tempo: float = 0.0
    mean_delay: float = 0.0
    """Delay from mouth to ear, mean over the media, seconds."""
    concealed: float = 0.0
    """Active speech concealed, waited for, or passed over, seconds."""

    @property
    def total(self) -> float:
        """Mean loss of R."""
        parts = (self.delay, self.redundancy, self.concealment, self.waiting, self.skipping, self.tempo)
        return sum(parts) / max(self.seconds, 1e-9)

    def per_second(self) -> dict[str, float]:
        """Each part as a mean loss of R, and the total."""
        names = [
            each.name for each in fields(self) if each.name not in ("seconds", "mean_delay", "concealed")
        ]
        return {name: getattr(self, name) / max(self.seconds, 1e-9) for name in names} | {"total": self.total}


def call_cost(
    records: Iterable[TraceRecord], active: NDArray[np.float64], costs: CostTable | None = None
) -> CallCost:
    """Cost of what the playout core did.

    ``active``: shape (n,), the share of speech in each 10 ms the speaker said, 0..1. Times
    of the records and media times must count from the same instant, as they do in
    `softphone.sim.call`.
    """
    costs = costs or CostTable()
    result = CallCost()
    run = weighted_delay = 0.0
    hole: list[tuple[float, float, float]] = []  # media, its price as a hole, its price as a wait
    for record in records:
        first = record.timestamp // 480
        spoken = active[first : first + max(1, record.media // 480)]
        share = float(spoken.mean()) if spoken.size else 0.0
        weight = costs.silence + (1.0 - costs.silence) * share
        media, audio = record.media / OPUS_CLOCK_RATE, record.samples / OPUS_CLOCK_RATE
        delay = record.time - record.timestamp / OPUS_CLOCK_RATE + CODEC_DELAY
        result.seconds += media
        result.delay += media * float(delay_impairment(delay))
        weighted_delay += media * delay
        if record.action is Action.SKIP:
            result.skipping += costs.skipping * weight * media
            result.concealed += share * media
        elif record.action is Action.RECOVER:
            while hole and media < -1e-9:
                length, concealed, waited = hole.pop()
                result.concealment -= concealed
                result.waiting += waited
                media += length
        elif record.action is Action.WAIT:
            result.waiting += costs.wait(run) * weight * audio
            result.concealed += share * audio
            run += audio
        elif record.source.is_concealment:
            concealed = costs.conceal(run) * weight * media
            hole.append((media, concealed, costs.wait(run) * weight * media))
            result.concealment += concealed
            result.concealed += share * media
            run += audio
        else:
            run = 0.0
            hole.clear()
            rate = {Source.LBRR: costs.lbrr, Source.DRED: costs.dred}.get(record.source, 0.0)
            result.redundancy += rate * weight * media
        if record.action in (Action.STRETCH, Action.COMPRESS):
            result.tempo += costs.tempo * share
    result.mean_delay = weighted_delay / max(result.seconds, 1e-9)
    return result
