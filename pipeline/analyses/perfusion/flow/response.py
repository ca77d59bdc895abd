"""What tissue does with its arterial input: the convolution with a residue function.

``C(t) = rho F / 60 (C_blood * R)(t - d)``, with the flow ``F`` [ml/min/g], the density ``rho`` of
myocardium, the residue ``R``, 1 at the beginning, and the delay ``d``. ``C_blood`` is that of whole
blood, so ``F`` is the flow of blood and the haematocrit does not enter: an input in plasma would
give the flow of plasma.

The samples of the input are joined by a cubic spline and the integral is taken every 0.1 s.
Straight lines would cut the peak off.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when first used: few runs have blood flow to tell
from numpy.typing import NDArray

from pipeline.analyses.perfusion.flow.inputfunction import InputFunction

DENSITY = 1.05
"""Density of myocardium [g/ml]."""

STEP_S = 0.1
"""Step of the integral [s]."""

UNIT_RESPONSE = STEP_S * DENSITY / 60.0
"""What a step of the integral adds at a flow of 1 ml/min/g [ml/ml]."""

LONGEST_DELAY_S = 3.0
"""Longest delay from the blood pool to the tissue [s]."""

MOST_FLOW = 8.0
"""Largest flow that is looked for [ml/min/g]: twice that of a healthy heart under stress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deconvolved:
    """A flow and its interval."""

    flow: float
    """Flow [ml/min/g]."""

    low: float
    """Lower end of the interval of 95 % [ml/min/g]."""

    high: float
    """Upper end [ml/min/g]."""

    delay_s: float
    """Delay of the best fit [s]."""

    residual: float
    """Root mean square of what the best fit leaves over, in the unit of the curve."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BloodOnGrid:
    """An input function on an even grid."""

    grid_s: NDArray[np.float64]
    """Time of each point [s]. Shape ``(points,)``."""

    blood: NDArray[np.float64]
    """The input. Shape ``(points,)``."""

    @property
    def lags_s(self) -> NDArray[np.float64]:
        """Time since contrast arrived in the tissue, for residues [s]. Shape ``(points,)``."""
        lags: NDArray[np.float64] = self.grid_s - self.grid_s[0]
        return lags

    def responses(self, residues: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what tissue of a flow of 1 ml/min/g holds, by the trapezoidal rule.

        Parameters
        ----------
        residues
            Residue functions on ``lags_s``. Shape ``(..., points)``.
        """
        whole = scipy.signal.fftconvolve(
            residues, np.broadcast_to(self.blood, residues.shape), axes=-1
        )
        ends = 0.5 * (self.blood * residues[..., :1] + self.blood[0] * residues)
        found: NDArray[np.float64] = whole[..., : len(self.grid_s)] - ends
        return UNIT_RESPONSE * found

    def sampled(
        self, responses: NDArray[np.float64], times_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return responses at times; 0 before the grid begins.

        Parameters
        ----------
        responses
            On the grid. Shape ``(..., points)``.
        times_s
            Times, less the delay [s]. Shape ``(samples,)``.
        """
        at = np.clip((times_s - self.grid_s[0]) / STEP_S, 0.0, len(self.grid_s) - 1.001)
        left = at.astype(int)
        share = at - left
        found: NDArray[np.float64] = (
            responses[..., left] * (1.0 - share) + responses[..., left + 1] * share
        )
        return np.where(times_s >= self.grid_s[0], found, 0.0)


def on_grid(source: InputFunction) -> BloodOnGrid:
    """Return an input function on an even grid, from its first fitted sample to its last.

    Parameters
    ----------
    source
        The input function.
    """
    fitted = slice(source.begin, source.end)
    times = source.times_s[fitted]
    grid = np.arange(times[0], times[-1] + STEP_S, STEP_S)
    spline = scipy.interpolate.CubicSpline(times, source.blood[fitted])
    blood: NDArray[np.float64] = spline(np.minimum(grid, times[-1]))
    return BloodOnGrid(grid_s=grid, blood=blood)
