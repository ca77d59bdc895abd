"""A folder of pictures as a video: each picture's name is its time in seconds.

``000016.jpg`` is shown at 16 s, ``16.5.png`` at 16.5 s.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipeline.errors import UnreadableFile
from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.video.container import LARGEST_SIDE

ENDINGS = (".jpg", ".jpeg", ".png")
"""File name endings of pictures, in lower case."""

_TIME = re.compile(r"\d{1,7}(\.\d{1,6})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedPicture:
    """A picture of a folder."""

    path: Path
    """The file."""

    name: str
    """How messages name it."""

    t_seconds: float
    """When it is shown [s]."""


def time_of(path: Path) -> float | None:
    """Return the time that a picture's name says [s]; None if it is no picture with a time."""
    if path.suffix.lower() not in ENDINGS or not _TIME.fullmatch(path.stem):
        return None
    return float(path.stem)


def shape_of_picture(picture: TimedPicture) -> tuple[int, int]:
    """Return rows and columns of a picture.

    Raises
    ------
    UnreadableFile
        If it is none, or too large.
    """
    try:
        with Image.open(picture.path) as image:
            columns, rows = image.size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise UnreadableFile(f"{picture.name}: no picture that can be read") from error
    if max(rows, columns) > LARGEST_SIDE:
        raise UnreadableFile(
            f"{picture.name}: a picture of {rows} x {columns}, read are up to {LARGEST_SIDE} a side"
        )
    return rows, columns


class FolderPictures:
    """The pictures of a folder, in order of time, whatever rate is asked for.

    Parameters
    ----------
    pictures
        The pictures.
    """

    def __init__(self, pictures: Sequence[TimedPicture]) -> None:
        self._pictures = pictures
        self._damaged: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be decoded so far."""
        return tuple(f"{name} cannot be decoded" for name in self._damaged)

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield the pictures.

        Raises
        ------
        UnreadableFile
            If not one can be decoded.
        """
        found = False
        for picture in sorted(self._pictures, key=lambda p: p.t_seconds):
            try:
                shape_of_picture(picture)
                with Image.open(picture.path) as image:
                    rgb = np.asarray(image.convert("RGB"), dtype=np.uint8)
            except (UnreadableFile, OSError, SyntaxError, ValueError):
                self._damaged.append(picture.name)
                continue
            found = True
            yield TimedFrame(t_seconds=picture.t_seconds, rgb=rgb)
        if not found:
            raise UnreadableFile(f"{self._pictures[0].name}: not one picture can be decoded")
