"""One slice made ready for the pool: heart found, motion corrected, first pass cut out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analyses.perfusion.firstpass import blood_curve, first_beat, normalise, window
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.locate import Place
from pipeline.analyses.perfusion.motion import estimate_shifts
from pipeline.analyses.perfusion.settings import ModelGrid


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedSlice:
    """What the pool sees of a slice, and how to bring its answer back."""

    beats: NDArray[np.float32]
    """Normalised beats of the first pass. Shape ``(n_beats, size, size)``."""

    square: NDArray[np.float32]
    """All beats on the grid, corrected for motion, in the image's own units. Shape ``(beats, size,
    size)``."""

    grid: SliceGrid
    """Where the square lies on the slice."""

    confidence: float
    """The locator's confidence, 0 to 1."""

    first_beat: int
    """First beat of the window, from 0."""

    shifts_mm: NDArray[np.float64]
    """Where the heart lies on each beat, relative to its place in the segmentation. Shape ``(beats,
    2)``."""


def prepare_slice(
    frames: NDArray[np.float32],
    pixel_spacing_mm: tuple[float, float],
    place: Place,
    model: ModelGrid,
) -> PreparedSlice:
    """Make one slice ready.

    Parameters
    ----------
    frames
        The slice over time. Shape ``(beats, rows, columns)``.
    pixel_spacing_mm
        Spacing of rows and of columns [mm].
    place
        Where the heart is taken to be.
    model
        The grid that the pool was trained on.
    """
    shifts = estimate_shifts(frames, place.centre, pixel_spacing_mm)
    grid = SliceGrid(
        centre=place.centre,
        pixel_spacing_mm=pixel_spacing_mm,
        size=model.grid_size,
        spacing_mm=model.grid_spacing_mm,
    )
    blood = blood_curve(grid.resample(frames, shifts), model.grid_spacing_mm)
    first = first_beat(blood, model.n_beats)
    # The segmentation stands for the beats that the model sees: it lies at their median place.
    seen = slice(first, first + model.n_beats)
    shifts = shifts - np.median(shifts[seen], axis=0)
    square = grid.resample(frames, shifts)
    return PreparedSlice(
        beats=normalise(window(square, first, model.n_beats)),
        square=square,
        grid=grid,
        confidence=place.confidence,
        first_beat=first,
        shifts_mm=shifts,
    )
