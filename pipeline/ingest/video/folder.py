"""A folder of pictures as a video: each picture's name is its time in seconds.

``000016.jpg`` is shown at 16 s, ``16.5.png`` at 16.5 s. A file ``times.csv`` beside the pictures,
with columns ``file`` and ``t_seconds``, says the times of pictures of any name.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline.errors import UnreadableFile
from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.limits import in_force

ENDINGS = (".jpg", ".jpeg", ".png")
"""File name endings of pictures, in lower case."""

TIMES = "times.csv"
"""Name of the table of times."""

LONGEST_S = 1e7
"""No operation is so long [s]."""

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


def is_picture_name(path: Path) -> bool:
    """Tell whether a file claims to be a picture by its name."""
    return path.suffix.lower() in ENDINGS


def timed(folder: Path, pictures: Sequence[tuple[Path, str]]) -> list[TimedPicture]:
    """Return those pictures of a folder that have a time, in order of time.

    Parameters
    ----------
    folder
        The folder; its ``times.csv`` is read if there is one.
    pictures
        Path of each picture, and how messages name it.

    Raises
    ------
    UnreadableFile
        If ``times.csv`` is no table of files and times.
    """
    table = folder / TIMES
    times = _table(table) if table.is_file() else {}
    found = []
    for path, name in pictures:
        stated = times.get(path.name)
        if stated is None and not times and _TIME.fullmatch(path.stem):
            stated = float(path.stem)
        if stated is not None:
            found.append(TimedPicture(path=path, name=name, t_seconds=stated))
    return sorted(found, key=lambda p: p.t_seconds)


def _table(path: Path) -> dict[str, float]:
    """Return the times that a table says [s], by the names of files."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            times = {row["file"]: float(row["t_seconds"]) for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UnreadableFile(
            f"{path.name}: no table of files and times: columns file and t_seconds"
        ) from error
    if not all(0 <= t < LONGEST_S for t in times.values()):
        raise UnreadableFile(f"{path.name}: a time that is not between 0 and {LONGEST_S:g} s")
    return times


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
    side = in_force().max_rows_columns
    if max(rows, columns) > side:
        raise UnreadableFile(
            f"{picture.name}: a picture of {rows} x {columns}, read are up to {side} a side"
        )
    return rows, columns


def still(pictures: Sequence[TimedPicture], t_seconds: float) -> TimedFrame | None:
    """Return the last picture that is not later than a time; None if there is none, or it is bad.

    Parameters
    ----------
    pictures
        The pictures.
    t_seconds
        The time [s].
    """
    shown = [p for p in pictures if p.t_seconds <= t_seconds]
    rgb = _decoded(max(shown, key=lambda p: p.t_seconds)) if shown else None
    return None if rgb is None else TimedFrame(t_seconds=t_seconds, rgb=rgb)


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
            rgb = _decoded(picture)
            if rgb is None:
                self._damaged.append(picture.name)
                continue
            found = True
            yield TimedFrame(t_seconds=picture.t_seconds, rgb=rgb)
        if not found:
            raise UnreadableFile(f"{self._pictures[0].name}: not one picture can be decoded")


def _decoded(picture: TimedPicture) -> NDArray[np.uint8] | None:
    """Return the pixels of a picture; None if it is damaged."""
    try:
        shape_of_picture(picture)
        with Image.open(picture.path) as image:
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (UnreadableFile, OSError, SyntaxError, ValueError):
        return None
