"""The reserve of a study: what its rest and its stress series say together, as a job of its own.

Its id derives from the two jobs and from the digests of their files, so that it is the same
whichever of the two was done last, and another one when either is done anew. Nothing is read but
files with these digests. It is done at once: it takes a second, and needs no network.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from uuid import UUID

from pipeline import __version__
from pipeline.analyses.perfusion.reserve import MEASURES, Index, Reserve, Side, reserve_of
from pipeline.analyses.perfusion.segmentnames import SEGMENT_NAMES
from pipeline.encode.context import EncodingContext
from pipeline.encode.places import TABLE
from pipeline.encode.reservestates import BothStates
from pipeline.errors import AnalysisFailed, NotApplicable, PipelineError
from pipeline.flush import flush_tree
from pipeline.identity import JobIdentity, digest_bytes, digest_settings
from pipeline.ingest.candidate import Candidate
from pipeline.job import failure_of
from pipeline.ledger.given import Given
from pipeline.ledger.ledger import JobRecord, JobRequest, Ledger, Transaction
from pipeline.ledger.pairs import couple_of, earlier_joint
from pipeline.ledger.pastjobs import PastJob, past_job
from pipeline.ledger.states import JobState
from pipeline.manifest import JobEntry, ModelReference, finite_object
from pipeline.outputs import OutputFolder, what_is_wrong
from pipeline.plan import SHOWN_DIGITS
from pipeline.reserveinputs import digest_of, reports_of, side_of, summary_of, whole_folder
from pipeline.study import Artifact, InputSeries, Measurement

ANALYSIS = "reserve"
"""Name of the analysis in the ledger and in the manifest."""

KEY = "reserve"
"""Key of its configuration, and of what its outcome holds besides."""

MPRI = "mpri"
"""Name of the index among measurements."""

Publish = Callable[[Transaction, UUID], object]
"""Adds to the transaction that records a reserve: its deliveries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A reserve that is to be made."""

    rest: PastJob
    """The job of the rest series."""

    stress: PastJob
    """The job of the stress series."""

    identity: JobIdentity
    """What its job id derives from."""

    series_instance_uids: tuple[str, ...]
    """Series Instance UIDs (0020,000E) of both."""

    configuration: Mapping[str, object]
    """The two jobs, as its configuration digest is of."""

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{ANALYSIS}-{self.identity.job_id.hex[:SHOWN_DIGITS]}"


def asked_of(job_id: UUID, ledger: Ledger) -> Asked | None:
    """Return the reserve that a perfusion job is part of; None where it is not one of a pair.

    Raises
    ------
    UnusableCall
        If there is no such job.
    LedgerUnavailable
        If the ledger cannot be read.
    """
    couple = couple_of(ledger, job_id)
    if couple is None:
        return None
    rest, stress = (past_job(ledger, each) for each in (couple.rest, couple.stress))
    configuration = {KEY: {"rest": str(rest.job_id), "stress": str(stress.job_id)}}
    digest = digest_bytes(f"rest {_named(rest)}\nstress {_named(stress)}".encode())
    identity = JobIdentity(
        input_digest=digest,
        analysis=ANALYSIS,
        bundle_digest=stress.bundle_digest,
        configuration_digest=digest_settings(configuration),
        predecessor=earlier_joint(
            ledger,
            stress.study_instance_uid or "",
            (ANALYSIS, couple.series_instance_uids, digest),
        ),
    )
    return Asked(
        rest=rest,
        stress=stress,
        identity=identity,
        series_instance_uids=couple.series_instance_uids,
        configuration=configuration,
    )


def make_reserves(
    jobs: Iterable[UUID],
    ledger: Ledger,
    output: OutputFolder | None = None,
    publish: Publish = lambda _session, _job: None,
) -> tuple[JobEntry, ...]:
    """Make the reserves that perfusion jobs are part of, each once, and return how they came out.

    What was made before and is whole is left as it is.

    Parameters
    ----------
    jobs
        Jobs of any analysis; those that are none of a pair are left out.
    ledger
        The ledger.
    output
        Takes the files; None puts them beside those of the stress series.
    publish
        Adds to the transaction that records one.

    Raises
    ------
    LedgerUnavailable
        If the ledger cannot be read or written.
    """
    found = [asked for job_id in jobs if (asked := asked_of(job_id, ledger)) is not None]
    unique = {asked.identity: asked for asked in found}
    return tuple(_made(asked, ledger, output, publish) for asked in unique.values())


def _made(asked: Asked, ledger: Ledger, output: OutputFolder | None, publish: Publish) -> JobEntry:
    """Make a reserve, or find it made, and return how it came out."""
    entry, job_id = _entry(asked), asked.identity.job_id
    record = ledger.find(job_id)
    if record is not None and _is_there(record, asked, output):
        return replace(entry, reused=True, outcome=record.outcome or {}, artifacts=record.artifacts)
    attempt = ledger.begin(_request(asked), _given(asked))
    try:
        place = output or OutputFolder.open(whole_folder(asked.stress).parent)
        with place.working() as files:
            outcome, artifacts = _computed(asked, files)
            flush_tree(files)

            def into_place(session: Transaction) -> None:
                place.move(files, asked.folder)
                publish(session, job_id)

            ledger.complete(
                job_id,
                attempt,
                folder=(place.root / asked.folder).resolve(),
                artifacts=artifacts,
                outcome=outcome,
                publish=into_place,
            )
    except (PipelineError, OSError) as problem:
        failure = failure_of(problem, str(job_id))
        ledger.fail(job_id, attempt, error=failure.error, reason=failure.reason)
        return replace(entry, failure=failure)
    return replace(entry, outcome=outcome, artifacts=artifacts)


def _is_there(record: JobRecord, asked: Asked, output: OutputFolder | None) -> bool:
    """Tell whether a reserve was made before, and its files are whole where they are wanted."""
    if record.state is not JobState.DONE or record.folder is None:
        return False
    is_here = output is None or record.folder == (output.root / asked.folder).resolve()
    return is_here and what_is_wrong(record.folder, record.artifacts) is None


def _computed(asked: Asked, files: Path) -> tuple[dict[str, object], tuple[Artifact, ...]]:
    """Write the files of a reserve; return what it found, and their records."""
    began = perf_counter()
    measure, found, (rest, stress) = _found(asked)
    if found.whole is None and not found.segments:
        raise AnalysisFailed(f"rest and stress have nothing in common: {'; '.join(found.notes)}")
    notes = (*found.notes, *_notes(asked))
    both = BothStates(
        rest=summary_of(asked.rest, rest),
        stress=summary_of(asked.stress, stress),
        measure=measure,
        notes=notes,
    )
    reports = reports_of((asked.rest, asked.stress))
    # Only now: a run without a pair of series needs no library that writes.
    from pipeline.encode.reserve import encode_reserve

    artifacts = encode_reserve(found, both, reports, _context(asked), files)
    outcome = {
        "measurements": [asdict(each) for each in _measurements(found)],
        "uncertainty": [],
        "notes": list(notes),
        KEY: _told(asked, measure, found),
        "timings": {"reserve": perf_counter() - began},
    }
    return finite_object(outcome), artifacts


def _found(asked: Asked) -> tuple[str, Reserve, tuple[Side, Side]]:
    """Return the measure, of concentrations where both tell of them, the reserve, and both."""
    for measure in MEASURES:
        rest, stress = side_of(asked.rest, measure), side_of(asked.stress, measure)
        found = reserve_of(rest, stress)
        if found.whole is not None or found.segments:
            break
    return measure, found, (rest, stress)


def _measurements(found: Reserve) -> Iterator[Measurement]:
    """Yield the index of the whole, and of the slices under stress."""
    parts = [(None, found.whole), *((index, each) for (_, index), each in found.slices.items())]
    for index, each in parts:
        if each is not None:
            yield Measurement(
                name=MPRI, value=each.mpri, unit="1", slice_index=index, structure="myocardium"
            )


def _notes(asked: Asked) -> Iterator[str]:
    """Yield what a reader should know of the two results."""
    if asked.rest.bundle_digest != asked.stress.bundle_digest:
        yield f"rest was done by {asked.rest.bundle}, stress by {asked.stress.bundle}"


def _told(asked: Asked, measure: str, found: Reserve) -> dict[str, object]:
    """Return a reserve as JSON values."""
    return {
        "rest": {"job_id": str(asked.rest.job_id), "digest": digest_of(asked.rest)},
        "stress": {"job_id": str(asked.stress.job_id), "digest": digest_of(asked.stress)},
        "measure": measure,
        "mpri": None if found.whole is None else found.whole.mpri,
        "slices": [
            {"rest_slice": i, "stress_slice": j, **_numbers(each)}
            for (i, j), each in sorted(found.slices.items())
        ],
        "segments": [
            {
                "segment": segment,
                "segment_name": SEGMENT_NAMES[segment],
                "layer": layer,
                **_numbers(each),
            }
            for (segment, layer), each in sorted(found.segments.items())
        ],
    }


def _numbers(index: Index) -> dict[str, float]:
    """Return the index of a part, and what it is made of."""
    return {"mpri": index.mpri, "rest": index.rest, "stress": index.stress}


def _named(past: PastJob) -> str:
    """Return what a reserve's identity says of a job."""
    return f"{past.job_id} {digest_of(past)}"


