"""One slice made ready for the pool: heart found, motion corrected, first pass cut out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from pipeline.analyses.perfusion.deform import undeformed
from pipeline.analyses.perfusion.endocardium import endocardial_offset_mm
from pipeline.analyses.perfusion.firstpass import (
    blood_curve,
    first_beat,
    normalise,
    passage,
    window,
)
from pipeline.analyses.perfusion.grid import SliceGrid
from pipeline.analyses.perfusion.locate import Locator, Place, likely_places
from pipeline.analyses.perfusion.motion import estimate_shifts
from pipeline.analyses.perfusion.residual import remaining_shifts
from pipeline.analyses.perfusion.result import MotionCourse
from pipeline.analyses.perfusion.settings import ModelGrid

FAR_MM = 10.0
"""Where the heart moves farther between the beats, it is looked for again [mm]: the locator itself
is off by 3 mm on half of the series."""

NEAR_MM = 40.0
"""A heart that is found again lies no farther from where it was found first [mm]."""


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

    remaining_mm: NDArray[np.float64]
    """What motion is left in the square, measured by other means. Shape ``(beats, 2)``."""

    endocardial_offset_mm: float = 0.0
    """How far outwards the endocardial contour is moved [mm]."""


def prepare_slice(
    frames: NDArray[np.float32],
    pixel_spacing_mm: tuple[float, float],
    place: Place,
    model: ModelGrid,
    motion: str = "rigid",
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
    motion
        How motion is corrected, one of ``MOTIONS``. The model's beats are never deformed: it was
        trained on beats that were not.
    """
    shifts = (
        np.zeros((len(frames), 2))
        if motion == "none"
        else estimate_shifts(frames, place.centre, pixel_spacing_mm)
    )
    grid = SliceGrid(
        centre=place.centre,
        pixel_spacing_mm=pixel_spacing_mm,
        size=model.grid_size,
        spacing_mm=model.grid_spacing_mm,
    )
    blood = blood_curve(grid.resample(frames, shifts), model.grid_spacing_mm)
    first = first_beat(blood, model.n_beats)
    # The segmentation lies where the heart is while contrast passes through it: where a breath is
    # given up later, the median of all beats is another place than that of the first pass.
    shifts = shifts - np.median(shifts[passage(blood, first, model.n_beats)], axis=0)
    square = grid.resample(frames, shifts)
    beats = normalise(window(square, first, model.n_beats))
    if motion == "deformable":
        square = undeformed(square, model.grid_spacing_mm)
    return PreparedSlice(
        beats=beats,
        square=square,
        grid=grid,
        confidence=place.confidence,
        first_beat=first,
        shifts_mm=shifts,
        remaining_mm=remaining_shifts(square, model.grid_spacing_mm),
        endocardial_offset_mm=endocardial_offset_mm(pixel_spacing_mm, model),
    )


def prepare_standing(
    frames: NDArray[np.float32],
    pixel_spacing_mm: tuple[float, float],
    place: Place,
    pool: tuple[Locator, ModelGrid],
    motion: str = "rigid",
) -> PreparedSlice:
    """Make one slice ready, and look for the heart again if it moves far.

    The heart is located on how intensities go over time. Where it jumps between two positions, that
    shows it at both or in between; on beats that were put upon each other it stands still.

    Parameters
    ----------
    frames
        The slice over time. Shape ``(beats, rows, columns)``.
    pixel_spacing_mm
        Spacing of rows and of columns [mm].
    place
        Where the heart is taken to be at first.
    pool
        The network that finds the heart, and the grid that the pool was trained on.
    motion
        As for :func:`prepare_slice`.
    """
    locator, model = pool
    prepared = prepare_slice(frames, pixel_spacing_mm, place, model, motion)
    spread = np.subtract(*np.quantile(prepared.shifts_mm, (0.95, 0.05), axis=0))
    if np.hypot(*spread) < FAR_MM:
        return prepared
    moved = [
        shift(frame, -by, order=1, mode="nearest")
        for frame, by in zip(frames, prepared.shifts_mm / np.array(pixel_spacing_mm), strict=True)
    ]
    near = [
        found
        for found in likely_places(np.stack(moved), pixel_spacing_mm, locator)
        if _apart_mm(found, place, pixel_spacing_mm) < NEAR_MM
    ]
    if not near:
        return prepared
    return prepare_slice(frames, pixel_spacing_mm, near[0], model, motion)


def motion_course(prepared: Sequence[PreparedSlice]) -> MotionCourse:
    """Return how the heart moved on all slices of a series."""
    return MotionCourse(
        shifts_mm=np.stack([one.shifts_mm for one in prepared], axis=1),
        remaining_mm=np.stack([one.remaining_mm for one in prepared], axis=1),
    )


def _apart_mm(one: Place, other: Place, pixel_spacing_mm: tuple[float, float]) -> float:
    """Return how far two places lie apart [mm]."""
    off = (np.array(one.centre) - np.array(other.centre)) * np.array(pixel_spacing_mm)
    return float(np.hypot(*off))
