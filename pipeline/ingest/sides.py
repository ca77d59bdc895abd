"""Whether an image contradicts itself about sides: right taken for left is another patient's heart.

References
----------
.. [C761] DICOM PS3.3, C.7.6.1.1.1 Patient Orientation: where rows and columns lead, by the letters
   A, P, R, L, H, F.
.. [C762] DICOM PS3.3, C.7.6.2.1.1 Image Orientation (Patient): the same by cosines, x to the left,
   y to the back, z to the head.
"""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.errors import InconsistentSeries
from pipeline.ingest.attributes import tag_text, text
from pipeline.ingest.frame import Plane

DIRECTIONS = {
    "L": (1, 0, 0),
    "R": (-1, 0, 0),
    "P": (0, 1, 0),
    "A": (0, -1, 0),
    "H": (0, 0, 1),
    "F": (0, 0, -1),
}
"""Directions by their letters, LPS+ [C762]_."""

PLAIN = 0.7
"""Cosine from which a direction is plainly that of a letter: the others are less."""

SIDES = frozenset({"R", "L"})
"""Sides of what comes in pairs; B and U say both, and none."""


def check_sides(header: Dataset, plane: Plane) -> None:
    """Refuse an image whose statements of orientation exclude each other.

    Parameters
    ----------
    header
        The image's header.
    plane
        Where its first frame lies.

    Raises
    ------
    InconsistentSeries
        If they do.
    """
    stated = text(header, "PatientOrientation").upper().split("\\")
    if len(stated) == 2:
        for letters, cosines in zip(stated, (plane.row_cosines, plane.column_cosines), strict=True):
            if _excludes(letters, cosines):
                raise InconsistentSeries(
                    f"{tag_text('PatientOrientation')} and {tag_text('ImageOrientationPatient')} "
                    "say opposite directions"
                )


def laterality_of(header: Dataset, name: str) -> str:
    """Return the side of what comes in pairs: ``R``, ``L``, or nothing where none is stated.

    Parameters
    ----------
    header
        The image's header.
    name
        How messages name its file.

    Raises
    ------
    InconsistentSeries
        If two attributes say different sides.
    """
    stated = {
        keyword: text(header, keyword).upper()
        for keyword in ("Laterality", "ImageLaterality", "FrameLaterality")
    }
    sides = {keyword: side for keyword, side in stated.items() if side in SIDES}
    if len(set(sides.values())) > 1:
        named = " and ".join(tag_text(keyword) for keyword in sides)
        raise InconsistentSeries(f"{name}: {named} say different sides")
    return next(iter(sides.values()), "")


def _excludes(letters: str, cosines: NDArray[np.float64]) -> bool:
    """Tell whether the first letter is the opposite of where the cosines plainly lead."""
    direction = DIRECTIONS.get(letters[:1])
    return direction is not None and bool(np.dot(direction, cosines) < -PLAIN)
