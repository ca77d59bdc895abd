"""The records that travel between stages, in DICOM's own nouns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

from pydicom.dataset import Dataset

from pipeline.imaging.timedframe import TimedFrame
from pipeline.imaging.volume import TimeSeries
from pipeline.mr.kspace import KSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFrame:
    """Where one frame of an image comes from."""

    path: Path
    """The file that holds it."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""

    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""

    series_instance_uid: str
    """Series Instance UID (0020,000E): another for each slice where a scanner writes it so."""

    frame_number: int
    """Frame within the instance, from 1. A single-frame instance has frame 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArterialImages:
    """Images of a dual sequence that sample the arterial input of a series.

    They are acquired along with it, of a low resolution and with a short delay after saturation, so
    that a dense bolus is not clipped.
    """

    image: TimeSeries
    """The frames, one for each beat of the series, on one or more of its slices; their times are
    those since the first frame of the series."""

    frames: tuple[tuple[SourceFrame, ...], ...]
    """Source of each frame, indexed ``[beat][slice]``."""

    header: Dataset
    """An instance of them without its pixel data, for their sequence. Never logged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InputSeries:
    """A series over time, loaded and checked: what an analysis works on."""

    label: str
    """How messages name it: the Series Instance UID, or the file's name for NIfTI."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None for NIfTI."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E): several where a scanner writes one a slice; none for
    NIfTI."""

    image: TimeSeries
    """The frames, placed in the patient."""

    frames: tuple[tuple[SourceFrame, ...], ...]
    """Source of each frame, indexed ``[beat][slice]``; empty for NIfTI."""

    header: Dataset | None
    """An instance of the series without its pixel data, for patient, study and equipment; None for
    NIfTI."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    predecessor: UUID | None = None
    """Job whose result is replaced by what is made of this series; None for a first result."""

    notes: tuple[str, ...] = ()
    """What a reader should know: missed beats, frames split off, estimated times."""

    arterial: ArterialImages | None = None
    """Images that sample its arterial input; None where there are none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawSeries:
    """Raw data, loaded and checked: what a reconstruction works on."""

    label: str
    """How messages name it: the file's name, with the part of it where it has several."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None where neither the file, nor a reference, nor the call
    states one."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E) of the reference series; none without one."""

    kspace: KSpace
    """The samples, with their place in the patient as far as it is known."""

    frames: tuple[SourceFrame, ...]
    """Instances of the reference series, which the images belong beside; empty without one."""

    header: Dataset | None
    """Patient, study, equipment and sequence, from a reference series, the call or the file: what
    none of them states is not in it. None where nothing is known of a patient or a study: then no
    DICOM is written. Never logged."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    predecessor: UUID | None = None
    """Job whose result is replaced by what is made of this series; None for a first result."""

    notes: tuple[str, ...] = ()
    """What a reader should know: averaged lines, lines left out, unknown places."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInstance:
    """One DICOM instance of a case on video."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""

    sop_instance_uid: str
    """SOP Instance UID (0008,0018)."""

    series_instance_uid: str
    """Series Instance UID (0020,000E)."""

    start_seconds: float
    """Where it begins in the case [s]: a time within it counts from there."""

    end_seconds: float | None
    """Where it ends in the case, as its container says it [s]; None where it does not."""


class PictureSource(Protocol):
    """The pictures of a video at a fixed rate, decoded while they are iterated over."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be decoded, once all pictures were taken: times and names."""
        ...

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield the pictures in order of time.

        Raises
        ------
        UnreadableFile
            If not one can be decoded.
        """
        ...


class PicturesAtRate(Protocol):
    """Decodes a video at a rate."""

    def __call__(self, rate_hz: float, threads: int = 1) -> PictureSource:
        """Return the pictures.

        Parameters
        ----------
        rate_hz
            Pictures for each second.
        threads
            Threads of the decoder.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoSeries:
    """A case on video, checked: its pictures are decoded when they are asked for."""

    label: str
    """How messages name it: the Series Instance UID, or the file's or folder's name."""

    study_instance_uid: str | None
    """Study Instance UID (0020,000D); None where no DICOM object states one."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E); none for files that are no DICOM."""

    rows: int
    """Rows of a picture."""

    columns: int
    """Columns of a picture."""

    duration_seconds: float | None
    """Length of the case as its containers say it [s]; None where they do not."""

    frame_rate_hz: float | None = None
    """Pictures a second as its first container says it; None where that is not known."""

    instances: tuple[VideoInstance, ...]
    """Its DICOM instances in order of time; none for files that are no DICOM."""

    header: Dataset | None
    """The first instance without its pixel data, for patient, study and equipment; None for files
    that are no DICOM. Never logged."""

    input_digest: str
    """SHA-256 over the digests of the input files, hexadecimal."""

    pictures: PicturesAtRate = field(repr=False, compare=False)
    """Returns the pictures at a rate."""

    still: Callable[[float], TimedFrame | None] = field(repr=False, compare=False)
    """Returns the picture that is shown at a time [s], sought and not decoded up to."""

    predecessor: UUID | None = None
    """Job whose result is replaced by what is made of this series; None for a first result."""

    notes: tuple[str, ...] = ()
    """What a reader should know."""


Series = InputSeries | RawSeries | VideoSeries
"""What a candidate is loaded as."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One number of a result, with its unit."""

    name: str
    """Key in the manifest, with the unit in it where there is one: ``myocardium_area_mm2``."""

    value: float
    """The number, in ``unit``."""

    unit: str
    """UCUM code: ``mm2``, ``1``, ``{intensity}/s``."""

    slice_index: int | None = None
    """Slice it was measured on, from 0; None for the whole series."""

    structure: str | None = None
    """What was measured: ``myocardium``, ``blood_pool``; None where it is the series or slice."""


EVIDENCE = frozenset(
    ("members", "curves", "zero_filled", "classical", "coverage", "residual", "anticipated")
)
"""Kinds of artifacts that a result is judged by: they change nothing in it, and a site may leave
them out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A file that a job wrote."""

    kind: str
    """What it is: ``segmentation``, ``uncertainty_map``, ``flow_map``, ``report``, ``overview``,
    ``image``, ``key_frame``, ``key_objects``, ``report_page``, ``figure``, ``nifti``, those of
    ``EVIDENCE`` and the like."""

    relative_path: str
    """Path under the output folder, with forward slashes."""

    sop_instance_uid: str | None
    """SOP Instance UID (0008,0018) of a DICOM object; None for other files."""

    sha256: str
    """SHA-256 of the file, hexadecimal."""
