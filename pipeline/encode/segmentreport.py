"""AHA segments in the report: a measurement group each, by its finding site.

References
----------
.. [T1501] DICOM PS3.16, TID 1501 Measurement and Qualitative Evaluation Group; CID 3717 Myocardial
   Wall Segment.
"""

from collections.abc import Mapping

from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.uid import MRImageStorage

from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES, Layer
from pipeline.encode.codes import (
    MYOCARDIUM,
    NEURAL_NETWORK,
    SEGMENT_MEASUREMENTS,
    SEGMENTS,
    UNITS,
)
from pipeline.encode.context import EncodingContext
from pipeline.study import SourceFrame

ROLE = "report"

Group = MeasurementsAndQualitativeEvaluations


def segment_groups(
    result: PerfusionResult, shown: Mapping[int, SourceFrame], context: EncodingContext
) -> list[Group]:
    """Return a measurement group for each segment of each slice, over all of its wall [T1501]_.

    Parameters
    ----------
    result
        What was found.
    shown
        The frame that each slice is shown by.
    context
        What the report is made under.
    """
    found: dict[tuple[int, int], list[Measurement]] = {}
    for each in result.aha.measurements:
        if each.layer == Layer.WALL:
            found.setdefault((each.slice_index, each.segment), []).append(
                Measurement(
                    name=SEGMENT_MEASUREMENTS[each.name], value=each.value, unit=UNITS[each.unit]
                )
            )
    return [
        _group(place, measurements, shown[place[0]], context)
        for place, measurements in sorted(found.items())
    ]


def _group(
    place: tuple[int, int],
    measurements: list[Measurement],
    source: SourceFrame,
    context: EncodingContext,
) -> Group:
    """Return the group of a segment on a slice."""
    index, segment = place
    has_frames = source.sop_class_uid != MRImageStorage
    return Group(
        tracking_identifier=TrackingIdentifier(
            uid=context.uid(ROLE, f"segment/{index}/{segment}"),
            identifier=f"{SEGMENT_NAMES[segment]} slice {index + 1}",
        ),
        finding_category=MYOCARDIUM.category,
        finding_type=MYOCARDIUM.kind,
        finding_sites=[FindingSite(SEGMENTS[segment])],
        algorithm_id=AlgorithmIdentification(
            name=context.bundle_name, version=context.bundle_version, family=NEURAL_NETWORK
        ),
        measurements=measurements,
        source_images=[
            SourceImageForMeasurementGroup(
                referenced_sop_class_uid=source.sop_class_uid,
                referenced_sop_instance_uid=source.sop_instance_uid,
                referenced_frame_numbers=[source.frame_number] if has_frames else None,
            )
        ],
    )
