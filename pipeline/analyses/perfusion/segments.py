"""The myocardium in the seventeen segments of the American Heart Association.

Six segments of 60 degrees in basal and in mid-ventricular slices and four of 90 in apical ones.
They are counted from the anterior insertion of the right ventricle: from there through the septum
come anteroseptal and inferoseptal, then inferior, inferolateral, anterolateral and anterior. The
apical septum has the same middle as the other septa. Segment 17, the apex itself, lies in no
short-axis slice [CER2002]_.

References
----------
.. [CER2002] M. D. Cerqueira et al., Standardized myocardial segmentation and nomenclature for
   tomographic imaging of the heart, Circulation 105:539 (2002), doi:10.1161/hc0402.102975.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.analyses.perfusion.rightventricle import Contact
from pipeline.analyses.perfusion.segmentnames import Layer

BASE_LPS = np.array([-0.62, 0.55, 0.56]) / np.linalg.norm([-0.62, 0.55, 0.56])
"""From the apex to the base of a heart, LPS+: to the right, backwards and upwards."""

ANTERIOR_LPS = np.array([0.0, -1.0, 1.0]) / np.sqrt(2.0)
"""From the inferior to the anterior insertion, as far as it is the same in all hearts, LPS+:
forwards and upwards."""

LONG_AXIS_COSINE = 0.75
"""Slices whose normal is farther from the long axis of hearts are not placed as short-axis slices
are, such as those of a file whose header has no true orientation: about 41 degrees."""

APICAL_OFFSET_RAD = np.deg2rad(15.0)
"""From the anterior insertion to the apical septum: both septa have their middle at 60 degrees."""


class Level(StrEnum):
    """Height of a slice along the ventricle."""

    BASAL = "basal"
    MID = "mid"
    APICAL = "apical"


ROUND_THE_SEPTUM = {
    Level.BASAL: (2, 3, 4, 5, 6, 1),
    Level.MID: (8, 9, 10, 11, 12, 7),
    Level.APICAL: (14, 15, 16, 13),
}
"""Segments of a level in their order from the anterior insertion through the septum."""


def segment_numbers(
    classes: NDArray[np.uint8], contact: Contact, level: Level, *, starts_anterior: bool
) -> NDArray[np.uint8]:
    """Return the segment of each point of the myocardium, 0 elsewhere.

    Parameters
    ----------
    classes
        Segmentation of a slice. Shape ``(rows, columns)``, distances the same along both.
    contact
        Where the right ventricle touches the left one.
    level
        Height of the slice.
    starts_anterior
        Whether the contact begins, in its own sense, at the anterior insertion; else it ends there.
    """
    rows, columns = np.indices(classes.shape)
    angle = np.arctan2(rows - contact.centre[0], columns - contact.centre[1])
    away = angle - contact.start_rad if starts_anterior else contact.end_rad - angle
    order = ROUND_THE_SEPTUM[level]
    if level is Level.APICAL:
        away = away - APICAL_OFFSET_RAD
    # A remainder may be rounded up to a whole turn.
    place = (np.mod(away, 2 * np.pi) / (2 * np.pi) * len(order)).astype(int) % len(order)
    numbers = np.array(order, dtype=np.uint8)[place]
    return np.where(classes == MYOCARDIUM, numbers, 0).astype(np.uint8)


def layer_masks(classes: NDArray[np.uint8]) -> dict[Layer, NDArray[np.bool_]]:
    """Return the points of each layer of the myocardium.

    Parameters
    ----------
    classes
        Segmentation of a slice. Shape ``(rows, columns)``, distances the same along both.
    """
    wall = classes == MYOCARDIUM
    from_blood = distance_transform_edt(classes != BLOOD_POOL)
    from_outside = distance_transform_edt(classes != 0)
    inner = wall & (from_blood <= from_outside)
    return {Layer.WALL: wall, Layer.ENDOCARDIAL: inner, Layer.EPICARDIAL: wall & ~inner}


def levels_of(indices: Sequence[int], normal: NDArray[np.float64]) -> dict[int, Level]:
    """Return the height of each slice, by their order along the ventricle.

    One slice is taken for a mid-ventricular one, two for a basal and a mid-ventricular one; more
    are shared out in thirds.

    Parameters
    ----------
    indices
        Slices that show the heart, ascending.
    normal
        Direction in which slices ascend, LPS+.
    """
    from_base = list(indices) if normal @ BASE_LPS < 0 else list(reversed(indices))
    order = [Level.BASAL, Level.MID, Level.APICAL]
    if len(from_base) == 1:
        return {from_base[0]: Level.MID}
    n_levels = max(3, len(from_base))
    return {index: order[3 * place // n_levels] for place, index in enumerate(from_base)}


def is_short_axis(normal: NDArray[np.float64]) -> bool:
    """Tell whether slices lie across the long axis of a heart, as far as their place says.

    Parameters
    ----------
    normal
        Direction in which slices ascend, LPS+, of length one.
    """
    return bool(abs(normal @ BASE_LPS) >= LONG_AXIS_COSINE)
