"""Contrast over time: from the right heart through the lungs to the left, and into the organs.

Concentrations are in [mmol/l], times in [s]. Inputs are gamma variates (Thompson 1964), the
myocardium's residue is a Fermi function (Jerosch-Herold 1998): ``C = rho F / 60 (C_LV * R)``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.draws import Draws

STEP_S = 0.25
"""Step of the grid on which curves are computed [s]."""

LEAD_S = 30.0
"""Time before the first beat that the grid covers [s]: contrast may have arrived already."""

DENSITY = 1.05
"""Density of myocardium [g/ml]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VascularBed:
    """What makes one myocardium's residue differ from another's at the same flow."""

    volume: float
    """Volume that contrast spreads into [ml/g]."""

    steepness: float
    """Steepness of the Fermi function over one mean transit: low ones wash out slowly."""

    vessels: float
    """Share of blood in the tissue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Perfusion:
    """What is asked of a myocardium, instead of drawn."""

    bed: VascularBed
    """What makes its residue."""

    flow: float
    """Flow of healthy myocardium [ml/min/g]."""

    defect_flow: float
    """Flow of the defect [ml/min/g]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Concentration of contrast agent in each tissue [mmol/l], on the grid ``times_s``."""

    times_s: NDArray[np.float64]
    """Time since the first beat [s]. Shape ``(steps,)``."""

    right: NDArray[np.float64]
    """Blood of the right ventricle. Shape ``(steps,)``, as all that follow."""

    lung: NDArray[np.float64]
    """Blood of the pulmonary vessels."""

    left: NDArray[np.float64]
    """Blood of the left ventricle."""

    aorta: NDArray[np.float64]
    """Blood of the descending aorta."""

    myocardium: NDArray[np.float64]
    """Healthy myocardium."""

    defect: NDArray[np.float64]
    """Myocardium of reduced flow."""

    liver: NDArray[np.float64]
    """Liver: slow, mostly portal."""

    spleen: NDArray[np.float64]
    """Spleen: arterial."""

    muscle: NDArray[np.float64]
    """Skeletal muscle: little and slow."""


def contrast_curves(
    draws: Draws, duration_s: float, arrival_s: float, asked: Perfusion | None = None
) -> Curves:
    """Draw the passage of one bolus.

    Parameters
    ----------
    draws
        Random numbers.
    duration_s
        Length of the acquisition [s].
    arrival_s
        When the bolus reaches the right ventricle, since the first beat [s]; negative if before it.
    asked
        What the myocardium is like; None draws it.
    """
    times = np.arange(-LEAD_S, duration_s + 1.0, STEP_S)
    right = _first_pass(draws, times, arrival_s)
    transit_s, dispersion_s = draws.between(3.0, 9.0), draws.between(0.8, 2.2)
    slow = draws.between(0.15, 0.4)  # share of the blood that takes the long way through the lungs
    spread = _dispersed(right, dispersion_s)
    left = _delayed((1.0 - slow) * spread + slow * _dispersed(spread, 8.0), transit_s)
    again = _dispersed(left, draws.between(5.0, 9.0))
    recirculated = draws.between(0.3, 0.7) * _delayed(again, draws.between(9.0, 18.0))
    mixed = np.cumsum(_delayed(left, draws.between(12.0, 25.0))) * STEP_S
    pool = draws.between(0.012, 0.03) * mixed  # evenly spread in the blood, hardly excreted yet
    left = left + recirculated + pool
    right = right + _delayed(recirculated + pool, -0.6 * transit_s)
    bed = draw_bed(draws)
    flow = draws.between(0.5, 1.3) if draws.rng.random() < 0.5 else draws.between(1.5, 4.0)
    aorta = _delayed(left, draws.between(0.3, 1.2))
    # Drawn also where it is asked for, so that all that follows is the same.
    drawn = Perfusion(bed=bed, flow=flow, defect_flow=flow * draws.between(0.15, 0.7))
    tissue = asked or drawn
    return Curves(
        times_s=times,
        right=right,
        lung=_delayed(_dispersed(right, 0.5 * dispersion_s), 0.5 * transit_s),
        left=left,
        aorta=aorta,
        myocardium=_perfused(tissue.bed, left, tissue.flow),
        defect=_perfused(tissue.bed, left, tissue.defect_flow),
        liver=draws.between(0.15, 0.4)
        * _dispersed(_delayed(aorta, draws.between(4.0, 10.0)), 15.0),
        spleen=draws.between(0.3, 0.6) * _dispersed(_delayed(aorta, 2.0), draws.between(3.0, 6.0)),
        muscle=draws.between(0.05, 0.12) * _dispersed(_delayed(aorta, 3.0), 12.0),
    )


def _first_pass(draws: Draws, times: NDArray[np.float64], arrival_s: float) -> NDArray[np.float64]:
    """Return the right ventricle's first pass: a gamma variate, drawn out by the injection."""
    shape, scale_s = draws.between(1.5, 4.0), draws.between(0.5, 1.4)
    since = np.maximum(times - arrival_s, 0.0) / (shape * scale_s)
    bolus = (since * np.exp(1.0 - since)) ** shape
    injected = max(1, round(draws.between(0.5, 7.0) / STEP_S))
    curve = np.convolve(bolus, np.full(injected, 1.0 / injected))[: len(times)]
    peak = float(curve.max())
    return draws.log_between(3.0, 12.0) * curve / peak if peak > 0 else curve


def draw_bed(draws: Draws) -> VascularBed:
    """Draw a myocardium's vascular bed."""
    return VascularBed(
        volume=draws.between(0.2, 0.45),
        steepness=draws.between(0.3, 2.5),
        vessels=draws.between(0.02, 0.07),
    )


def _perfused(bed: VascularBed, arterial: NDArray[np.float64], flow: float) -> NDArray[np.float64]:
    """Return the concentration in myocardium of a flow [ml/min/g], with blood in its vessels."""
    transit_s = 60.0 * bed.volume / flow
    since = np.arange(0.0, 90.0, STEP_S) / transit_s
    residue = (1.0 + np.exp(-bed.steepness)) / (1.0 + np.exp(bed.steepness * (since - 1.0)))
    tissue = DENSITY * flow / 60.0 * np.convolve(arterial, residue)[: len(arterial)] * STEP_S
    return tissue + bed.vessels * arterial


def _dispersed(curve: NDArray[np.float64], mean_s: float) -> NDArray[np.float64]:
    """Return a curve convolved with an exponential of unit area and a mean [s]."""
    kernel = np.exp(-np.arange(0.0, 6.0 * mean_s, STEP_S) / mean_s)
    return np.asarray(np.convolve(curve, kernel / kernel.sum())[: len(curve)])


def _delayed(curve: NDArray[np.float64], delay_s: float) -> NDArray[np.float64]:
    """Return a curve moved later by a delay [s]; earlier where it is negative."""
    grid = np.arange(len(curve)) * STEP_S
    return np.asarray(np.interp(grid - delay_s, grid, curve))
