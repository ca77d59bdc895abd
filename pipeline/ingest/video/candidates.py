"""Videos as candidates of an inventory: files, DICOM objects of a series, folders of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import (
    MPEGTransferSyntaxes,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    VideoEndoscopicImageStorage,
    VideoMicroscopicImageStorage,
    VideoPhotographicImageStorage,
)

from pipeline.errors import InconsistentSeries, NotApplicable, UnreadableFile
from pipeline.identity import digest_bytes, digest_file, digest_set
from pipeline.ingest.attributes import optional_number, text, whole_number
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.clock import seconds_of, seconds_of_moment
from pipeline.ingest.collect import FoundFile
from pipeline.ingest.dicomfile import DicomFile
from pipeline.ingest.frame import Instance
from pipeline.ingest.limits import Limits
from pipeline.ingest.video.folder import TimedPicture
from pipeline.ingest.video.footage import (
    ConfinedFolder,
    ConfinedPictures,
    shape_of,
    shape_of_picture,
    still,
    still_of_folder,
)
from pipeline.ingest.video.source import Footage, Kind, VideoShape
from pipeline.study import PictureSource, VideoInstance, VideoSeries

MODALITY = "VIDEO"
"""What a video that is no DICOM object has for a modality in an inventory."""

ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".avi")
"""File name endings of videos, in lower case."""

VIDEO_CLASSES = frozenset(
    {
        VideoEndoscopicImageStorage,
        VideoMicroscopicImageStorage,
        VideoPhotographicImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
"""SOP classes that hold video."""

LONGEST_PAUSE_S = 12 * 3600.0
"""Instances whose clocks are further apart are taken to follow each other without a pause [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomVideo:
    """A DICOM instance that holds video."""

    instance: Instance
    """Which instance, and its file."""

    header: Dataset = field(repr=False)
    """Its data set up to the pixel data."""

    shape: VideoShape
    """What its container says."""

    moment: float | None
    """When it was acquired [s]; None where that is not stated."""

    number: float
    """Instance Number (0020,0013); 0 where it is not stated."""


def is_video(candidate: Candidate) -> bool:
    """Tell whether a candidate is a video."""
    return candidate.modality == MODALITY or candidate.sop_class_uid in VIDEO_CLASSES


def is_video_name(path: Path) -> bool:
    """Tell whether a file claims to be a video by its name."""
    return path.suffix.lower() in ENDINGS


def dicom_video(file: DicomFile, instance: Instance) -> DicomVideo:
    """Return a DICOM instance as video; no picture is decoded.

    Raises
    ------
    NotApplicable
        If its transfer syntax is no video, or its codec is not read.
    UnreadableFile
        If its pixel data hold no container that is read.
    InconsistentSeries
        If its pictures are of another size than it says.
    """
    if file.transfer_syntax_uid not in MPEGTransferSyntaxes:
        raise NotApplicable(
            f"{file.name}: transfer syntax {file.transfer_syntax_uid} is no video: "
            "MPEG-2, H.264 and HEVC are read"
        )
    shape = shape_of(Footage(name=file.name, kind=Kind.DICOM, place=_place(file.path)))
    _check_size(file, shape)
    day = text(file.header, "AcquisitionDate") or text(file.header, "ContentDate")
    time = text(file.header, "AcquisitionTime") or text(file.header, "ContentTime")
    moment = seconds_of_moment(text(file.header, "AcquisitionDateTime"))
    return DicomVideo(
        instance=instance,
        header=file.header,
        shape=shape,
        moment=seconds_of(day, time) if moment is None else moment,
        number=optional_number(file.header, "InstanceNumber") or 0.0,
    )


def _check_size(file: DicomFile, shape: VideoShape) -> None:
    """Refuse a container whose pictures are of another size than the data set says."""
    stated = whole_number(file.header, "Rows", 0), whole_number(file.header, "Columns", 0)
    if all(stated) and stated != (shape.rows, shape.columns):
        raise InconsistentSeries(
            f"{file.name}: its container has pictures of {shape.rows} x {shape.columns}, "
            f"(0028,0010) and (0028,0011) say {stated[0]} x {stated[1]}"
        )


def file_candidate(file: FoundFile, limits: Limits) -> Candidate:
    """Return a video file as a candidate; no picture is decoded.

    Raises
    ------
    UnreadableFile, NotApplicable
        As ``shape_of``.
    """
    if file.path.stat().st_size > limits.max_file_bytes:
        raise UnreadableFile(f"{file.name}: larger than the limit of {limits.max_file_bytes} bytes")
    source = Footage(name=file.name, kind=Kind.FILE, place=_place(file.path))
    shape = shape_of(source)
    sha256 = digest_file(file.path)
    digest = digest_set([sha256])
    series = VideoSeries(
        label=file.name,
        study_instance_uid=None,
        series_instance_uids=(),
        rows=shape.rows,
        columns=shape.columns,
        duration_seconds=shape.duration_seconds,
        instances=(),
        header=None,
        input_digest=digest,
        pictures=partial(_pictures, [source]),
        still=partial(still, [source]),
    )
    return _candidate(series, shape, (MODALITY, None, 1), [(file.path, file.name, sha256)])


def folder_candidate(name: str, pictures: Sequence[TimedPicture]) -> Candidate:
    """Return the pictures of a folder as a candidate.

    Raises
    ------
    UnreadableFile
        If the first picture is none.
    InconsistentSeries
        If two pictures have one time.
    """
    ordered = sorted(pictures, key=lambda p: p.t_seconds)
    for before, after in pairwise(ordered):
        if before.t_seconds == after.t_seconds:
            raise InconsistentSeries(f"{before.name} and {after.name} have the same time")
    rows, columns = shape_of_picture(ordered[0])
    files = [(p.path, p.name, digest_file(p.path)) for p in ordered]
    times = "\n".join(f"{p.t_seconds:.6f}" for p in ordered).encode()
    series = VideoSeries(
        label=name,
        study_instance_uid=None,
        series_instance_uids=(),
        rows=rows,
        columns=columns,
        duration_seconds=ordered[-1].t_seconds,
        instances=(),
        header=None,
        input_digest=digest_set([*(sha256 for _, _, sha256 in files), digest_bytes(times)]),
        pictures=partial(_of_folder, ordered),
        still=partial(still_of_folder, ordered),
    )
    length = ordered[-1].t_seconds - ordered[0].t_seconds
    shape = VideoShape(
        codec="pictures",
        rows=rows,
        columns=columns,
        rate_hz=(len(ordered) - 1) / length if length else 1.0,
        duration_seconds=length,
    )
    return _candidate(series, shape, (MODALITY, None, 1), files)


def dicom_candidate(videos: Sequence[DicomVideo]) -> Candidate:
    """Return the instances of a series as one case, in order of time.

    Raises
    ------
    InconsistentSeries
        If their pictures differ in size.
    """
    ordered = _in_order(videos)
    first = ordered[0]
    sizes = {(v.shape.rows, v.shape.columns) for v in ordered}
    if len(sizes) > 1:
        raise InconsistentSeries(
            f"pictures of {len(sizes)} sizes in one series: {first.instance.named} and others"
        )
    starts = _starts(ordered)
    sources = [
        Footage(
            name=v.instance.name,
            kind=Kind.DICOM,
            place=_place(v.instance.path),
            start_seconds=start,
        )
        for v, start in zip(ordered, starts, strict=True)
    ]
    series = VideoSeries(
        label=first.instance.series_instance_uid,
        study_instance_uid=first.instance.study_instance_uid,
        series_instance_uids=(first.instance.series_instance_uid,),
        rows=first.shape.rows,
        columns=first.shape.columns,
        duration_seconds=starts[-1] + (ordered[-1].shape.duration_seconds or 0.0),
        instances=tuple(
            VideoInstance(
                sop_class_uid=v.instance.sop_class_uid,
                sop_instance_uid=v.instance.sop_instance_uid,
                series_instance_uid=v.instance.series_instance_uid,
                start_seconds=start,
                end_seconds=_end(start, v.shape),
            )
            for v, start in zip(ordered, starts, strict=True)
        ),
        header=first.header,
        input_digest=digest_set(v.instance.sha256 for v in ordered),
        pictures=partial(_pictures, sources),
        still=partial(still, sources),
    )
    files = [(v.instance.path, v.instance.name, v.instance.sha256) for v in ordered]
    kind = (first.instance.modality, first.instance.sop_class_uid, len(ordered))
    return _candidate(series, first.shape, kind, files)


def _candidate(
    series: VideoSeries,
    shape: VideoShape,
    kind: tuple[str, str | None, int],
    files: Sequence[tuple[Path, str, str]],
) -> Candidate:
    """Return a series as a candidate; loading it checks that no file has changed."""
    modality, sop_class_uid, n_instances = kind
    length = "" if shape.duration_seconds is None else f", {shape.duration_seconds:.0f} s"
    return Candidate(
        label=series.label,
        study_instance_uid=series.study_instance_uid,
        series_instance_uids=series.series_instance_uids,
        modality=modality,
        sop_class_uid=sop_class_uid,
        n_instances=n_instances,
        n_beats=0,
        n_slices=0,
        rows=series.rows,
        columns=series.columns,
        input_digest=series.input_digest,
        files=tuple(path for path, _, _ in files),
        notes=(f"video, {shape.codec}, {shape.rate_hz:.4g} pictures a second{length}",),
        read=partial(_unchanged, replace(series, frame_rate_hz=shape.rate_hz), files),
    )


def _unchanged(series: VideoSeries, files: Sequence[tuple[Path, str, str]]) -> VideoSeries:
    """Return a series whose files have not changed since the inventory."""
    for path, name, sha256 in files:
        try:
            changed = digest_file(path) != sha256
        except OSError as error:
            raise UnreadableFile(f"{name}: cannot be read again") from error
        if changed:
            raise InconsistentSeries(f"{name}: the file has changed since it was checked")
    return series


def _place(path: Path) -> str:
    """Return a file as a reader finds it."""
    return str(path.absolute())


def _pictures(sources: Sequence[Footage], rate_hz: float, threads: int = 1) -> PictureSource:
    """Return the pictures of a case."""
    return ConfinedPictures(sources, rate_hz, threads=threads)


def _of_folder(pictures: Sequence[TimedPicture], rate_hz: float, threads: int = 1) -> PictureSource:
    """Return the pictures of a folder, which come as they are whatever rate is asked for."""
    del rate_hz, threads
    return ConfinedFolder(pictures)


def _in_order(videos: Sequence[DicomVideo]) -> list[DicomVideo]:
    """Return instances by their time, and by their number where that is not stated."""
    if any(v.moment is None for v in videos):
        return sorted(videos, key=lambda v: (v.number, v.instance.sop_instance_uid))
    return sorted(videos, key=lambda v: (v.moment, v.number, v.instance.sop_instance_uid))


def _end(start_seconds: float, shape: VideoShape) -> float | None:
    """Return where an instance ends in the case [s], if its container says it."""
    if shape.duration_seconds is None:
        return None
    return start_seconds + shape.duration_seconds


def _starts(ordered: Sequence[DicomVideo]) -> list[float]:
    """Return where each instance begins in the case [s]: after the last, by the clock if stated."""
    starts = [0.0]
    for before, video in pairwise(ordered):
        follows = starts[-1] + (before.shape.duration_seconds or 0.0)
        by_clock = 0.0
        if ordered[0].moment is not None and video.moment is not None:
            by_clock = video.moment - ordered[0].moment
        starts.append(by_clock if follows < by_clock < follows + LONGEST_PAUSE_S else follows)
    return starts
