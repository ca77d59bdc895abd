"""A digital reference object for flow: courses of contrast whose flow is known.

The input is a gamma variate [THO1964]_ drawn out by the injection, comes round again and mixes into
the blood. Tissue is its convolution with a residue function, in steps of 0.05 s. The residue is a
Fermi function or one of three that are not: what a fit does on its own model says little.

References
----------
.. [THO1964] H. K. Thompson et al., Indicator transit time considered as a gamma variate,
   Circulation Research 14:502 (1964), doi:10.1161/01.RES.14.6.502.
.. [JOH1966] J. A. Johnson, T. A. Wilson, A model for capillary exchange, American Journal of
   Physiology 210:1299 (1966), doi:10.1152/ajplegacy.1966.210.6.1299.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FINE_S = 0.05
"""Step in which courses are computed [s]."""

DENSITY = 1.05
"""Density of myocardium [g/ml]."""

SPACE = 0.30
"""Volume that contrast spreads into, of a Fermi function and of one compartment [ml/ml]."""

VESSELS, EXCHANGE, INTERSTITIUM = 0.08, 1.5, 0.22
"""Blood in capillaries [ml/ml], product of permeability and surface [ml/min/g], and volume between
the cells [ml/ml], of both models of exchange."""

FERMI_RATE = 6.0
"""Rate of a Fermi function times its width."""

Residue = Callable[[NDArray[np.float64], float], NDArray[np.float64]]
"""Share of the contrast that is still in the tissue after some time [s], at a flow [ml/min/g]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bolus:
    """One injection, as the left ventricle sees it."""

    arrival_s: float
    """When it arrives [s]."""

    shape: float
    """Exponent of the gamma variate."""

    scale_s: float
    """Its scale [s]."""

    injected_s: float
    """Time that the injection takes [s]."""

    peak: float
    """Largest concentration [mmol/l]."""

    again: float
    """What comes round again, relative to the peak."""


def drawn_bolus(rng: np.random.Generator) -> Bolus:
    """Draw an injection.

    Parameters
    ----------
    rng
        Random numbers.
    """
    return Bolus(
        arrival_s=rng.uniform(6.0, 10.0),
        shape=rng.uniform(2.0, 3.5),
        scale_s=rng.uniform(0.9, 1.4),
        injected_s=rng.uniform(1.0, 4.0),
        peak=rng.uniform(3.0, 6.0),
        again=rng.uniform(0.1, 0.25),
    )


def fine_times(duration_s: float) -> NDArray[np.float64]:
    """Return the times at which courses are computed [s]. Shape ``(points,)``."""
    return np.arange(0.0, duration_s, FINE_S)


def arterial_course(bolus: Bolus, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the concentration in the blood of the left ventricle [mmol/l].

    Parameters
    ----------
    bolus
        The injection.
    times_s
        Even times from 0 [s]. Shape ``(points,)``.
    """
    first = _gamma(times_s - bolus.arrival_s, bolus.shape, bolus.scale_s)
    n_injected = max(1, round(bolus.injected_s / FINE_S))
    first = np.convolve(first, np.full(n_injected, 1.0 / n_injected))[: len(times_s)]
    first /= first.max()
    again = _gamma(times_s - bolus.arrival_s - 12.0, 2.5, 4.0)
    mixed = 1.0 / (1.0 + np.exp(-(times_s - bolus.arrival_s - 18.0) / 3.0))
    return bolus.peak * (first + bolus.again * again + 0.6 * bolus.again * mixed)


def tissue_course(
    arterial: NDArray[np.float64], residue: Residue, flow: float, delay_s: float
) -> NDArray[np.float64]:
    """Return the concentration in tissue [mmol/l], on the times of its input.

    Parameters
    ----------
    arterial
        The input on ``fine_times``. Shape ``(points,)``.
    residue
        How long contrast stays.
    flow
        Flow [ml/min/g].
    delay_s
        From the blood to the tissue [s].
    """
    lags = np.arange(len(arterial), dtype=np.float64) * FINE_S
    kept = residue(lags, flow)
    held = np.convolve(arterial, kept)[: len(arterial)]
    held = (held - 0.5 * (arterial * kept[0] + arterial[0] * kept)) * FINE_S
    course: NDArray[np.float64] = np.interp(lags - delay_s, lags, held) * DENSITY * flow / 60.0
    return course


def _fermi(lags_s: NDArray[np.float64], flow: float) -> NDArray[np.float64]:
    """Return a Fermi function whose mean transit is that of ``SPACE``."""
    width = SPACE / _per_second(flow)
    rate = FERMI_RATE / width
    falling = np.exp(np.minimum(rate * (lags_s - width), 500.0))
    found: NDArray[np.float64] = (1.0 + np.exp(-FERMI_RATE)) / (1.0 + falling)
    return found


def _exponential(lags_s: NDArray[np.float64], flow: float) -> NDArray[np.float64]:
    """Return the residue of one compartment that mixes at once."""
    found: NDArray[np.float64] = np.exp(-lags_s * _per_second(flow) / SPACE)
    return found


def _capillary(lags_s: NDArray[np.float64], flow: float) -> NDArray[np.float64]:
    """Return the residue where blood passes as a plug and gives off contrast on its way [JOH1966]_.

    After one transit what was given off is left, and is washed out, by the adiabatic approximation.
    """
    given_off = 1.0 - np.exp(-EXCHANGE / flow)
    transit = VESSELS / _per_second(flow)
    washout = given_off * _per_second(flow) / INTERSTITIUM
    left = given_off * np.exp(-np.maximum(lags_s - transit, 0.0) * washout)
    return np.where(lags_s < transit, 1.0, left)


def _two_compartments(lags_s: NDArray[np.float64], flow: float) -> NDArray[np.float64]:
    """Return the residue of two compartments that mix at once and exchange contrast."""
    out, over = _per_second(flow), _per_second(EXCHANGE)
    a, b = (out + over) / VESSELS, over / INTERSTITIUM
    root = np.sqrt((a + b) ** 2 - 4.0 * b * out / VESSELS)
    fast, slow = 0.5 * (a + b + root), 0.5 * (a + b - root)
    share = (fast - out / VESSELS) / (fast - slow)
    found: NDArray[np.float64] = (1.0 - share) * np.exp(-fast * lags_s) + share * np.exp(
        -slow * lags_s
    )
    return found


RESIDUES: Mapping[str, Residue] = {
    "fermi": _fermi,
    "exponential": _exponential,
    "capillary": _capillary,
    "two compartments": _two_compartments,
}
"""Residue functions by name."""


def _per_second(flow: float) -> float:
    """Return a flow [ml/min/g] for each volume of tissue [ml/s/ml]."""
    return DENSITY * flow / 60.0


def _gamma(since_s: NDArray[np.float64], shape: float, scale_s: float) -> NDArray[np.float64]:
    """Return a gamma variate that peaks at 1."""
    relative = np.maximum(since_s, 0.0) / (shape * scale_s)
    found: NDArray[np.float64] = (relative * np.exp(1.0 - relative)) ** shape
    return found
