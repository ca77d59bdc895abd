"""The files of a study, removed from disk; what is gone already, or came anew, is passed over.

Everything here may be killed at any point and done again.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pipeline.analyses.phases.features import kept_for
from pipeline.flush import flush
from pipeline.ledger.footprint import Footprint
from pipeline.ledger.forgetting import Forgetting
from pipeline.locks import locked
from pipeline.manifest import MANIFEST, read_manifest, records, serialised
from pipeline.outputs import TURN, WORKING, OutputFolder
from pipeline.receive.commit import lock_of
from pipeline.record.places import Places
from pipeline.review.cache import FOLDER as REVIEW_CACHE
from pipeline.review.index import FILE as REVIEW_INDEX
from pipeline.review.index import Index


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """Removes the files of one study."""

    forgetting: Forgetting
    """The removals of the ledger."""

    forgetting_id: UUID
    """This one."""

    found: Footprint
    """What the ledger knew of the study."""

    places: Places
    """The folders of the installation."""

    @property
    def steps(self) -> tuple[Callable[[], int], ...]:
        """What is done, in order; each returns how many files had come anew."""
        return (
            self.remove_received,
            self.remove_suspects,
            self.remove_results,
            self.remove_told,
            self.remove_shown,
            self.remove_seen,
            self.remove_tables,
        )

    def all_paths(self) -> Iterator[Path]:
        """Return all files and folders that are to be removed."""
        for path, _ in (*self.found.instances, *self.found.suspects):
            yield self.places.inbox / path
        for folder, _ in self.found.results:
            yield Path(folder)
        for path, _ in self.found.artifacts:
            yield Path(path)

    def remove_received(self) -> int:
        """Remove the instances that were received."""
        paths = [path for path, _ in self.found.instances]
        left = 0
        for folder in sorted({(self.places.inbox / path).parent for path in paths}):
            inside = [p for p in paths if (self.places.inbox / p).parent == folder]
            lock = lock_of(self.places.inbox, folder / "any")
            lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(lock):
                left += self._remove_unless_known(inside)
                if not folder.is_dir():
                    continue
                flush(folder)
                # Empty: nobody has sent anything of the study since.
                with suppress(OSError):
                    folder.rmdir()
                    flush(folder.parent)
        return left

    def remove_suspects(self) -> int:
        """Remove what was set aside."""
        paths = [path for path, _ in self.found.suspects]
        if not paths or not (self.places.inbox / "suspects").is_dir():
            return 0
        with locked(self.places.inbox / "suspects.lock"):
            left = self._remove_unless_known(paths)
            flush(self.places.inbox / "suspects")
        return left

    def remove_results(self) -> int:
        """Remove the folders of results, and what killed processes have left beside them."""
        left = 0
        for folder, job_id in self.found.results:
            root = Path(folder).parent
            if not root.is_dir():
                continue
            gone = root / f"{WORKING}{self.forgetting_id}-{job_id}"
            with locked(root / TURN):
                if self.forgetting.is_known(UUID(job_id)):
                    left += 1
                    continue
                with suppress(FileNotFoundError):
                    Path(folder).rename(gone)
                    flush(root)
            shutil.rmtree(gone, ignore_errors=True)
        for output in self.found.outputs:
            if Path(output).is_dir():
                # Opening it removes working folders whose owners are gone, these among them.
                OutputFolder.open(Path(output))
        return left

    def remove_told(self) -> int:
        """Take the jobs out of the manifests of runs; one that is empty then goes."""
        for output in {Path(folder).parent for folder, _ in self.found.results}:
            if not (output / MANIFEST).is_file():
                continue
            with locked(output / TURN):
                document = read_manifest(output / MANIFEST)
                if document is None:
                    continue
                jobs = records(document, "jobs")
                kept = [job for job in jobs if job.get("job_id") not in self.found.job_ids]
                if kept and len(kept) < len(jobs):
                    content = serialised({**document, "jobs": kept}).encode()
                    OutputFolder(root=output).write(MANIFEST, content)
                elif not kept:
                    (output / MANIFEST).unlink()
        return 0

    def remove_shown(self) -> int:
        """Remove what the review page keeps: images and videos, and words to find patients by."""
        cache = self.places.state / REVIEW_CACHE
        for job_id in self.found.job_ids:
            for folder in cache.glob(f"{job_id}-*"):
                shutil.rmtree(folder, ignore_errors=True)
        if (self.places.state / REVIEW_INDEX).is_file():
            index = Index.open(self.places.state)
            try:
                index.remove(UUID(job_id) for job_id in self.found.job_ids)
                index.clean()
            finally:
                index.close()
        return 0

    def remove_seen(self) -> int:
        """Remove what was kept of videos."""
        folder = self.places.features
        if folder is not None:
            for digest in self.found.inputs:
                for path in folder.glob(f"{kept_for(digest)}*"):
                    path.unlink(missing_ok=True)
        return 0

    def remove_tables(self) -> int:
        """Remove tables and reports of batches with the study: they are made anew without it."""
        for folder, number in self.found.batches:
            for path in Path(folder).glob("*"):
                if path.is_file():
                    path.unlink()
            shutil.rmtree(Path(folder) / "fetched" / f"{number:06d}", ignore_errors=True)
        return 0

    def _remove_unless_known(self, paths: list[str]) -> int:
        """Remove files under the inbox but those that have come anew; return how many have."""
        known = self.forgetting.received_again(paths)
        for path in paths:
            if path not in known:
                (self.places.inbox / path).unlink(missing_ok=True)
        return len(known)
