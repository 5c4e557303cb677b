"""Closing the drift between the sender's clock and the clock that plays.

The two crystals differ by up to some 100 ppm. A playout engine that is pulled by the
card's clock sees that as a delay that creeps away from its target by up to 0.2 ms a
second; its time-stretching would push it back in audible steps of a pitch period, and
would have to do so for ever. So between the engine and the card sits a resampler whose
ratio a slow PI controller sets, and the two share the work by speed and size:

* the engine's policy answers fast and large changes (jitter, a burst of loss) by
  stretching; its measure is the distance of the delay from its target;
* the controller here reads the same distance, far more slowly. It clips each reading to
  `error_limit` and learns nothing from one that was clipped, so a burst that the policy
  is working off leaves hardly a trace, and what remains on average over minutes - the
  drift - it takes over completely. Its authority ends where crystals end: a policy that
  keeps the delay off its own target can't make the two fight without bound.

Only the playing side resamples: RTP timestamps count the samples of the capturing card,
so the capturing side needs nothing.
"""

import math
from collections.abc import Callable

import numpy as np
import soxr

from softphone.audio.stream import FRAME_SAMPLES, SAMPLE_RATE, Pcm, Render

__all__ = ["DriftController", "DriftCorrector"]


class DriftController:
    """PI controller: from the delay in excess of the target to a resampling ratio. Sans-I/O.

    With the drift d (seconds per second) the excess e grows as ``e' = d + (ratio - 1)``,
    and the controller closes the loop by ``ratio - 1 = -(kp * e + ki * integral of e)``
    with kp = 2 w and ki = w * w: critically damped, so no overshoot beyond the first peak,
    which for a step of 100 ppm is d / (w * 2.718) = 3.7 ms.
    """

    def __init__(
        self,
        *,
        bandwidth: float = 0.01,
        smoothing: float = 5.0,
        error_limit: float = 0.020,
        drift_limit: float = 3e-4,
        ratio_limit: float = 5e-4,
    ) -> None:
        """
        Args:
            bandwidth: w above, in rad/s; a drift is learnt in about 5 / w seconds.
            smoothing: time constant in seconds of the low pass on the measured excess, which
                moves in whole packets; well below 1 / w.
            error_limit: seconds of excess at which it is clipped and learning pauses.
            drift_limit: largest drift that is believed (two crystals of 150 ppm).
            ratio_limit: largest deviation of the ratio from 1; 5e-4 is 0.9 cents of pitch.
        """
        self._kp = 2.0 * bandwidth
        self._ki = bandwidth * bandwidth
        self._smoothing = smoothing
        self._error_limit = error_limit
        self._drift_limit = drift_limit
        self._ratio_limit = ratio_limit
        self.reset()

    def reset(self) -> None:
        """Forget the drift: another sender speaks."""
        self._excess = 0.0
        self._drift = 0.0
        self._ratio = 1.0

    @property
    def ratio(self) -> float:
        """Samples to make out of each rendered one."""
        return self._ratio

    @property
    def drift_ppm(self) -> float:
        """How much faster than the playing clock the sender's runs, as learnt so far, in ppm."""
        return self._drift * 1e6

    def update(self, excess: float | None, elapsed: float) -> float:
        """Take one measurement and give the new ratio.

        Args:
            excess: seconds of audio held above target (negative: below); None when the engine
                can't know (nothing received yet, a pause): the learnt drift is kept.
            elapsed: seconds since the update before, > 0.

        Returns:
            Output samples per input sample, within 1 +- ratio_limit.
        """
        inside = False
        if excess is None or math.isnan(excess):
            self._excess = 0.0
        else:
            inside = abs(excess) <= self._error_limit
            clipped = min(max(excess, -self._error_limit), self._error_limit)
            self._excess += (clipped - self._excess) * (1.0 - math.exp(-elapsed / self._smoothing))
        wanted = self._kp * self._excess + self._drift
        limited = min(max(wanted, -self._ratio_limit), self._ratio_limit)
        if inside and limited == wanted:
            drift = self._drift + self._ki * self._excess * elapsed
            self._drift = min(max(drift, -self._drift_limit), self._drift_limit)
        self._ratio = 1.0 - limited
        return self._ratio


class DriftCorrector:
    """A `Render` around a `Render`: gives the card as many samples as it asks for, made from
    as many as the sender's clock says. Use one per stream, before streams are mixed.

    The resampler holds 5 ms back, so `render` is asked that much earlier; the playout time
    it is given says when its samples are really heard. Not thread-safe: called by the sink's
    thread alone.
    """

    def __init__(
        self,
        render: Render,
        excess: Callable[[], float | None],
        *,
        controller: DriftController | None = None,
        block: int = FRAME_SAMPLES,
    ) -> None:
        """
        Args:
            render: the engine's; asked for `block` samples at a time.
            excess: tells the engine's delay above its target in seconds, or None.
            controller: with other constants than the default ones.
            block: samples asked for at once, 480 or 960.
        """
        self._render = render
        self._excess = excess
        self.controller = controller or DriftController()
        self._block = block
        # The rates given here only bound the ratio; set_io_ratio sets it.
        self._resampler = soxr.ResampleStream(1.05, 1.0, 1, "float32", "HQ", vr=True)
        self._resampler.set_io_ratio(1.0, 1.0, 0)
        self._ready: Pcm = np.zeros(0, np.float32)
        self._held: int | None = None

    def __call__(self, samples: int, playout: float) -> Pcm:
        """`samples` samples of which the first is heard at `playout`."""
        while len(self._ready) < samples:
            ratio = self.controller.update(self._excess(), self._block / SAMPLE_RATE)
            ahead = len(self._ready) + (self._held or 0)
            pcm = self._render(self._block, playout + ahead / SAMPLE_RATE)
            # The ratio glides to its new value over the block, so no step is ever audible.
            self._resampler.set_io_ratio(1.0, ratio, self._block)
            made = self._resampler.resample_chunk(pcm)
            if self._held is None:
                self._held = len(pcm) - len(made)
            self._ready = np.concatenate((self._ready, made))
        block, self._ready = self._ready[:samples], self._ready[samples:]
        return np.clip(block, -1.0, 1.0)
