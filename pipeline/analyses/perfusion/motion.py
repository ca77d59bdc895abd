"""Rigid motion correction between heart beats, in the plane.

Contrast passes through the heart during the series, so no beat can be compared with a fixed one.
First, edges tell roughly where the heart is on each beat (``breathing``). Then each beat is
compared with what a low-rank model of the whole series predicts for it: the model knows the
contrast of that beat and averages the motion away. The rank grows from pass to pass; at the end the
model knows baseline, right and left ventricle and myocardium.

What this does on phantoms and on real series is in ``docs/motion.md``. Not handled: motion through
the plane, deformation between systole and diastole.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from pipeline.analyses.perfusion.breathing import rough_shifts
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.peaks import refined_peaks

RANKS = (2, 3, 4, 4)
"""Rank of the model in each pass."""

ROI_SIZE = 64
"""Points along the side of the square that is registered."""

ROI_SPACING_MM = 2.0
"""Distance between those points [mm]."""

MAX_STEP_MM = 4.0
"""Largest shift that one pass may find [mm]; the passes add up. With more, contrast that goes from
the right into the left ventricle is taken for motion; what lies farther away, ``breathing`` has
found by edges."""


def estimate_shifts(
    frames: NDArray[np.float32], centre: tuple[float, float], pixel_spacing_mm: tuple[float, float]
) -> NDArray[np.float64]:
    """Find how far the heart lies from its median position on each beat.

    Parameters
    ----------
    frames
        One slice over time. Shape ``(beats, rows, columns)``.
    centre
        Where the heart is, ``(row, column)`` [pixels].
    pixel_spacing_mm
        Spacing of rows and of columns [mm].

    Returns
    -------
        Shift along rows and columns [mm], median zero. Shape ``(beats, 2)``.
    """
    grid = SliceGrid(
        centre=centre,
        pixel_spacing_mm=pixel_spacing_mm,
        size=ROI_SIZE,
        spacing_mm=ROI_SPACING_MM,
    )
    window = _taper(ROI_SIZE)
    shifts = rough_shifts(frames, centre, pixel_spacing_mm)
    for rank in RANKS:
        aligned = grid.resample(frames, shifts)
        predicted = low_rank(aligned, min(rank, len(frames)))
        shifts += ROI_SPACING_MM * _displacements(
            _centred(predicted) * window, _centred(aligned) * window
        )
        shifts -= np.median(shifts, axis=0)
    return shifts


def motion_mm(shifts_mm: NDArray[np.float64]) -> float:
    """Return the mean displacement between neighbouring beats [mm]; 0 for a single beat.

    Parameters
    ----------
    shifts_mm
        Where the heart lies on each beat. Shape ``(beats, 2)``.
    """
    if len(shifts_mm) < 2:
        return 0.0
    return float(np.linalg.norm(np.diff(shifts_mm, axis=0), axis=1).mean())


def _taper(size: int) -> NDArray[np.float32]:
    """Return a window that fades to the border, so that the border itself is no landmark."""
    side = np.sqrt(np.hanning(size + 2)[1:-1])
    return np.outer(side, side).astype(np.float32)


def low_rank(aligned: NDArray[np.float32], rank: int) -> NDArray[np.float32]:
    """Return the series' best approximation by a few images with time courses, smoothed in time.

    Parameters
    ----------
    aligned
        Shape ``(beats, size, size)``.
    rank
        Number of images.
    """
    flat = aligned.reshape(len(aligned), -1)
    courses, weights, images = np.linalg.svd(flat, full_matrices=False)
    smooth = gaussian_filter1d(courses[:, :rank] * weights[:rank], 1.0, axis=0)
    predicted: NDArray[np.float32] = (smooth @ images[:rank]).reshape(aligned.shape)
    return predicted.astype(np.float32)


def _centred(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the frames with the mean of each taken off."""
    centred: NDArray[np.float32] = frames - frames.mean(axis=(1, 2), keepdims=True)
    return centred


def _displacements(
    references: NDArray[np.float32], moved: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return where each of ``moved`` shows what its reference shows, to a fraction of a point.

    The peak of the circular cross-correlation.
    """
    side = references.shape[-2:]
    correlation = fft.irfft2(
        np.conj(fft.rfft2(references, workers=1)) * fft.rfft2(moved, workers=1), s=side, workers=1
    )
    reach = int(MAX_STEP_MM / ROI_SPACING_MM)
    near = np.arange(-reach, reach + 1) % side[0]
    return refined_peaks(correlation[:, near][:, :, near].astype(np.float64))
