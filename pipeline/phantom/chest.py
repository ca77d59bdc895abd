"""What lies around the heart: body wall, lungs and their vessels, liver, spleen, great vessels.

Lengths are in mm, in the heart's own axes: x towards the lateral wall, y inferior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.draws import Draws
from pipeline.phantom.shapes import Blob, Plane, draw_lobes
from pipeline.phantom.tissue import Tissue, paint


@dataclass(frozen=True, kw_only=True, slots=True)
class Organ:
    """A shape of one tissue."""

    tissue: Tissue
    """What it is made of."""

    blob: Blob
    """Where it is."""

    density: float = 1.0
    """How much of it covers what lies behind: vessels thinner than the slice are faint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chest:
    """The surroundings of one patient's heart."""

    cavity: Blob
    """Inner border of the chest wall."""

    muscle_mm: float
    """Thickness of the chest wall's muscle."""

    fat_mm: float
    """Thickness of the fat outside it."""

    organs: tuple[Organ, ...]
    """What lies inside, from the back to the front."""


def draw_chest(draws: Draws, outer_mm: float) -> Chest:
    """Draw the surroundings of a heart whose left ventricle has an outer radius [mm]."""
    cavity = Blob(
        centre=(draws.between(-35.0, 35.0), draws.between(-10.0, 35.0)),
        semi_axes=(outer_mm + draws.between(45.0, 100.0), outer_mm + draws.between(20.0, 65.0)),
        angle=draws.between(-0.5, 0.5),
        lobes=draw_lobes(draws, (0.0, 0.05, 0.06, 0.04)),
    )
    organs = [
        *_lung_vessels(draws, outer_mm),
        *_abdomen(draws, outer_mm),
        *_mediastinum(draws, outer_mm),
    ]
    return Chest(
        cavity=cavity,
        muscle_mm=draws.between(6.0, 22.0),
        fat_mm=draws.between(3.0, 30.0),
        organs=tuple(organs),
    )


def paint_chest(maps: NDArray[np.float32], plane: Plane, chest: Chest, level: float) -> None:
    """Paint the surroundings into the maps of one slice.

    Parameters
    ----------
    maps
        Coverage by each tissue, changed in place. Shape ``(tissues, rows, columns)``.
    plane
        Points of the image.
    chest
        The surroundings.
    level
        Height along the ventricle, 0 at the apex: the abdomen is nearer there.
    """
    paint(maps, Tissue.FAT, plane.covered_by(chest.cavity, chest.muscle_mm + chest.fat_mm))
    paint(maps, Tissue.MUSCLE, plane.covered_by(chest.cavity, chest.muscle_mm))
    inside = plane.covered_by(chest.cavity)
    paint(maps, Tissue.LUNG, inside)
    tilted = plane.around((4.0 * (level - 0.5), 14.0 * (level - 0.5)))
    for organ in chest.organs:
        where = tilted if organ.tissue in (Tissue.LIVER, Tissue.SPLEEN) else plane
        coverage = where.covered_by(organ.blob)
        coverage *= inside
        coverage *= np.float32(organ.density)
        paint(maps, organ.tissue, coverage)


def _lung_vessels(draws: Draws, outer_mm: float) -> list[Organ]:
    """Draw vessels of the lungs, cut across."""
    return [
        Organ(
            tissue=Tissue.VESSEL,
            blob=_around(draws, (0.0, 0.0), (1.2 * outer_mm, 3.0 * outer_mm), (1.0, 4.0)),
            density=draws.between(0.2, 0.9),
        )
        for _ in range(int(draws.between(2.0, 14.0)))
    ]


def _abdomen(draws: Draws, outer_mm: float) -> list[Organ]:
    """Draw liver, with its veins, and spleen, under the diaphragm."""
    height, diaphragm = draws.between(40.0, 75.0), outer_mm + draws.between(-3.0, 16.0)
    liver = Blob(
        centre=(draws.between(-90.0, -5.0), diaphragm + height),
        semi_axes=(draws.between(60.0, 115.0), height),
        angle=draws.between(-0.4, 0.4),
        lobes=draw_lobes(draws, (0.0, 0.05, 0.05, 0.05)),
    )
    spleen = Blob(
        centre=(draws.between(35.0, 95.0), diaphragm + draws.between(15.0, 50.0)),
        semi_axes=(draws.between(15.0, 50.0), draws.between(12.0, 35.0)),
        angle=draws.between(-1.0, 1.0),
        lobes=draw_lobes(draws, (0.0, 0.08, 0.08, 0.05)),
    )
    veins = [
        Organ(
            tissue=Tissue.MUSCLE,
            blob=_around(draws, liver.centre, (0.0, 45.0), (1.5, 5.0)),
            density=0.7,
        )
        for _ in range(int(draws.between(1.0, 6.0)))
    ]
    return [
        Organ(tissue=Tissue.LIVER, blob=liver),
        *veins,
        Organ(tissue=Tissue.SPLEEN, blob=spleen),
    ]


def _mediastinum(draws: Draws, outer_mm: float) -> list[Organ]:
    """Draw soft tissue right of the heart, the aorta behind it, and now and then an atrium."""
    soft = Blob(
        centre=(-outer_mm - draws.between(25.0, 65.0), draws.between(-20.0, 40.0)),
        semi_axes=(draws.between(15.0, 50.0), draws.between(25.0, 60.0)),
        lobes=draw_lobes(draws, (0.0, 0.1, 0.08, 0.06)),
    )
    away, angle = outer_mm + draws.between(16.0, 60.0), draws.between(-0.3, 1.9)
    aorta = Blob(
        centre=(away * float(np.cos(angle)), away * float(np.sin(angle))),
        semi_axes=(draws.between(8.0, 14.0),) * 2,
    )
    organs = [
        Organ(tissue=Tissue.MUSCLE, blob=soft),
        Organ(
            tissue=Tissue.FAT,
            blob=Blob(centre=aorta.centre, semi_axes=(aorta.semi_axes[0] + 2.5,) * 2),
        ),
        Organ(tissue=Tissue.AORTA, blob=aorta),
    ]
    if draws.happens(0.35):
        chamber = _around(draws, (0.0, 0.0), (outer_mm + 8.0, outer_mm + 45.0), (8.0, 22.0))
        blood = Tissue.RIGHT if draws.rng.random() < 0.5 else Tissue.LEFT
        organs.append(Organ(tissue=blood, blob=chamber))
    return organs


def _around(
    draws: Draws,
    centre: tuple[float, float],
    distance: tuple[float, float],
    radius: tuple[float, float],
) -> Blob:
    """Draw a roundish thing at a distance from a point, in any direction."""
    angle, away = draws.rng.uniform(-np.pi, np.pi), draws.between(*distance)
    size = draws.between(*radius)
    return Blob(
        centre=(
            centre[0] + away * float(np.cos(angle)),
            centre[1] + away * float(np.sin(angle)),
        ),
        semi_axes=(size, size * draws.between(0.7, 1.3)),
    )
