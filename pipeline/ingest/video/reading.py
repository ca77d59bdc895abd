"""What a process that reads video does: ``pipeline.ingest.video.footage`` asks for it.

Imported by readers only, so that each begins with the libraries of codecs.
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import BinaryIO

import av
import av.error

from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.limits import Limits, put_in_force
from pipeline.ingest.video import folder
from pipeline.ingest.video.container import CONTAINERS, shape_of
from pipeline.ingest.video.folder import FolderPictures, TimedPicture
from pipeline.ingest.video.fragments import open_codestream
from pipeline.ingest.video.pictures import Pictures, VideoSource
from pipeline.ingest.video.pictures import still as still_of
from pipeline.ingest.video.source import DamagedStretch, Footage, Kind, VideoShape


def shape(footage: Footage, limits: Limits) -> VideoShape:
    """Return what a container says of its pictures."""
    put_in_force(limits)
    with _opened(footage) as file:
        assert not isinstance(file, str)  # noqa: S101 - a live source has no shape before it begins
        return shape_of(file, footage.name)


def is_played(footage: Footage, limits: Limits) -> bool:
    """Tell whether browsers play a file, and from the moment that an analysis counts from."""
    put_in_force(limits)
    try:
        with (
            _opened(footage) as file,
            av.open(file, options={"format_whitelist": CONTAINERS}) as container,
        ):
            stream = next(iter(container.streams.video), None)
            context = None if stream is None else stream.codec_context
            return (
                "mp4" in container.format.name
                and context is not None
                and context.name == "h264"
                and context.pix_fmt in ("yuv420p", "yuvj420p")
                and stream is not None
                and not stream.start_time
            )
    except (av.error.FFmpegError, ValueError):
        return False


def sampled(
    footage: tuple[Footage, ...], rate_hz: float, threads: int, limits: Limits
) -> Iterator[TimedFrame | tuple[DamagedStretch, ...]]:
    """Yield pictures at a rate, and what is damaged whenever that is more."""
    put_in_force(limits)
    pictures, told = Pictures([_source(f) for f in footage], rate_hz, threads=threads), 0
    for frame in pictures:
        if len(pictures.damage) != told:
            told = len(pictures.damage)
            yield tuple(pictures.damage)
        yield frame
    yield tuple(pictures.damage)


def still(footage: tuple[Footage, ...], t_seconds: float, limits: Limits) -> TimedFrame | None:
    """Return the picture that is shown at a time."""
    put_in_force(limits)
    return still_of([_source(f) for f in footage], t_seconds)


def picture_shape(picture: TimedPicture, limits: Limits) -> tuple[int, int]:
    """Return rows and columns of a picture."""
    put_in_force(limits)
    return folder.shape_of_picture(picture)


def picture(
    pictures: tuple[TimedPicture, ...], t_seconds: float, limits: Limits
) -> TimedFrame | None:
    """Return the picture of a folder that is shown at a time."""
    put_in_force(limits)
    return folder.still(pictures, t_seconds)


def pictures(
    found: tuple[TimedPicture, ...], limits: Limits
) -> Iterator[TimedFrame | tuple[str, ...]]:
    """Yield the pictures of a folder, and last what could not be decoded."""
    put_in_force(limits)
    source = FolderPictures(found)
    yield from source
    yield source.notes


def _source(footage: Footage) -> VideoSource:
    """Return a source that opens itself."""
    return VideoSource(
        name=footage.name,
        start_seconds=footage.start_seconds,
        open=partial(_opened, footage),
    )


def _opened(footage: Footage) -> AbstractContextManager[BinaryIO | str]:
    """Open a source."""
    if footage.kind is Kind.ADDRESS:
        return nullcontext(footage.place)
    if footage.kind is Kind.STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    path = Path(footage.place)
    return open_codestream(path, footage.name) if footage.kind is Kind.DICOM else path.open("rb")
