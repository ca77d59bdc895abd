"""The plan of a batch: how many studies, which analyses, what exists, how long, how much disk.

Studies of folders are read for it, so that it tells what will be done; of an archive only the list
is known, and a study of it counts as done when the ledger has results of its UID by the same bundle
and settings. Times and sizes are those of jobs that were done before; without any, none is told.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from pipeline.analysis import Analysis
from pipeline.batch.prepare import Looked, is_there, look
from pipeline.identity import digest_settings
from pipeline.ledger.batches import Batch, Batches, BatchStudy
from pipeline.ledger.batchfigures import Past, done_of_study, past_jobs
from pipeline.ledger.batchtables import StudyState
from pipeline.ledger.ledger import Ledger
from pipeline.submit import Terms

SIZED = 20
"""Earlier results of an analysis whose files are measured, the latest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """What jobs of an analysis have taken."""

    jobs: int
    """How many were measured."""

    seconds: float
    """Mean of their time, from reading the files to recording the result [s]."""

    size_bytes: float
    """Mean size of their files [byte]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchPlan:
    """What a batch comes to."""

    studies: dict[str, int]
    """Studies in each state."""

    jobs: dict[str, int]
    """Jobs that are to be done, by analysis, of the studies that were read."""

    existing: int
    """Jobs whose results exist."""

    unread: int
    """Studies whose jobs are not known before they are fetched."""

    input_bytes: int
    """Size of the inputs, as far as it is known [byte]."""

    rates: dict[str, Rate]
    """What earlier jobs have taken, by analysis."""

    processes: int
    """Jobs at a time."""

    free_bytes: int
    """Space on the disk of the results [byte]."""

    refused: tuple[str, ...] = field(default=())
    """Reasons of some of the studies in which nothing can be analysed."""

    @property
    def hours(self) -> float | None:
        """Time that the jobs will take, at the rates of earlier ones [h]; None without a rate."""
        return _total(
            self.jobs,
            {name: rate.seconds for name, rate in self.rates.items()},
            3600.0 * self.processes,
        )

    @property
    def output_bytes(self) -> float | None:
        """Disk that the results will take [byte]; None without a rate."""
        return _total(self.jobs, {name: rate.size_bytes for name, rate in self.rates.items()}, 1.0)

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "studies": self.studies,
            "jobs": self.jobs,
            "existing_results": self.existing,
            "studies_to_fetch": self.unread,
            "input_bytes": self.input_bytes,
            "measured": {
                name: {"jobs": r.jobs, "seconds": r.seconds, "bytes": r.size_bytes}
                for name, r in self.rates.items()
            },
            "processes": self.processes,
            "hours": self.hours,
            "output_bytes": self.output_bytes,
            "free_bytes": self.free_bytes,
            "refused": list(self.refused),
        }

    def lines(self) -> list[str]:
        """Return it as lines for a person."""
        n_studies = sum(self.studies.values())
        told = [f"{n_studies} studies: " + ", ".join(f"{n} {s}" for s, n in self.studies.items())]
        told += [f"{name}: {count} jobs to do" for name, count in self.jobs.items()]
        told.append(f"{self.existing} results exist already")
        if self.unread:
            told.append(f"{self.unread} studies are read when they are fetched")
        told += [f"refused: {reason}" for reason in self.refused]
        for name, rate in self.rates.items():
            told.append(
                f"{name}: {rate.seconds:.1f} s and {rate.size_bytes / 1e6:.1f} MB a job, measured "
                f"on {rate.jobs} jobs"
            )
        told.append(self._time_told())
        if self.output_bytes is not None:
            free = self.free_bytes / 1e9
            told.append(f"disk: {self.output_bytes / 1e9:.2f} GB of results, {free:.1f} GB free")
        else:
            told.append(f"disk: {self.free_bytes / 1e9:.1f} GB free")
        return told

    def _time_told(self) -> str:
        """Return how long it takes, as a line."""
        if self.hours is None:
            return "time: no rate is measured yet; the run tells one after its first studies"
        return f"time: {self.hours:.2f} h with {self.processes} jobs at a time"


def make_plan(
    batch: Batch,
    analyses: Sequence[Analysis],
    ledger: Ledger,
    processes: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> BatchPlan:
    """Look at the studies of a batch that wait, and return what they come to.

    A study all of whose results exist is skipped from now on.

    Parameters
    ----------
    batch
        The batch.
    analyses
        The analyses.
    ledger
        The ledger.
    processes
        Jobs at a time.
    progress
        Called with the number of studies that were looked at, and of all that wait.
    """
    batches = Batches(ledger)
    tally = _Tally()
    total = batches.counts(batch.name).get(StudyState.WAITING, 0)
    terms = Terms(output=batch.output)
    for done, study in enumerate(batches.studies(batch.name, StudyState.WAITING)):
        progress(done, total)
        if study.member.root is None:
            tally.add_unread(study, _known(study, analyses, ledger), batches)
        else:
            tally.add(study, look(study.paths, analyses, terms, ledger), batches)
    batch.output.mkdir(parents=True, exist_ok=True)
    pasts = {a.name: past_jobs(ledger, a.name, a.bundle.digest) for a in analyses}
    counts = batches.counts(batch.name)
    return BatchPlan(
        studies={state.value: counts[state] for state in StudyState if state in counts},
        jobs=dict(tally.jobs),
        existing=tally.existing,
        unread=tally.unread,
        input_bytes=tally.input_bytes,
        rates={name: rate_of(past) for name, past in pasts.items() if past},
        processes=max(processes, 1),
        free_bytes=shutil.disk_usage(batch.output).free,
        refused=tuple(tally.refused),
    )


def rate_of(past: Sequence[Past]) -> Rate:
    """Return what jobs have taken."""
    sizes = [size_of(job.folder) for job in past[:SIZED] if job.folder is not None]
    return Rate(
        jobs=len(past),
        seconds=fmean(job.seconds for job in past),
        size_bytes=fmean(sizes) if sizes else 0.0,
    )


def size_of(folder: Path) -> int:
    """Return the size of all files under a folder [byte]."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@dataclass(kw_only=True, slots=True)
