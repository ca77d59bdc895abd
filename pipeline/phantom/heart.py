"""The heart in a short-axis plane: left ventricle, papillary muscles, defects, right ventricle.

Lengths are in mm. Axes are the heart's own: x from the septum to the lateral wall, y inferior,
origin in the middle of the left ventricle.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.draws import Draws
from pipeline.phantom.shapes import Blob, Lobes, Plane, draw_lobes
from pipeline.phantom.tissue import Tissue, paint


@dataclass(frozen=True, kw_only=True, slots=True)
class Heart:
    """The heart of one patient, at mid-ventricular level."""

    endocardium_mm: float
    """Mean radius of the cavity."""

    wall_mm: float
    """Mean thickness of the wall."""

    endocardium: Lobes
    """Deviation of the cavity's border from a circle."""

    wall: Lobes
    """Deviation of the wall's thickness from its mean."""

    right_reach_mm: float
    """From the septum to the right ventricle's free wall."""

    right_height: float
    """Half-height of the right ventricle, relative to the left's outer radius."""

    right_offset: float
    """How far the right ventricle lies below the middle, relative to the left's outer radius."""

    right_lobes: Lobes
    """Deviation of the right ventricle from an ellipse."""

    fat_mm: float
    """Thickness of the epicardial fat."""

    papillary_mm: float
    """Radius of the papillary muscles."""

    trabeculation: float
    """How much softer than a sharp border the cavity's is."""

    defect_angle: float
    """Middle of the perfusion defect [rad]."""

    defect_width: float
    """Its half-width [rad]; 0 for none."""

    defect_depth: float
    """Share of the wall it takes, from the endocardium."""

    rim: float
    """Strength of the dark-rim artefact; 0 for none."""


def draw_heart(draws: Draws) -> Heart:
    """Draw a heart."""
    ischaemic = draws.rng.random() < 0.45
    return Heart(
        endocardium_mm=draws.between(15.0, 32.0),
        wall_mm=draws.between(6.0, 14.0),
        endocardium=draw_lobes(draws, (0.0, 0.09, 0.035, 0.025)),
        wall=draw_lobes(draws, (0.16, 0.12, 0.06, 0.04)),
        right_reach_mm=draws.between(14.0, 42.0),
        right_height=draws.between(0.7, 1.15),
        right_offset=draws.between(-0.3, 0.35),
        right_lobes=draw_lobes(draws, (0.0, 0.06, 0.08, 0.05)),
        fat_mm=draws.between(0.5, 5.0),
        papillary_mm=draws.between(2.0, 5.5),
        trabeculation=draws.between(1.0, 2.6),
        defect_angle=draws.rng.uniform(-np.pi, np.pi),
        defect_width=draws.between(0.35, 1.3) if ischaemic else 0.0,
        defect_depth=draws.between(0.3, 1.1),
        rim=draws.between(0.1, 0.5) if draws.happens(0.3) else 0.0,
    )


def paint_heart(
    draws: Draws, maps: NDArray[np.float32], plane: Plane, heart: Heart, level: float
) -> NDArray[np.uint8]:
    """Paint the heart into the maps of one slice.

    Parameters
    ----------
    draws
        Random numbers, for what differs between slices.
    maps
        Coverage by each tissue, changed in place. Shape ``(tissues, rows, columns)``.
    plane
        Points of the image.
    heart
        The patient's heart.
    level
        Height along the ventricle: 0 at the apex, 1 at the base.

    Returns
    -------
        Which part of the left ventricle a point belongs to: 0 none, 1 myocardium, 2 cavity. Shape
        ``(rows, columns)``.
    """
    size = _size_at(level)
    _paint_right_heart(maps, plane, heart, size * heart.endocardium_mm + heart.wall_mm, level)
    return _paint_left_ventricle(draws, maps, plane, heart, level)


def _size_at(level: float) -> float:
    """Return the cavity's radius at a height along the ventricle, relative to the middle's."""
    return 0.62 + 0.52 * level - 0.12 * level**2


def insertions_mm(heart: Heart, level: float) -> NDArray[np.float64]:
    """Return where the right ventricle's cavity ends on the left one's wall [mm].

    Parameters
    ----------
    heart
        The patient's heart.
    level
        Height along the ventricle: 0 at the apex, 1 at the base.

    Returns
    -------
        The anterior and the inferior point, ``(x, y)`` in the heart's axes. Shape ``(2, 2)``.
    """
    size = _size_at(level)
    angle = np.linspace(0.0, 2 * np.pi, 3600, dtype=np.float32)
    outer = np.float32(size * heart.endocardium_mm) * heart.endocardium.at(angle)
    outer += np.float32(heart.wall_mm) * heart.wall.at(angle)
    border = Plane(x=outer * np.cos(angle), y=outer * np.sin(angle), edge_mm=1.0)
    right = _right_cavity(heart, size * heart.endocardium_mm + heart.wall_mm, level)
    # The septum is at half a turn: from there to where the cavity ends on either side.
    away = border.covered_by(right) < 0.5
    middle = len(angle) // 2
    inferior = middle - int(away[middle::-1].argmax())
    anterior = middle + int(away[middle:].argmax())
    return np.array([[border.x[at], border.y[at]] for at in (anterior, inferior)], dtype=np.float64)


