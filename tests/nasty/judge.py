"""What becomes of an input that is taken stock of, its pixels read."""

from pathlib import Path

from pipeline.errors import NotApplicable, StudyRejected
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.limits import Limits
from tests.nasty.case import Verdict

LIMITS = Limits(max_pixel_bytes=256 << 20, max_inflated_bytes=64 << 20)
"""Smaller than a site's: what memory is kept to is measured elsewhere."""


def judged(folder: Path, limits: Limits = LIMITS) -> tuple[Verdict, str]:
    """Return what becomes of a folder, and why."""
    inventory = take_inventory([folder], limits=limits)
    refusals = [r.reason for r in inventory.refusals]
    said = []
    is_read = False
    for candidate in inventory.candidates:
        try:
            candidate.load()
            is_read = True
        except NotApplicable as problem:
            said.append(str(problem))
        except StudyRejected as problem:
            refusals.append(str(problem))
    of_files = [reason for reason in refusals if not reason.startswith(f"{folder.name}: no DICOM")]
    if of_files:
        return Verdict.REFUSED, of_files[0]
    if is_read:
        return Verdict.ACCEPTED, ""
    return Verdict.SKIPPED, (said or refusals or ["ignored"])[0]
