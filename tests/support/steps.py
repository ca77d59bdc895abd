"""Procedure steps for tests."""

from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

CODE = ("PERFUSION", "99SITE", "Myocardial perfusion")
STATION = ("AI1", "99SITE", "AI station")


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def input_item(study: str, series: str, instances: Sequence[tuple[str, str]]) -> Dataset:
    """Return an item of Input Information Sequence."""
    item = Dataset()
    item.TypeOfInstances = "DICOM"
    item.StudyInstanceUID, item.SeriesInstanceUID = study, series
    item.ReferencedSOPSequence = []
    for sop_class, uid in instances:
        each = Dataset()
        each.ReferencedSOPClassUID, each.ReferencedSOPInstanceUID = sop_class, uid
        item.ReferencedSOPSequence.append(each)
    place = Dataset()
    place.RetrieveAETitle = "ARCHIVE"
    item.DICOMRetrievalSequence = [place]
    return item


def inputs_of(folder: Path) -> list[Dataset]:
    """Return the items for the instances in a folder."""
    series: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found = dcmread(path, stop_before_pixels=True)
        key = str(found.StudyInstanceUID), str(found.SeriesInstanceUID)
        series.setdefault(key, []).append((str(found.SOPClassUID), str(found.SOPInstanceUID)))
    return [input_item(*key, instances) for key, instances in series.items()]


def step(
    inputs: Sequence[Dataset],
    *,
    code: tuple[str, str, str] = CODE,
    station: tuple[str, str, str] = STATION,
    priority: str = "MEDIUM",
    readiness: str = "READY",
) -> Dataset:
    """Return a step, as whoever schedules it sends it."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.PatientName, made.PatientID = "Yamada^Tarou=山田^太郎", "PID-1"
    made.ProcedureStepState = "SCHEDULED"
    made.InputReadinessState = readiness
    made.ScheduledProcedureStepPriority = priority
    made.ProcedureStepLabel, made.WorklistLabel = "AI", "AI"
    made.ScheduledProcedureStepStartDateTime = "20260101120000"
    made.ScheduledWorkitemCodeSequence = [coded(*code)]
    made.ScheduledStationNameCodeSequence = [coded(*station)]
    made.StudyInstanceUID = str(inputs[0].StudyInstanceUID) if inputs else ""
    made.InputInformationSequence = list(inputs)
    return made
