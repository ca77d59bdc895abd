"""Cohorts: which studies a batch has, out of a folder tree, an archive or an earlier batch.

In a folder tree, the files of a Study Instance UID are a study wherever they lie. Other files are
one for each name without its ending, as raw data and volumes come; pictures, and DICOM files that
lack the mark of PS3.10, are one a folder. What has an ending of another kind is left alone.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from csv import reader
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from pipeline.batch.nights import Pace
from pipeline.errors import UnusableCall
from pipeline.fetch import Source
from pipeline.gateways.found import Query
from pipeline.gateways.query import query
from pipeline.ingest.video.folder import is_picture_name
from pipeline.ledger.batches import Member
from pipeline.quiet import quietly

PREAMBLE = 128
"""Bytes before the mark of a DICOM file (PS3.10, 7.1)."""

BY_NAME = (
    *(".nii", ".h5", ".hdf5", ".mrd", ".cfl", ".hdr", ".dat", ".npy", ".npz"),
    *(".mp4", ".mkv", ".ts", ".m2ts", ".mov", ".avi", ".mpg", ".mpeg", ".webm"),
)
"""Ends of files that are a study by themselves, with those of the same name."""

BY_FOLDER = ("", ".dcm", ".ima")
"""Ends of files that may be DICOM without saying so; one whose name ends with a UID has none."""

ACCESSION = ("accession", "accession_number", "accessionnumber")
"""Heads of the column of a CSV file that holds accession numbers, in lower case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Key:
    """What the files of a study have in common."""

    study_instance_uid: str | None
    place: str


def of_folders(roots: Sequence[Path]) -> list[Member]:
    """Return the studies that lie under folders, in the order of their paths.

    Parameters
    ----------
    roots
        Folders, or single files.

    Raises
    ------
    UnusableCall
        If one does not exist.
    """
    groups: dict[_Key, dict[Path, None]] = defaultdict(dict)
    per_folder: dict[Path, int] = defaultdict(int)
    for root in roots:
        for path in _files(root):
            key = _key(path)
            if key is not None:
                groups[key].setdefault(path)
    for files in groups.values():
        for path in files:
            for folder in path.parents:
                per_folder[folder] += 1
    found = [_member(key, list(files), per_folder) for key, files in groups.items()]
    return sorted(found, key=lambda member: (str(member.root), member.inputs))


def of_archive(source: Source, selections: Iterable[Query], pace: Pace) -> list[Member]:
    """Return the studies of an archive that match one of several queries, each once.

    Raises
    ------
    PeerUnavailable
        If the archive does not answer.
    PeerRefused
        If it refuses.
    UnusableCall
        If a query asks for everything that the archive has.
    """
    members: dict[str, Member] = {}
    for selection in selections:
        if not selection.is_selective:
            raise UnusableCall(
                "too much is asked for: name a study, accession numbers, a date or a description"
            )
        pace.turn(Event())
        for study in query(source.node, selection, source.settings):
            members[study.study_instance_uid] = Member(
                study_instance_uid=study.study_instance_uid,
                root=None,
                inputs=(),
                n_files=study.instances or 0,
                size_bytes=None,
            )
    return list(members.values())


def with_accessions(selection: Query, path: Path) -> list[Query]:
    """Return a query for each accession number of a CSV file.

    Parameters
    ----------
    selection
        What else is asked for.
    path
        A file with a column ``accession_number``, or with one column and no head.

    Raises
    ------
    UnusableCall
        If it cannot be read, or has no such column; a value is not told.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in reader(file) if any(cell.strip() for cell in row)]
    except (OSError, ValueError) as problem:
        raise UnusableCall(f"{path}: cannot be read ({type(problem).__name__})") from None
    heads = [cell.strip().lower() for cell in rows[0]] if rows else []
    columns = [index for index, head in enumerate(heads) if head in ACCESSION]
    if not columns and {len(row) for row in rows} != {1}:
        raise UnusableCall(f"{path}: no column accession_number, and not one column only")
    column = columns[0] if columns else 0
    numbers = [row[column].strip() for row in rows[1 if columns else 0 :] if len(row) > column]
    return [replace(selection, accession=number) for number in dict.fromkeys(numbers) if number]


def _files(root: Path) -> Iterable[Path]:
    """Yield the files under a folder that may be inputs, in order."""
    if root.is_file():
        yield root.absolute()
        return
    if not root.is_dir():
        raise UnusableCall(f"{root}: no such file or folder")
    for here, folders, names in os.walk(root.absolute()):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(here) / name
            if not name.startswith(".") and name.upper() != "DICOMDIR" and path.is_file():
                yield path


def _key(path: Path) -> _Key | None:
    """Return what tells the study of a file from others; None for what is no input."""
    uid = _study_of(path)
    if uid is not None:
        return _Key(study_instance_uid=uid, place="")
    name = path.name.lower().removesuffix(".gz")
    for ending in BY_NAME:
        if name.endswith(ending):
            return _Key(study_instance_uid=None, place=str(path.parent / name[: -len(ending)]))
    is_dicom = path.suffix.lower() in BY_FOLDER or path.suffix[1:].isdigit()
    if not is_dicom and not is_picture_name(path):
        return None
    return _Key(study_instance_uid=None, place=f"{path.parent}{os.sep}")


def _study_of(path: Path) -> str | None:
    """Return the Study Instance UID of a DICOM file; None for another or a broken one."""
    try:
        with path.open("rb") as file:
            if file.read(PREAMBLE + 4)[PREAMBLE:] != b"DICM":
                return None
            file.seek(0)
            with quietly():
                header = dcmread(file, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
                return str(header.StudyInstanceUID) or None
    except (OSError, ValueError, AttributeError, InvalidDicomError, EOFError):
        return None


def _member(key: _Key, files: list[Path], per_folder: dict[Path, int]) -> Member:
    """Return a study by its folder, if it has one for itself, or by its files."""
    root = Path(os.path.commonpath([path.parent for path in files]))
    is_alone = per_folder[root] == len(files)
    return Member(
        study_instance_uid=key.study_instance_uid,
        root=root,
        inputs=(".",) if is_alone else tuple(path.relative_to(root).as_posix() for path in files),
        n_files=len(files),
        size_bytes=sum(path.stat().st_size for path in files),
    )
