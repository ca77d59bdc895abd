"""What DICOM objects say of patient and study: read when it is shown, and kept in no ledger."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from pipeline.ledger.reviewlist import ResultJob
from pipeline.quiet import quietly
from pipeline.review.rows import Patient, StudyFacts

LONGEST = 256
"""Characters of a value that are shown."""

SAID = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate"),
    *("StudyDescription", "AccessionNumber", "SeriesDescription", "StudyInstanceUID"),
    "SpecificCharacterSet",
)
"""Attributes that are read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What an object says of whose it is."""

    patient: Patient | None = None
    """The patient."""

    study: StudyFacts | None = None
    """The study."""

    series_description: str | None = None
    """Series Description (0008,103E), of the input."""


def said_of(job: ResultJob) -> Said:
    """Return what a job's objects say: an instance of its input, or one of its results."""
    for path, is_input in _objects(job):
        header = read_header(path, SAID)
        if header is None or _text(header, "StudyInstanceUID") != job.study_instance_uid:
            continue
        return Said(
            patient=_patient(header),
            study=StudyFacts(
                date=_date(header, "StudyDate"),
                description=_text(header, "StudyDescription"),
                accession_number=_text(header, "AccessionNumber"),
            ),
            series_description=_text(header, "SeriesDescription") if is_input else None,
        )
    return Said()


def read_header(path: Path, keywords: tuple[str, ...] | None = None) -> Dataset | None:
    """Return a DICOM file's data set up to its pixel data; None if it is no DICOM file.

    Parameters
    ----------
    path
        The file.
    keywords
        Attributes to read; None reads all.
    """
    try:
        with quietly():
            return pydicom.dcmread(
                path,
                stop_before_pixels=True,
                specific_tags=None if keywords is None else list(keywords),
            )
    except (OSError, InvalidDicomError, EOFError, ValueError, KeyError, TypeError):
        return None


def _objects(job: ResultJob) -> Iterable[tuple[Path, bool]]:
    """Yield files that may say whose a result is, and whether each is an input."""
    if job.study_instance_uid is None:
        return
    if job.inputs:
        yield job.inputs[0], True
    for artifact in job.artifacts:
        if artifact.sop_instance_uid is not None and job.folder is not None:
            yield job.folder / artifact.relative_path, False


def _patient(header: Dataset) -> Patient:
    """Return the patient."""
    return Patient(
        name=_name(header),
        id=_text(header, "PatientID") or "",
        birth_date=_date(header, "PatientBirthDate"),
        sex=_text(header, "PatientSex"),
    )


def _name(header: Dataset) -> str:
    """Return the patient's name, family name first."""
    text = _text(header, "PatientName") or ""
    family, *given = (part.strip() for part in text.split("=")[0].split("^"))
    rest = " ".join(part for part in given if part)
    return f"{family}, {rest}" if rest else family


def _text(header: Dataset, keyword: str) -> str | None:
    """Return a value as text; None where it is empty or cannot be read."""
    try:
        with quietly():
            value = header.get(keyword)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    text = "".join(c for c in str(value or "") if c.isprintable()).strip()
    return text[:LONGEST] or None


def _date(header: Dataset, keyword: str) -> str | None:
    """Return a date of DICOM as ISO 8601; None where it is none."""
    text = _text(header, keyword) or ""
    is_date = len(text) == len("YYYYMMDD") and text.isascii() and text.isdigit()
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if is_date else None
