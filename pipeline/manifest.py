"""The manifest of a run, ``result.json``: what went in, what came out, and how certain it is.

Its form is ``docs/result.schema.json``. Numbers that are infinite or no number are null. It holds
UIDs, digests and names of input files, and no attribute of a patient.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from pipeline import __version__
from pipeline.errors import UnusableCall
from pipeline.identity import JobIdentity
from pipeline.ingest.candidate import Candidate, Refusal
from pipeline.study import Artifact

MANIFEST = "result.json"
"""Name of the manifest in the output folder."""

SCHEMA_VERSION = 1
"""Version of its form."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a job has no result."""

    error: str
    """Class of the failure."""

    reason: str
    """What happened: UIDs, tags, numbers and names of files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelReference:
    """The bundle that a job used."""

    name: str
    """Name of the bundle."""

    version: str
    """Its version."""

    digest: str
    """SHA-256 over its files, hexadecimal."""


OF_PERFUSION = ("aha_segments", "aha_slices", "heart_state", "trust", "flow", "reserve")
"""What the outcome of a perfusion job or of a reserve has besides; one of an earlier version has
none of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobEntry:
    """How a job came out."""

    candidate: Candidate
    """The series that it was for."""

    identity: JobIdentity
    """What the job id derives from."""

    bundle: ModelReference
    """The bundle."""

    configuration: Mapping[str, object]
    """The settings that the result depends on."""

    folder: str
    """Name of the job's folder under the output folder."""

    software_version: str
    """Version of this software that made the result."""

    notes: tuple[str, ...]
    """What a reader should know of this run: why it was run again, copies of the input."""

    reused: bool = False
    """Whether the result was there already."""

    failure: Failure | None = None
    """Why there is no result; None where there is one."""

    outcome: Mapping[str, object] | None = None
    """``measurements``, ``uncertainty``, ``notes`` and ``timings``; None where the job failed."""

    artifacts: tuple[Artifact, ...] = ()
    """The files; paths under the job's folder."""

    @property
    def job_id(self) -> UUID:
        """The derived job id."""
        return self.identity.job_id

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What a reader should know of this run and of the result."""
        found = (self.outcome or {}).get("notes")
        return (*self.notes, *(str(n) for n in (found if isinstance(found, list) else ())))

    def to_json(self) -> dict[str, object]:
        """Return the entry as JSON values."""
        outcome = self.outcome or {}
        return {
            "job_id": str(self.job_id),
            "analysis": self.identity.analysis,
            "state": "failed" if self.failure else "done",
            "reused": self.reused,
            "error": asdict(self.failure) if self.failure else None,
            "input_digest": self.identity.input_digest,
            "input": _series(self.candidate),
            "bundle": asdict(self.bundle),
            "configuration_digest": self.identity.configuration_digest,
            "configuration": dict(self.configuration),
            "software_version": self.software_version,
            "folder": self.folder,
            "measurements": outcome.get("measurements", []),
            "uncertainty": outcome.get("uncertainty", []),
            "notes": list(self.all_notes),
            "timings": outcome.get("timings", {}),
            **{key: outcome[key] for key in OF_PERFUSION if key in outcome},
            "artifacts": [
                {**asdict(a), "relative_path": f"{self.folder}/{a.relative_path}"}
                for a in self.artifacts
            ],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class NotFitting:
    """A sound series that no chosen analysis is made for."""

    candidate: Candidate
    """The series."""

    reasons: Mapping[str, str]
    """Why not, by the name of the analysis."""

    def to_json(self) -> dict[str, object]:
        """Return the series and the reasons as JSON values."""
        return {**_series(self.candidate), "reasons": dict(self.reasons)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What one run did."""

    started_at: datetime
    """When it began, UTC."""

    ended_at: datetime
    """When it ended, UTC."""

    ingest_seconds: float
    """Time that reading and checking all inputs took [s]."""

    jobs: tuple[JobEntry, ...]
    """The jobs, in the order of the inputs."""

    refusals: tuple[Refusal, ...]
    """Files and series that cannot be processed."""

    not_fitting: tuple[NotFitting, ...]
    """Series that no chosen analysis is made for."""

    ignored_files: int
    """Files that are neither DICOM nor NIfTI."""

    @property
    def failed(self) -> bool:
        """Whether some input failed: a file or series was refused, or a job has no result."""
        return bool(self.refusals) or any(job.failure for job in self.jobs)

    def to_json(self) -> dict[str, object]:
        """Return the manifest as JSON values."""
        done = [job for job in self.jobs if not job.failure]
        document = {
            "schema_version": SCHEMA_VERSION,
            "software": {"name": "vesalius", "version": __version__},
            "run": {
                "started_at": self.started_at.isoformat(timespec="milliseconds"),
                "ended_at": self.ended_at.isoformat(timespec="milliseconds"),
                "ingest_seconds": self.ingest_seconds,
            },
            "summary": {
                "done": len(done),
                "reused": sum(job.reused for job in done),
                "failed": len(self.jobs) - len(done),
                "refused": len(self.refusals),
                "not_applicable": len(self.not_fitting),
                "ignored_files": self.ignored_files,
            },
            "jobs": [job.to_json() for job in self.jobs],
            "refused": [_lists(asdict(refusal)) for refusal in self.refusals],
            "not_applicable": [series.to_json() for series in self.not_fitting],
        }
        return finite_object(document)


