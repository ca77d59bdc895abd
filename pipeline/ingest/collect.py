"""Find the files that the inputs name: files, folders at any depth, a DICOMDIR.

A file that is reached twice is taken once. Links to folders are not followed, and a DICOMDIR
reaches no file outside its own folder.

References
----------
.. [F3] DICOM PS3.3, F.3 Basic Directory IOD: file IDs under the folder of the DICOMDIR.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UnreadableFile, UnusableCall
from pipeline.ingest.attributes import items, text
from pipeline.ingest.dicomfile import read_dicom
from pipeline.ingest.limits import Limits
from pipeline.quiet import quietly

DICOMDIR = "DICOMDIR"
"""File name that PS3.10 fixes for a directory of files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """A file under an input."""

    path: Path
    """Where it is."""

    name: str
    """How messages name it: its path under the input, with forward slashes."""

    was_named: bool
    """Whether the caller or a DICOMDIR named it, rather than a scan finding it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A file that a DICOMDIR references and that cannot be taken."""

    name: str
    """The referenced file ID."""

    reason: str
    """What is wrong with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """What the inputs name."""

    files: tuple[FoundFile, ...]
    """Files, each once, in order."""

    missing: tuple[Missing, ...]
    """Referenced files that are not there."""


def collect(inputs: Sequence[Path], limits: Limits) -> Collection:
    """Find all files of the inputs.

    Raises
    ------
    UnusableCall
        If an input does not exist.
    """
    found: dict[Path, FoundFile] = {}
    missing: list[Missing] = []
    for given in inputs:
        if given.is_dir():
            new = _scan(given)
        elif given.is_file() and given.name.upper() == DICOMDIR:
            new, lost = _referenced(given, limits)
            missing += lost
        elif given.is_file():
            new = [FoundFile(path=given, name=given.name, was_named=True)]
        else:
            raise UnusableCall(f"{given}: no such file or folder")
        for file in new:
            found.setdefault(file.path.resolve(), file)
    return Collection(files=tuple(found.values()), missing=tuple(missing))


def _scan(folder: Path) -> list[FoundFile]:
    """Return all regular files under a folder, in the order of their names."""
    found = []
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(here) / name
            if path.is_file():
                relative = path.relative_to(folder).as_posix()
                found.append(FoundFile(path=path, name=relative, was_named=False))
    return found


def _referenced(dicomdir: Path, limits: Limits) -> tuple[list[FoundFile], list[Missing]]:
    """Return the files that a DICOMDIR references, and those it does in vain."""
    try:
        with quietly():
            directory = read_dicom(dicomdir, dicomdir.name, limits)
            records = items(directory.header, "DirectoryRecordSequence")
            ids = [text(record, "ReferencedFileID") for record in records]
    except UnreadableFile as error:
        return [], [Missing(name=dicomdir.name, reason=str(error))]
    found, missing = [], []
    for file_id in dict.fromkeys(i for i in ids if i):
        name = file_id.replace("\\", "/")
        path = _under(dicomdir.parent, name.split("/"))
        if path is None:
            reason = f"{dicomdir.name} references {name}, outside its folder"
            missing.append(Missing(name=name, reason=reason))
        elif not path.is_file():
            reason = f"{dicomdir.name} references {name}, which is missing"
            missing.append(Missing(name=name, reason=reason))
        else:
            found.append(FoundFile(path=path, name=name, was_named=True))
    if not found and not missing:
        missing.append(Missing(name=dicomdir.name, reason=f"{dicomdir.name} references no file"))
    return found, missing


def _under(root: Path, parts: list[str]) -> Path | None:
    """Return the file of an ID; None if it would leave the folder.

    Media are written in upper case and often mounted in lower case.
    """
    for names in (parts, [part.lower() for part in parts]):
        path = root.joinpath(*names)
        inside = path.resolve().is_relative_to(root.resolve())
        if ".." in parts or "" in parts or not inside:
            return None
        if path.is_file():
            return path
    return root.joinpath(*parts)
