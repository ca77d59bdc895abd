"""Coil profiles to simulate with: the field of current loops, or smooth bells.

References
----------
.. [ROE1990] Roemer PB et al., "The NMR phased array", Magn Reson Med 1990;16:192-225: what a loop
   receives is its transverse field per unit current, ``B_x - i B_y``.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

COARSE = 24
"""Points along each side of the grid that profiles are computed on: they are smooth."""

SEGMENTS = 24
"""Straight segments that stand for a loop."""


def draw_loops(
    n_coils: int, sides: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Return the profiles of loops around the field of view, by the law of Biot and Savart.

    Parameters
    ----------
    n_coils
        Number of loops.
    sides
        Extent of the field of view along rows and columns, relative to their mean.
    rng
        Source of chance.

    Returns
    -------
        On a coarse grid, largest root sum of squares one. Shape ``(coils, 24, 24)``.
    """
    points = _points(sides)
    start, ring = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 0.75)
    profiles = []
    for index in range(n_coils):
        angle = start + 2 * math.pi * index / n_coils + rng.normal(0, 0.12)
        away = ring * rng.uniform(0.9, 1.15)
        centre = np.array([away * math.cos(angle), away * math.sin(angle), rng.normal(0, 0.12)])
        field = _loop_field(points, centre, rng.uniform(0.12, 0.35), angle)
        profiles.append(field * np.exp(1j * rng.uniform(0, 2 * math.pi)))
    return _scaled(np.stack(profiles))


def draw_two_rings(
    n_coils: int, sides: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Return loops on two rings above and below the slice: an array that no training sees.

    Parameters as in ``draw_loops``.
    """
    points = _points(sides)
    profiles = []
    for index in range(n_coils):
        angle = 2 * math.pi * (index + 0.5 * (index % 2)) / n_coils + rng.normal(0, 0.05)
        away, above = rng.uniform(0.6, 0.7), 0.18 if index % 2 else -0.18
        centre = np.array([away * math.cos(angle), 0.8 * away * math.sin(angle), above])
        field = _loop_field(points, centre, 0.16, angle)
        profiles.append(field * np.exp(1j * rng.uniform(0, 2 * math.pi)))
    return _scaled(np.stack(profiles))


def draw_bells(
    n_coils: int, sides: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Return smooth bells with a smooth phase. Parameters as in ``draw_loops``."""
    rows = np.linspace(-0.5, 0.5, COARSE)[:, None] * sides[0]
    columns = np.linspace(-0.5, 0.5, COARSE)[None, :] * sides[1]
    start, width = rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 0.8)
    profiles = []
    for index in range(n_coils):
        angle = start + 2 * math.pi * index / n_coils + rng.normal(0, 0.2)
        away = rng.uniform(0.35, 0.65)
        down, right = rows - away * math.cos(angle), columns - away * math.sin(angle)
        bell = np.exp(-(down**2 + right**2) / (2 * (width * rng.uniform(0.8, 1.2)) ** 2))
        ramp = rng.normal(0, 3, 3)
        phase = ramp[0] * rows + ramp[1] * columns + ramp[2] * rows * columns
        profiles.append(bell * np.exp(1j * (phase + rng.uniform(0, 2 * math.pi))))
    return _scaled(np.stack(profiles))


def on_grid(profiles: NDArray[np.complex64], shape: tuple[int, int]) -> NDArray[np.complex64]:
    """Interpolate coarse profiles onto an image. Shape ``(coils, rows, columns)``."""
    factors = (1, shape[0] / COARSE, shape[1] / COARSE)
    real, imaginary = (
        zoom(part, factors, order=3, mode="nearest", grid_mode=True)
        for part in (profiles.real, profiles.imag)
    )
    return (real + 1j * imaginary).astype(np.complex64)


def _points(sides: tuple[float, float]) -> NDArray[np.float64]:
    """Return the places of the coarse grid. Shape ``(24, 24, 3)``."""
    points = np.zeros((COARSE, COARSE, 3))
    points[..., 0] = np.linspace(-0.5, 0.5, COARSE)[:, None] * sides[0]
    points[..., 1] = np.linspace(-0.5, 0.5, COARSE)[None, :] * sides[1]
    return points


def _loop_field(
    points: NDArray[np.float64], centre: NDArray[np.float64], radius: float, angle: float
) -> NDArray[np.complex128]:
    """Return what a loop that faces the middle receives at points."""
    turns = 2 * math.pi * np.arange(SEGMENTS + 1) / SEGMENTS
    sideways = np.array([-math.sin(angle), math.cos(angle), 0.0])
    upwards = np.array([0.0, 0.0, 1.0])
    wire = centre + radius * (np.cos(turns)[:, None] * sideways + np.sin(turns)[:, None] * upwards)
    steps, middles = np.diff(wire, axis=0), (wire[1:] + wire[:-1]) / 2
    apart = points[..., None, :] - middles
    distance = np.maximum(np.linalg.norm(apart, axis=-1, keepdims=True), 0.05)
    field = (np.cross(steps, apart) / distance**3).sum(axis=-2)
    return field[..., 0] - 1j * field[..., 1]


def _scaled(profiles: NDArray[np.complex128]) -> NDArray[np.complex64]:
    """Return profiles whose largest root sum of squares is one."""
    rss = np.sqrt((np.abs(profiles) ** 2).sum(axis=0))
    return (profiles / rss.max()).astype(np.complex64)
