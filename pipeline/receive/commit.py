"""Files into their place and into the ledger, together for all that wait at the time.

Whoever comes first does it for everybody who has come by then; the others wait for their turn and
mostly find it done. One sender alone waits for nobody, and many share the flushes.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pipeline.errors import LedgerUnavailable, PipelineError
from pipeline.flush import flush
from pipeline.ledger.reception import Instance, Known
from pipeline.locks import shared


@dataclass(kw_only=True, slots=True, eq=False)
class Waiting:
    """An instance whose file is written and waits to be put into place and recorded."""

    file: Path
    """Where it lies now."""

    descriptor: int
    """The file, open."""

    instance: Instance
    """What it is."""

    known: Known | None = None
    """What the ledger says of it."""

    problem: OSError | PipelineError | None = None
    """Why it could not be put into place or recorded."""

    @property
    def is_ended(self) -> bool:
        """Whether it was put into place and recorded, or could not be."""
        return self.known is not None or self.problem is not None


class Committer:
    """Puts instances into place and records them.

    Parameters
    ----------
    root
        The inbox.
    record
        Records instances in the ledger, and says what each is.
    """

    def __init__(self, root: Path, record: Callable[[Sequence[Instance]], list[Known]]) -> None:
        self._root, self._record = root, record
        self._lock, self._turn = Lock(), Lock()
        self._waiting: list[Waiting] = []
        self._seen: set[Path] = set()

    def commit(self, waiting: Waiting) -> Known:
        """Put an instance into place and record it, and say what it is.

        Raises
        ------
        OSError
            If its file cannot be moved or flushed.
        LedgerUnavailable
            If it cannot be recorded. Its file may lie in place and counts for nothing.
        """
        place = self._root / waiting.instance.relative_path
        # From its place to its row: who removes a study meanwhile does not see a file that is new.
        with shared(lock_of(self._root, place)):
            # Each on its own: files of several are flushed at the same time.
            _put(waiting.file, waiting.descriptor, place)
            with self._lock:
                self._waiting.append(waiting)
            while not waiting.is_ended:
                with self._turn:
                    # Whoever had the turn before may have done it.
                    if not waiting.is_ended:
                        self._carry_out(self._taken())
        if waiting.problem is not None:
            raise waiting.problem
        assert waiting.known is not None  # noqa: S101 - what the loop ends with
        return waiting.known

    def _taken(self) -> list[Waiting]:
        """Return all that wait, but one of each UID: of two at once the second is not new."""
        with self._lock:
            taken = {one.instance.sop_instance_uid: one for one in reversed(self._waiting)}
            self._waiting = [one for one in self._waiting if one not in taken.values()]
        return list(taken.values())

    def _carry_out(self, taken: Sequence[Waiting]) -> None:
        """Flush the folders of files that are in place, and record them."""
        try:
            for folder in {(self._root / one.instance.relative_path).parent for one in taken}:
                self._flush(folder)
            known = self._record([one.instance for one in taken])
            for one, found in zip(taken, known, strict=True):
                one.known = found
        except (OSError, PipelineError) as problem:
            for one in taken:
                one.problem = problem
        finally:
            for one in taken:
                if not one.is_ended:
                    # Whoever waits for it would wait for ever.
                    one.problem = LedgerUnavailable("recording has failed")

    def _flush(self, folder: Path) -> None:
        """Flush a folder, and its name where this process sees it for the first time."""
        if folder not in self._seen:
            flush(folder.parent)
            self._seen.add(folder)
        flush(folder)


def lock_of(root: Path, place: Path) -> Path:
    """Return the lock that is shared while files come into the folder of a study.

    Studies share few: a lock of its own for each would stay when the study goes.
    """
    return root / "locks" / place.parent.name[:2]


def _put(file: Path, descriptor: int, place: Path) -> None:
    """Put a file into its place, and flush it; its name until now is removed by whoever gave it.

    It is flushed where it ends: so a file system with a journal writes it once, and a file that is
    in place and not whole is one that the ledger does not know.

    What lies there already has the same bytes and may be answered for: it is replaced by nothing
    that is not flushed.
    """
    if not _is_linked(file, place):
        os.fsync(descriptor)
        file.replace(place)
        return
    try:
        os.fsync(descriptor)
    except OSError:
        # What could not be written is forgotten: a second flush would find nothing to do.
        if os.path.samestat(place.stat(), os.fstat(descriptor)):
            place.unlink()
        raise


def _is_linked(file: Path, place: Path) -> bool:
    """Give a file another name; False if that is taken, or the file system knows one name only."""
    place.parent.mkdir(exist_ok=True)
    try:
        place.hardlink_to(file)
    except OSError:
        return False
    return True