def _context(asked: Asked) -> EncodingContext:
    """Return what a reserve's objects are made under."""
    name, _, version = asked.stress.bundle.rpartition(" ")
    return EncodingContext(
        job_id=asked.identity.job_id,
        software_version=__version__,
        bundle_name=name,
        bundle_version=version,
        bundle_digest=asked.stress.bundle_digest,
        predecessor=asked.identity.predecessor,
    )


def _request(asked: Asked) -> JobRequest:
    """Return a reserve as the ledger records it."""
    name, _, version = asked.stress.bundle.rpartition(" ")
    return JobRequest(
        identity=asked.identity,
        study_instance_uid=asked.stress.study_instance_uid,
        series_instance_uids=asked.series_instance_uids,
        bundle_name=name,
        bundle_version=version,
        software_version=__version__,
    )


def _given(asked: Asked) -> Given:
    """Return what a reserve is made of: the tables of both results."""
    folders = [past.record.folder or Path() for past in (asked.rest, asked.stress)]
    tables = [folder.absolute() / TABLE for folder in folders]
    root = Path(os.path.commonpath(folders))
    return Given(
        input_root=root,
        inputs=tuple(path.relative_to(root).as_posix() for path in tables),
        configuration=asked.configuration,
    )


def _entry(asked: Asked) -> JobEntry:
    """Return the entry of a reserve that has not come out yet."""
    name, _, version = asked.stress.bundle.rpartition(" ")
    digest = asked.stress.bundle_digest
    return JobEntry(
        candidate=_candidate(asked),
        identity=asked.identity,
        bundle=ModelReference(name=name, version=version, digest=digest),
        configuration=asked.configuration,
        folder=asked.folder,
        software_version=__version__,
        notes=(),
    )


def _candidate(asked: Asked) -> Candidate:
    """Return the two results as the manifest lists an input."""

    def no_image() -> InputSeries:
        raise NotApplicable("two results are no image")

    return Candidate(
        label="rest and stress",
        study_instance_uid=asked.stress.study_instance_uid,
        series_instance_uids=asked.series_instance_uids,
        modality="SR",
        sop_class_uid=None,
        n_instances=2,
        n_beats=0,
        n_slices=0,
        rows=0,
        columns=0,
        input_digest=asked.identity.input_digest,
        files=(),
        notes=(),
        read=no_image,
    )
