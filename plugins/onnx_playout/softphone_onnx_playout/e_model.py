"""The unit of all costs: the transmission rating R of the E-model (ITU-T G.107).

R runs from 0 to about 93 for a narrow-band call without fault and to 100 here. What
lasts for a while costs its loss of R times its seconds (R·s); divided by the length of
a call that is the mean loss of R.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["delay_impairment", "mos_to_r", "r_to_mos"]

# Default values of G.107, table 2.
_TELR = 65.0
"""Talker echo loudness rating, dB."""
_WEPL = 110.0
"""Weighted echo path loss, dB."""
_NO = -61.18
"""Sum of all noises at the 0 dBr point, dBm0p, for the default values."""
_RLR = 2.0
"""Receive loudness rating, dB."""
_RO = 94.77
"""Basic signal-to-noise ratio."""


def delay_impairment(seconds: ArrayLike) -> NDArray[np.float64]:
    """Loss of R by a one-way delay from mouth to ear: Id = Idte + Idle + Idd of G.107, 7.4.

    ``seconds``: any shape, values below 0 count as 0. Below 100 ms only the echo that the
    far end leaves is heard (about 0.02 R per ms); above, the conversation itself suffers.
    """
    ms = 1000.0 * np.maximum(np.asarray(seconds, np.float64), 0.0)
    terv = _TELR - 40.0 * np.log10((1.0 + ms / 10.0) / (1.0 + ms / 150.0)) + 6.0 * np.exp(-0.3 * ms**2)
    roe = -1.5 * (_NO - _RLR)
    half = (roe - (80.0 + 2.5 * (terv - 14.0))) / 2.0
    talker = (half + np.sqrt(half**2 + 100.0) - 1.0) * (1.0 - np.exp(-ms))
    half = (_RO - 10.5 * (_WEPL + 7.0) * (2.0 * ms + 1.0) ** -0.25) / 2.0
    listener = half + np.sqrt(half**2 + 169.0)
    x = np.log2(np.maximum(ms, 100.0) / 100.0)
    pure = 25.0 * ((1.0 + x**6) ** (1 / 6) - 3.0 * (1.0 + (x / 3.0) ** 6) ** (1 / 6) + 2.0)
    total: NDArray[np.float64] = talker + listener + pure
    return total


def r_to_mos(r: ArrayLike) -> NDArray[np.float64]:
    """Mean opinion score, 1..4.5, of a rating (G.107, annex B)."""
    value = np.clip(np.asarray(r, np.float64), 0.0, 100.0)
    mos: NDArray[np.float64] = np.maximum(
        1.0, 1.0 + 0.035 * value + value * (value - 60.0) * (100.0 - value) * 7e-6
    )
    return mos


def mos_to_r(mos: ArrayLike) -> NDArray[np.float64]:
    """The rating, 6.5..100, that has a mean opinion score; the inverse of `r_to_mos`."""
    ratings = np.linspace(6.5, 100.0, 2000)
    rating: NDArray[np.float64] = np.interp(np.asarray(mos, np.float64), r_to_mos(ratings), ratings)
    return rating
