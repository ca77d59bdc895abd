"""Deconvolution by a Fermi function.

The residue is ``R(t) = (1 + exp(-k w)) / (1 + exp(k (t - w)))`` [JER1998]_: a shoulder of width
``w`` that falls off at a rate ``k``. Flow, width, rate, delay and the curve's own zero are fitted
by bounded least squares, from the best of a table of shapes. The interval is that of the profile
likelihood: all flows for which some shape fits about as well as the best one does.

References
----------
.. [JER1998] M. Jerosch-Herold, N. Wilke, A. E. Stillman, Magnetic resonance quantification of the
   myocardial perfusion reserve with a Fermi function model for constrained deconvolution, Medical
   Physics 25:73 (1998), doi:10.1118/1.598163.
"""

import math
from collections.abc import Callable

import numpy as np
import scipy  # its parts are loaded when first used: few runs have blood flow to tell
from numpy.typing import NDArray
from scipy.special import fdtri

from pipeline.analyses.perfusion.flow.inputfunction import InputFunction
from pipeline.analyses.perfusion.flow.response import (
    LONGEST_DELAY_S,
    MOST_FLOW,
    Deconvolved,
    on_grid,
)

WIDTHS_S = np.geomspace(0.5, 40.0, 16)
RATES_PER_S = np.geomspace(0.05, 3.0, 9)
DELAYS_S = np.arange(0.0, LONGEST_DELAY_S + 0.01, 0.25)
"""Shapes of the table."""

LOWER = np.array([0.0, WIDTHS_S[0], RATES_PER_S[0]])
UPPER = np.array([LONGEST_DELAY_S, WIDTHS_S[-1], RATES_PER_S[-1]])
"""Bounds of delay [s], width [s] and rate [1/s]."""

SCALES = (1.0, 5.0, 0.3)
"""Typical sizes of delay, width and rate."""

N_PARAMETERS = 5
"""Flow, width, rate, delay, zero."""

CONFIDENCE = 0.95
"""Share of the intervals that hold the true flow, where the model is right."""

FLOW_TOLERANCE = 0.005
"""How closely the ends of an interval are found, relative to the flow."""

MISFIT_TOLERANCE = 1e-5
"""Relative improvement of the sum of squares below which a search ends."""

MOST_STEPS = 40
"""Steps of one search: where width and rate do the same, none is needed."""

Shape = NDArray[np.float64]
"""Delay, width and rate. Shape ``(3,)``."""


