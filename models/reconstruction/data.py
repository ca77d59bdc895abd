"""Simulated multi-coil k-space with its truth: what the networks are trained and judged on.

An image of real or generated anatomy gets a random contrast and a smooth phase, is cut off in
k-space at its matrix (so that it rings as a measured one does), is seen by random coils, and gets
noise. Matrices, fields of view, patterns, accelerations and the direction of readout vary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.reconstruction.anatomy import (
    AnatomyVolume,
    draw_contrast,
    draw_generated,
    draw_slice,
    smooth_field,
)
from models.reconstruction.profiles import draw_bells, draw_loops, on_grid
from pipeline.analyses.reconstruction.prepare import Prepared, prepare
from pipeline.analyses.reconstruction.rawslice import raw_slice
from pipeline.analyses.reconstruction.settings import ModelSettings
from pipeline.mr.coils import root_sum_of_squares
from pipeline.mr.fourier import crop, fft2c, ifft2c
from pipeline.mr.patterns import PATTERNS, draw_pattern

SHAPES = (
    *((128, 128), (144, 144), (160, 128), (133, 151), (144, 176), (160, 160), (160, 160)),
    *((176, 160), (208, 208)),
)
"""Matrices of training: few, so that masks are drawn once and kept."""

ACCELERATIONS = (2.0, 4.0, 6.0, 8.0)
"""Nominal accelerations of training."""

GENERATED_SHARE = 0.4
"""Share of images of generated anatomy."""

N_COILS = (4, 6, 6, 8, 10)
"""Numbers of coils in training."""

LOOP_SHARE = 0.6
"""Share of images whose coils are loops; those of the others are bells."""

N_MASKS = 2
"""Masks of each pattern, acceleration and matrix; they are mirrored at random."""

MODEL = ModelSettings(image_radius=0.01, coarse_radius=0.025, kspace_radius=2.2, coarse_side=64)
"""What the networks are trained with: the metadata of the bundle says the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """A fully sampled slice and its truth."""

    kspace: NDArray[np.complex64]
    """Noisy samples of the full grid. Shape ``(coils, ky, kx)``."""

    truth: NDArray[np.float32]
    """Root sum of squares of the coil images without noise. Shape ``(rows, columns)``."""

    spacing_mm: tuple[float, float]
    """Distance between rows and between columns [mm]."""


def simulate(
    image: NDArray[np.float32],
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
    rng: np.random.Generator,
    coils: NDArray[np.complex64] | None = None,
) -> Simulated:
    """Simulate the raw data of a magnitude image.

    Parameters
    ----------
    image
        Magnitude over the field of view, on a grid at least as fine as ``shape``.
    shape
        Matrix of the acquisition.
    spacing_mm
        Distance between its rows and columns [mm].
    rng
        Source of chance.
    coils
        Coil profiles on a coarse grid; drawn if None. Shape ``(coils, 24, 24)``.
    """
    phase = rng.uniform(0, 2.0) * smooth_field((image.shape[0], image.shape[1]), rng, 2)
    ramp = np.linspace(-1, 1, image.shape[0])[:, None] * rng.normal(0, 2)
    ramp = ramp + np.linspace(-1, 1, image.shape[1])[None, :] * rng.normal(0, 2)
    fine = (image * np.exp(1j * (phase + ramp))).astype(np.complex64)
    factor = np.float32(np.sqrt(shape[0] * shape[1] / image.size))
    cut = ifft2c(np.asarray(crop(fft2c(fine), shape) * factor, dtype=np.complex64))
    if coils is None:
        coils = _drawn_coils((shape[0] * spacing_mm[0], shape[1] * spacing_mm[1]), rng)
    images = cut * on_grid(coils, shape)
    truth = root_sum_of_squares(images)
    level = float(np.percentile(truth, 99)) * np.exp(rng.uniform(np.log(0.001), np.log(0.04)))
    noise = rng.standard_normal((*images.shape, 2), dtype=np.float32) @ np.array([1, 1j])
    kspace = fft2c(images) + (level / np.sqrt(2) * noise).astype(np.complex64)
    return Simulated(kspace=kspace.astype(np.complex64), truth=truth, spacing_mm=spacing_mm)


def _drawn_coils(sides_mm: tuple[float, float], rng: np.random.Generator) -> NDArray[np.complex64]:
    """Draw the coils of a training image."""
    mean = float(np.sqrt(sides_mm[0] * sides_mm[1]))
    draw = draw_loops if rng.uniform() < LOOP_SHARE else draw_bells
    n_coils = int(rng.choice(N_COILS))
    return draw(n_coils, (sides_mm[0] / mean, sides_mm[1] / mean), rng)


def draw_simulated(volumes: Sequence[AnatomyVolume], rng: np.random.Generator) -> Simulated:
    """Draw anatomy, matrix and field of view, and simulate."""
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    field_mm = rng.uniform(190, 300)
    stretch = np.exp(rng.normal(0, 0.08))
    sides = (field_mm * shape[0] / max(shape) * stretch, field_mm * shape[1] / max(shape) / stretch)
    spacing = (float(sides[0] / shape[0]), float(sides[1] / shape[1]))
    fine = (2 * shape[0], 2 * shape[1])
    plane = (fine, (spacing[0] / 2, spacing[1] / 2))
    while True:
        if rng.uniform() < GENERATED_SHARE:
            image = draw_generated(plane, rng)
        else:
            volume = volumes[int(rng.integers(len(volumes)))]
            image = draw_contrast(draw_slice(volume, plane, rng), rng)
        if np.count_nonzero(image > 0.1) > 0.08 * image.size:
            return simulate(image, shape, spacing, rng)


def undersample(
    simulated: Simulated, rng: np.random.Generator
) -> tuple[Prepared, NDArray[np.float32]]:
    """Undersample a slice by a random mask: one training sample.

    Returns
    -------
        The undersampled slice, and its truth on the same scale. Shape ``(rows, columns)``.
    """
    mask = draw_mask((simulated.truth.shape[0], simulated.truth.shape[1]), rng)
    kspace = (simulated.kspace * mask).astype(np.complex64)
    prepared = prepare(raw_slice(kspace, mask, simulated.spacing_mm), MODEL)
    return prepared, (simulated.truth / np.float32(prepared.scale)).astype(np.float32)


def draw_mask(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw a mask of a random pattern and acceleration; lines run along columns or rows."""
    name = list(PATTERNS)[int(rng.integers(len(PATTERNS)))]
    acceleration = ACCELERATIONS[int(rng.integers(len(ACCELERATIONS)))]
    turned = bool(rng.uniform() < 0.25)
    seed = int(rng.integers(N_MASKS))
    mask = _kept_mask(name, shape[::-1] if turned else shape, acceleration, seed)
    mask = mask.T if turned else mask
    if rng.uniform() < 0.5:
        # About the origin at index n // 2; of an even axis the first index has no mirror image.
        mirrored = mask.copy()
        first = 1 - shape[0] % 2
        mirrored[first:] = mask[first:][::-1]
        mask = mirrored
    return np.ascontiguousarray(mask)


_MASKS: dict[tuple[str, tuple[int, int], float, int], NDArray[np.bool_]] = {}


def _kept_mask(
    name: str, shape: tuple[int, int], acceleration: float, seed: int
) -> NDArray[np.bool_]:
    """Return a mask that is drawn once: a Poisson disc takes as long as a step of training."""
    key = (name, shape, acceleration, seed)
    if key not in _MASKS:
        _MASKS[key] = draw_pattern(name, shape, acceleration, seed).mask
    return _MASKS[key]
