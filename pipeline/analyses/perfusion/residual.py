"""How far the heart still moves after motion was corrected.

What the correction compares cannot say what it has missed. So this compares something else: the
edges of each beat with the mean of the edges of all other beats, on the corrected frames. A beat
that was put beside the others shows there, and so does a stretch of beats after a breath.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.edges import agreement, edge_tensors, heart_window
from pipeline.analyses.perfusion.peaks import refined_peaks

REACH_MM = 24.0
"""Farthest displacement that is looked for [mm]."""

LARGE_RESIDUAL_MM = 1.5
"""A slice that moves more after correction carries a note [mm]: nearly twice the most of the 80
series that correction was developed on (``docs/motion.md``)."""


def remaining_shifts(square: NDArray[np.float32], spacing_mm: float) -> NDArray[np.float64]:
    """Find how far the heart on each beat lies from where all other beats show it.

    Parameters
    ----------
    square
        Motion-corrected beats around the heart. Shape ``(beats, size, size)``.
    spacing_mm
        Distance between the points of the square [mm].

    Returns
    -------
        Displacement along rows and columns [mm]. Shape ``(beats, 2)``; zero for a single beat.
    """
    if len(square) < 2:
        return np.zeros((len(square), 2))
    edges = edge_tensors(square)
    others = (edges.sum(axis=0) - edges) / np.float32(len(edges) - 1)
    size = square.shape[-1]
    reach = min(int(REACH_MM / spacing_mm), (size - 1) // 2)
    agreed = agreement(others, edges, heart_window(size, spacing_mm), reach)
    return spacing_mm * refined_peaks(agreed)


def residual_motion_mm(remaining_mm: NDArray[np.float64]) -> float:
    """Return the mean length of the displacements that are left [mm].

    Parameters
    ----------
    remaining_mm
        What :func:`remaining_shifts` has found. Shape ``(beats, 2)``.
    """
    return float(np.linalg.norm(remaining_mm, axis=1).mean())
