"""Motion of the heart in the plane: breathing, drift, and the jitter of the trigger."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pipeline.phantom.draws import Draws
from pipeline.phantom.placement import FINENESS, Placement

STILL_MM = 110.0
"""Distance from the heart's middle from which on nothing moves [mm]."""

RIGID_MM = 55.0
"""Distance up to which all moves with the heart [mm]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Motion:
    """Where and how large the heart is at each beat, against its mean."""

    shifts_mm: NDArray[np.float64]
    """Displacement (row, column) [mm], mean zero over the beats. Shape ``(beats, slices, 2)``."""

    growth: NDArray[np.float64]
    """Relative change of the heart's size: another cardiac phase. Shape ``(beats, slices)``."""


def heart_motion(draws: Draws, times_s: NDArray[np.float64]) -> Motion:
    """Draw the motion for frames at given times.

    Parameters
    ----------
    draws
        Random numbers.
    times_s
        Time of each frame [s]. Shape ``(beats, slices)``.
    """
    n_beats, n_slices = times_s.shape
    rng = draws.rng
    if draws.happens(0.2):  # corrected before it reached us
        return Motion(
            shifts_mm=np.zeros((n_beats, n_slices, 2)), growth=np.zeros((n_beats, n_slices))
        )
    breath_mm = _breathing(draws, times_s)
    angle = draws.between(-0.6, 0.6)
    direction = np.array([np.cos(angle), np.sin(angle)])
    jitter = rng.normal(0.0, draws.between(0.1, 1.0), (n_beats, n_slices, 2))
    shifts = breath_mm[..., None] * direction + jitter
    growth = rng.normal(0.0, draws.between(0.0, 0.025), (n_beats, n_slices))
    if draws.happens(0.25):  # beats that were triggered too late or too early
        stray = rng.random((n_beats, n_slices)) < 0.06
        growth = growth - stray * draws.between(0.05, 0.15)
    return Motion(shifts_mm=shifts - shifts.mean(axis=0), growth=growth - growth.mean(axis=0))


def with_jumps(motion: Motion, rng: np.random.Generator, jump_mm: float) -> Motion:
    """Return a motion with breaths between stretches of beats in which the breath was held.

    One to three breaths fall somewhere in the series; each takes one or two beats and leaves all
    slices at another place along the breath. Within a stretch, the heart drifts by up to a fifth.

    Parameters
    ----------
    motion
        The motion without them.
    rng
        Random numbers.
    jump_mm
        Largest displacement between two stretches, the first of which has it [mm].
    """
    n_beats = len(motion.shifts_mm)
    n_jumps = int(rng.integers(1, 4))
    starts = np.sort(rng.choice(np.arange(4, n_beats - 3), n_jumps, replace=False))
    sizes = np.append(1.0, rng.uniform(0.3, 1.0, n_jumps - 1))
    steps = np.where(np.arange(n_jumps) % 2, -1.0, 1.0) * rng.permutation(sizes) * jump_mm
    beats = np.arange(n_beats)[:, None]
    taken = np.clip((beats - starts + 1) / rng.integers(1, 3, n_jumps), 0.0, 1.0)
    along = taken @ steps + rng.uniform(-0.2, 0.2) * jump_mm * beats[:, 0] / n_beats
    angle = rng.uniform(-0.6, 0.6)
    shifts = motion.shifts_mm + np.outer(along, [np.cos(angle), np.sin(angle)])[:, None]
    return Motion(shifts_mm=shifts - shifts.mean(axis=0), growth=motion.growth)


def _breathing(draws: Draws, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the displacement along the breath [mm]: a held breath that drifts, then breaths."""
    span = max(float(times_s.max()), 1.0)
    drift = draws.between(-3.0, 3.0) * times_s / span
    held_until = draws.between(-0.4, 1.3) * span
    period, amplitude = draws.between(2.5, 6.0), draws.between(0.0, 9.0)
    phase = 2.0 * np.pi * (times_s - held_until) / period
    breaths = amplitude * 0.5 * (1.0 - np.cos(phase)) * (times_s > held_until)
    return drift + breaths


def displaced(
    still: NDArray[np.float32], placement: Placement, motion: Motion, slice_index: int
) -> NDArray[np.float32]:
    """Return the images of one slice with the heart displaced, at the resolution of the image.

    The heart moves with the shift and grows about its middle; the displacement fades out towards
    the chest wall.

    Parameters
    ----------
    still
        Images without motion, ``FINENESS`` points along each side of a pixel. Shape ``(beats,
        FINENESS * rows, FINENESS * columns)``.
    placement
        Grid of the slice.
    motion
        Motion of the study.
    slice_index
        Which slice it is.

    Returns
    -------
        Shape ``(beats, rows, columns)``.
    """
    down, right = placement.offsets_mm(1)
    fade = np.clip((STILL_MM - np.hypot(down, right)) / (STILL_MM - RIGID_MM), 0.0, 1.0)
    fade = (FINENESS * fade * fade * (3.0 - 2.0 * fade)).astype(np.float32)
    grid = [np.arange(n, dtype=np.float32) * FINENESS + 0.5 * (FINENESS - 1) for n in fade.shape]
    images = np.empty((len(still), *fade.shape), dtype=np.float32)
    where = np.empty((2, *fade.shape), dtype=np.float32)
    for beat, image in enumerate(still):
        shift, growth = motion.shifts_mm[beat, slice_index], motion.growth[beat, slice_index]
        where[0] = grid[0][:, None] - fade * ((shift[0] + growth * down) / placement.spacing_mm[0])
        where[1] = grid[1][None, :] - fade * ((shift[1] + growth * right) / placement.spacing_mm[1])
        scipy.ndimage.map_coordinates(image, where, images[beat], order=1, mode="nearest")
    return images
