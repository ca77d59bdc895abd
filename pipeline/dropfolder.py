"""A folder that others drop studies into: each is found once it has stopped changing.

A study is a folder, or all files that lie loose. It is taken when no name, size or time of change
among its files has moved for a while, so that a copy that is under way is left alone; one that is
renamed into place is whole at once, and waits as long. Nothing is moved or removed: jobs read
the files where they lie, and a study that is taken twice is the same jobs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart")
"""Ends of names that programs give to files they still write."""

Signature = tuple[tuple[str, int, int], ...]
"""Name, size [bytes] and time of change [ns] of the files of a study."""


@dataclass(kw_only=True, slots=True)
class DropFolder:
    """A folder that is watched."""

    root: Path
    """The folder."""

    settle_s: float
    """Time for which a study must not have changed [s]."""

    _seen: dict[Path, tuple[Signature, float]] = field(default_factory=dict)
    _taken: dict[Path, Signature] = field(default_factory=dict)

    def ready(self) -> Iterator[tuple[Path, ...]]:
        """Yield the inputs of each study that is new or has changed, and has settled.

        Raises
        ------
        OSError
            If the folder cannot be read.
        """
        found = _studies(self.root)
        for gone in set(self._seen) - set(found):
            del self._seen[gone]
            self._taken.pop(gone, None)
        for study, files in found.items():
            signature = _signature(files)
            if signature is None or signature == self._taken.get(study):
                continue
            before, since = self._seen.get(study, ((), 0.0))
            if signature != before:
                self._seen[study] = signature, monotonic()
            elif monotonic() - since >= self.settle_s:
                self._taken[study] = signature
                yield tuple(files) if study == self.root else (study,)

    def forget(self) -> None:
        """Take all studies again that are there."""
        self._taken.clear()


def _studies(root: Path) -> dict[Path, list[Path]]:
    """Return the files of each study that has some; loose files are the root's."""
    found: dict[Path, list[Path]] = {}
    for entry in sorted(root.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            files = sorted(path for path in entry.rglob("*") if path.is_file())
            if files:
                found[entry] = files
        else:
            found.setdefault(root, []).append(entry)
    return found


def _signature(files: list[Path]) -> Signature | None:
    """Return the signature of a study; None while a file is still written, or goes away."""
    if any(path.name.endswith(UNFINISHED) for path in files):
        return None
    try:
        stats = [(str(path), path.stat()) for path in files]
    except FileNotFoundError:
        return None
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
