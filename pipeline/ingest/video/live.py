"""Pictures of a source that is still going on: a camera, a sender on the network, standard input.

Also a file, at its own pace or as fast as it goes: so a recorded operation tries what follows a
live one.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from pipeline.errors import UnusableCall
from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.dicomfile import looks_like_dicom
from pipeline.ingest.video.container import LIVE_SCHEMES
from pipeline.ingest.video.fragments import open_codestream
from pipeline.ingest.video.pictures import Pictures, VideoSource

STANDARD_INPUT = "-"
"""What stands for standard input."""


def live_pictures(
    source: str, rate_hz: float, *, from_seconds: float = 0.0, at_own_pace: bool
) -> Iterator[TimedFrame]:
    """Yield the pictures of a source as they come.

    Parameters
    ----------
    source
        A file, a camera (``/dev/video0``), a URL of ``LIVE_SCHEMES``, or ``-`` for standard input.
    rate_hz
        Pictures for each second.
    from_seconds
        Pictures before this time are passed over [s].
    at_own_pace
        Whether a file's pictures come at the times at which they were taken.

    Raises
    ------
    UnusableCall
        If there is no such source.
    UnreadableFile, NotApplicable
        If it sends no video that is read.
    """
    opened = _source(source)
    pictures = Pictures([opened], rate_hz, threads=os.cpu_count() or 1)
    began = time.monotonic() - from_seconds
    for frame in pictures:
        if frame.t_seconds < from_seconds:
            continue
        if at_own_pace and is_recorded(source):
            time.sleep(max(0.0, began + frame.t_seconds - time.monotonic()))
        yield frame


def is_recorded(source: str) -> bool:
    """Tell whether a source is a file: it begins anew when it is opened again."""
    return source != STANDARD_INPUT and not _is_address(source)


def _source(source: str) -> VideoSource:
    """Return a source, by how it is opened."""
    if source == STANDARD_INPUT:
        return _live("standard input", sys.stdin.buffer)
    if _is_address(source):
        # An address may hold a password: messages name its scheme only.
        return _live(urlsplit(source).scheme or "camera", source)
    path = Path(source)
    if not path.is_file():
        raise UnusableCall(
            f"{path.name}: no file; sources are files, /dev/video*, - and URLs of "
            f"{', '.join(LIVE_SCHEMES)}"
        )
    if looks_like_dicom(path):
        return VideoSource(
            name=path.name, start_seconds=0.0, open=lambda: open_codestream(path, path.name)
        )
    return VideoSource(name=path.name, start_seconds=0.0, open=lambda: path.open("rb"))


def _live(name: str, source: BinaryIO | str) -> VideoSource:
    """Return a source that is open already, or is opened by its address."""
    return VideoSource(name=name, start_seconds=0.0, open=lambda: nullcontext(source))


def _is_address(source: str) -> bool:
    """Tell whether a source is a camera or lies on the network."""
    return source.startswith("/dev/video") or urlsplit(source).scheme in LIVE_SCHEMES
