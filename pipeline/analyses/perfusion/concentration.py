"""From the signal of a saturation recovery sequence to the concentration of contrast agent.

The magnetisation is saturated, recovers for a delay, and is then read by pulses of a small flip
angle, so that the signal of a dense bolus stays behind its concentration [LAR1996]_. With
``R1 = R1_0 + r1 C``, ``E = exp(-TR R1)`` and ``a = E cos(alpha)``, at pulse ``n``, which reads the
centre of k-space, it is

``S = S0 [(1 - exp(-TD R1)) a**(n - 1) + (1 - E) (1 - a**(n - 1)) / (1 - a)]``,

which grows with ``R1`` and stays below ``S0``. ``S0`` follows from the baseline, where ``C`` is 0.

Not handled: a transverse relaxation that a very dense bolus shortens, saturation that is not whole,
and water that exchanges slowly.

References
----------
.. [LAR1996] H. B. W. Larsson et al., Myocardial perfusion modeling using MRI, Magnetic Resonance in
   Medicine 35:716 (1996), doi:10.1002/mrm.1910350513.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FASTEST_PER_S = 1e4
"""No recovery is faster [1/s]: at any delay in use it is whole to the last digit."""

HALVINGS = 60
"""Steps of the search for a rate: the interval is then below 1e-14 of ``FASTEST_PER_S``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SaturationRecovery:
    """A saturation recovery sequence, and the tissue and the agent that it sees."""

    delay_s: float
    """From the saturation to the first pulse of the read-out [s]; to the centre of k-space where
    no pulses before it are counted."""

    repetition_time_s: float
    """From a pulse of the read-out to the next one [s]."""

    flip_angle_deg: float
    """Flip angle of these pulses [degrees]."""

    n_before_centre: int
    """Pulses before the one that reads the centre of k-space."""

    r1_0_per_s: float
    """Longitudinal relaxation rate of the tissue without contrast [1/s]."""

    relaxivity: float
    """Longitudinal relaxivity of the contrast agent [l/mmol/s]."""


def relative_signal(
    concentration: NDArray[np.float64], sequence: SaturationRecovery
) -> NDArray[np.float64]:
    """Return the signal as a share of that of whole recovery.

    Parameters
    ----------
    concentration
        Contrast agent [mmol/l], any shape.
    sequence
        The sequence.

    Returns
    -------
        From 0 to 1. Same shape.
    """
    return _recovered(sequence.r1_0_per_s + sequence.relaxivity * concentration, sequence)


def concentration_of(
    curves: NDArray[np.float64],
    baseline: float | NDArray[np.float64],
    sequence: SaturationRecovery,
) -> NDArray[np.float64]:
    """Return the concentration of contrast agent of a tissue over time.

    Signals below the baseline, as noise makes them, give concentrations below 0.

    Parameters
    ----------
    curves
        Signal [any unit]. Shape ``(beats, ...)``.
    baseline
        Signal before contrast arrives, in the same unit: for all curves, or of shape ``(...)``.
    sequence
        The sequence, with the relaxation rate of this tissue.

    Returns
    -------
        Concentration [mmol/l], NaN where the signal is 0 or less, or at or above what the sequence
        can give: it was clipped, or the baseline is none. Same shape.
    """
    whole = np.asarray(baseline, dtype=np.float64) / _recovered(
        np.array(sequence.r1_0_per_s), sequence
    )
    share = np.divide(curves, whole, out=np.full(curves.shape, np.nan), where=whole > 0)
    possible = (share > 0) & (share < _recovered(np.array(FASTEST_PER_S), sequence))
    low, high = np.zeros(curves.shape), np.full(curves.shape, FASTEST_PER_S)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        above = _recovered(middle, sequence) > share
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    rate = np.where(possible, 0.5 * (low + high), np.nan)
    found: NDArray[np.float64] = (rate - sequence.r1_0_per_s) / sequence.relaxivity
    return found


def _recovered(rate: NDArray[np.float64], sequence: SaturationRecovery) -> NDArray[np.float64]:
    """Return the share of the magnetisation that a relaxation rate [1/s] brings back."""
    kept = np.exp(-sequence.repetition_time_s * rate)
    turned = kept * np.cos(np.deg2rad(sequence.flip_angle_deg))
    passed = turned**sequence.n_before_centre
    first = 1.0 - np.exp(-sequence.delay_s * rate)
    # Where nothing is read before the centre, a repetition time of 0 would divide 0 by 0.
    steady = (1.0 - kept) / np.maximum(1.0 - turned, np.finfo(np.float64).tiny)
    recovered: NDArray[np.float64] = first * passed + steady * (1.0 - passed)
    return recovered