def clock() -> datetime:
    """Return the time for a manifest, UTC."""
    return datetime.now(UTC)


def records(document: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    """Return the objects of a list in a JSON object; none if there is no such list."""
    values = document.get(key)
    return [v for v in values if isinstance(v, Mapping)] if isinstance(values, list) else []


def serialised(document: Mapping[str, object]) -> str:
    """Return a manifest's JSON values as text."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def finite_object(document: Mapping[str, object]) -> dict[str, object]:
    """Return a JSON object with null for each number that JSON has no word for."""
    return {str(key): finite(value) for key, value in document.items()}


def finite(value: object) -> object:
    """Return JSON values with null for each number that JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return finite_object(value)
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def read_manifest(path: Path) -> dict[str, object] | None:
    """Return the manifest that an output folder holds already; None if there is none.

    Raises
    ------
    UnusableCall
        If the file is something else, or of another version: it is not written over.
    """
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise UnusableCall(f"{path}: cannot be read ({problem.strerror})") from problem
    except ValueError:
        document = None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION or not isinstance(document.get("jobs"), list):
        raise UnusableCall(
            f"{path}: not a manifest of version {SCHEMA_VERSION}; choose another output folder"
        )
    return dict(document)


def merged(
    earlier: Mapping[str, object] | None, latest: Mapping[str, object], root: Path
) -> dict[str, object]:
    """Return the manifest of an output folder that was run into before.

    Jobs add up: one of an earlier run stays unless it was run again now, or its folder is gone.
    All else tells of the latest run.

    Parameters
    ----------
    earlier
        The manifest that the folder holds; None if it has none.
    latest
        The manifest of the latest run.
    root
        The output folder.
    """
    new = records(latest, "jobs")
    ids = {job["job_id"] for job in new}
    kept = [
        job
        for job in records(earlier or {}, "jobs")
        if job.get("job_id") not in ids
        and (job.get("state") == "failed" or (root / str(job.get("folder"))).is_dir())
    ]
    return {**latest, "jobs": [*kept, *new]}


def _series(candidate: Candidate) -> dict[str, object]:
    """Return a series as JSON values."""
    return {
        "label": candidate.label,
        "modality": candidate.modality,
        "study_instance_uid": candidate.study_instance_uid,
        "series_instance_uids": list(candidate.series_instance_uids),
        "sop_class_uid": candidate.sop_class_uid,
        "n_instances": candidate.n_instances,
        "n_beats": candidate.n_beats,
        "n_slices": candidate.n_slices,
        "rows": candidate.rows,
        "columns": candidate.columns,
        "notes": list(candidate.notes),
    }


def _lists(values: Mapping[str, object]) -> dict[str, object]:
    """Return values with lists for tuples."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
