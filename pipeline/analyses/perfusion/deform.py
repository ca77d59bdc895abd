"""Deformation that is left after rigid motion correction, taken out by a smooth field a beat.

The heart is not in the same phase on every beat, and a breath bends what lies around it. Each
beat is registered to what a low-rank model of the series predicts for it, by optical flow over
windows of 5 cm [LS2005]_: nothing smaller moves. A field that would fold is made smaller until it
does not.

References
----------
.. [LS2005] G. Le Besnerais, F. Champagnat, Dense optical flow by iterative local window
   registration, ICIP 2005, doi:10.1109/ICIP.2005.1529706.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from pipeline.analyses.perfusion.motion import low_rank

RANK = 4
"""Rank of the model: baseline, both ventricles, myocardium."""

WINDOW_MM = 24.0
"""Half the side of the window over which a field is the same [mm]: about half the heart's
diameter."""

WARPS = 5
"""Times that the flow is looked for anew on the frame as it was moved so far."""

LEAST_JACOBIAN = 0.2
"""No part of the heart may shrink to less than this share of its area."""


def deformations(square: NDArray[np.float32], spacing_mm: float) -> NDArray[np.float32]:
    """Return the field of each beat: what the model shows at ``p`` is seen at ``p + field``.

    Parameters
    ----------
    square
        Beats on which the heart stands still as a whole. Shape ``(beats, size, size)``.
    spacing_mm
        Distance between the points of the square [mm].

    Returns
    -------
        Along rows and columns [points]. Shape ``(beats, 2, size, size)``.
    """
    # The only user of scikit-image here, which takes long to import.
    from skimage.registration import optical_flow_ilk

    level = max(float(np.quantile(square, 0.99)), float(np.finfo(np.float32).tiny))
    seen = square / np.float32(level)
    predicted = low_rank(seen, min(RANK, len(seen)))
    fields = [
        optical_flow_ilk(
            model, beat, radius=round(WINDOW_MM / spacing_mm), num_warp=WARPS, gaussian=True
        )
        for model, beat in zip(predicted, seen, strict=True)
    ]
    return np.stack([unfolded(field.astype(np.float32)) for field in fields])


def undeformed(square: NDArray[np.float32], spacing_mm: float) -> NDArray[np.float32]:
    """Return the beats with their deformation taken out, by linear interpolation.

    Parameters
    ----------
    square
        Beats on which the heart stands still as a whole. Shape ``(beats, size, size)``.
    spacing_mm
        Distance between the points of the square [mm].
    """
    points = np.indices(square.shape[1:], dtype=np.float32)
    fields = deformations(square, spacing_mm)
    return np.stack(
        [
            map_coordinates(beat, points + field, order=1, mode="nearest")
            for beat, field in zip(square, fields, strict=True)
        ]
    )


def unfolded(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a field, made smaller until it folds nowhere.

    Parameters
    ----------
    field
        Shape ``(2, rows, columns)``.
    """
    while jacobian(field).min() < LEAST_JACOBIAN:
        field = np.float32(0.8) * field
    return field


def jacobian(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the share of its area that each point has after the field; below 0 it is folded.

    Parameters
    ----------
    field
        Shape ``(2, rows, columns)``.
    """
    (down_down, down_right), (right_down, right_right) = (
        np.gradient(component, axis=(0, 1)) for component in field
    )
    found: NDArray[np.float32] = (1 + down_down) * (1 + right_right) - down_right * right_down
    return found
