"""The DICOM objects that this installation holds: inputs of jobs that have a result, and results.

Files are found by the ledger and read where they lie; nothing is written. Headers that were read
are kept in memory as long as their files do not change.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.reviewlist import jobs_of_study
from pipeline.quiet import quietly
from pipeline.review.headers import read_header

MOST_HEADERS = 2000
"""Headers that are kept in memory."""

LARGEST_VALUE = 1024
"""Larger values of bytes are left out of metadata [byte]."""

BYTES = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
"""VRs of bytes."""

STUDY_LEVEL = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription"),
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID"),
)
"""Attributes of a study in answers (PS3.18, 10.6.3.3.1)."""

SERIES_LEVEL = (
    *("Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "StudyInstanceUID"),
)
"""Attributes of a series in answers."""

INSTANCE_LEVEL = (
    *("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated"),
    *("NumberOfFrames", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
)
"""Attributes of an instance in answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredInstance:
    """An instance, and its file."""

    path: Path
    """The file."""

    header: Dataset = field(repr=False)
    """Its data set up to the pixel data."""

    @property
    def series_uid(self) -> str:
        """Series Instance UID (0020,000E)."""
        return str(self.header.get("SeriesInstanceUID", ""))

    @property
    def uid(self) -> str:
        """SOP Instance UID (0008,0018)."""
        return str(self.header.get("SOPInstanceUID", ""))


class DicomStore:
    """The objects. It may be used from several threads.

    Parameters
    ----------
    ledger
        The ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._headers: OrderedDict[tuple[Path, int], Dataset] = OrderedDict()
        self._lock = threading.Lock()

    def instances(
        self, study_uid: str, series_uid: str | None = None, uid: str | None = None
    ) -> list[StoredInstance]:
        """Return the instances of a study, of a series of it, or one of them; each once.

        Parameters
        ----------
        study_uid
            Study Instance UID (0020,000D).
        series_uid
            Series Instance UID (0020,000E); None takes all series.
        uid
            SOP Instance UID (0008,0018); None takes all instances.
        """
        found: dict[str, StoredInstance] = {}
        for path in self._files(study_uid, uid):
            header = self._header(path)
            if header is None or str(header.get("StudyInstanceUID", "")) != study_uid:
                continue
            instance = StoredInstance(path=path, header=header)
            if series_uid in (None, instance.series_uid) and uid in (None, instance.uid):
                found.setdefault(instance.uid, instance)
        return list(found.values())

    def _files(self, study_uid: str, uid: str | None) -> Iterator[Path]:
        """Yield the files that may hold instances of a study, each once."""
        jobs = jobs_of_study(self._ledger, study_uid)
        results = {
            job.folder / artifact.relative_path: artifact.sop_instance_uid
            for job in jobs
            if job.folder is not None
            for artifact in job.artifacts
            if artifact.sop_instance_uid is not None
        }
        yield from (path for path, own in results.items() if uid in (None, own))
        if uid in results.values():
            return
        yield from dict.fromkeys(path for job in jobs for path in job.inputs)

    def _header(self, path: Path) -> Dataset | None:
        """Return a file's data set up to the pixel data; None if it is none of ours any more."""
        try:
            key = path, path.stat().st_mtime_ns
        except OSError:
            return None
        with self._lock:
            known = self._headers.get(key)
            if known is not None:
                self._headers.move_to_end(key)
                return known
        header = read_header(path)
        if header is not None:
            with self._lock:
                self._headers[key] = header
                while len(self._headers) > MOST_HEADERS:
                    self._headers.popitem(last=False)
        return header


def attributes(header: Dataset, keywords: tuple[str, ...], **more: object) -> dict[str, Any]:
    """Return attributes of a data set in the DICOM JSON Model.

    Parameters
    ----------
    header
        The data set.
    keywords
        Attributes to tell, empty where it does not have them.
    more
        Further values, by keyword.
    """
    told = Dataset()
    with quietly():
        for keyword in keywords:
            if keyword in header:
                told.add(header[keyword])
        for keyword, value in more.items():
            setattr(told, keyword, value)
        return told.to_json_dict(suppress_invalid_tags=True)


def metadata(header: Dataset) -> dict[str, Any]:
    """Return a data set in the DICOM JSON Model, without pixel data and other large bytes."""
    copy = Dataset()
    with quietly():
        copy.update(header)
        found = copy.to_json_dict(
            bulk_data_threshold=LARGEST_VALUE,
            bulk_data_element_handler=_left_out,
            suppress_invalid_tags=True,
        )
        return {tag: value for tag, value in found.items() if not _is_left_out(value)}


def _left_out(_element: DataElement) -> str:
    """Return nothing as the address of bytes that are left out."""
    return ""


def _is_left_out(value: dict[str, Any]) -> bool:
    """Tell whether an attribute's bytes were left out."""
    return value.get("BulkDataURI") == ""
