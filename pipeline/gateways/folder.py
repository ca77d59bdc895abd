"""Put files into a folder that others read: each appears whole, on disk, or not at all."""

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pipeline.errors import PeerRefused, PeerUnavailable
from pipeline.flush import flush
from pipeline.identity import digest_file

UNFINISHED = ".vesalius-"
"""Beginning of the name of a file that is being written."""

CHUNK = 1 << 20
"""Bytes that are copied at a time."""


def check_folder(root: Path) -> None:
    """Check that a folder is there; it is not made, since a share that is not mounted has none.

    Raises
    ------
    PeerUnavailable
        If it is not.
    """
    if not root.is_dir():
        raise PeerUnavailable(f"{root}: no such folder")


def put_file(source: Path, root: Path, name: str) -> None:
    """Copy a file into a folder, flushed; what is there under its name is replaced at once.

    Parameters
    ----------
    source
        The file.
    root
        The folder.
    name
        Path under it, with forward slashes.

    Raises
    ------
    PeerUnavailable
        If the folder is not there, is full, or cannot be written.
    PeerRefused
        If the name leads out of it.
    OSError
        If the source cannot be read.
    """
    check_folder(root)
    target = root / _inside(name)
    with source.open("rb") as file:
        try:
            _make_folders(root, target.parent)
            part = target.with_name(f"{UNFINISHED}{target.name}")
            with part.open("wb") as written:
                while chunk := file.read(CHUNK):
                    written.write(chunk)
                written.flush()
                os.fsync(written.fileno())
            part.replace(target)
            flush(target.parent)
        except OSError as problem:
            with suppress(OSError):
                target.with_name(f"{UNFINISHED}{target.name}").unlink(missing_ok=True)
            raise PeerUnavailable(f"{root}: {problem.strerror or 'cannot be written'}") from problem


def digest_in(root: Path, name: str) -> str | None:
    """Return the SHA-256 of a file under a folder, read back; None if it is not there.

    Raises
    ------
    PeerUnavailable
        If the folder is not there, or the file cannot be read.
    """
    check_folder(root)
    try:
        return digest_file(root / _inside(name))
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise PeerUnavailable(f"{root}: {problem.strerror or 'cannot be read'}") from problem


def _inside(name: str) -> PurePosixPath:
    """Return a path that stays under its folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise PeerRefused(f"{name}: leads out of the folder")
    return path


def _make_folders(root: Path, folder: Path) -> None:
    """Make the folders between a root and a folder, each flushed into the one above it."""
    missing = []
    while folder != root and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        flush(each.parent)
