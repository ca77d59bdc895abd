"""The list of a bundle's files: what may lie in it, and the digest of each.

``configs/files.json`` holds ``{"layout": 1, "files": {path: SHA-256}}`` for all files but itself
and its signature. A folder that differs from its list in any file is refused.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pipeline.errors import BundleRejected
from pipeline.identity import digest_file, digest_set

LAYOUT_VERSION = 1
"""Version of the list that this code reads."""

FILE_LIST = "configs/files.json"
"""Path of the list in a bundle."""

SIGNATURE = "configs/files.json.minisig"
"""Path of the signature of the list, where there is one; what it covers does not list it."""

LARGEST_JSON_BYTES = 2**24
"""Size of a list or of metadata [bytes]."""

REQUIRED_FILES = ("configs/metadata.json", "docs/README.md", "LICENSE")
"""Files without which a folder is no bundle."""

READABLE_SUFFIXES = frozenset({".csv", ".json", ".md", ".onnx", ".png", ".svg", ".txt"})
"""Kinds of files a bundle may hold, beside LICENSE: no loader takes them for a pickle."""


def checked_files(folder: Path) -> dict[str, str]:
    """Return the path and the SHA-256 of every file of a bundle, after comparing them all.

    Raises
    ------
    BundleRejected
        If the list is missing or not understood, or if a file is missing, extra, altered, a link,
        outside the folder, or of a kind that a bundle does not hold.
    """
    listed = _read_file_list(folder)
    present = set(_present_files(folder))
    for path in sorted(listed.keys() - present):
        raise BundleRejected(f"{folder / path}: listed in {FILE_LIST}, and missing")
    for path in sorted(present - listed.keys() - {FILE_LIST, SIGNATURE}):
        raise BundleRejected(f"{folder / path}: not listed in {FILE_LIST}")
    for path, sha256 in sorted(listed.items()):
        if digest_file(folder / path) != sha256:
            raise BundleRejected(f"{folder / path}: altered, its SHA-256 is not the one listed")
    return listed


def write_file_list(folder: Path) -> str:
    """Write the list for the files that lie in a bundle, and return the bundle's digest.

    Raises
    ------
    BundleRejected
        If a file is of a kind that a bundle does not hold.
    """
    outside = (FILE_LIST, SIGNATURE)
    files = {
        path: digest_file(folder / path) for path in _present_files(folder) if path not in outside
    }
    document = {"layout": LAYOUT_VERSION, "files": files}
    (folder / FILE_LIST).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return digest_files(files)


def digest_of_list(content: bytes, path: Path) -> str:
    """Return the digest of the bundle that a list describes.

    Raises
    ------
    BundleRejected
        If it is no list.
    """
    try:
        files = json.loads(content)["files"]
    except (ValueError, RecursionError, KeyError, TypeError) as problem:
        raise BundleRejected(f"{path}: not the list of a bundle's files") from problem
    if not isinstance(files, dict):
        raise BundleRejected(f"{path}: not the list of a bundle's files")
    return digest_files(files)


def digest_files(files: Mapping[str, str]) -> str:
    """Return the digest of a bundle from the SHA-256 of each path."""
    return digest_set(f"{path} {sha256}" for path, sha256 in files.items())


def read_json(path: Path) -> dict[str, object]:
    """Return the object that a JSON file holds.

    Raises
    ------
    BundleRejected
        If the file is missing, a link, too large, or no JSON object.
    """
    if path.is_symlink() or not path.is_file():
        raise BundleRejected(f"{path}: missing")
    if path.stat().st_size > LARGEST_JSON_BYTES:
        raise BundleRejected(f"{path}: more than {LARGEST_JSON_BYTES} bytes")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as problem:
        raise BundleRejected(f"{path}: not JSON") from problem
    if not isinstance(document, dict):
        raise BundleRejected(f"{path}: no JSON object")
    return document


def _present_files(folder: Path) -> list[str]:
    """Return the path of every file in a bundle, sorted, with forward slashes."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise BundleRejected(f"{path}: a link; a bundle holds its own files")
        if path.is_dir():
            continue
        if not path.is_file():
            raise BundleRejected(f"{path}: not a plain file")
        name = path.relative_to(folder).as_posix()
        if path.suffix not in READABLE_SUFFIXES and path.name != "LICENSE" and name != SIGNATURE:
            raise BundleRejected(f"{path}: a bundle holds no {path.suffix or 'such'} files")
        found.append(name)
    return found


def _read_file_list(folder: Path) -> dict[str, str]:
    """Return the listed files and their SHA-256."""
    document = read_json(folder / FILE_LIST)
    if document.get("layout") != LAYOUT_VERSION:
        raise BundleRejected(
            f"{folder / FILE_LIST}: layout {document.get('layout')!r}, known is {LAYOUT_VERSION}"
        )
    files = document.get("files")
    if not isinstance(files, dict):
        raise BundleRejected(f"{folder / FILE_LIST}: files is no object")
    for path, sha256 in files.items():
        _check_listed(folder, path, sha256)
    for path in REQUIRED_FILES:
        if path not in files:
            raise BundleRejected(f"{folder / FILE_LIST}: {path} is not listed")
    return files


def _check_listed(folder: Path, path: str, sha256: object) -> None:
    """Check one line of the list: a plain path inside the bundle, and a digest."""
    pure = PurePosixPath(path)
    plain = pure.as_posix() == path and "\\" not in path and ":" not in path
    if not plain or pure.is_absolute() or ".." in pure.parts or path in (FILE_LIST, SIGNATURE):
        raise BundleRejected(f"{folder / FILE_LIST}: {path!r} is no path inside the bundle")
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise BundleRejected(f"{folder / FILE_LIST}: {path} has no SHA-256")
