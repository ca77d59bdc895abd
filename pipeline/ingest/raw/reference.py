"""What a reference series and the call state of raw data: whose they are, and where they lie.

Raw data seldom say whose they are. A reference is a DICOM series of the same examination; what the
call names goes before it, and both before the file's own header. A reference also places images of
its own grid, or of its own field of view.
"""

import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.errors import InconsistentSeries, UnusableCall
from pipeline.identity import digest_bytes, digest_set
from pipeline.ingest.raw.mrdidentity import LONGEST_TEXT
from pipeline.ingest.raw.part import RawContent
from pipeline.mr.kspace import KSpace
from pipeline.study import InputSeries, SourceFrame

STATEABLE = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "SeriesNumber",
    "BodyPartExamined",
)
"""Attributes that the call may state."""

FORMS = {
    "StudyInstanceUID": re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+"),
    "SeriesNumber": re.compile(r"\d{1,7}"),
    "PatientBirthDate": re.compile(r"\d{8}"),
    "StudyDate": re.compile(r"\d{8}"),
    "StudyTime": re.compile(r"\d{6}(\.\d{1,6})?"),
    "PatientSex": re.compile("[MFO]"),
    "StudyID": re.compile(r"[^\\]{1,16}"),
    "AccessionNumber": re.compile(r"[^\\]{1,16}"),
    "BodyPartExamined": re.compile("[A-Z0-9 _]{1,16}"),
}
"""Forms of values that are no free text."""

ANY_TEXT = re.compile(r"[^\\]+")

PATIENT_GROUP = 0x0010
"""Group of the attributes of the patient."""

OF_THE_EXAMINATION = (
    *STATEABLE,
    "SpecificCharacterSet",
    "IssuerOfAccessionNumberSequence",
    "InstitutionName",
    "StationName",
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "MagneticFieldStrength",
    "AnatomicRegionSequence",
    "PatientPosition",
)
"""Attributes that hold for all series of an examination: these are taken from a reference."""

FIELD_OF_VIEW_TOLERANCE = 0.01
"""Share by which the field of view of raw data may differ from the reference's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A DICOM series of the same examination, and what the call states."""

    header: Dataset
    """Attributes of patient, study and equipment. Never logged."""

    frames: tuple[SourceFrame, ...] = ()
    """Instances of the series; empty where the call alone states an identity."""

    series_instance_uids: tuple[str, ...] = ()
    """Its Series Instance UIDs."""

    affine: NDArray[np.float64] | None = None
    """Its grid, LPS+ [mm]; None without a series."""

    shape: tuple[int, int, int] | None = None
    """Slices, rows and columns of its grid."""

    frame_of_reference_uid: str | None = None
    """Its Frame of Reference UID."""

    digest: str = ""
    """SHA-256 of all that it states."""


def reference_of(series: InputSeries | None, stated: Sequence[str] = ()) -> Reference | None:
    """Return a reference; None if there is neither a series nor a statement.

    Parameters
    ----------
    series
        A DICOM series of the same examination.
    stated
        Texts ``Keyword=value`` of the call, with keywords of ``STATEABLE``.

    Raises
    ------
    UnusableCall
        If a statement is none, or a series has no header.
    """
    if series is None and not stated:
        return None
    if series is None:
        header = Dataset()
        header.SpecificCharacterSet = "ISO_IR 192"
    elif series.header is None:
        raise UnusableCall(f"{series.label}: a reference must be a DICOM series")
    else:
        header = deepcopy(series.header)
    for text in stated:
        keyword, value = _statement(text)
        setattr(header, keyword, value)
    digest = digest_bytes("\n".join(sorted(stated)).encode())
    if series is None:
        return Reference(header=header, digest=digest)
    header.setdefault("StudyInstanceUID", series.study_instance_uid)
    return Reference(
        header=header,
        frames=tuple(frame for beat in series.frames for frame in beat),
        series_instance_uids=series.series_instance_uids,
        affine=series.image.affine,
        shape=(series.image.n_slices, *series.image.array.shape[2:]),
        frame_of_reference_uid=series.image.frame_of_reference_uid,
        digest=digest_set([series.input_digest, digest]),
    )