class FermiModel:
    """Fits Fermi functions to tissue of one input function.

    Parameters
    ----------
    source
        The input function.
    times_s
        When the tissue's samples were taken [s]. Shape ``(beats,)``.
    """

    def __init__(self, source: InputFunction, times_s: NDArray[np.float64]) -> None:
        self._blood = on_grid(source)
        self._used = slice(source.begin, source.end)
        self._times = times_s[self._used]
        # The response to any residue is a sum of those to one at each lag.
        self._responses = self._blood.responses(np.eye(len(self._blood.lags_s)))
        self._shapes, self._table = self._tabulated()
        self._squares = (self._table**2).sum(axis=1)

    def fit(self, curve: NDArray[np.float64]) -> Deconvolved:
        """Return the flow of a tissue.

        Parameters
        ----------
        curve
            Concentration, or signal, of the tissue in the unit of the input function. Shape
            ``(beats,)``.
        """
        centred = _centred(curve[self._used])
        best = self._refined(centred, self._best_shape(centred), None)
        flow, misfit = self._at_best_flow(centred, best)
        n_free = len(centred) - N_PARAMETERS
        allowed = misfit * (1.0 + fdtri(1, n_free, CONFIDENCE) / n_free)
        excess = self._excess(centred, best, allowed)
        return Deconvolved(
            flow=flow,
            low=_crossing(excess, flow, 0.0),
            high=_crossing(excess, flow, MOST_FLOW),
            delay_s=float(best[0]),
            residual=float(np.sqrt(misfit / len(centred))),
        )

    def flows(self, curves: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the flow of the table's best shape for each of many tissues.

        Parameters
        ----------
        curves
            Shape ``(beats, tissues)``.

        Returns
        -------
            Flow [ml/min/g]. Shape ``(tissues,)``.
        """
        centred = curves[self._used] - curves[self._used].mean(axis=0)
        along = self._table @ centred
        flows = np.clip(along / self._squares[:, None], 0.0, MOST_FLOW)
        misfits = flows * (flows * self._squares[:, None] - 2.0 * along)
        found: NDArray[np.float64] = flows[misfits.argmin(axis=0), np.arange(curves.shape[1])]
        return found

    def _tabulated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the table's shapes, and the centred course of a flow of 1 of each."""
        pairs = [(width, rate) for width in WIDTHS_S for rate in RATES_PER_S]
        residues = np.array([fermi(self._blood.lags_s, *pair) for pair in pairs])
        responses = residues @ self._responses
        courses = [self._blood.sampled(responses, self._times - delay) for delay in DELAYS_S]
        shapes = [(delay, *pair) for delay in DELAYS_S for pair in pairs]
        table = np.concatenate(courses)
        return np.array(shapes), table - table.mean(axis=1, keepdims=True)

    def _course(self, shape: Shape) -> NDArray[np.float64]:
        """Return the centred course of a flow of 1."""
        response = fermi(self._blood.lags_s, shape[1], shape[2]) @ self._responses
        return _centred(self._blood.sampled(response, self._times - shape[0]))

    def _best_shape(self, centred: NDArray[np.float64], flow: float | None = None) -> Shape:
        """Return the table's shape that fits best, at a flow if one is given."""
        along = self._table @ centred
        flows = np.clip(along / self._squares, 0.0, MOST_FLOW) if flow is None else flow
        found: Shape = self._shapes[(flows * (flows * self._squares - 2.0 * along)).argmin()]
        return found

    def _at_best_flow(self, centred: NDArray[np.float64], shape: Shape) -> tuple[float, float]:
        """Return the flow that fits best with a shape, and the sum of squares that is left."""
        course = self._course(shape)
        flow = float(np.clip(course @ centred / (course @ course), 0.0, MOST_FLOW))
        return flow, float(((centred - flow * course) ** 2).sum())

    def _refined(self, centred: NDArray[np.float64], shape: Shape, flow: float | None) -> Shape:
        """Return the shape that fits best, from a shape on, at a flow if one is given."""

        def left_over(tried: Shape) -> NDArray[np.float64]:
            course = self._course(tried)
            best = course @ centred / (course @ course) if flow is None else flow
            return centred - float(np.clip(best, 0.0, MOST_FLOW)) * course

        found = scipy.optimize.least_squares(
            left_over,
            np.clip(shape, LOWER, UPPER),
            bounds=(LOWER, UPPER),
            x_scale=SCALES,
            ftol=MISFIT_TOLERANCE,
            max_nfev=MOST_STEPS,
        )
        refined: Shape = found.x
        return refined

    def _excess(
        self, centred: NDArray[np.float64], best: Shape, allowed: float
    ) -> Callable[[float], float]:
        """Return by how much the misfit of the best shape at a flow is beyond what is allowed."""

        def misfit(flow: float, shape: Shape) -> float:
            return float(((centred - flow * self._course(shape)) ** 2).sum())

        def excess(flow: float) -> float:
            starts = (self._best_shape(centred, flow), best)
            start = min(starts, key=lambda shape: misfit(flow, shape))
            return misfit(flow, self._refined(centred, start, flow)) / allowed - 1.0

        return excess


def fermi(lags_s: NDArray[np.float64], width_s: float, rate_per_s: float) -> NDArray[np.float64]:
    """Return a Fermi function that begins at 1.

    Parameters
    ----------
    lags_s
        Time since contrast arrived [s]. Shape ``(points,)``.
    width_s
        Width of its shoulder [s].
    rate_per_s
        How fast it falls off [1/s].
    """
    falling = np.exp(np.minimum(rate_per_s * (lags_s - width_s), 500.0))
    found: NDArray[np.float64] = (1.0 + np.exp(-rate_per_s * width_s)) / (1.0 + falling)
    return found


def _crossing(excess: Callable[[float], float], flow: float, limit: float) -> float:
    """Return the flow between the best one and a limit at which the misfit is as allowed."""
    step = math.copysign(min(0.1 * max(flow, 0.1), 0.5 * abs(limit - flow)), limit - flow)
    inside, outside = flow, flow + step
    while abs(outside - flow) < abs(limit - flow) and excess(outside) <= 0.0:
        inside, step = outside, 2.0 * step
        outside = outside + step
    if abs(outside - flow) >= abs(limit - flow):
        if excess(limit) <= 0.0:
            return limit
        outside = limit
    found = scipy.optimize.brentq(
        excess, inside, outside, xtol=FLOW_TOLERANCE * max(flow, 0.1), rtol=1e-3
    )
    return float(found)


def _centred(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a curve less its mean: its zero is fitted with it."""
    found: NDArray[np.float64] = curve - curve.mean()
    return found
