"""All files of a perfusion result.

A series from DICOM becomes DICOM objects, NIfTI twins and figures. One from NIfTI has no patient
and no study, and none is made up: it becomes NIfTI and figures.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.encode.bullseye import write_bullseye, write_flow_bullseye
from pipeline.encode.context import EncodingContext, encoding_notes
from pipeline.encode.encapsulated import FILE as PAGE_FILE
from pipeline.encode.encapsulated import KIND as PAGE_KIND
from pipeline.encode.encapsulated import page_object
from pipeline.encode.figures import overview, write_figures
from pipeline.encode.flowmap import ROLE as FLOW_MAP
from pipeline.encode.flowmap import shown_flow
from pipeline.encode.keyobject import (
    FILE,
    KIND,
    key_object_document,
    result_object,
    source_objects,
)
from pipeline.encode.overview import overview_object
from pipeline.encode.parametricmap import UNCERTAINTY_MAP, map_object
from pipeline.encode.places import FIGURES
from pipeline.encode.provenance import artifact, write_object
from pipeline.encode.report import report_object
from pipeline.encode.reportadditions import additions_of
from pipeline.encode.reportpage import report_pages
from pipeline.encode.segmentation import segmentation_object, segmentation_role
from pipeline.encode.sources import source_header, stand_in
from pipeline.encode.table import write_table
from pipeline.imaging.nifti import write_volume
from pipeline.imaging.volume import Volume
from pipeline.quiet import quietly
from pipeline.study import Artifact, InputSeries

DESCRIPTION = (
    "Perfusion analysis: measurements, overview, a page to sign, segmentation and its uncertainty; "
    "then, for each slice, the source image of the beat at which the blood pool is brightest. For "
    "research only."
)
"""What the key objects are."""

BULLSEYE = "bullseye.png"
"""The bull's-eye among them."""

PAGE = "report.pdf"
"""The page that sums up the result, without who was imaged."""

FLOW_BULLSEYE = "flow.png"
"""That of flow."""


def encode_perfusion(
    result: PerfusionResult, series: InputSeries, context: EncodingContext, folder: Path
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
    folder
        An empty folder.

    Raises
    ------
    ModelContractBroken
        If a result does not lie on the grid of its source.
    """
    written: list[Artifact] = []
    # Values of the source that break the standard are copied as they are, not judged here.
    with quietly():
        notes, more = encoding_notes(series), additions_of(result)
        pages = report_pages(result, series, context, notes=notes, additions=more)
        if series.header is not None:
            written += _write_dicom(result, series, context, pages.named, folder)
    for name, volume in _volumes(result):
        write_volume(volume, folder / f"{name}.nii.gz")
        written.append(artifact("nifti", folder, f"{name}.nii.gz"))
    (folder / FIGURES).mkdir()
    (folder / FIGURES / PAGE).write_bytes(pages.plain)
    written.append(artifact(PAGE_KIND, folder, f"{FIGURES}/{PAGE}"))
    for name in write_figures(series.image, result, folder / FIGURES):
        written.append(artifact("figure", folder, f"{FIGURES}/{name}"))
    if result.aha.measurements:
        write_bullseye(result, folder / FIGURES / BULLSEYE)
        written.append(artifact("figure", folder, f"{FIGURES}/{BULLSEYE}"))
    if write_flow_bullseye(result, folder / FIGURES / FLOW_BULLSEYE):
        written.append(artifact("figure", folder, f"{FIGURES}/{FLOW_BULLSEYE}"))
    written.append(write_table(result, folder))
    return tuple(written)


def _volumes(result: PerfusionResult) -> Iterator[tuple[str, Volume]]:
    """Yield what is written as NIfTI, by name."""
    yield "segmentation", result.segmentation
    yield "uncertainty", result.uncertainty
    if result.flow is not None and result.flow.map is not None:
        yield ("flow_research" if result.flow.is_research else "flow"), result.flow.map


def _write_dicom(
    result: PerfusionResult,
    series: InputSeries,
    context: EncodingContext,
    page: bytes,
    folder: Path,
) -> list[Artifact]:
    """Write the DICOM objects."""
    header = source_header(series)
    source = series, stand_in(series, header, context)
    written: list[Artifact] = []
    segmentations = []
    for kind in context.segmentation_types:
        instance = segmentation_object(result.segmentation, kind, source, context)
        segmentations.append(instance)
        name = f"{segmentation_role(kind)}.dcm"
        written.append(write_object(instance, "segmentation", folder, name))
    uncertainty = map_object(result.uncertainty, UNCERTAINTY_MAP, source, context)
    written.append(write_object(uncertainty, "uncertainty_map", folder, "uncertainty.dcm"))
    maps = [result_object(uncertainty)]
    if result.flow is not None and result.flow.map is not None:
        shown_as = shown_flow(is_research=result.flow.is_research)
        flow = map_object(result.flow.map, shown_as, source, context)
        written.append(write_object(flow, FLOW_MAP, folder, "flow.dcm"))
        maps.append(result_object(flow))
    report = report_object(result, series, (segmentations[0], header), context)
    written.append(write_object(report, "report", folder, "report.dcm"))
    picture = overview_object(overview(series.image, result), (series, header), context)
    written.append(write_object(picture, "overview", folder, "overview.dcm"))
    signed = page_object(page, (series, header), context)
    written.append(write_object(signed, PAGE_KIND, folder, PAGE_FILE))
    shown = [series.frames[s.peak_beat][s.slice_index] for s in result.slices if s.chosen_member]
    # One form of the segmentation: they say the same, and DCMTK 3.6.7 opens no document
    # that points at a label map.
    keys = [result_object(o) for o in (report, picture, signed, segmentations[0])]
    referred = [*keys, *maps, *source_objects(shown)]
    document = key_object_document(referred, DESCRIPTION, header, context)
    written.append(write_object(document, KIND, folder, FILE))
    return written
