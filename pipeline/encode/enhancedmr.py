"""Images of a reconstruction as one Enhanced MR image of all frames.

References
----------
.. [A36] DICOM PS3.3, A.36 Enhanced MR Image IOD; C.8.13 its modules and functional groups.
.. [C7617] DICOM PS3.3, C.7.6.17 Multi-frame Dimension module.
"""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import EnhancedMRImageStorage

from pipeline.encode.mrimage import content_moment
from pipeline.encode.mrseries import (
    BITS_STORED,
    ImageSeries,
    acquisition_attributes,
    add_pixels,
    common_attributes,
    decimal,
)
from pipeline.encode.provenance import DIMENSIONS, settle
from pipeline.encode.sources import coded

ROLE = "reconstruction_enhanced"

FRAME_TYPE = ["DERIVED", "PRIMARY", "OTHER", "NONE"]

UNKNOWN_AGENCY = "OTHER"
"""Applicable Safety Standard Agency (0018,9174): it must have a value, and is not known."""

ANYWHERE = Code("38266002", "SCT", "Entire body")
"""Anatomic region of frames where the source states none: the group must have one."""

REGIONS = {
    "HEAD": Code("69536005", "SCT", "Head"),
    "BRAIN": Code("12738006", "SCT", "Brain"),
    "NECK": Code("45048000", "SCT", "Neck"),
    "HEART": Code("80891009", "SCT", "Heart"),
    "CHEST": Code("816094009", "SCT", "Chest"),
    "ABDOMEN": Code("818981001", "SCT", "Abdomen"),
    "PELVIS": Code("816092008", "SCT", "Pelvis"),
    "KNEE": Code("72696002", "SCT", "Knee"),
    "SPINE": Code("421060004", "SCT", "Spine"),
}
"""Anatomic regions by Body Part Examined (0018,0015), PS3.16, Annex L."""


def enhanced_image(series: ImageSeries) -> Dataset:
    """Return all frames as one object [A36]_, slice by slice within each time step.

    Parameters
    ----------
    series
        The images.
    """
    image = common_attributes(series, ROLE)
    image.SOPClassUID = EnhancedMRImageStorage
    image.SOPInstanceUID = series.context.uid(ROLE)
    image.InstanceNumber = 1
    for keyword in ("ScanningSequence", "SequenceVariant", "SequenceName", "Laterality"):
        image.pop(keyword, None)
    for keyword in ("RepetitionTime", "EchoTime", "InversionTime", "FlipAngle"):
        image.pop(keyword, None)
    image.ImageType = FRAME_TYPE
    _add_frame_kind(image)
    image.AcquisitionContextSequence = DicomSequence([])
    image.PresentationLUTShape = "IDENTITY"
    image.ApplicableSafetyStandardAgency = UNKNOWN_AGENCY
    # The macro that these belong to also asks for preparation pulses, which raw data do not state.
    for element in acquisition_attributes(series):
        image.add(element)
    image.BitsStored, image.HighBit = BITS_STORED, BITS_STORED - 1
    image.NumberOfFrames = int(np.prod(series.stored.shape[:2]))
    _add_dimensions(image, series)
    settle(image, ROLE, series.header, series.context)
    image.SharedFunctionalGroupsSequence = DicomSequence([_shared_groups(series)])
    image.PerFrameFunctionalGroupsSequence = DicomSequence(
        [
            _frame_groups(series, image, frame, index)
            for frame in range(series.stored.shape[0])
            for index in range(series.stored.shape[1])
        ]
    )
    add_pixels(image, series.stored)
    return image


def _add_frame_kind(item: Dataset) -> None:
    """Add what frames show: magnitudes of an unknown contrast."""
    item.PixelPresentation = "MONOCHROME"
    item.VolumetricProperties = "VOLUME"
    item.VolumeBasedCalculationTechnique = "NONE"
    item.ComplexImageComponent = "MAGNITUDE"
    item.AcquisitionContrast = "UNKNOWN"


