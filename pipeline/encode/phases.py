"""All files of a phase analysis.

A video from DICOM becomes DICOM objects, text, a ribbon and pictures. Any other video has no
patient and no study, and none is made up: it becomes text, a ribbon and pictures.
"""

from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset

from pipeline.analyses.phases.result import PhasesResult
from pipeline.encode.context import EncodingContext
from pipeline.encode.keyframes import key_frame_object, key_frames, write_key_frame
from pipeline.encode.keyobject import (
    FILE,
    KIND,
    KeyObject,
    key_object_document,
    result_object,
)
from pipeline.encode.phasereport import phases_report
from pipeline.encode.phaseribbon import write_ribbon
from pipeline.encode.phasestext import (
    phases_document,
    write_chapters,
    write_json,
    write_seconds,
    write_segments,
)
from pipeline.encode.places import FIGURES
from pipeline.encode.provenance import artifact, write_object
from pipeline.encode.sources import source_header
from pipeline.quiet import quietly
from pipeline.study import Artifact, VideoInstance, VideoSeries

DESCRIPTION = (
    "Phases of an operation: the report, the picture at which each phase begins, then the video. "
    "For research only."
)
"""What the key objects are."""

KEY_FRAMES = "key_frames"
"""Name of the folder that key frames go to."""


def encode_phases(
    result: PhasesResult,
    series: VideoSeries,
    context: EncodingContext,
    review_uncertainty: float,
    folder: Path,
) -> tuple[Artifact, ...]:
    """Write a result's files into a folder and return their records.

    Parameters
    ----------
    result
        What was found.
    series
        The video that it was found on.
    context
        What it is made under.
    review_uncertainty
        Mean uncertainty above which a segment goes to review first.
    folder
        An empty folder.
    """
    write_json(phases_document(result, review_uncertainty), folder / "phases.json")
    write_seconds(result, folder / "seconds.csv")
    write_segments(result, review_uncertainty, folder / "segments.csv")
    write_chapters(result, folder / "chapters.vtt")
    written = [artifact("phases", folder, "phases.json")]
    written += [artifact("table", folder, name) for name in ("seconds.csv", "segments.csv")]
    written.append(artifact("chapters", folder, "chapters.vtt"))
    (folder / FIGURES).mkdir()
    for path in write_ribbon(result, review_uncertainty, folder / FIGURES / "ribbon"):
        written.append(artifact("figure", folder, f"{FIGURES}/{path.name}"))

    def report(header: Dataset) -> Dataset:
        return phases_report(result, series, header, context)

    return (*written, *write_pictures((result, report), series, context, folder))


def write_pictures(
    made: tuple[PhasesResult, Callable[[Dataset], Dataset]],
    series: VideoSeries,
    context: EncodingContext,
    folder: Path,
) -> list[Artifact]:
    """Write the key frames, and the DICOM objects where there is a patient.

    Parameters
    ----------
    made
        What was found, and what makes its report from what patient and study come from.
    series
        The video.
    context
        What it is made under.
    folder
        The folder.
    """
    result, report_for = made
    written: list[Artifact] = []
    frames = key_frames(result, series)
    (folder / KEY_FRAMES).mkdir()
    for number, frame in enumerate(frames, start=1):
        name = f"{KEY_FRAMES}/{number:02d}_{frame.segment.phase}.png"
        write_key_frame(frame, folder / name)
        written.append(artifact("key_frame", folder, name))
    if series.header is None:
        return written
    # Values of the source that break the standard are copied as they are, not judged here.
    with quietly():
        header = source_header(series)
        report = report_for(header)
        written.append(write_object(report, "report", folder, "report.dcm"))
        keys = [result_object(report)]
        for number, frame in enumerate(frames, start=1):
            picture = key_frame_object(frame, number, (series, header), context)
            name = f"{KEY_FRAMES}/{number:02d}_{frame.segment.phase}.dcm"
            written.append(write_object(picture, "key_frame", folder, name))
            keys.append(result_object(picture))
        keys += [_video_object(instance) for instance in series.instances]
        document = key_object_document(keys, DESCRIPTION, header, context)
        written.append(write_object(document, KIND, folder, FILE))
    return written


def _video_object(instance: VideoInstance) -> KeyObject:
    """Return how an instance of the video is pointed at."""
    return KeyObject(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        series_instance_uid=instance.series_instance_uid,
    )
