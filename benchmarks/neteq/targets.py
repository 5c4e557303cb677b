"""Figures to compare with in `simulate`: what NetEq reached once, and what softphone is to reach.

NetEq's were measured live with seed 1 of the schedules, PLCMOS with other raters than ours;
`run` measures NetEq anew, and only that is like for like.
"""

from typing import NamedTuple

__all__ = ["NETEQ", "TARGETS", "Figures"]


class Figures(NamedTuple):
    """Quality and delay of one system on one schedule."""

    plcmos: float
    pesq: float
    stoi: float
    delay_ms: float
    """Median from mouth to ear."""

    def __str__(self) -> str:
        return f"{self.plcmos:.2f} / {self.pesq:.2f} / {self.stoi:.3f} / {self.delay_ms:.0f}"


TARGETS: dict[str, Figures] = {
    "clean": Figures(4.30, 4.25, 0.985, 55),
    "rand10": Figures(4.10, 3.90, 0.978, 75),
    "ge20b3": Figures(3.95, 2.85, 0.945, 125),
    "ge30b6": Figures(3.70, 2.25, 0.925, 150),
    "jit80l5": Figures(4.17, 4.08, 0.982, 125),
    "out400": Figures(4.00, 3.20, 0.960, 110),
    "spike": Figures(4.10, 3.50, 0.970, 110),
}
"""What softphone is to reach at 48 kb/s of payload at most; delays are upper limits."""

NETEQ: dict[str, Figures] = {
    "clean": Figures(4.30, 4.30, 0.987, 52),
    "rand10": Figures(4.06, 3.93, 0.971, 95),
    "ge20b3": Figures(3.36, 2.11, 0.886, 87),
    "ge30b6": Figures(2.81, 1.57, 0.785, 86),
    "jit80l5": Figures(4.06, 4.00, 0.977, 146),
    "out400": Figures(3.65, 2.54, 0.889, 87),
    "spike": Figures(4.00, 1.90, 0.802, 190),
}
"""NetEq in Chromium 156 with the best a browser can be sent at 48 kb/s: LBRR and one RED copy."""