def _add_dimensions(image: Dataset, series: ImageSeries) -> None:
    """Add what frames are counted by: position and time [C7617]_."""
    uid = series.context.uid(ROLE, DIMENSIONS)
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    image.DimensionOrganizationSequence = DicomSequence([organization])
    items = []
    for pointer, group in (
        ("InStackPositionNumber", "FrameContentSequence"),
        ("TemporalPositionIndex", "FrameContentSequence"),
    ):
        item = Dataset()
        item.DimensionOrganizationUID = uid
        item.DimensionIndexPointer = Tag(pointer)
        item.FunctionalGroupPointer = Tag(group)
        items.append(item)
    image.DimensionIndexSequence = DicomSequence(items)


def _shared_groups(series: ImageSeries) -> Dataset:
    """Return the functional groups that hold for all frames."""
    groups, measures, orientation = Dataset(), Dataset(), Dataset()
    slice_spacing, row_spacing, column_spacing = series.image.spacing_mm
    measures.PixelSpacing = [decimal(row_spacing), decimal(column_spacing)]
    measures.SliceThickness = decimal(series.raw.kspace.slice_thickness_mm or slice_spacing)
    measures.SpacingBetweenSlices = decimal(slice_spacing)
    cosines = (*series.affine[:3, 2] / column_spacing, *series.affine[:3, 1] / row_spacing)
    orientation.ImageOrientationPatient = [decimal(v) for v in cosines]
    groups.PixelMeasuresSequence = DicomSequence([measures])
    groups.PlaneOrientationSequence = DicomSequence([orientation])
    groups.FrameAnatomySequence = DicomSequence([_anatomy(series.header)])
    kind = Dataset()
    kind.FrameType = FRAME_TYPE
    _add_frame_kind(kind)
    groups.MRImageFrameTypeSequence = DicomSequence([kind])
    window, values = Dataset(), Dataset()
    centre, width = series.window
    window.WindowCenter, window.WindowWidth = decimal(centre), decimal(width)
    values.RescaleIntercept, values.RescaleSlope, values.RescaleType = "0", "1", "US"
    groups.FrameVOILUTSequence = DicomSequence([window])
    groups.PixelValueTransformationSequence = DicomSequence([values])
    return groups


def _anatomy(header: Dataset) -> Dataset:
    """Return the region of the frames."""
    item = Dataset()
    item.FrameLaterality = "U"
    if header.get("AnatomicRegionSequence"):
        item.AnatomicRegionSequence = header.AnatomicRegionSequence
    else:
        region = REGIONS.get(str(header.get("BodyPartExamined") or ""), ANYWHERE)
        item.AnatomicRegionSequence = DicomSequence([coded(region)])
    return item


def _frame_groups(series: ImageSeries, image: Dataset, frame: int, index: int) -> Dataset:
    """Return the functional groups of one frame."""
    groups, content, position = Dataset(), Dataset(), Dataset()
    content.StackID = "1"
    content.InStackPositionNumber = index + 1
    content.TemporalPositionIndex = frame + 1
    content.DimensionIndexValues = [index + 1, frame + 1]
    if series.stored.shape[0] > 1 and not series.raw.kspace.times_are_estimated:
        moment = content_moment(series, image, frame, index)
        content.FrameReferenceDateTime = moment.strftime("%Y%m%d%H%M%S.%f")
        offset = Dataset()
        offset.TemporalPositionTimeOffset = float(series.image.times_s[frame, index])
        groups.TemporalPositionSequence = DicomSequence([offset])
    origin = series.affine[:3, 3] + index * series.affine[:3, 0]
    position.ImagePositionPatient = [decimal(v) for v in origin]
    groups.FrameContentSequence = DicomSequence([content])
    groups.PlanePositionSequence = DicomSequence([position])
    return groups
