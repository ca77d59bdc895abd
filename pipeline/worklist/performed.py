"""What a worklist is told of a step: how far it is, what was done, or why it was given up.

References
----------
.. [CC] DICOM PS3.4, table CC.2.5-3, column Final State: P for COMPLETED, X for CANCELED.
.. [P33] DICOM PS3.3, C.30.1 and C.30.3, the modules; table 10-3b, Referenced Instances and Access.
.. [P316] DICOM PS3.16, CID 9300, Procedure Discontinuation Reason.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset

from pipeline.steps import Code

UNSPECIFIED = Code(value="110513", scheme="DCM", meaning="Discontinued for unspecified reason")
EQUIPMENT = Code(value="110501", scheme="DCM", meaning="Equipment failure")
BAD_OBJECTS = Code(value="110521", scheme="DCM", meaning="Objects incorrectly formatted")
NOT_SUPPORTED = Code(value="110522", scheme="DCM", meaning="Object Types not supported")
INCOMPLETE = Code(value="110523", scheme="DCM", meaning="Object Set incomplete")
"""Why a step is given up: codes of [P316]_."""

LONGEST_TEXT = 1024
"""Longest value of VR ST: PS3.5, 6.2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenUp:
    """Why a step is given up."""

    code: Code
    """For a machine."""

    reason: str
    """For a person; nothing of a patient."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSeries:
    """Objects of a result that are of one series."""

    study_instance_uid: str
    """Their study."""

    series_instance_uid: str
    """Their series."""

    objects: tuple[tuple[str, str], ...]
    """SOP Class UID and SOP Instance UID of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievePlace:
    """Where results can be retrieved from."""

    ae_title: str | None
    """By C-MOVE or C-GET."""

    url: str | None
    """By WADO-RS: the root of its services."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Performance:
    """How a step was performed."""

    performer: Code
    """Performed Station Name Code."""

    workitem: Code
    """Performed Workitem Code."""

    began: datetime
    """When it was claimed, UTC."""

    ended: datetime
    """When it ended, UTC."""

    outputs: tuple[OutputSeries, ...]
    """What was made."""

    places: tuple[RetrievePlace, ...]
    """Where that is."""


def progress(percent: int, description: str) -> Dataset:
    """Return the progress of a step as attributes to set."""
    item = _progress_item(percent, description)
    return _set(ProcedureStepProgressInformationSequence=[item])


def completion(performance: Performance) -> Dataset:
    """Return what a step needs to be COMPLETED."""
    changes = progress(100, "done")
    changes.UnifiedProcedureStepPerformedProcedureSequence = [_performed(performance)]
    return _in_its_characters(changes)


def cancellation(performance: Performance, why: GivenUp, percent: int) -> Dataset:
    """Return what a step needs to be CANCELED."""
    item = _progress_item(percent, why.reason)
    item.ProcedureStepCancellationDateTime = date_time(performance.ended)
    item.ReasonForCancellation = why.reason[:LONGEST_TEXT]
    item.ProcedureStepDiscontinuationReasonCodeSequence = [coded(why.code)]
    changes = _set(ProcedureStepProgressInformationSequence=[item])
    changes.UnifiedProcedureStepPerformedProcedureSequence = [_performed(performance)]
    return _in_its_characters(changes)


def date_time(at: datetime) -> str:
    """Return a time in UTC as VR DT."""
    return at.strftime("%Y%m%d%H%M%S.%f+0000")


def coded(code: Code) -> Dataset:
    """Return a code as an item."""
    return _set(
        CodeValue=code.value,
        CodingSchemeDesignator=code.scheme,
        CodeMeaning=code.meaning or code.value,
    )


def _progress_item(percent: int, description: str) -> Dataset:
    """Return an item of progress."""
    return _set(
        ProcedureStepProgress=str(percent),
        ProcedureStepProgressDescription=description[:LONGEST_TEXT],
    )


def _performed(performance: Performance) -> Dataset:
    """Return an item of Unified Procedure Step Performed Procedure Sequence [P33]_."""
    return _set(
        PerformedStationNameCodeSequence=[coded(performance.performer)],
        PerformedWorkitemCodeSequence=[coded(performance.workitem)],
        PerformedProcedureStepStartDateTime=date_time(performance.began),
        PerformedProcedureStepEndDateTime=date_time(performance.ended),
        OutputInformationSequence=[
            _output(series, performance.places) for series in performance.outputs
        ],
    )


def _output(series: OutputSeries, places: Sequence[RetrievePlace]) -> Dataset:
    """Return an item of Output Information Sequence [P33]_."""
    item = _set(
        TypeOfInstances="DICOM",
        StudyInstanceUID=series.study_instance_uid,
        SeriesInstanceUID=series.series_instance_uid,
        ReferencedSOPSequence=[
            _set(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid)
            for sop_class, uid in series.objects
        ],
    )
    by_dimse = [_set(RetrieveAETitle=place.ae_title) for place in places if place.ae_title]
    way = f"studies/{series.study_instance_uid}/series/{series.series_instance_uid}"
    by_web = [_set(RetrieveURL=f"{p.url.rstrip('/')}/{way}") for p in places if p.url]
    if by_dimse:
        item.DICOMRetrievalSequence = by_dimse
    if by_web:
        item.WADORSRetrievalSequence = by_web
    return item


def _set(**values: object) -> Dataset:
    """Return a data set of some attributes by their keywords."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def _in_its_characters(changes: Dataset) -> Dataset:
    """Return attributes with the character set that they need: PS3.4, table CC.2.5-3."""
    if not all(text.isascii() for text in _texts(changes)):
        changes.SpecificCharacterSet = "ISO_IR 192"
    return changes


def _texts(changes: Dataset) -> Iterable[str]:
    """Yield the texts of a data set and of its items."""
    for element in changes.iterall():
        if isinstance(element.value, str):
            yield element.value