def _right_cavity(heart: Heart, outer_mm: float, level: float) -> Blob:
    """Return the right ventricle's cavity; the left ventricle is painted over it."""
    reach = heart.right_reach_mm * (0.35 + 0.65 * level)
    start = -0.45 * outer_mm
    half = 0.5 * (outer_mm + reach + start)
    return Blob(
        centre=(start - half, heart.right_offset * outer_mm),
        semi_axes=(half, outer_mm * heart.right_height * (0.75 + 0.25 * level)),
        lobes=heart.right_lobes,
    )


def _paint_right_heart(
    maps: NDArray[np.float32], plane: Plane, heart: Heart, outer_mm: float, level: float
) -> None:
    """Paint epicardial fat, the right ventricle's wall and its cavity, behind the left one."""
    right = _right_cavity(heart, outer_mm, level)
    reach = heart.right_reach_mm * (0.35 + 0.65 * level)
    whole = Blob(
        centre=(0.5 * right.centre[0], 0.4 * right.centre[1]),
        semi_axes=(outer_mm + 0.45 * reach, outer_mm),
    )
    for tissue, blob, grown_mm in (
        (Tissue.FAT, whole, heart.fat_mm),
        (Tissue.FAT, right, 3.0 + heart.fat_mm),
        (Tissue.MYOCARDIUM, right, 3.0),
        (Tissue.RIGHT, right, 0.0),
    ):
        paint(maps, tissue, plane.covered_by(blob, grown_mm))


def _paint_left_ventricle(
    draws: Draws, maps: NDArray[np.float32], plane: Plane, heart: Heart, level: float
) -> NDArray[np.uint8]:
    """Paint the left ventricle and return its parts: 0 none, 1 myocardium, 2 cavity."""
    size = _size_at(level)
    radius, angle = plane.radius(), np.arctan2(plane.y, plane.x)
    cavity_mm = np.float32(size * heart.endocardium_mm) * heart.endocardium.at(angle)
    wall_mm = np.float32(heart.wall_mm) * heart.wall.at(angle)
    depth = (radius - cavity_mm) / wall_mm
    wall = plane.inside(radius - cavity_mm - wall_mm)
    cavity = plane.inside(radius - cavity_mm)
    paint(maps, Tissue.FAT, plane.inside(radius - cavity_mm - wall_mm - 0.4 * heart.fat_mm))
    paint(maps, Tissue.MYOCARDIUM, wall)
    if heart.defect_width > 0.0:
        away = np.abs(np.angle(np.exp(1j * (angle - heart.defect_angle)))).astype(np.float32)
        sector = np.clip((heart.defect_width - away) * 4.0 + 0.5, 0.0, 1.0)
        paint(
            maps,
            Tissue.DEFECT,
            wall * sector * np.clip((heart.defect_depth - depth) * 4.0, 0.0, 1.0),
        )
    paint(maps, Tissue.LEFT, plane.inside(radius - cavity_mm, heart.trabeculation) * cavity**0.5)
    _paint_papillaries(draws, maps, plane, heart, size * heart.endocardium_mm, level)
    late = np.clip(0.5 + plane.y / np.float32(2.0 * heart.endocardium_mm), 0.0, 1.0)
    maps[Tissue.LEFT_LATE] = maps[Tissue.LEFT] * late
    maps[Tissue.LEFT] -= maps[Tissue.LEFT_LATE]
    if heart.rim > 0.0:
        border = np.exp(-(((radius - cavity_mm) / np.float32(plane.edge_mm) - 0.7) ** 2))
        maps[Tissue.RIM] = np.float32(-heart.rim) * border * maps[Tissue.MYOCARDIUM]
    return ((wall >= 0.5).astype(np.uint8) + (cavity >= 0.5)).astype(np.uint8)


def _paint_papillaries(
    draws: Draws,
    maps: NDArray[np.float32],
    plane: Plane,
    heart: Heart,
    cavity_mm: float,
    level: float,
) -> None:
    """Paint the papillary muscles into the cavity: none at the base, merging towards the apex."""
    if level > 0.9 - 0.3 * draws.rng.random():
        return
    for side in (-1.0, 1.0):
        angle = side * draws.between(0.5, 1.2) + draws.between(-0.2, 0.2)
        distance = cavity_mm * draws.between(0.5, 0.85)
        size = heart.papillary_mm * draws.between(0.7, 1.2)
        muscle = Blob(
            centre=(distance * float(np.cos(angle)), distance * float(np.sin(angle))),
            semi_axes=(1.2 * size, 0.8 * size),
            angle=angle,
        )
        paint(maps, Tissue.MYOCARDIUM, plane.covered_by(muscle) * draws.between(0.5, 1.0))
