"""What is to be done with what was found: which series is a job for which analysis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.analysis import Analysis
from pipeline.identity import JobIdentity, digest_settings
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.inventory import Inventory
from pipeline.manifest import NotFitting

SHOWN_DIGITS = 12
"""Digits of the job id in the name of its folder: 48 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedJob:
    """A series and an analysis that fit."""

    candidate: Candidate
    """The series."""

    analysis: Analysis
    """The analysis."""

    identity: JobIdentity
    """What the job id derives from."""

    copies: tuple[str, ...] = ()
    """Labels of further inputs with the same content."""

    @property
    def folder(self) -> str:
        """Name of the job's folder; nothing in it comes from the input's names."""
        return f"{self.analysis.name}-{self.identity.job_id.hex[:SHOWN_DIGITS]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is to be done."""

    jobs: tuple[PlannedJob, ...]
    """Jobs, in the order of the inputs."""

    not_fitting: tuple[NotFitting, ...]
    """Series that no analysis is made for."""

    inventory: Inventory
    """What the inputs hold."""


def plan_jobs(inventory: Inventory, analyses: Sequence[Analysis]) -> Plan:
    """Match series and analyses; inputs of the same content make one job."""
    digests = {a.name: digest_settings(a.configuration) for a in analyses}
    jobs: dict[JobIdentity, PlannedJob] = {}
    not_fitting = []
    for candidate in inventory.candidates:
        reasons = {a.name: a.why_not(candidate) for a in analyses}
        for analysis in analyses:
            if reasons[analysis.name] is None:
                identity = JobIdentity(
                    input_digest=candidate.input_digest,
                    analysis=analysis.name,
                    bundle_digest=analysis.bundle.digest,
                    configuration_digest=digests[analysis.name],
                )
                _add(jobs, PlannedJob(candidate=candidate, analysis=analysis, identity=identity))
        if None not in reasons.values():
            said = {name: reason for name, reason in reasons.items() if reason is not None}
            not_fitting.append(NotFitting(candidate=candidate, reasons=said))
    return Plan(jobs=tuple(jobs.values()), not_fitting=tuple(not_fitting), inventory=inventory)


def _add(jobs: dict[JobIdentity, PlannedJob], job: PlannedJob) -> None:
    """Add a job, or its label to the job of the same content."""
    known = jobs.setdefault(job.identity, job)
    if known is not job:
        label = job.candidate.label
        jobs[job.identity] = replace(known, copies=(*known.copies, label))
