"""Training data of the locator: maps over time and where the left ventricle's centre is on them."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass
from torch import Tensor
from torch.nn import functional

from models.perfusion.series import label_path
from pipeline.analyses.perfusion.locate import COARSE_SPACING_MM, enhancement_maps
from pipeline.imaging.nifti import read_labels, read_time_series
from pipeline.phantom import PhantomSettings, perfusion_phantom

SIDE = 96
"""Points along the side of a training view: 384 mm."""

SPOT_MM = 12.0
"""Width of the Gaussian spot that marks the centre [mm]."""

N_GENERATED = 120
"""Generated series beside the real ones."""

Located = tuple[NDArray[np.float32], NDArray[np.float64]]
"""Maps, and the centre of the left ventricle on them, ``(row, column)``."""


def batches(paths: Sequence[Path]) -> Callable[[np.random.Generator], tuple[Tensor, Tensor]]:
    """Return a function that draws batches of views and their spots."""
    real = [located for path in paths for located in located_views(path)]
    full = [r for r in real if min(r[0].shape[1:]) * COARSE_SPACING_MM > 300]
    generated = [_generated(seed) for seed in range(50_000, 50_000 + N_GENERATED)]

    def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        views = []
        for _ in range(12):
            # Half of the views have the full field of view: there the search is hard.
            chance = rng.uniform()
            pool = full if chance < 0.5 else real if chance < 0.85 else generated
            views.append(_random_view(*pool[int(rng.integers(len(pool)))], rng))
        return torch.stack([v for v, _ in views]), torch.stack([s for _, s in views])

    return draw


def located_views(path: Path) -> list[Located]:
    """Return the maps of a real series, over the whole of it and over parts, with their centre."""
    series = read_time_series(path)
    frames, spacing = series.array[:, 0], series.spacing_mm[1:]
    labels = read_labels(label_path(path))[:, 0]
    labelled = np.flatnonzero((labels > 0).any(axis=(1, 2)))
    centre = np.array(center_of_mass((labels[labelled] > 0).mean(axis=0)))
    coarse = (centre + 0.5) * np.array(spacing) / COARSE_SPACING_MM - 0.5
    low, high = int(labelled[0]), int(labelled[-1]) + 1
    spans = ((0, len(frames)), (0, min(len(frames), high + 10)), (max(0, low - 5), high + 8))
    return [(enhancement_maps(frames[a:b], spacing), coarse) for a, b in spans]


def loss(logits: Tensor, spots: Tensor) -> Tensor:
    """Binary cross-entropy, the spot weighing as much as the rest of the view."""
    weight = 1.0 + 30.0 * spots
    return functional.binary_cross_entropy_with_logits(logits, spots, weight=weight)


def _generated(seed: int) -> Located:
    """Return the maps of a generated series."""
    spacing = float(np.random.default_rng(seed).uniform(1.8, 2.6))
    side = int(330 / spacing)
    settings = PhantomSettings(
        n_slices=1,
        n_beats=45,
        rows=side,
        columns=side,
        pixel_spacing_mm=(spacing, spacing),
        randomise=True,
    )
    phantom = perfusion_phantom(seed, settings)
    centre = np.array(center_of_mass(phantom.labels[0] > 0))
    maps = enhancement_maps(phantom.image.array[:, 0], (spacing, spacing))
    return maps, (centre + 0.5) * spacing / COARSE_SPACING_MM - 0.5


def _random_view(
    maps: NDArray[np.float32], centre: NDArray[np.float64], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Turn, scale, shift and shade a series' maps; mark the centre where it comes to lie."""
    angle = rng.uniform(0, 2 * math.pi)
    scale = math.exp(rng.uniform(-0.25, 0.25))
    flip = rng.choice([-1.0, 1.0])
    matrix = scale * np.array(
        [[math.cos(angle), -math.sin(angle) * flip], [math.sin(angle), math.cos(angle) * flip]]
    )
    target = (SIDE - 1) / 2 + rng.uniform(-24, 24, 2)
    points = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), axis=-1)
    at = (points - target) @ matrix.T + centre
    extent = np.maximum(1, np.array(maps.shape[1:]) - 1.0)
    grid = torch.from_numpy((2 * at / extent - 1)[..., ::-1].astype(np.float32).copy())
    padding = "border" if rng.uniform() < 0.5 else "zeros"
    view = functional.grid_sample(
        torch.from_numpy(maps)[None], grid[None], padding_mode=padding, align_corners=True
    )[0]
    gains = np.exp(rng.normal(0, 0.15, (len(maps), 1, 1))).astype(np.float32)
    view = view * torch.from_numpy(gains) + 0.02 * torch.from_numpy(
        rng.standard_normal(tuple(view.shape), dtype=np.float32)
    )
    distance = ((points - target) ** 2).sum(axis=-1) * COARSE_SPACING_MM**2
    spot = np.exp(-distance / (2 * SPOT_MM**2)).astype(np.float32)
    return view, torch.from_numpy(spot)[None]
