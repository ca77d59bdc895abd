"""Read the header of each file and put it on the pile that it belongs to."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom.uid import MediaStorageDirectoryStorage

from pipeline.errors import StudyRejected, UnreadableFile
from pipeline.imaging.niftiheader import is_nifti_name
from pipeline.ingest.attributes import text
from pipeline.ingest.candidate import Candidate, Refusal
from pipeline.ingest.collect import Collection, FoundFile
from pipeline.ingest.dicomfile import BrokenDicomFile, looks_like_dicom, read_dicom
from pipeline.ingest.frame import Frame, Instance
from pipeline.ingest.instances import frames_of, identify, is_assembled
from pipeline.ingest.limits import Limits
from pipeline.ingest.nifti import nifti_candidate
from pipeline.ingest.niftibeginning import check_beginning
from pipeline.ingest.raw.candidates import raw_candidates
from pipeline.ingest.raw.confined import look
from pipeline.ingest.raw.names import belongs_to_raw, check_not_alone
from pipeline.ingest.raw.reference import Reference
from pipeline.ingest.video.candidates import (
    VIDEO_CLASSES,
    DicomVideo,
    dicom_video,
    file_candidate,
    folder_candidate,
    is_video_name,
)
from pipeline.ingest.video.folder import is_picture_name, timed
from pipeline.quiet import quietly


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenInstance:
    """An instance that is known by its UIDs but cannot be used."""

    instance: Instance
    """The instance."""

    reason: str
    """Why it cannot be used."""


@dataclass(kw_only=True, slots=True)
class Intake:
    """All files, sorted by what they are."""

    frames: dict[Instance, tuple[Frame, ...]] = field(default_factory=dict)
    """MR and CT images and their frames."""

    broken: list[BrokenInstance] = field(default_factory=list)
    """MR and CT images that cannot be used."""

    others: list[Instance] = field(default_factory=list)
    """Sound DICOM instances that are no images of a volume."""

    nifti: list[Candidate] = field(default_factory=list)
    """NIfTI files."""

    raw: list[Candidate] = field(default_factory=list)
    """Raw data."""

    videos: list[Candidate] = field(default_factory=list)
    """Video files."""

    dicom_videos: list[DicomVideo] = field(default_factory=list)
    """DICOM instances that hold video."""

    pictures: dict[Path, list[FoundFile]] = field(default_factory=dict)
    """Pictures, by their folder."""

    refusals: list[Refusal] = field(default_factory=list)
    """Files that are not what they claim to be."""

    ignored: list[str] = field(default_factory=list)
    """Files that are neither DICOM nor NIfTI nor raw data, and do not claim to be."""


def take_in(
    collection: Collection,
    limits: Limits,
    progress: Callable[[int, int], None] | None,
    reference: Reference | None = None,
) -> Intake:
    """Read the headers of all files; no file can stop the next one.

    Parameters
    ----------
    collection
        The files.
    limits
        What a file may ask for.
    progress
        Called with the number of files that were read, and the number of all files.
    reference
        Whose raw data are and where they lie, as far as their files do not say.
    """
    intake = Intake()
    for lost in collection.missing:
        intake.refusals.append(file_refusal(lost.name, lost.reason))
    for index, file in enumerate(collection.files):
        if progress is not None:
            progress(index, len(collection.files))
        try:
            with quietly():
                _take(file, limits, intake, reference)
        except BrokenDicomFile as error:
            intake.refusals.append(
                Refusal(
                    label=file.name,
                    reason=str(error),
                    study_instance_uid=error.study_instance_uid,
                    series_instance_uids=tuple(filter(None, [error.series_instance_uid])),
                    files=(file.name,),
                )
            )
        except StudyRejected as error:
            intake.refusals.append(file_refusal(file.name, str(error)))
        except OSError as error:
            reason = f"{file.name}: cannot be read ({error.strerror})"
            intake.refusals.append(file_refusal(file.name, reason))
    _take_folders(intake)
    if progress is not None:
        progress(len(collection.files), len(collection.files))
    return intake


def file_refusal(name: str, reason: str) -> Refusal:
    """Return the refusal of a file of no known series."""
    return Refusal(
        label=name, reason=reason, study_instance_uid=None, series_instance_uids=(), files=(name,)
    )


def _take(file: FoundFile, limits: Limits, intake: Intake, reference: Reference | None) -> None:
    """Read one file and put it on its pile."""
    if is_nifti_name(file.path):
        check_beginning(file.path, file.name, limits)
        candidate = nifti_candidate(file, limits)
        if candidate is not None:
            intake.nifti.append(candidate)
            return
    if file.was_named and belongs_to_raw(file.path):
        values = file.path.with_suffix(".cfl")
        file = FoundFile(path=values, name=values.name, was_named=True)
    found = look(file, limits)
    if found is not None:
        intake.raw += raw_candidates(file, found, limits, reference)
    elif is_video_name(file.path):
        intake.videos.append(file_candidate(file, limits))
    elif is_picture_name(file.path):
        intake.pictures.setdefault(file.path.parent, []).append(file)
    elif looks_like_dicom(file.path):
        _take_dicom(file, limits, intake)
    else:
        _take_other(file, intake)


def _take_folders(intake: Intake) -> None:
    """Take the pictures of each folder that have times as a video.

    One alone is no video, and is ignored like those without a time.
    """
    for folder, files in intake.pictures.items():
        names = tuple(file.name for file in files)
        try:
            pictures = timed(folder, [(file.path, file.name) for file in files])
            if len(pictures) > 1:
                intake.videos.append(folder_candidate(folder.name, pictures))
            else:
                pictures = []
        except StudyRejected as error:
            intake.refusals.append(replace(file_refusal(folder.name, str(error)), files=names))
            continue
        taken = {picture.name for picture in pictures}
        intake.ignored += [name for name in names if name not in taken]


def _take_other(file: FoundFile, intake: Intake) -> None:
    """Ignore what is no input, unless it was named as one."""
    if belongs_to_raw(file.path):
        return
    check_not_alone(file.path, file.name)
    if file.was_named:
        raise UnreadableFile(f"{file.name}: neither DICOM nor NIfTI nor raw data")
    intake.ignored.append(file.name)


def _take_dicom(file: FoundFile, limits: Limits, intake: Intake) -> None:
    """Read one DICOM file and put it on its pile."""
    dicom = read_dicom(file.path, file.name, limits)
    if text(dicom.header.file_meta, "MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        intake.ignored.append(file.name)
        return
    instance = identify(dicom)
    if instance.sop_class_uid in VIDEO_CLASSES:
        intake.dicom_videos.append(dicom_video(dicom, instance))
        return
    if not is_assembled(dicom, instance):
        intake.others.append(instance)
        return
    try:
        intake.frames[instance] = frames_of(dicom, instance, limits)
    except UnreadableFile as error:
        intake.broken.append(BrokenInstance(instance=instance, reason=str(error)))
