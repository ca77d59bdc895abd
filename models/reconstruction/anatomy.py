"""Magnitude images to simulate k-space from: slices of real volumes, and generated anatomy.

Real volumes come from a package registry: Debian's ``mricron-data`` has Colin27 (``ch2.nii.gz``;
``ch2better.nii.gz`` at half a millimetre without the skull) and a macaque (``inia19-t1-brain``),
which no training sees. Contrast is drawn anew for each image, so that no network learns that white
matter is bright.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

TEMPLATES = Path("/usr/share/mricron/templates")
"""Where Debian's mricron-data puts its volumes."""

TRAINING_VOLUMES = ("ch2.nii.gz", "ch2better.nii.gz")
"""The volumes that training draws from: one human head."""

HELD_OUT_VOLUME = "inia19-t1-brain.nii.gz"
"""A macaque's brain, which no training sees."""

Plane = tuple[tuple[int, int], tuple[float, float]]
"""Rows and columns, and the distance between rows and between columns [mm]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnatomyVolume:
    """A magnitude volume between zero and one."""

    array: NDArray[np.float32]
    """Shape ``(i, j, k)``, in the file's own order."""

    spacing_mm: tuple[float, float, float]
    """Distance between voxels along each axis [mm]."""


def load_volume(path: Path) -> AnatomyVolume:
    """Read a NIfTI volume."""
    image = nibabel.load(path)  # type: ignore[attr-defined]
    array = np.asarray(image.dataobj, dtype=np.float32)
    array = np.clip(array / np.percentile(array[array > 0], 99.5), 0, 1)
    x, y, z = (float(v) for v in image.header.get_zooms()[:3])
    return AnatomyVolume(array=array, spacing_mm=(x, y, z))


