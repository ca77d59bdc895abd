"""All files of a result that is labels of a volume: segmentation, report with volumes, NIfTI.

A volume from NIfTI has no patient and no study: it becomes NIfTI alone.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from highdicom.color import CIELabColor
from highdicom.sr import CodedConcept

from pipeline.encode.codes import Structure
from pipeline.encode.context import EncodingContext
from pipeline.encode.labels import Coded, LabelledStructure, LabelResult
from pipeline.encode.provenance import artifact, write_object
from pipeline.encode.segmentation import SegmentationContent, segmentation_object, segmentation_role
from pipeline.encode.sources import source_header, stand_in
from pipeline.encode.volumereport import volume_report
from pipeline.imaging.nifti import write_volume
from pipeline.imaging.volume import Volume
from pipeline.quiet import quietly
from pipeline.study import Artifact, InputSeries


def encode_volume_result(
    result: LabelResult,
    series: InputSeries,
    context: EncodingContext,
    outputs: Sequence[str],
    folder: Path,
) -> tuple[Artifact, ...]:
    """Write a result's files into a folder and return their records.

    Parameters
    ----------
    result
        What was found.
    series
        The series that it was found on.
    context
        What it is made under.
    outputs
        Some of ``segmentation``, ``report`` and ``nifti``. A series without DICOM gets NIfTI.
    folder
        An empty folder.
    """
    written: list[Artifact] = []
    if series.header is not None:
        # Values of the source that break the standard are copied as they are, not judged here.
        with quietly():
            written += _write_dicom(result, series, context, outputs, folder)
    if "nifti" in outputs or series.header is None:
        labels, structures, _ = result
        known = np.isin(labels.array, [s.value for s in structures])
        kept = labels.with_array(np.where(known, labels.array, 0).astype(np.uint8))
        write_volume(kept, folder / "segmentation.nii.gz")
        written.append(artifact("nifti", folder, "segmentation.nii.gz"))
    return tuple(written)


def _write_dicom(
    result: LabelResult,
    series: InputSeries,
    context: EncodingContext,
    outputs: Sequence[str],
    folder: Path,
) -> list[Artifact]:
    """Write the DICOM objects."""
    if "segmentation" not in outputs:
        return []
    labels, labelled, measured = result
    header = source_header(series)
    source = series, stand_in(series, header, context)
    content = SegmentationContent(
        label="SEGMENTATION",
        description=f"{context.bundle_name}"[:64],
        structures=tuple(_structure(s) for s in labelled),
    )
    segments = _segments(labels, labelled)
    written, made = [], []
    for kind in context.segmentation_types:
        instance = segmentation_object(segments, kind, source, context, content)
        made.append(instance)
        name = f"{segmentation_role(kind)}.dcm"
        written.append(write_object(instance, "segmentation", folder, name))
    if "report" in outputs:
        report = volume_report((content.structures, measured), series, (made[0], header), context)
        written.append(write_object(report, "report", folder, "report.dcm"))
    return written


def _segments(labels: Volume, labelled: Sequence[LabelledStructure]) -> Volume:
    """Return labels as numbers of segments, which DICOM counts from 1 without a gap."""
    numbers = np.zeros(256, dtype=np.uint8)
    for number, structure in enumerate(labelled, start=1):
        numbers[structure.value] = number
    return labels.with_array(numbers[labels.array])


def _structure(labelled: LabelledStructure) -> Structure:
    """Return how a segment is described."""
    lab = CIELabColor.from_rgb(*labelled.colour)
    return Structure(
        name=labelled.name,
        label=labelled.label,
        category=_concept(labelled.category),
        kind=_concept(labelled.kind),
        region=None if labelled.region is None else _concept(labelled.region),
        colour=(float(lab.l_star), float(lab.a_star), float(lab.b_star)),
    )


def _concept(code: Coded) -> CodedConcept:
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)
