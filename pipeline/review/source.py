"""The source of a result: the series as it was when the job ran, read anew."""

from dataclasses import replace
from pathlib import Path

from pipeline.errors import PipelineError, ReviewRefused
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.pastjobs import PastJob
from pipeline.study import Series


def source_of(past: PastJob) -> Series:
    """Return the series that a job was done on.

    Raises
    ------
    ReviewRefused
        If its files are not known, gone, or not what they were.
    """
    if past.files is None:
        raise ReviewRefused(f"job {past.job_id}: the ledger does not have its inputs")
    missing = [path for path in past.files if not path.exists()]
    if missing:
        raise ReviewRefused(f"job {past.job_id}: {missing[0].name} is gone")
    try:
        inventory = take_inventory([Path(path) for path in past.files])
        for candidate in inventory.candidates:
            if candidate.input_digest == past.input_digest:
                return replace(candidate.load(), predecessor=past.job_id)
    except PipelineError as problem:
        raise ReviewRefused(f"job {past.job_id}: {problem}") from problem
    raise ReviewRefused(f"job {past.job_id}: its inputs have changed")
