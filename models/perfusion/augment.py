"""Patches for training: each drawn from a slice by a random view in space, time and intensity.

The ranges are wide on purpose: other centres differ in resolution, field of view, heart rate,
contrast dose, timing of the bolus, coils and noise, and the pool must hold there.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.perfusion.network import N_BEATS
from models.perfusion.series import TrainingSlice

PATCH = 64
"""Points along the side of a patch."""

SPACING_MM = 2.0
"""Distance between a patch's points at scale one [mm]."""


def draw_patch(source: TrainingSlice, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw one patch.

    Parameters
    ----------
    source
        Slice to draw from.
    rng
        Source of chance.

    Returns
    -------
        Beats, shape ``(30, 64, 64)``, and the shares of the three classes, shape ``(3, 64, 64)``.
    """
    matrix, offset = _random_view(rng)
    beats, shifts = _random_beats(source, rng)
    n_jittered = rng.uniform() < 0.5
    shifts = shifts + n_jittered * rng.normal(0, rng.uniform(0, 1.2), shifts.shape)
    values = _sample(torch.from_numpy(beats)[:, None], source, (matrix, offset), shifts)[:, 0]
    truth = torch.from_numpy(source.truth)[None]
    shares = _sample(truth, source, (matrix, offset), np.zeros((1, 2)))[0].clamp(0, 1)
    background = (1 - shares.sum(dim=0, keepdim=True)).clamp(0, 1)
    return _random_intensity(values, rng), torch.cat((background, shares))


def _random_view(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a matrix from points to millimetres, and where the patch's middle lies [mm]."""
    scale = math.exp(rng.uniform(math.log(0.7), math.log(1.4)))
    stretch = np.diag(np.exp(rng.normal(0, 0.06, 2)))
    angle = rng.uniform(0, 2 * math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    flip = np.diag([rng.choice([-1.0, 1.0]), 1.0])
    matrix = SPACING_MM * scale * turn @ stretch @ flip
    return matrix, matrix @ rng.uniform(-22, 22, 2)


def _random_beats(
    source: TrainingSlice, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return thirty beats and their shifts: another start, sometimes another heart rate."""
    rate = 1.0 if rng.uniform() < 0.35 else math.exp(rng.uniform(math.log(0.55), math.log(1.5)))
    start = source.first_beat + (rng.integers(-4, 5) if rng.uniform() < 0.8 else rng.integers(4, 9))
    at = np.clip(start + rate * np.arange(N_BEATS), 0, len(source.frames) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(source.frames) - 1)
    share = (at - low).astype(np.float32)
    if rng.uniform() < 0.5:
        share = np.round(share)
    frames, shifts = source.frames, source.shifts_mm
    weights = share[:, None, None]
    beats = frames[low] * (1 - weights) + frames[high] * weights
    return beats, shifts[low] * (1 - share[:, None]) + shifts[high] * share[:, None]


def _sample(
    images: Tensor,
    source: TrainingSlice,
    view: tuple[NDArray[np.float64], NDArray[np.float64]],
    shifts_mm: NDArray[np.float64],
) -> Tensor:
    """Sample images on the patch by linear interpolation, the edge going on outside."""
    matrix, offset = view
    steps = np.arange(PATCH) - (PATCH - 1) / 2
    points = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1) @ matrix.T + offset
    # grid_sample counts from -1 to 1 over the image and wants the column first.
    per_mm = 2 / (np.array(source.frames.shape[1:]) - 1.0) / np.array(source.spacing_mm)
    origin = 2 * np.array(source.centre) / (np.array(source.frames.shape[1:]) - 1.0) - 1
    still = torch.from_numpy((points * per_mm + origin)[..., ::-1].astype(np.float32))
    moves = torch.from_numpy((shifts_mm * per_mm)[:, ::-1].astype(np.float32))
    grid = still + moves[:, None, None]
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="border", align_corners=True
    )


def _random_intensity(values: Tensor, rng: np.random.Generator) -> Tensor:
    """Change contrast, shading, sharpness and noise, then normalise as serving does."""
    values = values / torch.quantile(values[::3, ::2, ::2], 0.99).clamp_min(1e-6)
    baseline = values.amin(dim=0, keepdim=True)
    values = baseline * float(rng.uniform(0.3, 1.4)) + (values - baseline) * float(
        math.exp(rng.normal(0, 0.25))
    )
    values = values.clamp_min(0) ** float(math.exp(rng.normal(0, 0.2)))
    if rng.uniform() < 0.7:
        coarse = torch.from_numpy(rng.normal(0, rng.uniform(0, 0.5), (1, 1, 3, 3)).astype("f4"))
        shading = functional.interpolate(coarse, (PATCH, PATCH), mode="bicubic", align_corners=True)
        values = values * shading[0].exp()
    if rng.uniform() < 0.3:
        values = _blur(values, float(rng.uniform(0.3, 1.0)))
    if rng.uniform() < 0.6:
        noise = torch.from_numpy(rng.standard_normal(values.shape, dtype=np.float32))
        values = (values + noise * float(rng.uniform(0, 0.08))).abs()
    return values / torch.quantile(values[::3, ::2, ::2], 0.99).clamp_min(1e-6)


def _blur(values: Tensor, sigma: float) -> Tensor:
    """Blur each beat with a Gaussian of ``sigma`` points."""
    steps = torch.arange(-2.0, 3.0)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    rows = functional.conv2d(values[:, None], kernel.view(1, 1, 5, 1), padding=(2, 0))
    return functional.conv2d(rows, kernel.view(1, 1, 1, 5), padding=(0, 2))[:, 0]
