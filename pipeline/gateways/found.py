"""What archives are asked for, and what they find, the same over DIMSE and over DICOMweb.

References
----------
.. [C2] DICOM PS3.4, C.2.2.2, attribute matching: by UID, wild card and range.
.. [C6] DICOM PS3.4, C.6.2.1, keys of the Study Root.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from pydicom.dataset import Dataset

from pipeline.errors import UnusableCall
from pipeline.quiet import quietly

DATES = re.compile(r"(\d{8})|(\d{8})-(\d{8})?|-(\d{8})")
"""A date or a range of dates, both ends included and one of them possibly open."""


class Level(StrEnum):
    """What a query finds."""

    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What is looked for; what is None matches everything."""

    study: str | None = None
    """Study Instance UID (0020,000D)."""

    series: str | None = None
    """Series Instance UID (0020,000E)."""

    accession: str | None = field(default=None, repr=False)
    """Accession Number (0008,0050)."""

    patient: str | None = field(default=None, repr=False)
    """Patient ID (0010,0020), without wild cards."""

    dates: str | None = None
    """Study Date (0008,0020): ``YYYYMMDD``, or a range such as ``20260101-20260131``."""

    modality: str | None = None
    """Modality in the study, or of the series."""

    description: str | None = None
    """Study Description (0008,1030), or Series Description (0008,103E) of series; ``*`` and ``?``
    are wild cards."""

    level: Level = Level.STUDY
    """What is wanted."""

    limit: int | None = None
    """How many at most."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        if self.dates is not None and not DATES.fullmatch(self.dates):
            raise UnusableCall("a date is YYYYMMDD, or a range YYYYMMDD-YYYYMMDD")
        for text in (self.accession, self.patient, self.description, self.modality):
            if text is not None and ("\\" in text or not text.strip()):
                raise UnusableCall("an empty text, or one with a backslash, matches nothing")
        for uid in (self.study, self.series):
            if uid is not None and not re.fullmatch(r"[0-9.]{1,64}", uid):
                raise UnusableCall("a UID has digits and dots, 64 at most")

    @property
    def is_selective(self) -> bool:
        """Whether it asks for less than everything, or everything of a modality."""
        return any((self.study, self.accession, self.patient, self.dates, self.description))


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A study, a series or an instance that an archive has."""

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    sop_class_uid: str | None = None
    date: str | None = None
    """Study Date, ``YYYYMMDD``."""
    time: str | None = None
    """Study Time."""
    modalities: tuple[str, ...] = ()
    """Modalities in the study, or the one of the series."""
    description: str | None = None
    series: int | None = None
    """Series of the study, as far as the archive says."""
    instances: int | None = None
    """Instances of the study or series, as far as the archive says."""
    accession: str | None = field(default=None, repr=False)
    patient: str | None = field(default=None, repr=False)
    issuer: str | None = field(default=None, repr=False)

    def to_json(self, *, accession: bool = False) -> dict[str, object]:
        """Return what a person may see of it, as JSON values.

        Parameters
        ----------
        accession
            Whether with the accession number.
        """
        shown: dict[str, object] = {
            "study_instance_uid": self.study_instance_uid,
            "series_instance_uid": self.series_instance_uid,
            "sop_instance_uid": self.sop_instance_uid,
            "date": self.date,
            "modalities": list(self.modalities),
            "description": self.description,
            "series": self.series,
            "instances": self.instances,
        }
        if accession:
            shown["accession_number"] = self.accession
        return {key: value for key, value in shown.items() if value not in (None, [])}


