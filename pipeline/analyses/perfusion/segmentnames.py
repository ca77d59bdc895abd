"""Names of the seventeen segments and of the layers of their wall.

References
----------
.. [CER2002] M. D. Cerqueira et al., Standardized myocardial segmentation and nomenclature for
   tomographic imaging of the heart, Circulation 105:539 (2002), doi:10.1161/hc0402.102975.
"""

from enum import StrEnum

SEGMENT_NAMES = {
    1: "basal anterior",
    2: "basal anteroseptal",
    3: "basal inferoseptal",
    4: "basal inferior",
    5: "basal inferolateral",
    6: "basal anterolateral",
    7: "mid anterior",
    8: "mid anteroseptal",
    9: "mid inferoseptal",
    10: "mid inferior",
    11: "mid inferolateral",
    12: "mid anterolateral",
    13: "apical anterior",
    14: "apical septal",
    15: "apical inferior",
    16: "apical lateral",
    17: "apex",
}
"""Names of the segments by their numbers [CER2002]_."""


class Layer(StrEnum):
    """Part of the wall's thickness."""

    WALL = "wall"
    """All of it."""

    ENDOCARDIAL = "endocardial"
    """The half beside the blood."""

    EPICARDIAL = "epicardial"
    """The other half."""
