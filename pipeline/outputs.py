"""The output folder: results appear in it whole or not at all.

A job writes into a working folder beside its final one, on the same file system. Its files are
flushed and moved into place by renaming. Processes that share an output folder take turns at that.
What a killed process has left is removed by the next run.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

from pipeline.errors import UnusableCall
from pipeline.flush import flush, flush_tree
from pipeline.identity import digest_file
from pipeline.locks import locked, locked_if_free
from pipeline.study import Artifact

TURN = ".vesalius.lock"
"""Name of the file whose lock is held while results are moved into place."""

WORKING = ".unfinished-"
"""Beginning of the name of a working folder."""

OWNER = "lock"
"""Name of the file whose lock the owner of a working folder holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFolder:
    """A folder that results go to."""

    root: Path
    """The folder."""

    @classmethod
    def open(cls, root: Path) -> Self:
        """Make the folder if it is missing, and remove what killed processes have left in it.

        Raises
        ------
        UnusableCall
            If it cannot be written.
        """
        folder = cls(root=root)
        try:
            root.mkdir(parents=True, exist_ok=True)
            with locked_if_free(root / TURN) as free:
                if free:
                    folder._sweep()
        except OSError as problem:
            raise UnusableCall(f"{root}: cannot be written ({problem.strerror})") from problem
        return folder

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process moves results into place, and keep the others waiting."""
        with locked(self.root / TURN):
            yield

    @contextmanager
    def working(self) -> Iterator[Path]:
        """Make an empty folder to work in; remove what is left of it at the end."""
        with ExitStack() as held:
            place = self._owned(held)
            held.callback(shutil.rmtree, place)
            files = place / "files"
            files.mkdir()
            yield files

    def publish(self, files: Path, name: str) -> Path:
        """Flush a working folder to disk and move its files into place."""
        flush_tree(files)
        return self.move(files, name)

    def move(self, files: Path, name: str) -> Path:
        """Move the files of a working folder that is flushed into place.

        A folder that is new appears at once; in one that exists, file after file is replaced. Files
        that were moved before stay where they are.

        Parameters
        ----------
        files
            The working folder.
        name
            Name of the folder under this one that the files go to.

        Returns
        -------
            The folder that holds the files.
        """
        target = self.root / name
        if not files.exists():
            return target
        try:
            # Without waiting for anyone: a process that is stopped in its turn keeps it.
            files.rename(target)
        except OSError:
            if not target.exists():
                raise
            with self.turn():
                _replace(files, target)
                flush_tree(target)
        flush(self.root)
        return target

    def write(self, name: str, content: bytes) -> None:
        """Write a file under this folder at once, flushed. Call it within a turn."""
        place = self.root / f"{WORKING}{name}"
        place.write_bytes(content)
        flush(place)
        place.replace(self.root / name)
        flush(self.root)

    def _sweep(self) -> None:
        """Remove working folders whose owners are gone."""
        for place in self.root.glob(f"{WORKING}*"):
            if not place.is_dir():
                place.unlink()
                continue
            with locked_if_free(place / OWNER) as free:
                if free:
                    shutil.rmtree(place)

    def _owned(self, held: ExitStack) -> Path:
        """Make a folder whose lock is held; again, if another process sweeps it before it is."""
        while True:
            place = Path(mkdtemp(prefix=WORKING, dir=self.root))
            try:
                held.enter_context(locked(place / OWNER))
            except FileNotFoundError:
                continue
            if (place / OWNER).exists():
                return place


def what_is_wrong(folder: Path, artifacts: Sequence[Artifact]) -> str | None:
    """Return the first artifact that is missing or altered, and how; None if all are whole.

    Parameters
    ----------
    folder
        Folder that the artifacts' paths start from.
    artifacts
        Files with the SHA-256 that they should have.
    """
    for artifact in artifacts:
        path = folder / artifact.relative_path
        try:
            if digest_file(path) != artifact.sha256:
                return f"{artifact.relative_path} is altered"
        except FileNotFoundError:
            return f"{artifact.relative_path} is missing"
        except OSError as problem:
            return f"{artifact.relative_path} cannot be read ({problem.strerror})"
    return None


def copy_artifacts(source: Path, artifacts: Sequence[Artifact], target: Path) -> None:
    """Copy artifacts into another folder, under the same paths.

    Raises
    ------
    OSError
        If one cannot be read or written.
    """
    for artifact in artifacts:
        path = target / artifact.relative_path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / artifact.relative_path, path)


def _replace(files: Path, target: Path) -> None:
    """Move each file to the same path under another folder, over what is there."""
    for path in sorted(files.rglob("*")):
        place = target / path.relative_to(files)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            path.replace(place)
