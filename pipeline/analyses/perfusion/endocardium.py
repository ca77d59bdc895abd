"""Where the endocardial contour lies on images that are finer than those of the training.

The networks learnt from labels on coarse pixels. On finer images, of two other centres and vendors,
they keep a rim of the pool for the wall, the broader the finer the pixels: readers draw the contour
2 to 3 mm further out at 1.0 and at 1.4 mm. So the contour is moved outwards, in proportion to how
much finer the pixels are; at those of the training it stays. The model card has the figures.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, zoom

from pipeline.analyses.perfusion.result import BLOOD_POOL, MYOCARDIUM
from pipeline.analyses.perfusion.settings import ModelGrid

FINER = 4
"""Distances are taken on a grid finer by so much: the model's is as coarse as the offset."""


def endocardial_offset_mm(pixel_spacing_mm: tuple[float, float], model: ModelGrid) -> float:
    """Return how far outwards the endocardial contour of a slice is moved [mm].

    Parameters
    ----------
    pixel_spacing_mm
        Spacing of rows and of columns [mm].
    model
        What the bundle says of its training.
    """
    finer_mm = model.label_spacing_mm - float(np.mean(pixel_spacing_mm))
    return max(0.0, model.endocardial_offset * finer_mm)


def moved_endocardium(
    probabilities: NDArray[np.float32], spacing_mm: float, offset_mm: float
) -> NDArray[np.float32]:
    """Return probabilities with the endocardial contour moved outwards.

    What a point has of wall and blood together stays; what leaves the wall is the blood's. Nothing
    is moved into the wall's outside.

    Parameters
    ----------
    probabilities
        Background, myocardium and blood pool on a square grid. Shape ``(3, size, size)``.
    spacing_mm
        Distance between the grid's points [mm].
    offset_mm
        How far; 0 changes nothing [mm].
    """
    blood = probabilities[BLOOD_POOL]
    more = blood - np.delete(probabilities, BLOOD_POOL, axis=0).max(axis=0)
    if offset_mm <= 0 or not (more >= 0).any():
        return probabilities
    # Farther from the blood than the contour moves nothing changes.
    reach = int(np.ceil(offset_mm / spacing_mm)) + 2
    rows, columns = (
        slice(max(0, int(at.min()) - reach), int(at.max()) + reach + 1)
        for at in np.nonzero(more >= 0)
    )
    near = more[rows, columns]
    factors = [((n - 1) * FINER + 1) / n for n in near.shape]
    inside = zoom(near, factors, order=1) >= 0
    step = spacing_mm / FINER
    outwards = distance_transform_edt(~inside, step) - distance_transform_edt(inside, step)
    # The contour stays as soft as the grid's points are far apart.
    share = np.zeros(more.shape)
    share[rows, columns] = np.clip(
        0.5 + (offset_mm - outwards[::FINER, ::FINER]) / spacing_mm, 0.0, 1.0
    )
    both = probabilities[MYOCARDIUM] + blood
    moved = probabilities.copy()
    moved[BLOOD_POOL] = np.maximum(blood, both * share)
    moved[MYOCARDIUM] = both - moved[BLOOD_POOL]
    return moved
