"""Find the slices of a series along its normal, and prove that they make one regular grid.

References
----------
.. [C762] DICOM PS3.3, C.7.6.2.1.1, equation C.7.6.2.1-1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import IncompleteSeries, InconsistentSeries
from pipeline.ingest.frame import Frame, listed

SAME_SLICE_MM = 0.1
"""Largest distance between the positions of two frames of one slice."""

SPACING_TOLERANCE = 0.01
"""Largest relative deviation of one slice gap from the typical one."""

ROUNDING_MM = 0.02
"""What positions that were rounded to two decimals may be off."""

SHEAR_TOLERANCE = 1e-3
"""Largest tangent between slice normal and slice step; more is gantry tilt."""


def slices_of(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Return the frames of each slice, slices ascending along the normal.

    Frames share an orientation. Slice Location (0020,1041) is not looked at: only Image Position
    (Patient) is defined in the patient.

    Raises
    ------
    InconsistentSeries
        If two frames at one height lie apart within their plane.
    """
    normal = frames[0].plane.normal
    ordered = sorted(frames, key=lambda f: float(f.plane.position_mm @ normal))
    heights = np.array([f.plane.position_mm @ normal for f in ordered])
    ends = [*(np.flatnonzero(np.diff(heights) > SAME_SLICE_MM) + 1), len(ordered)]
    slices, start = [], 0
    for end in ends:
        slices.append(ordered[start:end])
        start = int(end)
    for members in slices:
        _check_one_place(members)
    return slices


def grid_affine(slices: Sequence[Sequence[Frame]]) -> NDArray[np.float64]:
    """Return the affine of the slices, equation C.7.6.2.1-1 [C762]_.

    Returns
    -------
        Maps ``(slice, row, column, 1)`` to ``(x, y, z, 1)`` [mm], LPS+. Shape ``(4, 4)``.

    Raises
    ------
    InconsistentSeries
        If a slice is missing, or the slices are unevenly spaced or sheared.
    """
    plane = slices[0][0].plane
    row_spacing, column_spacing = plane.pixel_spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = _slice_step(slices)
    # Pixel Spacing lists the row spacing first, but it is the *column* cosines that run from row to
    # row: the pairs cross over.
    affine[:3, 1] = plane.column_cosines * row_spacing
    affine[:3, 2] = plane.row_cosines * column_spacing
    affine[:3, 3] = plane.position_mm
    return affine


def _check_one_place(members: Sequence[Frame]) -> None:
    """Refuse frames of one height that lie apart within their plane."""
    positions = np.array([f.plane.position_mm for f in members])
    away = np.linalg.norm(positions - np.median(positions, axis=0), axis=1)
    if away.max() > SAME_SLICE_MM:
        moved = [f.named for f, a in zip(members, away, strict=True) if a > SAME_SLICE_MM]
        raise InconsistentSeries(
            f"frames of one slice lie {away.max():.2f} mm apart within it: {listed(moved)}"
        )


def _slice_step(slices: Sequence[Sequence[Frame]]) -> NDArray[np.float64]:
    """Return the vector from one slice to the next [mm]. Shape ``(3,)``."""
    plane = slices[0][0].plane
    if len(slices) == 1:
        stated = plane.slice_spacing_mm or plane.slice_thickness_mm or 0.0
        return plane.normal * (stated if stated > 0 else 1.0)
    positions = np.array([members[0].plane.position_mm for members in slices])
    _check_spacing(slices, positions @ plane.normal)
    step: NDArray[np.float64] = (positions[-1] - positions[0]) / (len(slices) - 1)
    expected = positions[0] + np.arange(len(slices))[:, None] * step
    across = (positions - positions[0]) - np.outer(
        (positions - positions[0]) @ plane.normal, plane.normal
    )
    shear = float(np.linalg.norm(across[-1]) / ((positions[-1] - positions[0]) @ plane.normal))
    if shear > SHEAR_TOLERANCE and np.linalg.norm(across[-1]) > ROUNDING_MM:
        raise InconsistentSeries(
            f"gantry tilt: from {slices[0][0].named} to {slices[-1][0].named} the slices shift by "
            f"{np.linalg.norm(across[-1]):.2f} mm within their plane"
        )
    away = np.linalg.norm(positions - expected, axis=1)
    if away.max() > ROUNDING_MM + SPACING_TOLERANCE * np.linalg.norm(step):
        worst = slices[int(away.argmax())][0]
        raise InconsistentSeries(f"slice {worst.named} lies {away.max():.2f} mm beside the others")
    return step


def _check_spacing(slices: Sequence[Sequence[Frame]], heights: NDArray[np.float64]) -> None:
    """Refuse gaps between slices that differ, or that are a multiple of what is stated."""
    gaps = np.diff(heights)
    typical = float(np.median(gaps)) if len(gaps) > 2 else float(gaps.min())
    stated = slices[0][0].plane.slice_spacing_mm
    if stated and stated > 0 and _is_multiple(typical, stated):
        typical = stated
    off = np.abs(gaps - typical)
    worst = int(off.argmax())
    if off[worst] <= SPACING_TOLERANCE * typical + ROUNDING_MM:
        return
    around = f"between {slices[worst][0].named} and {slices[worst + 1][0].named}"
    kind = "missing slice" if _is_multiple(float(gaps[worst]), typical) else "uneven spacing"
    raise IncompleteSeries(
        f"{kind} {around}: {gaps[worst]:.3f} mm apart, {typical:.3f} mm expected"
    )


def _is_multiple(gap: float, spacing: float) -> bool:
    """Tell whether a gap is twice a spacing, or three times, and so on."""
    times = round(gap / spacing)
    return times >= 2 and abs(gap - times * spacing) <= SPACING_TOLERANCE * gap