def merged_header(content: RawContent, reference: Reference | None) -> Dataset | None:
    """Return what is known of patient, study and equipment; None where that is nothing.

    A reference series is another image: what it says of its own sequence and its own times is not
    taken.

    Parameters
    ----------
    content
        What the file states.
    reference
        What goes before.
    """
    if reference is None:
        return content.header
    header = deepcopy(content.header) if content.header is not None else Dataset()
    for element in reference.header:
        if element.tag.group == PATIENT_GROUP or element.keyword in OF_THE_EXAMINATION:
            header[element.tag] = deepcopy(element)
    return header


def placed_by(kspace: KSpace, reference: Reference | None, label: str) -> KSpace:
    """Return raw data with the place of a reference series, where their own is not known.

    Parameters
    ----------
    kspace
        The raw data.
    reference
        The reference.
    label
        How messages name the raw data.

    Raises
    ------
    InconsistentSeries
        If the reference has another grid, and its field of view is not known to be the same.
    """
    if reference is None or reference.affine is None or reference.shape is None:
        return kspace
    frame_of_reference = kspace.frame_of_reference_uid or reference.frame_of_reference_uid
    if kspace.affine is not None:
        return replace(kspace, frame_of_reference_uid=frame_of_reference)
    n_slices, rows, columns = reference.shape
    if kspace.n_slices != n_slices or not _same_view(kspace, reference):
        own = "x".join(str(n) for n in kspace.image_shape)
        raise InconsistentSeries(
            f"{label}: {kspace.n_slices} slices of {own} are not placed by a reference series of "
            f"{n_slices} slices of {rows}x{columns}"
        )
    affine = _resized(reference.affine, (rows, columns), kspace.image_shape)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return replace(
        kspace,
        affine=affine,
        pixel_spacing_mm=(float(lengths[1]), float(lengths[2])),
        frame_of_reference_uid=frame_of_reference,
    )


def _statement(text: str) -> tuple[str, str]:
    """Return keyword and value of a statement; no message holds the value."""
    keyword, equals, value = text.partition("=")
    if not equals or keyword not in STATEABLE:
        raise UnusableCall(
            f"{keyword[:40]!r} cannot be stated; write Keyword=value, known are "
            f"{', '.join(STATEABLE)}"
        )
    form = FORMS.get(keyword, ANY_TEXT)
    if not form.fullmatch(value) or not value.isprintable() or len(value) > LONGEST_TEXT:
        raise UnusableCall(f"the value that the call states for {keyword} is not possible in DICOM")
    return keyword, value


def _same_view(kspace: KSpace, reference: Reference) -> bool:
    """Tell whether raw data show what a reference shows: its grid, or its field of view."""
    if reference.shape is None or reference.affine is None:
        return False
    if kspace.image_shape == reference.shape[1:]:
        return True
    if kspace.pixel_spacing_mm is None:
        return False
    own = np.array(kspace.pixel_spacing_mm) * kspace.image_shape
    lengths = np.linalg.norm(reference.affine[:3, 1:3], axis=0)
    view = lengths * np.array(reference.shape[1:])
    return bool((np.abs(own - view) <= FIELD_OF_VIEW_TOLERANCE * view).all())


def _resized(
    affine: NDArray[np.float64], old: tuple[int, int], new: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the affine of another number of rows and columns over the same field of view."""
    factors = np.array([1.0, old[0] / new[0], old[1] / new[1]])
    resized = affine.copy()
    resized[:3, :3] = affine[:3, :3] * factors
    corner = affine[:3, 3] - affine[:3, :3] @ np.array([0.0, 0.5, 0.5])
    resized[:3, 3] = corner + resized[:3, :3] @ np.array([0.0, 0.5, 0.5])
    return resized
