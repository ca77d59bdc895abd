"""What is made of inputs to be shown or played, kept in a folder that may be deleted.

A file is made once, whole or not at all. What was longest not asked for goes when the folder has
grown too large.
"""

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from uuid import UUID

FOLDER = "review-cache"
"""Its name."""

WORKING = ".unfinished-"
"""Beginning of the name of a folder that something is made in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cache:
    """The folder. It may be used from several threads."""

    root: Path
    """The folder."""

    limit_bytes: int
    """Its largest size [byte]."""

    locks: dict[str, threading.Lock] = field(default_factory=dict)
    """Who makes what: one thread at a time."""

    @classmethod
    def open(cls, state: Path, limit_bytes: int) -> "Cache":
        """Return the cache in a folder; what was not finished there is removed."""
        root = state / FOLDER
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in root.glob(f"{WORKING}*"):
            shutil.rmtree(left, ignore_errors=True)
        return cls(root=root, limit_bytes=limit_bytes)

    def folder(self, job_id: UUID, kind: str, make: Callable[[Path], None]) -> Path:
        """Return the folder of something that is made of a job's input.

        Parameters
        ----------
        job_id
            The job.
        kind
            What is made.
        make
            Makes it, into a folder that is given to it; what it raises is passed on.
        """
        name = f"{job_id}-{kind}"
        made = self.root / name
        # setdefault is one step: threads that come together get one lock.
        with self.locks.setdefault(name, threading.Lock()):
            if made.is_dir():
                with suppress(OSError):
                    made.touch()
                return made
            working = Path(mkdtemp(prefix=WORKING, dir=self.root))
            try:
                make(working)
                working.rename(made)
            finally:
                shutil.rmtree(working, ignore_errors=True)
        self._shrink(made)
        return made

    def _shrink(self, kept: Path) -> None:
        """Remove what was longest not asked for, until the rest is small enough."""
        sizes = []
        for folder in self.root.iterdir():
            with suppress(OSError):
                size = sum(path.stat().st_size for path in folder.iterdir())
                sizes.append((folder.stat().st_mtime, size, folder))
        total = sum(size for _, size, _ in sizes)
        for _, size, folder in sorted(sizes):
            if total <= self.limit_bytes:
                return
            if folder != kept and not folder.name.startswith(WORKING):
                shutil.rmtree(folder, ignore_errors=True)
                total -= size
