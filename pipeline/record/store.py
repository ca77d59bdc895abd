"""A backup's folder: contents by their digests, each once, and a manifest for each backup.

    objects/ab/ab12...      a content, named by its SHA-256
    backups/20260301T120000Z.json      what there was, as path and digest

A manifest is written last, after all contents are flushed: what a killed backup has left is content
that no manifest names, and the next backup writes it anew.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from pipeline.errors import UnusableCall
from pipeline.flush import flush
from pipeline.identity import digest_bytes

FORM = "vesalius backup 1"
"""What a manifest says that it is."""

NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
"""How a backup is named."""

PIECE = 1 << 20
"""What is read of a file at a time [byte]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A file of a backup."""

    root: str
    """Name of the folder that its path starts from."""

    path: str
    """The path, with forward slashes."""

    sha256: str
    """Digest of its content."""

    size: int
    """Its size [byte]."""

    mtime_ns: int
    """When it was changed: one that has the same size and time was not read again [ns]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """What a backup holds."""

    at: str
    """When it was begun: ISO 8601, UTC."""

    software: str
    """Version that made it."""

    kind: str
    """Which database the ledger is in."""

    ledger: Saved
    """The copy of the ledger."""

    events: int
    """Events of the copy's audit log."""

    head: str
    """Digest of the last of them."""

    roots: Mapping[str, str]
    """Absolute path of each folder, by its name."""

    files: tuple[Saved, ...]
    """The files."""

    gone: tuple[str, ...]
    """Files that the ledger names and that were not there."""

    settings: str | None
    """SHA-256 of the file of settings. It is not copied, since it may name what is secret."""

    def content(self) -> bytes:
        """Return the manifest's bytes."""
        document = {"form": FORM, **asdict(self)}
        return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """A folder of backups."""

    folder: Path
    """The folder."""

    def open(self) -> None:
        """Make the folder if it is missing.

        Raises
        ------
        UnusableCall
            If it cannot be written.
        """
        try:
            for name in ("objects", "backups", "working"):
                (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in (self.folder / "working").iterdir():
                left.unlink()
        except OSError as problem:
            said = f"{self.folder}: cannot be written ({problem.strerror})"
            raise UnusableCall(said) from problem

    def place(self, sha256: str) -> Path:
        """Return where a content lies, or would lie."""
        return self.folder / "objects" / sha256[:2] / sha256

    def trusted(self) -> set[str]:
        """Return the contents that a manifest names: they are flushed."""
        found = set()
        for name in self.names():
            backup = self.read(name)[1]
            found |= {backup.ledger.sha256, *(saved.sha256 for saved in backup.files)}
        return found

    def put(self, source: Path, trusted: Collection[str] = ()) -> tuple[str, int]:
        """Keep the content of a file, and return its digest and size; ``keep`` flushes it.

        Parameters
        ----------
        source
            The file.
        trusted
            Contents that stay as they are. Another one that is here was left by a backup that was
            killed, may not be whole, and is written anew.

        Raises
        ------
        OSError
            If it cannot be read or written.
        """
        digest, size = hashlib.sha256(), 0
        descriptor, name = mkstemp(dir=self.folder / "working")
        working = Path(name)
        try:
            with source.open("rb") as reading, os.fdopen(descriptor, "wb") as writing:
                while piece := reading.read(PIECE):
                    digest.update(piece)
                    size += len(piece)
                    writing.write(piece)
            place = self.place(digest.hexdigest())
            if digest.hexdigest() not in trusted or not place.exists():
                place.parent.mkdir(mode=0o700, exist_ok=True)
                working.rename(place)
        finally:
            working.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def take(self, saved: Saved, target: Path) -> bool:
        """Put a content into a file; False if it is not what its digest says.

        Whoever puts all of them back flushes them at once.

        Raises
        ------
        OSError
            If it cannot be read or written.
        """
        digest = hashlib.sha256()
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        working = target.with_name(f"{target.name}.coming")
        with self.place(saved.sha256).open("rb") as reading, working.open("wb") as writing:
            while piece := reading.read(PIECE):
                digest.update(piece)
                writing.write(piece)
        if digest.hexdigest() != saved.sha256:
            working.unlink()
            return False
        os.utime(working, ns=(saved.mtime_ns, saved.mtime_ns))
        working.replace(target)
        return True

    def names(self) -> tuple[str, ...]:
        """Return the backups, the earliest first."""
        found = (path.stem for path in (self.folder / "backups").glob("*.json"))
        return tuple(sorted(name for name in found if NAME.fullmatch(name)))

    def keep(self, backup: Backup, name: str) -> str:
        """Flush all contents, write the manifest of a backup, and return its digest."""
        # Once for all of them: a flush for each takes most of the time of a backup.
        os.sync()
        path = self.folder / "backups" / f"{name}.json"
        working = path.with_suffix(".part")
        content = backup.content()
        working.write_bytes(content)
        flush(working)
        working.replace(path)
        flush(path.parent)
        return digest_bytes(content)

    def read(self, name: str | None = None) -> tuple[str, Backup, str]:
        """Return a backup, the last one if none is named: its name, what it holds, its digest.

        Raises
        ------
        UnusableCall
            If there is none, or it cannot be read.
        """
        names = self.names()
        name = name or (names[-1] if names else None)
        if name is None or name not in names:
            known = ", ".join(names) or "none"
            raise UnusableCall(f"{self.folder}: no backup {name or ''}; there are: {known}")
        path = self.folder / "backups" / f"{name}.json"
        try:
            content = path.read_bytes()
            document = json.loads(content)
            return name, _backup(document), digest_bytes(content)
        except OSError as problem:
            raise UnusableCall(f"{path}: cannot be read ({problem.strerror})") from problem
        except (ValueError, KeyError, TypeError) as problem:
            raise UnusableCall(f"{path}: no manifest of a backup") from problem

    def prune(self, kept: int) -> int:
        """Remove all backups but the last ones, and what only they held; return how many files."""
        names = self.names()
        for name in names[: max(len(names) - kept, 0)]:
            (self.folder / "backups" / f"{name}.json").unlink()
        needed = self.trusted()
        gone = [p for p in (self.folder / "objects").glob("*/*") if p.name not in needed]
        for path in gone:
            path.unlink()
        return len(gone)


def _backup(document: dict[str, Any]) -> Backup:
    """Return what a manifest says."""
    if document.pop("form") != FORM:
        raise ValueError
    ledger, files = Saved(**document.pop("ledger")), document.pop("files")
    gone = tuple(document.pop("gone"))
    return Backup(ledger=ledger, files=tuple(Saved(**one) for one in files), gone=gone, **document)
