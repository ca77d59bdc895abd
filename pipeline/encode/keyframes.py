"""The picture at which each phase begins, as PNG and as Secondary Capture.

References
----------
.. [A8] DICOM PS3.3, A.8.1 Secondary Capture Image IOD.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.analyses.phases.result import MARKS, Mark, PhasesResult, Segment
from pipeline.encode.context import EncodingContext
from pipeline.encode.provenance import identification, settle
from pipeline.study import VideoInstance, VideoSeries

ROLE = "phases_key_frames"

MOST_KEY_FRAMES = 60
"""Segments beyond this many get no picture: so many changes are no course of an operation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyFrame:
    """The picture at which a segment begins."""

    segment: Segment
    """The segment."""

    t_seconds: float
    """Time of the picture [s]: the first of the segment that shows its phase."""

    rgb: NDArray[np.uint8]
    """The picture. Shape ``(rows, columns, 3)``."""


def key_frames(result: PhasesResult, series: VideoSeries) -> list[KeyFrame]:
    """Return the first usable picture of each segment; none of those that show no phase.

    Parameters
    ----------
    result
        What was found.
    series
        The video.
    """
    usable = result.mark == MARKS.index(Mark.USABLE)
    found = []
    for segment in result.segments[:MOST_KEY_FRAMES]:
        inside = (result.t_seconds >= segment.start_seconds) & usable
        inside &= result.t_seconds < segment.end_seconds
        if not inside.any():
            continue
        t = float(result.t_seconds[np.argmax(inside)])
        frame = series.still(t)
        if frame is not None:
            found.append(KeyFrame(segment=segment, t_seconds=t, rgb=frame.rgb))
    return found


def write_key_frame(frame: KeyFrame, path: Path) -> None:
    """Write a key frame as PNG."""
    Image.fromarray(frame.rgb).save(path, optimize=False)


def key_frame_object(
    frame: KeyFrame,
    number: int,
    source: tuple[VideoSeries, Dataset],
    context: EncodingContext,
) -> SCImage:
    """Return a key frame as a DICOM object [A8]_.

    Parameters
    ----------
    frame
        The key frame.
    number
        Its number, from 1.
    source
        The video, from DICOM, and the header that patient and study come from.
    context
        What it is made under.
    """
    series, header = source
    named = identification(ROLE, header, context)
    named["sop_instance_uid"] = context.uid(ROLE, f"instance/{number}")
    named["instance_number"] = number
    instance = SCImage.from_ref_dataset(
        ref_dataset=header,
        pixel_array=frame.rgb,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        series_description="Vesalius phase key frames",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **named,
    )
    # An endoscope's view has no orientation in the patient; type 2C, so it may be empty.
    instance.PatientOrientation = []
    instance.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    # What the video says of text in its pictures holds for each; else nobody knows.
    burned_in = str(series.header.get("BurnedInAnnotation", "")) if series.header else ""
    if burned_in in ("YES", "NO"):
        instance.BurnedInAnnotation = burned_in
    instance.Laterality = ""
    instance.ImageComments = f"{frame.segment.phase} begins at {frame.segment.start_seconds:g} s"
    instance.SourceImageSequence = [_reference(_holding(frame, series.instances))]
    settle(instance, ROLE, header, context)
    return instance


def _holding(frame: KeyFrame, instances: Sequence[VideoInstance]) -> VideoInstance:
    """Return the instance that a picture comes from."""
    return [i for i in instances if i.start_seconds <= frame.t_seconds][-1]


def _reference(instance: VideoInstance) -> Dataset:
    """Return a reference to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class_uid
    item.ReferencedSOPInstanceUID = instance.sop_instance_uid
    return item
