"""Myocardial blood flow in the report: a measurement group for each wall and each AHA segment.

The ends of an interval are the ranges of measurement uncertainty of TID 310: how far they lie from
the flow.

References
----------
.. [T1501] DICOM PS3.16, TID 1501 Measurement and Qualitative Evaluation Group, TID 310 Measurement
   Properties; CID 3717 Myocardial Wall Segment.
"""

from collections.abc import Mapping

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementProperties,
    MeasurementsAndQualitativeEvaluations,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.uid import MRImageStorage

from pipeline.analyses.perfusion.flow.result import (
    DUAL_IMAGES,
    UNIT,
    FlowEstimate,
    FlowResult,
    told_input,
)
from pipeline.analyses.perfusion.segmentnames import Layer
from pipeline.encode.codes import (
    DECONVOLUTIONS,
    FLOW,
    LEFT_VENTRICLE,
    MYOCARDIUM,
    NEURAL_NETWORK,
    RESEARCH_FLOW,
    SEGMENTS,
    UNITS,
)
from pipeline.encode.context import EncodingContext
from pipeline.study import InputSeries, SourceFrame

ROLE = "report"

Place = tuple[int, int]
"""Slice and segment, -1 for all of them."""


def arterial_source(flow: FlowResult | None, series: InputSeries) -> SourceFrame | None:
    """Return the image of a dual sequence that shows the peak of the input function.

    Parameters
    ----------
    flow
        What was measured.
    series
        The series.

    Returns
    -------
        None where the input function is that of the series' own images.
    """
    taken = None if flow is None else flow.arterial_input
    if taken is None or taken.images != DUAL_IMAGES or series.arterial is None:
        return None
    off = np.abs(series.arterial.image.times_s - taken.peak_s)
    beat, index = np.unravel_index(int(off.argmin()), off.shape)
    return series.arterial.frames[int(beat)][int(index)]


def flow_groups(
    flow: FlowResult | None,
    shown: Mapping[int, SourceFrame],
    context: EncodingContext,
    arterial: SourceFrame | None = None,
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Return a group for the mean, for each slice and for each segment, over all of the wall.

    Parameters
    ----------
    flow
        What was measured; there are no groups where it was refused.
    shown
        The frame that each slice is shown by.
    context
        What the report is made under.
    arterial
        The image of a dual sequence that shows the peak of the input function; None without one.
    """
    if flow is None or flow.arterial_input is None:
        return []
    found: dict[Place, list[FlowEstimate]] = {}
    for each in flow.estimates:
        if each.layer == Layer.WALL:
            index = -1 if each.slice_index is None else each.slice_index
            found.setdefault((index, each.segment or -1), []).append(each)
    inputs = flow.arterial_input.slice_index
    also = [] if arterial is None else [arterial]
    return [
        _group(
            place, estimates, (flow, [shown[inputs if place[0] < 0 else place[0]], *also]), context
        )
        for place, estimates in sorted(found.items())
    ]


def _group(
    place: Place,
    estimates: list[FlowEstimate],
    seen: tuple[FlowResult, list[SourceFrame]],
    context: EncodingContext,
) -> MeasurementsAndQualitativeEvaluations:
    """Return the group of a wall or a segment."""
    index, segment = place
    flow, sources = seen
    told = [f"basis of flow: {flow.basis}"]
    if flow.arterial_input is not None and flow.arterial_input.images == DUAL_IMAGES:
        told.append(f"input function of flow: {told_input(flow.arterial_input)}")
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=context.uid(ROLE, f"flow/{index}/{segment}"), identifier=_called(estimates[0], flow)
        ),
        finding_category=MYOCARDIUM.category,
        finding_type=MYOCARDIUM.kind,
        finding_sites=[FindingSite(LEFT_VENTRICLE if segment < 0 else SEGMENTS[segment])],
        algorithm_id=AlgorithmIdentification(
            name=context.bundle_name,
            version=context.bundle_version,
            family=NEURAL_NETWORK,
            parameters=told,
        ),
        measurements=[_measurement(each, flow) for each in estimates],
        source_images=[
            SourceImageForMeasurementGroup(
                referenced_sop_class_uid=source.sop_class_uid,
                referenced_sop_instance_uid=source.sop_instance_uid,
                referenced_frame_numbers=None
                if source.sop_class_uid == MRImageStorage
                else [source.frame_number],
            )
            for source in sources
        ],
    )


def _called(estimate: FlowEstimate, flow: FlowResult) -> str:
    """Return what a group is called."""
    where = estimate.segment_name or "wall"
    on = "all slices" if estimate.slice_index is None else f"slice {estimate.slice_index + 1}"
    marked = f" ({flow.basis})" if flow.is_research else ""
    return f"flow of {where} {on}{marked}"


def _measurement(estimate: FlowEstimate, flow: FlowResult) -> Measurement:
    """Return a flow with its interval.

    highdicom writes ranges of uncertainty without a unit; these have the flow's.
    """
    measurement = Measurement(
        name=RESEARCH_FLOW if flow.is_research else FLOW,
        value=estimate.flow_ml_min_g,
        unit=UNITS[UNIT],
        method=DECONVOLUTIONS[estimate.method],
        properties=MeasurementProperties(
            upper_measurement_uncertainty=estimate.high_ml_min_g - estimate.flow_ml_min_g,
            lower_measurement_uncertainty=estimate.flow_ml_min_g - estimate.low_ml_min_g,
        ),
    )
    for item in measurement[0].ContentSequence:
        if item.RelationshipType == RelationshipTypeValues.HAS_PROPERTIES.value:
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [UNITS[UNIT]]
    return measurement
