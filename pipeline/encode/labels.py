"""What the labels of a volume are, and how large each is: known without a DICOM library."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.imaging.volume import Volume
from pipeline.study import Measurement

ML_PER_MM3 = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Coded:
    """A code of a coding scheme."""

    value: str
    """Code Value (0008,0100)."""

    scheme: str
    """Coding Scheme Designator (0008,0102)."""

    meaning: str
    """Code Meaning (0008,0104)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledStructure:
    """What a label of a volume is."""

    value: int
    """The label, 1 to 255."""

    name: str
    """Key in measurements."""

    label: str
    """Segment Label (0062,0005)."""

    category: Coded
    """Segmented Property Category."""

    kind: Coded
    """Segmented Property Type."""

    region: Coded | None
    """Anatomic Region, where the type does not say it."""

    colour: tuple[int, int, int]
    """Red, green and blue, 0 to 255."""


LabelResult = tuple[Volume, Sequence[LabelledStructure], Sequence[Measurement]]
"""Labels as uint8, what they are, and what was measured of each."""


def volumes_of(labels: Volume, structures: Sequence[LabelledStructure]) -> tuple[Measurement, ...]:
    """Return the volume of each structure [ml]: its voxels times the volume of one."""
    one_ml = abs(float(np.linalg.det(labels.affine[:3, :3]))) * ML_PER_MM3
    return tuple(
        Measurement(
            name="volume_ml",
            value=one_ml * int(np.count_nonzero(labels.array == structure.value)),
            unit="ml",
            structure=structure.name,
        )
        for structure in structures
    )
