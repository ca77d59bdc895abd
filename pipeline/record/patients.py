"""The studies of a patient, found in the objects themselves: the ledger knows no patient."""

from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from pipeline.ledger.samples import samples
from pipeline.quiet import quietly
from pipeline.record.forget import Holdings


def studies_of(patient_id: str, holdings: Holdings) -> tuple[str, ...]:
    """Return the studies whose objects name a patient.

    One object of each series that was received, and of each job, is read.

    Parameters
    ----------
    patient_id
        Patient ID (0010,0020); it is compared and kept nowhere.
    holdings
        What the installation keeps.
    """
    return tuple(
        sorted(
            {study for study, path in _objects(holdings) if _patient_of(path) == patient_id.strip()}
        )
    )


def _objects(holdings: Holdings) -> Iterator[tuple[str, Path]]:
    """Return objects, each with its study."""
    for sample in samples(holdings.ledger):
        root = holdings.places.inbox if sample.is_received else Path()
        yield sample.study_instance_uid, root / sample.path


def _patient_of(path: Path) -> str | None:
    """Return whom an object names; None where it is gone, or is none."""
    try:
        with quietly():
            found = dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
    except (OSError, InvalidDicomError):
        return None
    return str(found.get("PatientID", "")).strip() or None
