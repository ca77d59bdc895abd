"""Whether a series' header tells enough of its sequence to turn signals into concentrations.

DICOM has no attribute for the delay after a saturation; scanners write it as Inversion Time. It is
taken for the time to the centre of k-space, so that the pulses of the read-out are not counted.
Relaxation times are those of a healthy person and the relaxivity is that of one agent: of a ratio
of concentrations the relaxivity drops out, and the relaxation times count little.

References
----------
.. [STA2005] G. J. Stanisz et al., T1, T2 relaxation and magnetization transfer in tissue at 3T,
   Magnetic Resonance in Medicine 54:507 (2005), doi:10.1002/mrm.20605.
.. [ROH2005] M. Rohrer et al., Comparison of magnetic properties of MRI contrast media solutions at
   different magnetic field strengths, Investigative Radiology 40:715 (2005),
   doi:10.1097/01.rli.0000184756.66360.d3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.analyses.perfusion.concentration import SaturationRecovery, concentration_of
from pipeline.analyses.perfusion.features import Baseline

DELAYS_S = (0.02, 0.5)
"""Delays of saturation recovery [s]: what is outside is something else."""

T1_S = {1.5: {"blood": 1.441, "myocardium": 1.030}, 3.0: {"blood": 1.932, "myocardium": 1.471}}
"""Longitudinal relaxation times without contrast by field strength [s] [STA2005]_."""

RELAXIVITY = 4.1
"""Longitudinal relaxivity of gadopentetate in plasma at 1.5 T [l/mmol/s] [ROH2005]_."""

FIELD_TOLERANCE_T = 0.2
"""Fields that differ less are the same [T]: scanners of 1.5 T write 1.4 to 1.5."""

GAUSS = 1e4
"""Gauss in a tesla: some scanners write the field so."""

LARGEST_FIELD_T = 100.0
"""What is larger is gauss [T]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOut:
    """A saturation recovery sequence, as far as a header states it."""

    blood: SaturationRecovery
    """As blood is seen."""

    myocardium: SaturationRecovery
    """As the myocardium is."""


def read_out_of(header: Dataset | None, delays_s: tuple[float, float] = DELAYS_S) -> ReadOut | str:
    """Return the sequence of a series, or why it is not known.

    Parameters
    ----------
    header
        An instance of the series; None for a series without DICOM.
    delays_s
        Shortest and longest delay that is one of saturation recovery [s].
    """
    if header is None:
        return "the source has no header"
    stated, keyword = _preparation(header)
    delay_s = _number(stated, keyword) / 1000.0
    if not delays_s[0] <= delay_s <= delays_s[1]:
        return "the source states no saturation delay as Inversion Time (0018,0082)"
    sequence = header.get("ScanningSequence") or ()
    kinds = {sequence} if isinstance(sequence, str) else set(sequence)
    is_inversion = "IR" in kinds or stated.get("InversionRecovery") == "YES"
    if is_inversion and stated.get("SaturationRecovery") != "YES":
        return "Scanning Sequence (0018,0020) is an inversion recovery"
    field = field_strength_t(header)
    near = [known for known in T1_S if abs(known - field) <= FIELD_TOLERANCE_T]
    if not near:
        return "relaxation times are known at 1.5 and 3 T only: see (0018,0087)"
    blood, myocardium = (
        SaturationRecovery(
            delay_s=delay_s,
            repetition_time_s=0.0,
            flip_angle_deg=0.0,
            n_before_centre=0,
            r1_0_per_s=1.0 / T1_S[near[0]][tissue],
            relaxivity=RELAXIVITY,
        )
        for tissue in ("blood", "myocardium")
    )
    return ReadOut(blood=blood, myocardium=myocardium)


def field_strength_t(header: Dataset) -> float:
    """Return the field's strength [T], also where a scanner states it in gauss; NaN if unknown.

    Parameters
    ----------
    header
        An instance of the series.
    """
    stated = _number(header, "MagneticFieldStrength")
    return stated / GAUSS if stated > LARGEST_FIELD_T else stated


def concentrations(
    curve: NDArray[np.float64], before: Baseline | None, sequence: SaturationRecovery
) -> NDArray[np.float64]:
    """Return the concentration of contrast agent over time [mmol/l].

    All NaN where the series does not show the time before contrast, or where one beat has a signal
    that the sequence cannot give: it was clipped, or it is none of saturation recovery.

    Parameters
    ----------
    curve
        Mean intensity. Shape ``(beats,)``.
    before
        The time before contrast arrives; None if the series does not show it.
    sequence
        The sequence, as this tissue is seen.
    """
    if before is None or not np.isfinite(curve).all():
        return np.full(curve.shape, np.nan)
    found = concentration_of(curve, float(curve[: before.n_beats].mean()), sequence)
    return found if np.isfinite(found).all() else np.full(curve.shape, np.nan)


def _preparation(header: Dataset) -> tuple[Dataset, str]:
    """Return what states the delay, and its keyword: the header, or what frames of it share.

    An enhanced image whose frames have delays of their own states none that holds for all.
    """
    for shared in header.get("SharedFunctionalGroupsSequence") or ():
        for modifier in shared.get("MRModifierSequence") or ():
            return modifier, "InversionTimes"
    return header, "InversionTime"


def _number(header: Dataset, keyword: str) -> float:
    """Return a number of a header; NaN where there is none."""
    value = header.get(keyword)
    return float(value) if isinstance(value, int | float) else float("nan")
