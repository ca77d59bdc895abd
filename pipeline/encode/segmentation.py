"""The segmentation as DICOM SEG, one object for each Segmentation Type that a site wants.

References
----------
.. [A51] DICOM PS3.3, A.51 Segmentation IOD and C.8.20.2 Segmentation Image module; LABELMAP by
   Supplement 243.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.encode.codes import SEGMENTATION, STRUCTURES, Structure
from pipeline.encode.context import EncodingContext
from pipeline.encode.frames import Frame, give_frames, one_pixel
from pipeline.encode.provenance import algorithm, identification, settle
from pipeline.encode.sources import PURPOSE, coded, placed, point_at_sources
from pipeline.errors import ModelContractBroken
from pipeline.imaging.volume import Volume
from pipeline.study import InputSeries


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentationContent:
    """What a segmentation shows."""

    label: str
    """Content Label (0070,0080): upper-case letters, digits and underscores."""

    description: str
    """Content Description (0070,0081)."""

    structures: tuple[Structure, ...]
    """Structures in the order of the segmentation's values: 1, 2 and so on."""


PERFUSION = SegmentationContent(
    label="PERFUSION_SEG",
    description="Left ventricle in first-pass perfusion",
    structures=STRUCTURES,
)
"""The segmentation of a perfusion series."""


def segmentation_role(segmentation_type: str) -> str:
    """Return the role of the object of a Segmentation Type: ``segmentation_binary``."""
    return f"segmentation_{segmentation_type.lower()}"


def segmentation_object(
    segmentation: Volume,
    segmentation_type: str,
    source: tuple[InputSeries, Dataset],
    context: EncodingContext,
    content: SegmentationContent = PERFUSION,
) -> Segmentation:
    """Return a segmentation as a DICOM object [A51]_.

    Every slice has a frame, also an empty one: readers that count frames then place each right.
    Its pixels are made when it is written: labels may not change before that.

    Parameters
    ----------
    segmentation
        uint8 on the grid of the series: 1 the first of the structures, 2 the second.
    segmentation_type
        ``BINARY`` or ``LABELMAP``.
    source
        The series, and the stand-in for its images.
    context
        What it is made under.
    content
        What the segments are.

    Raises
    ------
    ModelContractBroken
        If a label is no structure's, or a frame lies on no slice of the source.
    """
    largest = int(segmentation.array.max(initial=0))
    if largest > len(content.structures):
        raise ModelContractBroken(
            f"label {largest} is none of the {len(content.structures)} structures"
        )
    series, image = source
    role = segmentation_role(segmentation_type)
    instance = Segmentation(
        source_images=[image],
        pixel_array=placed(one_pixel(segmentation), image.FrameOfReferenceUID),
        segmentation_type=segmentation_type,
        segment_descriptions=[
            _described(number, structure, context)
            for number, structure in enumerate(content.structures, start=1)
        ],
        omit_empty_frames=False,
        content_label=content.label,
        content_description=content.description,
        content_creator_name=context.author,
        series_description=f"Vesalius segmentation ({segmentation_type.lower()})",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(role, image, context),
    )
    slices = point_at_sources(instance, series, segmentation.affine, SEGMENTATION)
    give_frames(instance, "PixelData", segmentation, _frames(instance, segmentation, slices))
    if context.author is not None and context.predecessor is not None:
        _name_what_was_corrected(instance, role, replace(context, job_id=context.predecessor))
    settle(instance, role, image, context)
    return instance


def _frames(instance: Segmentation, segmentation: Volume, slices: Sequence[int]) -> Frame:
    """Return what makes a frame: labels of a slice, or where one segment of it lies."""
    array = segmentation.array
    if instance.SegmentationType == "LABELMAP":
        stored = np.dtype(f"u{instance.BitsAllocated // 8}")
        return lambda index: array[slices[index]].astype(stored, copy=False)
    numbers = [
        int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for item in instance.PerFrameFunctionalGroupsSequence
    ]
    return lambda index: array[slices[index]] == numbers[index]


def _name_what_was_corrected(instance: Segmentation, role: str, before: EncodingContext) -> None:
    """Name the segmentation that a person has corrected among the sources.

    The IOD has no attribute for a predecessor: it is a source image, and its instance is listed.
    """
    corrected = Dataset()
    corrected.ReferencedSOPClassUID = instance.SOPClassUID
    corrected.ReferencedSOPInstanceUID = before.uid(role)
    series = Dataset()
    series.SeriesInstanceUID = before.uid(role, "series")
    series.ReferencedInstanceSequence = [deepcopy(corrected)]
    instance.ReferencedSeriesSequence.append(series)
    corrected.PurposeOfReferenceCodeSequence = [coded(PURPOSE)]
    instance.SourceImageSequence.append(corrected)


def _described(number: int, structure: Structure, context: EncodingContext) -> SegmentDescription:
    """Return the description of a segment."""
    return SegmentDescription(
        segment_number=number,
        segment_label=structure.label,
        segmented_property_category=structure.category,
        segmented_property_type=structure.kind,
        # Labels of a network that a person has corrected: PS3.3, C.8.20.4.
        algorithm_type="AUTOMATIC" if context.author is None else "SEMIAUTOMATIC",
        algorithm_identification=algorithm(context),
        tracking_uid=context.uid(structure.name, "tracking"),
        tracking_id=structure.label,
        anatomic_regions=[structure.region] if structure.region else None,
        display_color=CIELabColor(*structure.colour),
    )
