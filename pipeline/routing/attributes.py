"""What a rule may ask for of a series.

Texts are compared and never shown: whoever types a description may type a name into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import UnreadableFile
from pipeline.ingest.attributes import readable_text
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.dicomfile import parse
from pipeline.ingest.raw.candidates import MODALITY as RAW
from pipeline.ingest.video.candidates import is_video
from pipeline.quiet import quietly

KEYWORDS = {
    "manufacturer": "Manufacturer",
    "manufacturer_model": "ManufacturerModelName",
    "station_name": "StationName",
    "institution": "InstitutionName",
    "body_part": "BodyPartExamined",
    "study_description": "StudyDescription",
    "series_description": "SeriesDescription",
    "protocol_name": "ProtocolName",
}
"""Attributes that are read from a DICOM header, and their keywords there."""

TEXTS = ("source", "modality", "sop_class_uid", *KEYWORDS)
"""Attributes that are compared as texts."""

NUMBERS = ("time_steps", "slices", "rows", "columns", "instances")
"""Attributes that are compared as numbers."""

SHOWN = frozenset({"source", "modality", "sop_class_uid", *NUMBERS})
"""Attributes whose value an explanation may quote: nobody can type a name into them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attributes:
    """What is known of a series; an attribute that is not stated is missing."""

    texts: Mapping[str, str] = field(repr=False)
    """Values of ``TEXTS``."""

    numbers: Mapping[str, int]
    """Values of ``NUMBERS``."""


def attributes_of(candidate: Candidate) -> Attributes:
    """Return what is known of a series; DICOM attributes are read from its first file.

    Raises
    ------
    UnreadableFile
        If that file cannot be read any more.
    """
    texts = {"source": source_of(candidate), "modality": candidate.modality}
    if candidate.sop_class_uid is not None:
        texts |= {"sop_class_uid": candidate.sop_class_uid, **_described(candidate)}
    return Attributes(
        texts={name: value for name, value in texts.items() if value},
        numbers={
            "time_steps": candidate.n_beats,
            "slices": candidate.n_slices,
            "rows": candidate.rows,
            "columns": candidate.columns,
            "instances": candidate.n_instances,
        },
    )


def source_of(candidate: Candidate) -> str:
    """Return ``raw``, ``video`` or ``image``."""
    if candidate.modality == RAW:
        return "raw"
    return "video" if is_video(candidate) else "image"


def _described(candidate: Candidate) -> dict[str, str]:
    """Return the texts of a DICOM header."""
    path = candidate.files[0]
    try:
        with path.open("rb") as file, quietly():
            header = parse(file, stop_before_pixels=True)
    except OSError as problem:
        raise UnreadableFile(f"{path.name}: cannot be read again ({problem.strerror})") from None
    return {name: readable_text(header, keyword) for name, keyword in KEYWORDS.items()}