def draw_slice(
    volume: AnatomyVolume, plane: Plane, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Cut a random plane through a volume.

    Parameters
    ----------
    volume
        The volume.
    plane
        The grid to sample on.
    rng
        Source of chance.

    Returns
    -------
        Shape ``(rows, columns)``.
    """
    (n_rows, n_columns), spacing = plane
    axes = rng.permutation(3)
    turn = _small_turn(rng)[:, axes] * rng.choice([-1.0, 1.0], 3)
    sizes = np.array(volume.array.shape) * np.array(volume.spacing_mm)
    depth = rng.uniform(-0.32, 0.32) * sizes[axes[0]]
    shift = rng.uniform(-0.06, 0.06, 2) * sizes[axes[1:]]
    rows = (np.arange(n_rows) - n_rows // 2) * spacing[0] + shift[0]
    columns = (np.arange(n_columns) - n_columns // 2) * spacing[1] + shift[1]
    unit = np.eye(3)[axes]
    points = (
        depth * (turn @ unit[0])[:, None, None]
        + (turn @ unit[1])[:, None, None] * rows[None, :, None]
        + (turn @ unit[2])[:, None, None] * columns[None, None, :]
    )
    middle = (np.array(volume.array.shape) - 1) / 2
    at = points / np.array(volume.spacing_mm)[:, None, None] + middle[:, None, None]
    cut: NDArray[np.float32] = map_coordinates(volume.array, at, order=1, output=np.float32)
    return cut


def draw_contrast(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Map intensities to others by a random piecewise-linear curve; zero stays zero."""
    knots = np.linspace(0, 1, 6)
    if rng.uniform() < 0.5:
        values = knots ** math.exp(rng.normal(0, 0.3))
    else:
        values = np.concatenate(([0.0], rng.uniform(0.1, 1.0, 5)))
    return np.interp(image, knots, values).astype(np.float32)


def draw_generated(plane: Plane, rng: np.random.Generator) -> NDArray[np.float32]:
    """Generate anatomy: a body with organs, vessels, a fine grid and texture, all at random.

    Parameters
    ----------
    plane
        The grid to draw on.
    rng
        Source of chance.

    Returns
    -------
        Shape ``(rows, columns)``, between zero and about one.
    """
    (n_rows, n_columns), _ = plane
    rows = ((np.arange(n_rows) - n_rows // 2) / (n_rows / 2))[:, None]
    columns = ((np.arange(n_columns) - n_columns // 2) / (n_columns / 2))[None, :]
    image = np.zeros((n_rows, n_columns))
    body = _ellipse(rows, columns, rng.uniform(-0.05, 0.05, 2), rng.uniform(0.6, 0.9, 2), rng)
    image += body * rng.uniform(0.2, 0.8)
    for _ in range(int(rng.integers(6, 28))):
        size = np.exp(rng.uniform(math.log(0.015), math.log(0.4), 2))
        shape = _ellipse(rows, columns, rng.uniform(-0.65, 0.65, 2), size, rng)
        if rng.uniform() < 0.3:
            ring = _ellipse(rows, columns, rng.uniform(-0.6, 0.6, 2), size * 1.2, rng)
            shape = shape * (1 - 0.8 * ring)
        image += (rng.uniform(0, 1.1) - image) * shape * body * rng.uniform(0.4, 1)
    if rng.uniform() < 0.3:
        image += body * _bars(rows, columns, rng)
    texture = smooth_field((n_rows, n_columns), rng, int(rng.integers(6, 40)))
    image *= 1 + rng.uniform(0, 0.25) * texture
    return np.clip(image, 0, 1.3).astype(np.float32)


def load_volumes(paths: Sequence[Path]) -> list[AnatomyVolume]:
    """Read several volumes.

    Raises
    ------
    FileNotFoundError
        If one is missing: the message says which package brings them.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: install Debian's mricron-data, or name --volumes")
    return [load_volume(path) for path in paths]


def _small_turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a rotation by a few degrees about a random axis."""
    angles = np.deg2rad(rng.normal(0, 8, 3))
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[first, first] = step[second, second] = math.cos(angle)
        step[first, second], step[second, first] = -math.sin(angle), math.sin(angle)
        turn = turn @ step
    return turn


def _ellipse(
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    centre: NDArray[np.float64],
    size: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return an ellipse with an edge as wide as a pixel."""
    angle = rng.uniform(0, math.pi)
    down, right = rows - centre[0], columns - centre[1]
    first = (math.cos(angle) * down + math.sin(angle) * right) / size[0]
    second = (-math.sin(angle) * down + math.cos(angle) * right) / size[1]
    pixel = 2 / rows.size / float(min(size))
    return np.clip((1 - np.hypot(first, second)) / pixel + 0.5, 0, 1)


def _bars(
    rows: NDArray[np.float64], columns: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a patch of parallel bars, one and a half to four pixels wide."""
    angle, width = rng.uniform(0, math.pi), rng.uniform(1.5, 4) * 2 / rows.size
    along = math.cos(angle) * rows + math.sin(angle) * columns
    window = _ellipse(rows, columns, rng.uniform(-0.4, 0.4, 2), rng.uniform(0.1, 0.3, 2), rng)
    return window * rng.uniform(0.1, 0.5) * (np.sin(math.pi * along / width) > 0)


def smooth_field(
    shape: tuple[int, int], rng: np.random.Generator, detail: int
) -> NDArray[np.float64]:
    """Return band-limited noise of unit deviation."""
    spectrum = np.zeros(shape, dtype=np.complex128)
    half = max(1, min(detail, min(shape) // 2 - 1))
    block = rng.normal(size=(2 * half + 1, 2 * half + 1, 2)) @ np.array([1, 1j])
    steps = np.hypot(*np.meshgrid(np.arange(-half, half + 1), np.arange(-half, half + 1)))
    block *= np.exp(-((steps / half) ** 2) * 2)
    spectrum[: 2 * half + 1, : 2 * half + 1] = block
    spectrum = np.roll(spectrum, (-half, -half), axis=(0, 1))
    field = np.fft.ifft2(spectrum).real
    return field / max(1e-12, float(field.std()))
