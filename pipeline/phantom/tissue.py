"""The tissues of the phantom and the maps they are painted into."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Tissue(IntEnum):
    """Index of a tissue among the maps."""

    FAT = 0
    MUSCLE = 1
    LUNG = 2
    VESSEL = 3
    LIVER = 4
    SPLEEN = 5
    RIGHT = 6
    LEFT = 7
    LEFT_LATE = 8
    AORTA = 9
    MYOCARDIUM = 10
    DEFECT = 11
    RIM = 12


def paint(maps: NDArray[np.float32], tissue: Tissue, coverage: NDArray[np.float32]) -> None:
    """Paint a tissue over what was there, so that the coverages of a pixel add up to at most one.

    Parameters
    ----------
    maps
        Coverage by each tissue, changed in place. Shape ``(tissues, rows, columns)``.
    tissue
        What is painted.
    coverage
        Where, from 0 to 1. Shape ``(rows, columns)``.
    """
    maps *= np.float32(1.0) - coverage
    maps[tissue] += coverage
