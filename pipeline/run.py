"""A run: from inputs to files, ledger rows and a manifest.

Each series that fits an analysis is a job. What cannot be read, does not fit or fails is listed
with its reason, and does not stop the rest. Images that a job reconstructs are then inputs
themselves: a dynamic series goes from k-space to a segmentation in one run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Protocol

from pipeline.analysis import Analysis
from pipeline.driftsettings import DriftSettings
from pipeline.encode.places import reconstructed_images
from pipeline.errors import UnusableCall
from pipeline.guards import doubt
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.raw.reference import Reference
from pipeline.inservice import InService
from pipeline.job import Workplace, carry_out
from pipeline.ledger.ledger import Ledger
from pipeline.manifest import (
    MANIFEST,
    JobEntry,
    Manifest,
    NotFitting,
    clock,
    merged,
    read_manifest,
    serialised,
)
from pipeline.memory import give_back
from pipeline.outputs import OutputFolder
from pipeline.perform import Perfusion, Reconstruction
from pipeline.plan import Plan, PlannedJob, plan_jobs

SWITCH = "limits.hold_other_body_parts = false has it done"
"""What whoever runs by hand can do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """What a run is asked to do."""

    inputs: tuple[Path, ...]
    """Files, folders or a DICOMDIR."""

    output: Path
    """Folder for the results."""

    analyses: tuple[Analysis, ...]
    """Analyses to choose from."""

    again: bool = False
    """Whether to compute also what is done already."""

    reference: Reference | None = None
    """Whose raw data are and where they lie, as far as their files do not say."""

    drift: DriftSettings = field(default_factory=DriftSettings)
    """How the statistics of inputs are kept."""

    service: InService | None = None
    """Says which versions do the jobs, live or canary; None takes the bundles of the analyses. What
    shadows do is left to the service."""


class Listener(Protocol):
    """Is told how a run goes on.

    Contract: called in the order in which things happen, from one thread at a time; does not raise.
    """

    def reading(self, done: int, total: int) -> None:
        """Hear how many files were read, of how many."""
        ...

    def planned(self, plan: Plan) -> None:
        """Hear what will be done."""
        ...

    def began(self, job: PlannedJob) -> None:
        """Hear that a job begins."""
        ...

    def progressed(self, share: float) -> None:
        """Hear how much of the job is done, 0 to 1."""
        ...

    def ended(self, entry: JobEntry) -> None:
        """Hear how the job came out."""
        ...


def run(request: RunRequest, ledger: Ledger, listener: Listener) -> Manifest:
    """Carry out a run, and write its manifest into the output folder last.

    Raises
    ------
    UnusableCall
        If an input does not exist, or the output folder cannot be written or holds a
        ``result.json`` of something else.
    """
    started_at, began = clock(), perf_counter()
    for given in request.inputs:
        if not given.exists():
            raise UnusableCall(f"{given}: no such file or folder")
    output = OutputFolder.open(request.output)
    read_manifest(output.root / MANIFEST)
    inventory = take_inventory(
        request.inputs, progress=listener.reading, reference=request.reference
    )
    place = Workplace(
        output=output,
        ledger=ledger,
        again=request.again,
        ingest_seconds=perf_counter() - began,
        drift=request.drift,
    )
    plan = _assigned(_without_held(plan_jobs(inventory, request.analyses)), request.service)
    listener.planned(plan)
    jobs = tuple(_one_job(job, place, listener) for job in plan.jobs)
    jobs = (*jobs, *_on_their_images(jobs, request, place, listener))
    manifest = Manifest(
        started_at=started_at,
        jobs=(*jobs, *_reserves(jobs, place, listener)),
        ended_at=clock(),
        ingest_seconds=place.ingest_seconds,
        refusals=inventory.refusals,
        not_fitting=plan.not_fitting,
        ignored_files=len(inventory.ignored),
    )
    _write(manifest, output)
    return manifest


def _on_their_images(
    jobs: Sequence[JobEntry], request: RunRequest, place: Workplace, listener: Listener
) -> tuple[JobEntry, ...]:
    """Do the jobs that fit the images that other jobs made, as if they had been given."""
    others = tuple(a for a in request.analyses if a.name != Reconstruction.name)
    folders = [
        place.output.root / entry.folder
        for entry in jobs
        if entry.identity.analysis == Reconstruction.name and entry.failure is None
    ]
    made = [path for folder in folders if (path := reconstructed_images(folder)) is not None]
    if not made or not others:
        return ()
    plan = _assigned(_without_held(plan_jobs(take_inventory(made), others)), request.service)
    if not plan.jobs:
        return ()
    listener.planned(replace(plan, not_fitting=()))
    return tuple(_one_job(job, place, listener) for job in plan.jobs)


def _without_held(plan: Plan) -> Plan:
    """Return a plan without the jobs that a person must release: here they do not fit."""
    doubts = [(job, doubt(job.candidate, job.analysis.name)) for job in plan.jobs]
    held = tuple(
        NotFitting(candidate=job.candidate, reasons={job.analysis.name: f"{why}: {SWITCH}"})
        for job, why in doubts
        if why is not None
    )
    jobs = tuple(job for job, why in doubts if why is None)
    return replace(plan, jobs=jobs, not_fitting=(*plan.not_fitting, *held))


def _reserves(
    jobs: Sequence[JobEntry], place: Workplace, listener: Listener
) -> tuple[JobEntry, ...]:
    """Make what the rest and the stress series of a study say together."""
    done = [e.job_id for e in jobs if e.identity.analysis == Perfusion.name and e.failure is None]
    if not done:
        return ()
    # Only now, with jobs that may be part of one.
    from pipeline.reserve import make_reserves

    made = make_reserves(done, place.ledger, place.output)
    for entry in made:
        listener.ended(entry)
    return made


def _assigned(plan: Plan, service: InService | None) -> Plan:
    """Return a plan with the versions that do its jobs."""
    if service is None or not plan.jobs:
        return plan
    duty = service.now()
    return replace(plan, jobs=tuple(duty.assigned(job)[0].job for job in plan.jobs))


def _one_job(job: PlannedJob, place: Workplace, listener: Listener) -> JobEntry:
    """Do one job and tell about it."""
    listener.began(job)
    entry = carry_out(job, place, listener.progressed)
    give_back()
    listener.ended(entry)
    return entry


def _write(manifest: Manifest, output: OutputFolder) -> None:
    """Write the manifest at once, together with the jobs of earlier runs."""
    latest = manifest.to_json()
    try:
        with output.turn():
            earlier = read_manifest(output.root / MANIFEST)
            document = merged(earlier, latest, output.root)
            output.write(MANIFEST, serialised(document).encode())
    except OSError as problem:
        where = output.root / MANIFEST
        raise UnusableCall(f"{where}: cannot be written ({problem.strerror})") from problem
