"""Read where a frame lies in the patient.

References
----------
.. [C762] DICOM PS3.3, C.7.6.2 Image Plane module.
"""

import numpy as np
from pydicom.dataset import Dataset

from pipeline.errors import UnreadableFile
from pipeline.ingest.attributes import numbers, optional_number, tag_text
from pipeline.ingest.frame import Plane

UNIT_TOLERANCE = 1e-3
"""How far direction cosines may be from unit vectors at right angles."""


def plane_of(
    position: Dataset,
    orientation: Dataset,
    measures: Dataset,
    *,
    frame_of_reference_uid: str | None,
) -> Plane:
    """Return where a frame lies [C762]_.

    Parameters
    ----------
    position, orientation, measures
        What holds Image Position, Image Orientation and Pixel Spacing: the data set itself, or
        items of its functional groups.
    frame_of_reference_uid
        Frame of Reference UID (0020,0052), where stated.

    Raises
    ------
    UnreadableFile
        If one of them is missing, or is no plane.
    """
    cosines = np.array(numbers(orientation, "ImageOrientationPatient", 6)).reshape(2, 3)
    if np.abs(cosines @ cosines.T - np.eye(2)).max() > UNIT_TOLERANCE:
        keyword = tag_text("ImageOrientationPatient")
        raise UnreadableFile(f"{keyword} does not hold two unit vectors at right angles")
    rows_mm, columns_mm = numbers(measures, "PixelSpacing", 2)
    if min(rows_mm, columns_mm) <= 0:
        keyword = tag_text("PixelSpacing")
        raise UnreadableFile(f"{keyword} is not positive: {rows_mm:g}, {columns_mm:g}")
    unit = cosines / np.linalg.norm(cosines, axis=1, keepdims=True)
    return Plane(
        position_mm=np.array(numbers(position, "ImagePositionPatient", 3)),
        row_cosines=unit[0],
        column_cosines=unit[1],
        pixel_spacing_mm=(rows_mm, columns_mm),
        slice_spacing_mm=optional_number(measures, "SpacingBetweenSlices"),
        slice_thickness_mm=optional_number(measures, "SliceThickness"),
        frame_of_reference_uid=frame_of_reference_uid,
    )