WANTED = {
    Level.STUDY: (
        *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "PatientID"),
        *("IssuerOfPatientID", "ModalitiesInStudy", "StudyDescription"),
        *("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    ),
    Level.SERIES: (
        *("StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesDescription"),
        "NumberOfSeriesRelatedInstances",
    ),
    Level.IMAGE: ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"),
}
"""Attributes that are asked for at each level [C6]_."""


def keys_of(query: Query) -> dict[str, str]:
    """Return the keys that a query matches by, by their keywords."""
    keys = {"StudyInstanceUID": query.study}
    if query.level is Level.STUDY:
        keys |= {
            "AccessionNumber": query.accession,
            "PatientID": query.patient,
            "StudyDate": query.dates,
            "ModalitiesInStudy": query.modality,
            "StudyDescription": query.description,
        }
    else:
        keys["SeriesInstanceUID"] = query.series
    if query.level is Level.SERIES:
        keys |= {"Modality": query.modality, "SeriesDescription": query.description}
    return {keyword: value for keyword, value in keys.items() if value is not None}


def found(answer: Dataset, level: Level) -> Found | None:
    """Return what an answer tells; None if it does not say what was found."""
    with quietly():
        study = _text(answer, "StudyInstanceUID")
        series, instance = _text(answer, "SeriesInstanceUID"), _text(answer, "SOPInstanceUID")
        needed = {Level.STUDY: (study,), Level.SERIES: (study, series)}
        if study is None or not all(needed.get(level, (study, series, instance))):
            return None
        is_study = level is Level.STUDY
        counted = "NumberOfStudyRelatedInstances" if is_study else "NumberOfSeriesRelatedInstances"
        return Found(
            study_instance_uid=study,
            series_instance_uid=series,
            sop_instance_uid=instance,
            sop_class_uid=_text(answer, "SOPClassUID"),
            date=_text(answer, "StudyDate"),
            time=_text(answer, "StudyTime"),
            modalities=_texts(answer, "ModalitiesInStudy" if is_study else "Modality"),
            description=_text(answer, "StudyDescription" if is_study else "SeriesDescription"),
            series=_number(answer, "NumberOfStudyRelatedSeries"),
            instances=_number(answer, counted),
            accession=_text(answer, "AccessionNumber"),
            patient=_text(answer, "PatientID"),
            issuer=_text(answer, "IssuerOfPatientID"),
        )


def fitting(query: Query, answers: Iterable[Found]) -> list[Found]:
    """Return those that do match, each once: archives leave out keys that they do not know [C2]_.

    An answer must have the patient and the accession number that were asked for; whether it fits by
    the rest is seen where the archive says it.
    """
    by_uid = {
        (one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid): one
        for one in answers
        if _fits(query, one)
    }
    return list(by_uid.values())


def _fits(query: Query, one: Found) -> bool:
    """Tell whether an answer matches."""
    checks: list[bool] = [
        query.study in (None, one.study_instance_uid),
        query.series in (None, one.series_instance_uid),
    ]
    if query.level is Level.STUDY:
        checks += [
            query.patient is None or query.patient.strip() == one.patient,
            query.accession is None or _like(query.accession.strip(), one.accession or ""),
            _maybe(query.dates, one.date, _within),
        ]
    checks += [
        query.modality is None or not one.modalities or query.modality in one.modalities,
        query.level is Level.IMAGE or _maybe(query.description, one.description, _like),
    ]
    return all(checks)


def _maybe(wanted: str | None, told: str | None, check: Callable[[str, str], bool]) -> bool:
    """Tell whether what is told is as wanted, or one of both is not there."""
    return wanted is None or told is None or check(wanted, told)


def _like(pattern: str, text: str) -> bool:
    """Tell whether a text is as a pattern with wild cards, capitals and small letters alike."""
    return fnmatchcase(text.casefold(), pattern.casefold().replace("[", "[[]"))


def _within(dates: str, date: str) -> bool:
    """Tell whether a date is in a range."""
    first, dash, last = dates.partition("-")
    return (first or "0") <= date <= (last or "9" if dash else first)


def _text(answer: Dataset, keyword: str) -> str | None:
    """Return a value as text; None where there is none."""
    value = answer.get(keyword)
    text = "" if value is None else str(value).strip().rstrip("\0")
    return text or None


def _texts(answer: Dataset, keyword: str) -> tuple[str, ...]:
    """Return all values as texts."""
    value = answer.get(keyword)
    if value is None or value == "":
        return ()
    values = [value] if isinstance(value, str) else value
    return tuple(text for text in (str(one).strip() for one in values) if text)


def _number(answer: Dataset, keyword: str) -> int | None:
    """Return a value as a whole number; None where there is none."""
    try:
        return int(str(answer.get(keyword)))
    except ValueError:
        return None
