"""What every object of a job is made under: its job, its makers, and when its source was imaged."""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydicom.dataset import Dataset

from pipeline import __version__
from pipeline.identity import JOB_NAMESPACE, derived_uid
from pipeline.infer.bundle import Bundle
from pipeline.study import InputSeries, Series, VideoSeries

MAKER = "Vesalius"
"""Manufacturer (0008,0070) of what is written, and name of the software."""

UNKNOWN_DATE, UNKNOWN_TIME = "19000101", "000000"
"""Content Date and Time where the source states no date: the attributes must have a value, and the
clock may not be asked, since the same input gives the same bytes."""

SERIES_NUMBERS = {
    "segmentation_binary": 1,
    "segmentation_labelmap": 2,
    "uncertainty_map": 3,
    "report": 4,
    "overview": 5,
    "reconstruction": 6,
    "reconstruction_enhanced": 7,
    "reconstruction_uncertainty": 8,
    "phases_report": 9,
    "phases_key_frames": 10,
    "key_objects": 11,
    "report_page": 12,
    "reserve": 13,
    "flow_map": 14,
    "reserve_page": 15,
}
"""What is added to 100 times the source's Series Number (0020,0011), by the role of the object."""

_LARGEST_SERIES_NUMBER = 10_000_000
_TIME = re.compile(r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d(?:\.\d{1,6})?)?)?")
_MOMENTS = (
    ("AcquisitionDate", "AcquisitionTime"),
    ("SeriesDate", "SeriesTime"),
    ("ContentDate", "ContentTime"),
    ("StudyDate", "StudyTime"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verifier:
    """A person who verified a result."""

    name: str
    """The person's name, VR PN."""

    organization: str
    """Whom the person verifies for: Verifying Organization (0040,A027)."""

    at: datetime
    """When, UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodingContext:
    """All that objects say of how they came about."""

    job_id: UUID
    """The job: UIDs derive from it."""

    software_version: str
    """Version of this software."""

    bundle_name: str
    """Name of the model bundle."""

    bundle_version: str
    """Its version."""

    bundle_digest: str
    """SHA-256 over its files, hexadecimal."""

    predecessor: UUID | None = None
    """Job whose objects these replace; None for first ones."""

    verifiers: tuple[Verifier, ...] = ()
    """Who has verified the result; none for one that nobody has."""

    author: str | None = None
    """Who has corrected the result, VR PN; None for one as the analysis made it."""

    segmentation_types: tuple[str, ...] = ()
    """Segmentation Types (0062,0001) to write."""

    mr_image_types: tuple[str, ...] = ()
    """Forms of MR images to write: ``CLASSIC`` for an instance a frame, ``ENHANCED`` for one
    instance of all frames."""

    complex_nifti: bool = False
    """Whether images are also written with their phase, as complex NIfTI."""

    @property
    def device_uid(self) -> str:
        """Device UID (0018,1002) of this version of the software, the same for all its jobs."""
        return derived_uid(JOB_NAMESPACE, f"device/{MAKER}/{self.software_version}")

    def uid(self, role: str, level: str = "instance") -> str:
        """Return the UID of an object of the job, or of another thing that it names.

        Parameters
        ----------
        role
            Role of the object: a key of ``SERIES_NUMBERS``.
        level
            What the UID names: ``instance``, ``series`` and the like.
        """
        return derived_uid(self.job_id, f"{role}/{level}")


def encoding_context(
    series: Series,
    job_id: UUID,
    bundle: Bundle,
    *,
    segmentation_types: tuple[str, ...] = (),
    mr_image_types: tuple[str, ...] = (),
    complex_nifti: bool = False,
) -> EncodingContext:
    """Return what the objects of a job are made under by this version of the software."""
    return EncodingContext(
        job_id=job_id,
        software_version=__version__,
        bundle_name=bundle.name,
        bundle_version=bundle.version,
        bundle_digest=bundle.digest,
        predecessor=series.predecessor,
        segmentation_types=segmentation_types,
        mr_image_types=mr_image_types,
        complex_nifti=complex_nifti,
    )


def series_number(role: str, header: Dataset) -> int:
    """Return the Series Number (0020,0011) of an object of a role, next to its source's."""
    source = str(header.get("SeriesNumber") or "")
    base = int(source) if source.isdecimal() and int(source) < _LARGEST_SERIES_NUMBER else 0
    return 100 * base + SERIES_NUMBERS[role]


def stated_moment(header: Dataset) -> tuple[str, str] | None:
    """Return the date and time that a source states for itself, as DA and TM; None without a date.

    Parameters
    ----------
    header
        An instance of the source.
    """
    for date_keyword, time_keyword in _MOMENTS:
        date, time = (str(header.get(k) or "") for k in (date_keyword, time_keyword))
        if is_date(date):
            return date, time if is_time(time) else UNKNOWN_TIME
    return None


def is_date(value: str) -> bool:
    """Tell whether a text is a DA value that names a day."""
    try:
        datetime.strptime(value, "%Y%m%d")  # noqa: DTZ007 - a day, in no time zone
    except ValueError:
        return False
    return len(value) == 8


def is_time(value: str) -> bool:
    """Tell whether a text is a TM value that names a time of day."""
    return _TIME.fullmatch(value) is not None


def encoding_notes(series: InputSeries | VideoSeries) -> tuple[str, ...]:
    """Return what a reader should know of the objects of a series."""
    if series.header is None or stated_moment(series.header) is not None:
        return ()
    return (
        "the source states no date: ContentDate (0008,0023) of the results is "
        f"{UNKNOWN_DATE}, a placeholder",
    )
