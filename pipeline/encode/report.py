"""The measurements as a Comprehensive 3D SR after TID 1500, each beside the region it was made on.

References
----------
.. [A353] DICOM PS3.3, A.35.13 Comprehensive 3D SR IOD.
.. [T1500] DICOM PS3.16, TID 1500 Measurement Report, TID 1410 Planar ROI Measurements.
"""

from collections.abc import Sequence
from copy import deepcopy

from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    FindingSite,
    Measurement,
    MeasurementReport,
    ObservationContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegmentationFrame,
    SourceImageForSegmentation,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.analyses.perfusion.result import PerfusionResult, SliceResult
from pipeline.analyses.perfusion.verdict import SliceTrust
from pipeline.encode.codes import (
    FAILURE_PROBABILITY,
    LEFT_VENTRICLE,
    MEASUREMENTS,
    MR_OF_THE_HEART,
    MYOCARDIUM,
    NEURAL_NETWORK,
    NO_UNITS,
    STRUCTURES,
    TRUST,
    TRUST_VERDICTS,
    UNITS,
    Structure,
    private_scheme,
)
from pipeline.encode.context import EncodingContext
from pipeline.encode.flowreport import arterial_source, flow_groups
from pipeline.encode.provenance import identification, observer, person, settle
from pipeline.encode.segmentreport import Group, segment_groups
from pipeline.encode.sources import SINGLE_FRAME, slice_of
from pipeline.study import InputSeries, SourceFrame
from pipeline.study import Measurement as Measured

ROLE = "report"


def report_object(
    result: PerfusionResult,
    series: InputSeries,
    segmentation: tuple[Segmentation, Dataset],
    context: EncodingContext,
) -> Comprehensive3DSR:
    """Return the measurements as a DICOM object [T1500]_.

    Each structure on each slice is a measurement group that names its frame of the segmentation
    and, as its source, the frame of the beat at which the blood pool is brightest. Each AHA segment
    of a slice is a group of its own, with its finding site and that frame; so is each flow.

    Parameters
    ----------
    result
        What was found.
    series
        The series, from DICOM.
    segmentation
        The segmentation that regions refer to, and the source's header.
    context
        What it is made under.
    """
    regions, header = segmentation
    shown = {s.slice_index: series.frames[s.peak_beat][s.slice_index] for s in result.slices}
    groups: list[PlanarROIMeasurementsAndQualitativeEvaluations | Group] = [
        _group(found, structure, (regions, shown[found.slice_index]), (result, context))
        for found in result.slices
        for structure in STRUCTURES
        if _measured(result.measurements, found, structure)
    ]
    groups += segment_groups(result, shown, context)
    arterial = arterial_source(result.flow, series)
    groups += flow_groups(result.flow, shown, context, arterial)
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_person_context=person(context), observer_device_context=observer(context)
        ),
        procedure_reported=MR_OF_THE_HEART,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    instance = Comprehensive3DSR(
        evidence=[
            regions,
            *evidence([*shown.values(), *([] if arterial is None else [arterial])], header),
        ],
        content=report[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="Vesalius measurements",
        coding_schemes=[private_scheme()],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(ROLE, header, context),
    )
    settle(instance, ROLE, header, context)
    return instance


def _measured(
    measurements: Sequence[Measured], found: SliceResult, structure: Structure
) -> list[Measured]:
    """Return the measurements of a structure on a slice; the slice's own go to the myocardium."""
    return [
        m
        for m in measurements
        if m.slice_index == found.slice_index and (m.structure or MYOCARDIUM.name) == structure.name
    ]


def _group(
    found: SliceResult,
    structure: Structure,
    region: tuple[Segmentation, SourceFrame],
    made: tuple[PerfusionResult, EncodingContext],
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    """Return the measurement group of a structure on a slice."""
    result, context = made
    trust = _trust(result, found, structure)
    name = f"{structure.name} slice {found.slice_index + 1}"
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=context.uid(ROLE, f"{structure.name}/{found.slice_index}"), identifier=name
        ),
        referenced_segment=_region(region, found.slice_index, structure, result),
        finding_category=structure.category,
        finding_type=structure.kind,
        finding_sites=[FindingSite(LEFT_VENTRICLE)],
        algorithm_id=_algorithm(found, trust, context),
        measurements=[
            *(
                Measurement(name=MEASUREMENTS[m.name], value=m.value, unit=UNITS[m.unit])
                for m in _measured(result.measurements, found, structure)
            ),
            *(
                Measurement(name=FAILURE_PROBABILITY, value=t.failure_probability, unit=NO_UNITS)
                for t in trust
                if t.failure_probability is not None
            ),
        ],
        qualitative_evaluations=[
            QualitativeEvaluation(name=TRUST, value=TRUST_VERDICTS[t.verdict]) for t in trust
        ],
    )


