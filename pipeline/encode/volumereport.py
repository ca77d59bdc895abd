"""Volumes of structures as a Comprehensive 3D SR after TID 1500.

References
----------
.. [T1500] DICOM PS3.16, TID 1500 Measurement Report, TID 1411 Volumetric ROI Measurements.
"""

from collections.abc import Sequence

from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    FindingSite,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ReferencedSegment,
    SourceImageForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.encode.codes import (
    IMAGING_BY_MODALITY,
    MEASUREMENTS,
    NEURAL_NETWORK,
    UNITS,
    Structure,
)
from pipeline.encode.context import EncodingContext
from pipeline.encode.provenance import identification, observer, settle
from pipeline.encode.report import ROLE, evidence
from pipeline.encode.sources import SINGLE_FRAME
from pipeline.study import InputSeries, SourceFrame
from pipeline.study import Measurement as Measured


def volume_report(
    result: tuple[Sequence[Structure], Sequence[Measured]],
    series: InputSeries,
    segmentation: tuple[Segmentation, Dataset],
    context: EncodingContext,
) -> Comprehensive3DSR:
    """Return the measurements as a DICOM object [T1500]_.

    Each structure is a measurement group that names its segment and the images it was seen on. One
    that was not found has a group, too: its volume is 0.

    Parameters
    ----------
    result
        The structures in the order of their segments, and what was measured of each.
    series
        The series, from DICOM.
    segmentation
        The segmentation that regions refer to, and the source's header.
    context
        What it is made under.
    """
    (structures, measured), (regions, header) = result, segmentation
    frames = list(series.frames[0])
    groups = [
        _group((number, structure), measured, (regions, frames), context)
        for number, structure in enumerate(structures, start=1)
    ]
    modality = str(header.get("Modality") or "")
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer(context)),
        procedure_reported=IMAGING_BY_MODALITY.get(modality, codes.SCT.ImagingProcedure),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    instance = Comprehensive3DSR(
        evidence=[regions, *evidence(frames, header)],
        content=report[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="Vesalius measurements",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(ROLE, header, context),
    )
    settle(instance, ROLE, header, context)
    return instance


def _group(
    segment: tuple[int, Structure],
    measured: Sequence[Measured],
    region: tuple[Segmentation, Sequence[SourceFrame]],
    context: EncodingContext,
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Return the measurement group of a structure."""
    (number, structure), (segmentation, frames) = segment, region
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=context.uid(ROLE, structure.name), identifier=structure.label
        ),
        referenced_segment=ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=number,
            source_images=_sources(frames),
        ),
        finding_category=structure.category,
        finding_type=structure.kind,
        finding_sites=[FindingSite(structure.region)] if structure.region else None,
        algorithm_id=AlgorithmIdentification(
            name=context.bundle_name, version=context.bundle_version, family=NEURAL_NETWORK
        ),
        measurements=[
            Measurement(name=MEASUREMENTS[m.name], value=m.value, unit=UNITS[m.unit])
            for m in measured
            if m.structure == structure.name
        ],
    )


def _sources(frames: Sequence[SourceFrame]) -> list[SourceImageForSegmentation]:
    """Return a reference to each instance, with its frame numbers where it has several frames."""
    instances: dict[str, list[SourceFrame]] = {}
    for frame in frames:
        instances.setdefault(frame.sop_instance_uid, []).append(frame)
    return [
        SourceImageForSegmentation(
            referenced_sop_class_uid=members[0].sop_class_uid,
            referenced_sop_instance_uid=uid,
            referenced_frame_numbers=None
            if members[0].sop_class_uid in SINGLE_FRAME
            else [frame.frame_number for frame in members],
        )
        for uid, members in instances.items()
    ]
