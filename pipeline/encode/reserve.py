"""The reserve of a study as files: a report after TID 1500, a page, a bull's-eye, a table.

The report names the reports of both states as evidence; its patient, study and date are those of
the stress series.

References
----------
.. [T1500] DICOM PS3.16, TID 1500 Measurement Report, TID 1501 Measurement and Qualitative
   Evaluation Group.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path

from highdicom import SOPClass
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.analyses.perfusion.reserve import Index, Reserve
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES, Layer
from pipeline.encode.bullseye import write_segments
from pipeline.encode.codes import (
    LEFT_VENTRICLE,
    MR_OF_THE_HEART,
    MYOCARDIUM,
    RESERVE_MEASUREMENTS,
    SEGMENTS,
    UNITS,
    private_scheme,
)
from pipeline.encode.context import MAKER, EncodingContext
from pipeline.encode.encapsulated import FILE as PAGE_FILE
from pipeline.encode.encapsulated import KIND as PAGE_KIND
from pipeline.encode.encapsulated import Document, document_object
from pipeline.encode.perfusion import BULLSEYE, PAGE
from pipeline.encode.places import FIGURES
from pipeline.encode.provenance import artifact, identification, observer, settle, write_object
from pipeline.encode.reservepage import TITLE as PAGE_TITLE
from pipeline.encode.reservepage import reserve_page
from pipeline.encode.reservestates import BothStates
from pipeline.encode.table import Row, write_rows
from pipeline.quiet import quietly
from pipeline.study import Artifact

ROLE = "reserve"

TITLE = "Perfusion reserve index (MPRI)"
"""What the bull's-eye shows."""

DOCUMENT = Document(role="reserve_page", title=PAGE_TITLE, description="Vesalius reserve, one page")
"""The page as an object."""

Group = MeasurementsAndQualitativeEvaluations


def encode_reserve(
    reserve: Reserve,
    both: BothStates,
    reports: Sequence[Dataset],
    context: EncodingContext,
    folder: Path,
) -> tuple[Artifact, ...]:
    """Write a reserve's files into a folder and return their records.

    Parameters
    ----------
    reserve
        The index of the myocardium and of its parts.
    both
        What the two results say.
    reports
        Reports of the rest and of the stress series, in this order; none where there is no DICOM.
    context
        What it is made under.
    folder
        An empty folder.
    """
    written: list[Artifact] = []
    if reports:
        with quietly():
            document = reserve_report(reserve, reports, context)
            written.append(write_object(document, "report", folder, "report.dcm"))
            signed = _signed(reserve, both, reports, context)
            written.append(write_object(signed, PAGE_KIND, folder, PAGE_FILE))
    (folder / FIGURES).mkdir()
    (folder / FIGURES / PAGE).write_bytes(reserve_page(reserve, both, None, context))
    written.append(artifact(PAGE_KIND, folder, f"{FIGURES}/{PAGE}"))
    walls = {s: each.mpri for (s, layer), each in reserve.segments.items() if layer == Layer.WALL}
    if walls:
        write_segments(walls, TITLE, folder / FIGURES / BULLSEYE)
        written.append(artifact("figure", folder, f"{FIGURES}/{BULLSEYE}"))
    written.append(write_rows(_rows(reserve), folder))
    return tuple(written)


def reserve_report(
    reserve: Reserve, reports: Sequence[Dataset], context: EncodingContext
) -> Comprehensive3DSR:
    """Return the reserve as a DICOM object [T1500]_.

    Parameters
    ----------
    reserve
        The index of the myocardium and of its parts; it has one of the whole or of a segment.
    reports
        Reports of the rest and of the stress series, in this order.
    context
        What it is made under.
    """
    groups = []
    if reserve.whole is not None:
        site = FindingSite(LEFT_VENTRICLE)
        groups.append(_group(("left ventricle", site), reserve.whole, "whole", context))
    for (segment, layer), each in sorted(reserve.segments.items()):
        if layer == Layer.WALL:
            place = SEGMENT_NAMES[segment], FindingSite(SEGMENTS[segment])
            groups.append(_group(place, each, f"segment/{segment}", context))
    header = _header(reports[-1])
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer(context)),
        procedure_reported=MR_OF_THE_HEART,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    instance = Comprehensive3DSR(
        evidence=list(reports),
        content=content[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="Vesalius perfusion reserve",
        coding_schemes=[private_scheme()],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identification(ROLE, header, context),
    )
    settle(instance, ROLE, header, context)
    return instance


def _signed(
    reserve: Reserve, both: BothStates, reports: Sequence[Dataset], context: EncodingContext
) -> SOPClass:
    """Return the page as a DICOM object; it names both reports as what it is about."""
    header = _header(reports[-1])
    page = reserve_page(reserve, both, header, context)
    references = []
    for report in reports:
        item = Dataset()
        item.ReferencedSOPClassUID = report.SOPClassUID
        item.ReferencedSOPInstanceUID = report.SOPInstanceUID
        references.append(item)
    return document_object(page, (DOCUMENT, header, references), context)


def _header(report: Dataset) -> Dataset:
    """Return what patient, study and date come from."""
    header = deepcopy(report)
    # A report's number is a hundred times its source's and some.
    header.SeriesNumber = int(report.SeriesNumber) // 100
    return header


def _group(
    place: tuple[str, FindingSite], index: Index, what: str, context: EncodingContext
) -> Group:
    """Return the group of a part of the myocardium."""
    name, site = place
    values = {"mpri": index.mpri, "rest": index.rest, "stress": index.stress}
    return Group(
        tracking_identifier=TrackingIdentifier(
            uid=context.uid(ROLE, what), identifier=f"reserve {name}"
        ),
        finding_category=MYOCARDIUM.category,
        finding_type=MYOCARDIUM.kind,
        finding_sites=[site],
        algorithm_id=AlgorithmIdentification(name=MAKER, version=context.software_version),
        measurements=[
            Measurement(name=RESERVE_MEASUREMENTS[key], value=value, unit=UNITS["1"])
            for key, value in values.items()
        ],
    )


def _rows(reserve: Reserve) -> Iterator[Row]:
    """Yield the numbers of the whole, of the slices under stress, and of the segments."""
    found: list[tuple[Row, Index]] = []
    if reserve.whole is not None:
        found.append(((None, "myocardium", None, None, None), reserve.whole))
    for (_, index), each in sorted(reserve.slices.items()):
        found.append(((index, "myocardium", None, None, None), each))
    for (segment, layer), each in sorted(reserve.segments.items()):
        place = None, "myocardium", segment, SEGMENT_NAMES[segment], layer
        found.append((place, each))
    for row, each in found:
        yield (*row, "mpri", repr(each.mpri), "1")
        yield (*row, "relative_upslope_rest", repr(each.rest), "1")
        yield (*row, "relative_upslope_stress", repr(each.stress), "1")