def _trust(
    result: PerfusionResult, found: SliceResult, structure: Structure
) -> tuple[SliceTrust, ...]:
    """Return the verdict on a slice, which goes to the myocardium; none for another structure."""
    if result.trust is None or structure is not MYOCARDIUM:
        return ()
    return tuple(t for t in result.trust.slices if t.slice_index == found.slice_index)


def _algorithm(
    found: SliceResult, trust: Sequence[SliceTrust], context: EncodingContext
) -> AlgorithmIdentification:
    """Return the chosen member of a slice, the uncertainty of each, and what speaks against it."""
    scores = [f"U_pp of {m.member}: {m.u_pp:.6g}" for m in found.members]
    scores += [f"against trust: {sign}" for t in trust for sign in t.against]
    return AlgorithmIdentification(
        name=context.bundle_name,
        version=context.bundle_version,
        family=NEURAL_NETWORK,
        parameters=[f"chosen member: {found.chosen_member}", *scores],
    )


def _region(
    region: tuple[Segmentation, SourceFrame],
    index: int,
    structure: Structure,
    result: PerfusionResult,
) -> ReferencedSegmentationFrame:
    """Return a reference to a structure's frame of the segmentation and to what it was seen on."""
    segmentation, source = region
    number = STRUCTURES.index(structure) + 1
    has_frames = source.sop_class_uid not in SINGLE_FRAME
    reference = ReferencedSegmentationFrame(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        frame_number=_frame_number(segmentation, index, number, result),
        segment_number=number,
        source_image=SourceImageForSegmentation(
            referenced_sop_class_uid=source.sop_class_uid,
            referenced_sop_instance_uid=source.sop_instance_uid,
            referenced_frame_numbers=[source.frame_number] if has_frames else None,
        ),
    )
    # The standard wants one of the two numbers, and a report on a slice needs the frame's.
    del reference[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
    return reference


def _frame_number(
    segmentation: Segmentation, index: int, segment: int, result: PerfusionResult
) -> int:
    """Return the number of the frame that shows a segment on a slice."""
    affine, n_slices = result.segmentation.affine, len(result.slices)
    for number, item in enumerate(segmentation.PerFrameFunctionalGroupsSequence, start=1):
        shown = item.get("SegmentIdentificationSequence")
        if shown and shown[0].ReferencedSegmentNumber != segment:
            continue
        if slice_of(item, affine, n_slices) == index:
            return number
    raise ValueError(f"segment {segment} has no frame on slice {index}")


def evidence(frames: Sequence[SourceFrame], header: Dataset) -> list[Dataset]:
    """Return the instances that the report refers to, without their pixels."""
    instances = {}
    for frame in frames:
        instance = deepcopy(header)
        instance.SOPClassUID = frame.sop_class_uid
        instance.SOPInstanceUID = frame.sop_instance_uid
        instance.SeriesInstanceUID = frame.series_instance_uid
        instances[frame.sop_instance_uid] = instance
    return list(instances.values())