class _Tally:
    """What was counted so far."""

    jobs: Counter[str] = field(default_factory=Counter)
    existing: int = 0
    unread: int = 0
    input_bytes: int = 0
    refused: list[str] = field(default_factory=list)

    def add(self, study: BatchStudy, looked: Looked, batches: Batches) -> None:
        """Count a study that was read."""
        self.existing += len(looked.existing)
        self.input_bytes += study.member.size_bytes or 0
        self.jobs.update(request.identity.analysis for request, _ in looked.to_do)
        if not looked.job_ids and len(self.refused) < REFUSED_SHOWN:
            self.refused.append(looked.reason or "")
        if looked.existing and not looked.to_do and looked.reason is None:
            batches.change(study.row, StudyState.SKIPPED, job_ids=looked.existing)

    def add_unread(self, study: BatchStudy, looked: Looked, batches: Batches) -> None:
        """Count a study that was not fetched."""
        if looked.existing:
            self.existing += len(looked.existing)
            batches.change(study.row, StudyState.SKIPPED, job_ids=looked.existing)
        else:
            self.unread += 1


REFUSED_SHOWN = 5
"""Refusals that a plan tells; a run records all."""


def _known(study: BatchStudy, analyses: Sequence[Analysis], ledger: Ledger) -> Looked:
    """Return the results that the ledger has of a study's UID, by these bundles and settings."""
    uid = study.member.study_instance_uid or ""
    wanted = [(a.name, a.bundle.digest, digest_settings(a.configuration)) for a in analyses]
    found = [job for job in done_of_study(ledger, uid, wanted) if is_there(ledger.find(job))]
    return Looked(to_do=(), existing=tuple(found), reason=None)


def _total(jobs: dict[str, int], each: dict[str, float], over: float) -> float | None:
    """Return a sum over jobs at a mean for each; None where an analysis has no mean."""
    wanted = {name: count for name, count in jobs.items() if count}
    if not set(wanted) <= set(each):
        return None
    return sum(count * each[name] for name, count in wanted.items()) / over
