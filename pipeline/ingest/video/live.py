"""Pictures of a source that is still going on: a camera, a sender on the network, standard input.

Also a file, at its own pace or as fast as it goes: so a recorded operation tries what follows a
live one.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import UnusableCall
from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.dicomfile import looks_like_dicom
from pipeline.ingest.video.container import LIVE_SCHEMES
from pipeline.ingest.video.footage import ConfinedPictures
from pipeline.ingest.video.source import Footage, Kind

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
    pictures = ConfinedPictures([_footage(source)], rate_hz, threads=os.cpu_count() or 1)
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


def _footage(source: str) -> Footage:
    """Return a source, by how it is opened."""
    if source == STANDARD_INPUT:
        return Footage(name="standard input", kind=Kind.STANDARD_INPUT, place=source)
    if _is_address(source):
        # An address may hold a password: messages name its scheme only.
        name = urlsplit(source).scheme or "camera"
        return Footage(name=name, kind=Kind.ADDRESS, place=source)
    path = Path(source)
    if not path.is_file():
        raise UnusableCall(
            f"{path.name}: no file; sources are files, /dev/video*, - and URLs of "
            f"{', '.join(LIVE_SCHEMES)}"
        )
    kind = Kind.DICOM if looks_like_dicom(path) else Kind.FILE
    return Footage(name=path.name, kind=kind, place=str(path.absolute()))


def _is_address(source: str) -> bool:
    """Tell whether a source is a camera or lies on the network."""
    return source.startswith("/dev/video") or urlsplit(source).scheme in LIVE_SCHEMES
