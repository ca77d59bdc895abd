"""Deconvolution without a model of the tissue.

Whatever the vessels are like, a residue begins at 1 and only falls: it is a sum of ramps that end
at different transit times, each with a weight that is not negative, and the flow is the sum of the
weights. Ridge regression (Tikhonov) holds the weights down, by a strength that the data choose:
that of the largest marginal likelihood [MAC1992]_, averaged over all strengths and delays that are
about as likely. One strength by generalised cross-validation is on 25 samples often much too small,
and the flows of like curves then scatter several times as much.

The weights are those of non-negative least squares. The interval holds the uncertainty of the
weights and that of strength and delay.

References
----------
.. [MAC1992] D. J. C. MacKay, Bayesian interpolation, Neural Computation 4:415 (1992),
   doi:10.1162/neco.1992.4.3.415.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when first used: few runs have blood flow to tell
from numpy.typing import NDArray

from pipeline.analyses.perfusion.flow.inputfunction import InputFunction
from pipeline.analyses.perfusion.flow.response import (
    LONGEST_DELAY_S,
    BloodOnGrid,
    Deconvolved,
    on_grid,
)

TRANSITS_S = np.array([1, 1.5, 2.25, 3, 4, 5.5, 7, 9, 12, 15, 19, 24, 30, 40, 60], dtype=np.float64)
"""Where ramps begin and end [s]: what passes faster than the first is not told from blood."""

KEPT_SPREAD = 30.0
"""Spread of the weight of what never leaves, relative to that of the other weights: its size says
nothing of theirs."""

DELAYS_S = np.arange(0.0, LONGEST_DELAY_S + 0.01, 0.25)
"""Delays that are averaged over [s]."""

STRENGTHS = np.geomspace(1e-2, 1e2, 17)
"""Strengths of the ridge that are averaged over."""

LEAST_WEIGHT = 0.01
"""What is less likely than this is left out of the averages."""

HALF_WIDTH = 1.96
"""Standard deviations of an interval of 95 %."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Setting:
    """One delay and one strength."""

    delay_s: float
    """Delay [s]."""

    strength: float
    """Strength of the ridge."""

    variance: float
    """Variance of the noise, as it appears."""

    design: NDArray[np.float64]
    """Course of each weight. Shape ``(samples, weights)``."""


class ModelFree:
    """Deconvolves tissue by one input function, without a model.

    Parameters
    ----------
    source
        The input function.
    times_s
        When the tissue's samples were taken [s]. Shape ``(beats,)``.
    """

    def __init__(self, source: InputFunction, times_s: NDArray[np.float64]) -> None:
        self._used = slice(source.begin, source.end)
        self._designs, self._spreads = _designs(on_grid(source), times_s[self._used])
        self._parts = [np.linalg.svd(design, full_matrices=False)[:2] for design in self._designs]

    def fit(self, curve: NDArray[np.float64]) -> Deconvolved:
        """Return the flow of a tissue.

        Parameters
        ----------
        curve
            Concentration, or signal, of the tissue in the unit of the input function. Shape
            ``(beats,)``.
        """
        centred = curve[self._used] - curve[self._used].mean()
        settings, weights = self._likely(centred)
        solved = [self._solved(centred, setting) for setting in settings]
        flows, variances, misfits = (np.array(values) for values in zip(*solved, strict=True))
        flow = float(weights @ flows)
        spread = float(np.sqrt(weights @ (variances + (flows - flow) ** 2)))
        best = int(weights.argmax())
        return Deconvolved(
            flow=flow,
            low=max(0.0, flow - HALF_WIDTH * spread),
            high=flow + HALF_WIDTH * spread,
            delay_s=settings[best].delay_s,
            residual=float(np.sqrt(misfits[best] / len(centred))),
        )

    def _likely(self, centred: NDArray[np.float64]) -> tuple[list[_Setting], NDArray[np.float64]]:
        """Return the likely delays and strengths, and how likely each is."""
        settings, likelihoods = [], []
        for delay, design, (left, values) in zip(DELAYS_S, self._designs, self._parts, strict=True):
            along = left.T @ centred
            beside = max(float(centred @ centred - along @ along), 0.0)
            for strength in STRENGTHS:
                gain = 1.0 + (values / strength) ** 2
                power = float((along**2 / gain).sum()) + beside
                freedom = len(centred) - 1
                power = max(power, float(np.finfo(np.float64).tiny))
                likelihoods.append(-0.5 * (freedom * np.log(power) + np.log(gain).sum()))
                settings.append(
                    _Setting(
                        delay_s=float(delay),
                        strength=float(strength),
                        variance=power / freedom,
                        design=design,
                    )
                )
        weights = np.exp(np.array(likelihoods) - max(likelihoods))
        kept = np.flatnonzero(weights / weights.sum() > LEAST_WEIGHT)
        found: NDArray[np.float64] = weights[kept] / weights[kept].sum()
        return [settings[i] for i in kept], found

    def _solved(
        self, centred: NDArray[np.float64], setting: _Setting
    ) -> tuple[float, float, float]:
        """Return the flow at a delay and a strength, its variance, and what is left over."""
        n_weights = setting.design.shape[1]
        ridge = setting.strength * np.eye(n_weights)
        found, _ = scipy.optimize.nnls(
            np.vstack([setting.design, ridge]), np.concatenate([centred, np.zeros(n_weights)])
        )
        active = found > 0
        kept, spreads = setting.design[:, active], self._spreads[active]
        normal = kept.T @ kept + setting.strength**2 * np.eye(int(active.sum()))
        variance = setting.variance * float(spreads @ np.linalg.solve(normal, spreads))
        left = centred - setting.design @ found
        return float(self._spreads @ found), variance, float(left @ left)


def _designs(
    blood: BloodOnGrid, times_s: NDArray[np.float64]
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the course of each weight for each delay, and the spread of each weight.

    Weights are counted in their spreads, so that a strength means the same for every input.
    """
    begin, end = TRANSITS_S[:-1, None], TRANSITS_S[1:, None]
    ramps = np.clip((end - blood.lags_s) / (end - begin), 0.0, 1.0)
    responses = blood.responses(np.vstack([ramps, np.ones_like(blood.lags_s)]))
    courses = [blood.sampled(responses, times_s - delay).T for delay in DELAYS_S]
    centred = [course - course.mean(axis=0) for course in courses]
    spreads = np.ones(len(responses))
    spreads[-1] = KEPT_SPREAD
    spreads *= np.sqrt(len(responses)) / np.linalg.norm(centred[0])
    return [course * spreads for course in centred], spreads
