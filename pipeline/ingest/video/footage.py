"""Video, decoded by a process of its own: this side asks, ``pipeline.ingest.video.reading`` does.

Recorded files are read without a connection; a live source has one, and no file but its device.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.imaging.timedframe import TimedFrame
from pipeline.ingest.limits import in_force
from pipeline.ingest.video.folder import TimedPicture
from pipeline.ingest.video.source import DamagedStretch, Footage, Kind, VideoShape
from pipeline.sandbox.reader import Allowance, Reader, Task

MODULE = "pipeline.ingest.video.reading"
SHAPE = Task(address=f"{MODULE}:shape", records=(VideoShape,))
PLAYED = Task(address=f"{MODULE}:is_played")
STILL = Task(address=f"{MODULE}:still", records=(TimedFrame,))
SAMPLED = Task(address=f"{MODULE}:sampled", records=(TimedFrame, DamagedStretch))
PICTURE_SHAPE = Task(address=f"{MODULE}:picture_shape")
PICTURE = Task(address=f"{MODULE}:picture", records=(TimedFrame,))
PICTURES = Task(address=f"{MODULE}:pictures", records=(TimedFrame,))

FRAMES_HELD = 48
"""Pictures that a decoder holds at a time, for reference and in its threads."""

NAMES = tuple(
    Path(name)
    for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf")
)
"""What finds an address by its name."""


class ConfinedPictures:
    """The pictures of a case, in order of time; decoded while they are iterated over, and once.

    Parameters
    ----------
    footage
        The files of the case, in order.
    rate_hz
        Pictures for each second.
    threads
        Threads of the decoder.
    """

    def __init__(self, footage: Sequence[Footage], rate_hz: float, *, threads: int = 1) -> None:
        self._footage, self._rate_hz, self._threads = tuple(footage), rate_hz, threads
        self.damage: tuple[DamagedStretch, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be decoded so far."""
        return tuple(str(stretch) for stretch in self.damage)

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield the pictures.

        Raises
        ------
        UnreadableFile
            If not one picture can be decoded, or the process that decodes broke off.
        NotApplicable
            If a file holds no picture that is read.
        """
        asked = (self._footage, self._rate_hz, self._threads, in_force())
        with _reader(self._footage) as reader:
            for item in reader.stream(SAMPLED, *asked):
                if isinstance(item, TimedFrame):
                    yield item
                else:
                    self.damage = tuple(item)


class ConfinedFolder:
    """The pictures of a folder, in order of time, whatever rate is asked for.

    Parameters
    ----------
    pictures
        The pictures.
    """

    def __init__(self, pictures: Sequence[TimedPicture]) -> None:
        self._pictures = _placed(pictures)
        self.notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield the pictures.

        Raises
        ------
        UnreadableFile
            If not one can be decoded, or the process that decodes broke off.
        """
        with _folder_reader(self._pictures) as reader:
            for item in reader.stream(PICTURES, self._pictures, in_force()):
                if isinstance(item, TimedFrame):
                    yield item
                else:
                    self.notes = tuple(item)


def shape_of(footage: Footage) -> VideoShape:
    """Return what a container says of its pictures; none is decoded.

    Raises
    ------
    UnreadableFile
        If it is no container that is read, is cut short before its index, or is not within the
        limits.
    NotApplicable
        If it holds no picture, or those of a codec that is not read.
    """
    with _reader([footage]) as reader:
        answer: VideoShape = reader.call(SHAPE, footage, in_force())
    return answer


def is_played(footage: Footage) -> bool:
    """Tell whether browsers play a file, and from the moment that an analysis counts from."""
    with _reader([footage]) as reader:
        return bool(reader.call(PLAYED, footage, in_force()))


def still(footage: Sequence[Footage], t_seconds: float) -> TimedFrame | None:
    """Return the picture of a case that is shown at a time; None if there is none.

    Parameters
    ----------
    footage
        The files of the case, in order.
    t_seconds
        The time, from the start of the case [s].
    """
    with _reader(footage) as reader:
        answer: TimedFrame | None = reader.call(STILL, tuple(footage), t_seconds, in_force())
    return answer


def shape_of_picture(picture: TimedPicture) -> tuple[int, int]:
    """Return rows and columns of a picture.

    Raises
    ------
    UnreadableFile
        If it is none, or too large.
    """
    with _folder_reader([picture]) as reader:
        rows, columns = reader.call(PICTURE_SHAPE, _placed([picture])[0], in_force())
    return rows, columns


def still_of_folder(pictures: Sequence[TimedPicture], t_seconds: float) -> TimedFrame | None:
    """Return the last picture that is not later than a time; None if there is none, or it is bad.

    Parameters
    ----------
    pictures
        The pictures.
    t_seconds
        The time [s].
    """
    with _folder_reader(pictures) as reader:
        asked = (_placed(pictures), t_seconds, in_force())
        answer: TimedFrame | None = reader.call(PICTURE, *asked)
    return answer


def _placed(pictures: Sequence[TimedPicture]) -> tuple[TimedPicture, ...]:
    """Return pictures as a reader finds them."""
    return tuple(replace(picture, path=picture.path.absolute()) for picture in pictures)


def _reader(footage: Sequence[Footage]) -> Reader:
    """Return a process that reads a case."""
    kinds = {f.kind for f in footage}
    is_live = Kind.ADDRESS in kinds
    files = tuple(Path(f.place) for f in footage if f.kind in (Kind.FILE, Kind.DICOM))
    devices = tuple(Path(f.place) for f in footage if f.place.startswith("/dev/"))
    return Reader(
        footage[0].name,
        _allowance(
            (*files, *devices, *(NAMES if is_live else ())),
            network=is_live,
            standard_input=Kind.STANDARD_INPUT in kinds,
        ),
        MODULE,
    )


def _folder_reader(pictures: Sequence[TimedPicture]) -> Reader:
    """Return a process that reads pictures; many lie in one folder."""
    folders = tuple(dict.fromkeys(p.path.absolute().parent for p in pictures))
    readable = (pictures[0].path,) if len(pictures) == 1 else folders
    return Reader(pictures[0].name, _allowance(readable), MODULE)


def _allowance(
    readable: tuple[Path, ...], *, network: bool = False, standard_input: bool = False
) -> Allowance:
    """Return what a decoder may use: enough for the largest pictures that are read."""
    limits = in_force()
    picture = 3 * limits.max_rows_columns**2
    return Allowance(
        readable=readable,
        memory_bytes=limits.reader_memory_bytes + FRAMES_HELD * picture // 2,
        time_s=limits.reader_time_s,
        answer_bytes=picture + os.sysconf("SC_PAGE_SIZE"),
        network=network,
        standard_input=standard_input,
    )
