"""How the jobs of a step stand, and what they made."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from pipeline.errors import UnreadableFile
from pipeline.ledger.ledger import JobRecord, Ledger
from pipeline.ledger.states import ENDED, JobState
from pipeline.quiet import quietly
from pipeline.worklist.performed import (
    BAD_OBJECTS,
    EQUIPMENT,
    NOT_SUPPORTED,
    UNSPECIFIED,
    GivenUp,
    OutputSeries,
)

SUBMITTED, ALL_ENDED = 10, 90
"""Progress of a step whose jobs all wait, and of one whose jobs have all ended [%]."""

CODES = {
    "StudyRejected": BAD_OBJECTS,
    "UnreadableFile": BAD_OBJECTS,
    "InconsistentSeries": BAD_OBJECTS,
    "NotApplicable": NOT_SUPPORTED,
    "AnalysisFailed": UNSPECIFIED,
}
"""Why a step is given up, by the failure of its job; whatever else is the equipment's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How the jobs of a step stand."""

    records: tuple[tuple[UUID, JobRecord | None], ...]
    """What the ledger knows of each; None of one that is not there any more."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to any of them."""
        return not self.running

    @property
    def running(self) -> tuple[UUID, ...]:
        """Jobs that have not ended."""
        return tuple(
            job_id
            for job_id, record in self.records
            if record is not None and record.state not in ENDED
        )

    @property
    def is_done(self) -> bool:
        """Whether all have a result."""
        return all(r is not None and r.state is JobState.DONE for _, r in self.records)

    @property
    def progress(self) -> int:
        """How far they are [%]: a job that runs counts half."""
        weights = {JobState.WAITING: 0.0, JobState.RUNNING: 0.5}
        done = sum(1.0 if r is None else weights.get(r.state, 1.0) for _, r in self.records)
        return SUBMITTED + round((ALL_ENDED - SUBMITTED) * done / len(self.records))

    @property
    def told(self) -> str:
        """How many are in which state."""
        states = [r.state.value if r is not None else "gone" for _, r in self.records]
        counts = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
        return f"{len(states)} jobs: {counts}"

    @property
    def failure(self) -> GivenUp | None:
        """Why the step cannot be completed; None if no job has failed."""
        for job_id, record in self.records:
            if record is None:
                return GivenUp(code=EQUIPMENT, reason=f"job {job_id} is not known any more")
            if record.state is JobState.CANCELLED:
                return GivenUp(code=UNSPECIFIED, reason=f"job {job_id} was cancelled")
            if record.state in (JobState.FAILED, JobState.QUARANTINED):
                code = CODES.get(record.error or "", EQUIPMENT)
                said = f"job {job_id}: {record.error}: {record.reason}"
                return GivenUp(code=code, reason=said)
        return None


def standing(ledger: Ledger, job_ids: Sequence[UUID]) -> Standing:
    """Return how some jobs stand."""
    return Standing(records=tuple((job_id, ledger.find(job_id)) for job_id in job_ids))


def outputs(stand: Standing) -> tuple[OutputSeries, ...]:
    """Return the DICOM objects that jobs made, by series; other files have no place in a worklist.

    Raises
    ------
    UnreadableFile
        If one of them is gone or altered.
    """
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for _, record in stand.records:
        if record is None or record.folder is None or record.state is not JobState.DONE:
            continue
        for artifact in record.artifacts:
            if artifact.sop_instance_uid is None:
                continue
            path = record.folder / artifact.relative_path
            try:
                with quietly():
                    read = dcmread(
                        path,
                        stop_before_pixels=True,
                        specific_tags=["SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"],
                    )
                    series = str(read.StudyInstanceUID), str(read.SeriesInstanceUID)
                    sop_class = str(read.SOPClassUID)
            except (OSError, InvalidDicomError, AttributeError):
                raise UnreadableFile(f"{path.name}: a result that is gone or altered") from None
            found.setdefault(series, []).append((sop_class, artifact.sop_instance_uid))
    return tuple(
        OutputSeries(study_instance_uid=study, series_instance_uid=series, objects=tuple(objects))
        for (study, series), objects in found.items()
    )
