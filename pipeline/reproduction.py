"""How a job that was done again compares with what the ledger has of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from pipeline.analysis import Performed
from pipeline.differences import Depth, Difference, difference, json_differences
from pipeline.ledger.pastjobs import PastJob
from pipeline.manifest import finite_object
from pipeline.outputs import what_is_wrong
from pipeline.study import Artifact


class Stage(StrEnum):
    """Where a result differs, in the order in which it is made."""

    INPUT = "input"
    BUNDLE = "bundle"
    SOFTWARE = "software version"
    OUTCOME = "analysis outcome"
    CONTENT = "content of files"
    ENCODING = "encoding"
    STORED = "stored files"


class Verdict(StrEnum):
    """What came of it."""

    IDENTICAL = "identical"
    DIFFERS = "differs"
    IMPOSSIBLE = "cannot be run"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileVerdict:
    """What became of a file."""

    path: str
    """Path under the job's folder."""

    how: str
    """``missing``, ``new``, ``differs``, or the depth of the difference."""

    told: tuple[str, ...] = ()
    """The places in it that differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproduction:
    """What came of doing a job again."""

    job_id: UUID
    """The job."""

    verdict: Verdict
    """Whether its artifacts are the same bytes."""

    stages: tuple[tuple[Stage, str], ...] = ()
    """Stages that differ, in order, with what is told of each."""

    files: tuple[FileVerdict, ...] = ()
    """Files that differ."""

    n_files: int = 0
    """Files that were compared."""

    notes: tuple[str, ...] = ()
    """What a reader should know."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "job_id": str(self.job_id),
            "verdict": self.verdict.value,
            "stages": [{"stage": stage.value, "told": told} for stage, told in self.stages],
            "files_compared": self.n_files,
            "files": [
                {"path": file.path, "how": file.how, "told": list(file.told)} for file in self.files
            ],
            "notes": list(self.notes),
        }


def compared(past: PastJob, made: Performed, folder: Path) -> Reproduction:
    """Compare what was made with what is recorded."""
    before, now = digests_of(past.record.artifacts), digests_of(made.artifacts)
    files, depths = [], set()
    for path in sorted({*before, *now}):
        if before.get(path) == now.get(path):
            continue
        verdict = _file(past, folder, path, (path in before, path in now))
        files.append(verdict)
        depths.add(verdict.how)
    stages = []
    outcome = list(outcome_differences(past.record.outcome or {}, made.outcome))
    if outcome:
        more = f" and {len(outcome) - 3} more" if len(outcome) > 3 else ""
        stages.append((Stage.OUTCOME, "; ".join(outcome[:3]) + more))
    deep = depths - {Depth.HEADER, Depth.BYTES}
    if deep:
        stages.append((Stage.CONTENT, f"{sum(f.how in deep for f in files)} files"))
    if depths - deep:
        stages.append((Stage.ENCODING, f"{sum(f.how not in deep for f in files)} files"))
    return Reproduction(
        job_id=past.job_id,
        verdict=Verdict.DIFFERS,
        stages=tuple(stages),
        files=tuple(files),
        n_files=len({*before, *now}),
    )


def _file(past: PastJob, folder: Path, path: str, there: tuple[bool, bool]) -> FileVerdict:
    """Return how a file that is not the same differs."""
    if not all(there):
        return FileVerdict(path=path, how="missing" if there[0] else "new")
    kept = [artifact for artifact in past.record.artifacts if artifact.relative_path == path]
    stored = past.record.folder
    if stored is None or what_is_wrong(stored, kept) is not None:
        return FileVerdict(path=path, how="differs", told=("the stored file is not there whole",))
    found: Difference | None = difference(stored / path, folder / path)
    assert found is not None  # noqa: S101 - their digests differ
    return FileVerdict(path=path, how=found.depth.value, told=found.told)


def outcome_differences(before: Mapping[str, object], now: Mapping[str, object]) -> Iterator[str]:
    """Yield where outcomes differ, but for their times."""
    first, second = (
        finite_object({key: value for key, value in outcome.items() if key != "timings"})
        for outcome in (before, now)
    )
    return json_differences(first, second)


def stored_altered(past: PastJob) -> str | None:
    """Return which stored file is altered; None if none is, or they are gone."""
    wrong = past.record.folder and what_is_wrong(past.record.folder, past.record.artifacts)
    return wrong if wrong and wrong.endswith("is altered") else None


def stored_gone(past: PastJob) -> Iterator[str]:
    """Yield what is wrong with the stored files, if they are not altered but gone."""
    wrong = past.record.folder and what_is_wrong(past.record.folder, past.record.artifacts)
    if wrong and not wrong.endswith("is altered"):
        yield f"stored files: {wrong}; compared with what the ledger has of them"


def digests_of(artifacts: tuple[Artifact, ...]) -> dict[str, str]:
    """Return the digest of each file, by its path."""
    return {artifact.relative_path: artifact.sha256 for artifact in artifacts}
