"""The rows of a batch's tables: one a result, and one for each thing that has none.

The columns of a result are fixed but for its numbers: a measurement is ``NAME [UNIT]``, one of a
slice ``NAME slice N [UNIT]``, slices from 0; what tells the uncertainty of a slice is ``uncertainty
NAME slice N``; the time of a stage is ``time STAGE [s]``. Units are UCUM codes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from uuid import UUID

from pipeline.batch.naming import Naming
from pipeline.batch.told import moment
from pipeline.ledger.batches import Batch, Batches, BatchStudy
from pipeline.ledger.batchfigures import Result, results_of, timings_of
from pipeline.ledger.batchtables import FINISHED, StudyState
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.states import ENDED, JobState
from pipeline.manifest import finite, records

Row = dict[str, object]
"""Values by column."""

AT_ONCE = 200
"""Studies whose jobs one query asks for."""

RESULT_COLUMNS = {
    "batch": "VARCHAR",
    "number": "INTEGER",
    "study": "VARCHAR",
    "series": "VARCHAR",
    "accession_number": "VARCHAR",
    "input": "VARCHAR",
    "input_digest": "VARCHAR",
    "job_id": "VARCHAR",
    "analysis": "VARCHAR",
    "bundle": "VARCHAR",
    "bundle_version": "VARCHAR",
    "bundle_digest": "VARCHAR",
    "configuration_digest": "VARCHAR",
    "software_version": "VARCHAR",
    "existed": "BOOLEAN",
    "attempts": "INTEGER",
    "done_at": "TIMESTAMP",
    "notes": "VARCHAR",
    "uncertainty": "DOUBLE",
    "time total [s]": "DOUBLE",
}
"""Columns that every table of results has, and their types; times are UTC."""

FAILURE_COLUMNS = {
    "batch": "VARCHAR",
    "number": "INTEGER",
    "study": "VARCHAR",
    "input": "VARCHAR",
    "what": "VARCHAR",
    "state": "VARCHAR",
    "job_id": "VARCHAR",
    "analysis": "VARCHAR",
    "error": "VARCHAR",
    "reason": "VARCHAR",
    "attempts": "INTEGER",
    "ended_at": "TIMESTAMP",
}
"""Columns of the table of failures."""

UNCERTAINTIES = ("u_pp", "mean_relative_uncertainty", "uncertainty")
"""What an analysis calls the uncertainty of a slice or a segment, the first that it has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRows:
    """What a study comes to in the tables."""

    results: tuple[Row, ...]
    """A row for each result."""

    failures: tuple[Row, ...]
    """A row for each thing that has none."""


def rows_of(batch: Batch, ledger: Ledger, naming: Naming) -> Iterator[StudyRows]:
    """Yield what each study of a batch that has come to an end comes to, in order."""
    some: list[BatchStudy] = []
    for study in Batches(ledger).studies(batch.name):
        some.append(study)
        if len(some) == AT_ONCE:
            yield from _rows(batch, some, ledger, naming)
            some = []
    yield from _rows(batch, some, ledger, naming)


def _rows(
    batch: Batch, studies: list[BatchStudy], ledger: Ledger, naming: Naming
) -> Iterator[StudyRows]:
    """Yield what some studies come to."""
    found = results_of(ledger, [job_id for study in studies for job_id in study.job_ids])
    for study in studies:
        yield _study_rows(batch, study, found, naming)


def _study_rows(
    batch: Batch, study: BatchStudy, found: Mapping[UUID, Result], naming: Naming
) -> StudyRows:
    """Return what one study comes to."""
    jobs = [found[job_id] for job_id in study.job_ids if job_id in found]
    results = [_result_row(batch, study, job, naming) for job in jobs if job.state is JobState.DONE]
    failures = [
        _failure_row(batch, study, naming, job)
        for job in jobs
        if job.state in ENDED and job.state is not JobState.DONE
    ]
    if study.reason is not None and study.state in FINISHED:
        failures.insert(0, _failure_row(batch, study, naming, None))
    return StudyRows(results=tuple(results), failures=tuple(failures))


