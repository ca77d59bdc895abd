"""What becomes of an input that is taken stock of, its pixels read."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import NotApplicable, StudyRejected
from pipeline.ingest.inventory import take_inventory
from pipeline.ingest.limits import Limits
from tests.nasty.case import Verdict

LIMITS = Limits(max_pixel_bytes=256 << 20, max_inflated_bytes=64 << 20)
"""Smaller than a site's: what memory is kept to is measured elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What became of an input."""

    verdict: Verdict
    """What became of it."""

    why: str
    """What was said of it first."""

    at_once: bool
    """Whether it was refused before its pixels were read."""


def judged(folder: Path, limits: Limits = LIMITS) -> Judgement:
    """Return what becomes of a folder."""
    inventory = take_inventory([folder], limits=limits)
    of_folder = f"{folder.name}: no DICOM"
    refusals = [r.reason for r in inventory.refusals if not r.reason.startswith(of_folder)]
    at_once, is_read, said = bool(refusals), False, []
    for candidate in inventory.candidates:
        try:
            candidate.load()
            is_read = True
        except NotApplicable as problem:
            said.append(str(problem))
        except StudyRejected as problem:
            refusals.append(str(problem))
    if refusals:
        return Judgement(verdict=Verdict.REFUSED, why=refusals[0], at_once=at_once)
    verdict = Verdict.ACCEPTED if is_read else Verdict.SKIPPED
    return Judgement(verdict=verdict, why=(said or [""])[0], at_once=False)
