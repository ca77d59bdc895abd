"""What a NIfTI file is told by, and what its header says, without the library that reads it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ENDINGS = (".nii", ".nii.gz")
"""File name endings of NIfTI, in lower case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NiftiHeader:
    """What a file's header says, checked; no values are read."""

    shape: tuple[int, int, int, int]
    """Beats, slices, rows, columns; one beat for a single volume."""

    axes: tuple[int, int, int, int]
    """Which of the file's four axes holds beats, slices, rows and columns."""

    is_dynamic: bool
    """Whether the file has a time axis."""

    time_first: bool
    """Whether time was recognised on the file's first axis."""

    slices_reversed: bool
    """Whether the slice axis is reversed to ascend along row x column."""

    affine: NDArray[np.float64]
    """Maps ``(slice, row, column, 1)`` to ``(x, y, z, 1)`` [mm], LPS+. Shape ``(4, 4)``."""

    step_s: float | None
    """Time step [s]; None where the header's is missing or a placeholder."""


def is_nifti_name(path: Path) -> bool:
    """Tell whether a file's name ends like NIfTI."""
    return path.name.lower().endswith(ENDINGS)
