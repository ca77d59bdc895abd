"""Images of a reconstruction as classic MR images: one instance a frame.

References
----------
.. [A4] DICOM PS3.3, A.4 MR Image IOD; C.8.3.1 MR Image module.
.. [C7621] DICOM PS3.3, C.7.6.2.1.1 Image Position and Image Orientation.
"""

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from pipeline.encode.mrseries import (
    ImageSeries,
    acquisition_attributes,
    add_pixels,
    common_attributes,
    decimal,
    phase_direction,
)
from pipeline.encode.provenance import settle

ROLE = "reconstruction"

RESEARCH_MODE, NO_VARIANT = "RM", "NONE"
"""Scanning Sequence (0018,0020) and Sequence Variant (0018,0021) where the sequence is not known:
both must have a value."""


def classic_images(series: ImageSeries) -> Iterator[tuple[int, int, Dataset]]:
    """Yield each frame and slice, and its image [A4]_.

    Parameters
    ----------
    series
        The images.
    """
    shared = _shared(series)
    n_frames, n_slices = series.stored.shape[:2]
    for frame in range(n_frames):
        for index in range(n_slices):
            # Data sets share their elements when one is made from another: a copy must be deep.
            yield frame, index, _image(deepcopy(shared), series, frame, index)


def without_pixels(series: ImageSeries) -> Dataset:
    """Return the first image without its pixels, to build other objects against."""
    _, _, image = next(classic_images(series))
    del image.PixelData
    return image


def _shared(series: ImageSeries) -> Dataset:
    """Return what all instances have."""
    shared = common_attributes(series, ROLE)
    shared.SOPClassUID = MRImageStorage
    shared.ImageType = ["DERIVED", "PRIMARY", "OTHER"]
    shared.setdefault("ScanningSequence", RESEARCH_MODE)
    shared.setdefault("SequenceVariant", NO_VARIANT)
    shared.ScanOptions = ""
    shared.MRAcquisitionType = "2D"
    for keyword in ("RepetitionTime", "EchoTime", "EchoTrainLength"):
        shared.setdefault(keyword, None)
    if "IR" in shared.ScanningSequence:
        shared.setdefault("InversionTime", None)
    for element in acquisition_attributes(series):
        shared.add(element)
    direction = phase_direction(series.raw.kspace.readout)
    if direction:
        shared.InPlanePhaseEncodingDirection = direction
    shared.AcquisitionNumber = None
    centre, width = series.window
    shared.WindowCenter, shared.WindowWidth = decimal(centre), decimal(width)
    settle(shared, ROLE, series.header, series.context)
    return shared


def _image(image: Dataset, series: ImageSeries, frame: int, index: int) -> Dataset:
    """Return one instance."""
    n_frames, n_slices = series.stored.shape[:2]
    image.SOPInstanceUID = series.context.uid(ROLE, f"instance/{frame}/{index}")
    image.InstanceNumber = frame * n_slices + index + 1
    if n_frames > 1:
        image.TemporalPositionIdentifier = frame + 1
        image.NumberOfTemporalPositions = n_frames
    _add_time(image, series, frame, index)
    _add_plane(image, series, index)
    add_pixels(image, series.stored[frame, index])
    return image


def content_moment(series: ImageSeries, shared: Dataset, frame: int, index: int) -> datetime:
    """Return when a frame was imaged: the series' moment, and how long after the first frame."""
    began = datetime.strptime(  # in the time zone of the source, whichever that is
        f"{shared.ContentDate}{str(shared.ContentTime)[:6]:0<6}", "%Y%m%d%H%M%S"
    ).replace(tzinfo=UTC)
    if series.raw.kspace.times_are_estimated:
        return began
    return began + timedelta(microseconds=round(1e6 * float(series.image.times_s[frame, index])))


def _add_time(image: Dataset, series: ImageSeries, frame: int, index: int) -> None:
    """Add when a frame was imaged, where the source has times."""
    if series.stored.shape[0] > 1 and not series.raw.kspace.times_are_estimated:
        moment = content_moment(series, image, frame, index)
        image.ContentDate = moment.strftime("%Y%m%d")
        image.ContentTime = moment.strftime("%H%M%S.%f")


def _add_plane(image: Dataset, series: ImageSeries, index: int) -> None:
    """Add where a slice lies, equation C.7.6.2.1-1 [C7621]_."""
    affine = series.affine
    slice_spacing, row_spacing, column_spacing = series.image.spacing_mm
    row_cosines, column_cosines = affine[:3, 2] / column_spacing, affine[:3, 1] / row_spacing
    position = affine[:3, 3] + index * affine[:3, 0]
    image.ImagePositionPatient = [decimal(v) for v in position]
    image.ImageOrientationPatient = [decimal(v) for v in (*row_cosines, *column_cosines)]
    image.PixelSpacing = [decimal(row_spacing), decimal(column_spacing)]
    thickness = series.raw.kspace.slice_thickness_mm
    image.SliceThickness = None if thickness is None else decimal(thickness)
    if series.stored.shape[1] > 1:
        image.SpacingBetweenSlices = decimal(slice_spacing)
    image.SliceLocation = decimal(float(np.cross(row_cosines, column_cosines) @ position))