def _names(batch: Batch, study: BatchStudy, naming: Naming) -> Row:
    """Return the columns that say which study a row is of."""
    member = study.member
    first = member.inputs[0] if member.inputs else None
    path = None if member.root is None or first is None else str(member.root / first)
    return {
        "batch": batch.name,
        "number": study.number,
        "study": naming.uid(member.study_instance_uid),
        "input": naming.file(path),
    }


def _result_row(batch: Batch, study: BatchStudy, job: Result, naming: Naming) -> Row:
    """Return the row of a result."""
    name, version, digest = job.bundle
    dicom = None if job.folder is None or job.dicom is None else job.folder / job.dicom
    timings = timings_of(job.outcome)
    notes = job.outcome.get("notes")
    told = "; ".join(map(str, notes)) if isinstance(notes, list) else ""
    row = _names(batch, study, naming) | {
        "series": " ".join(str(naming.uid(uid)) for uid in job.series_instance_uids) or None,
        "accession_number": naming.accession(dicom),
        "input_digest": job.input_digest,
        "job_id": str(job.job_id),
        "analysis": job.analysis,
        "bundle": name,
        "bundle_version": version,
        "bundle_digest": digest,
        "configuration_digest": job.configuration_digest,
        "software_version": job.software_version,
        "existed": study.state is StudyState.SKIPPED,
        "attempts": job.attempts,
        "done_at": moment(job.changed_at),
        "notes": naming.text(told) or None,
        "uncertainty": headline(job.outcome),
        "time total [s]": sum(timings.values()) if timings else None,
    }
    row |= dict(_measurements(job.outcome))
    row |= dict(_uncertainties(job.outcome))
    row |= {f"time {stage} [s]": seconds for stage, seconds in timings.items()}
    return {column: finite(value) for column, value in row.items()}


def _failure_row(batch: Batch, study: BatchStudy, naming: Naming, job: Result | None) -> Row:
    """Return the row of a job without a result, or of a study without a job or a part of it."""
    row = _names(batch, study, naming)
    if job is None:
        is_part = study.state in (StudyState.DONE, StudyState.SKIPPED)
        return row | {
            "what": "part of a study" if is_part else "study",
            "state": study.state.value,
            "error": None,
            "reason": naming.text(study.reason),
            "ended_at": None if study.ended_at is None else moment(study.ended_at),
        }
    error, reason = job.failure or (None, None)
    return row | {
        "what": "job",
        "state": job.state.value,
        "job_id": str(job.job_id),
        "analysis": job.analysis,
        "error": error,
        "reason": naming.text(reason),
        "attempts": job.attempts,
        "ended_at": moment(job.changed_at),
    }


def headline(outcome: Mapping[str, object]) -> float | None:
    """Return the mean uncertainty of a result over its slices or segments; None without any."""
    entries = records(outcome, "uncertainty")
    for name in UNCERTAINTIES:
        values = [value for each in entries if (value := number(each.get(name))) is not None]
        if values:
            return fmean(values)
    return None


def number(value: object) -> float | None:
    """Return a value as a number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _measurements(outcome: Mapping[str, object]) -> Iterator[tuple[str, float | None]]:
    """Yield the measurements of a result by their columns."""
    for each in records(outcome, "measurements"):
        index = each.get("slice_index")
        where = "" if index is None else f" slice {index}"
        yield f"{each.get('name')}{where} [{each.get('unit')}]", number(each.get("value"))


def _uncertainties(outcome: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield what tells the uncertainty of each slice by its columns: numbers and names."""
    for each in records(outcome, "uncertainty"):
        index = each.get("slice_index")
        if index is None:
            continue
        for name, value in each.items():
            is_plain = isinstance(value, str) or number(value) is not None
            if name != "slice_index" and is_plain:
                plain = value if isinstance(value, str) else number(value)
                yield f"uncertainty {name} slice {index}", plain


def is_measurement(column: str) -> bool:
    """Tell whether a column of results is a measurement."""
    fixed = column in RESULT_COLUMNS or column.startswith(("uncertainty ", "time "))
    return not fixed and column.endswith("]")
