"""Verified results: what a job wrote, with its documents issued anew as verified.

What is not a document is taken as it is, under its UID: an archive that has it has it once. The
files of the job that was read are never touched.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from pipeline.encode import keyobject, phasereport, report
from pipeline.encode.context import EncodingContext
from pipeline.encode.provenance import artifact, write_object
from pipeline.encode.verified import issued_anew, name_predecessor, repointed, verify
from pipeline.errors import ReviewRefused
from pipeline.ledger.pastjobs import PastJob
from pipeline.outputs import copy_artifacts, what_is_wrong
from pipeline.quiet import quietly
from pipeline.study import Artifact

REPORT = "report"
"""Kind of the artifacts that are documents to be verified."""

ROLES = {"perfusion": report.ROLE, "phases": phasereport.ROLE}
"""Role of the report of each analysis: UIDs of documents derive from it."""

VERDICT = "verdict"
"""Kind of the artifact that says what was said, and by whom."""

VERDICT_FILE = "verdict.json"
"""Its file."""


def whole_folder(past: PastJob) -> Path:
    """Return the folder of a result whose files are whole.

    Raises
    ------
    ReviewRefused
        If there is none, or a file is missing or altered: it cannot be what was seen.
    """
    folder = past.record.folder
    if folder is None or not past.record.artifacts:
        raise ReviewRefused(f"job {past.job_id} has no result")
    wrong = what_is_wrong(folder, past.record.artifacts)
    if wrong is not None:
        raise ReviewRefused(f"job {past.job_id}: {wrong}")
    return folder


def write_accepted(past: PastJob, context: EncodingContext, folder: Path) -> tuple[Artifact, ...]:
    """Write a result that was accepted as it is, and return the records of its files.

    Parameters
    ----------
    past
        The job that was read.
    context
        The successor's: who has verified it, and which job is before.
    folder
        An empty folder.

    Raises
    ------
    ReviewRefused
        If a file of the job is missing or altered.
    """
    source = whole_folder(past)
    anew = [a for a in past.record.artifacts if _is_document(a)]
    written = [a for a in past.record.artifacts if a not in anew and a.kind != VERDICT]
    copy_artifacts(source, written, folder)
    moved: dict[str, str] = {}
    role = ROLES.get(past.analysis, REPORT)
    with quietly():
        for each in (a for a in anew if a.kind == REPORT):
            before = pydicom.dcmread(source / each.relative_path)
            document = issued_anew(before, _role(role, moved), context)
            name_predecessor(document, before)
            verify(document, context.verifiers)
            moved |= _moved(before, document)
            written.append(_written(document, each, folder))
        for each in (a for a in anew if a.kind == keyobject.KIND):
            keys = pydicom.dcmread(source / each.relative_path)
            document = repointed(issued_anew(keys, keyobject.ROLE, context), moved)
            written.append(_written(document, each, folder))
    return tuple(written)


def write_verdict(said: Mapping[str, object], folder: Path) -> Artifact:
    """Write what was said of a result, and by whom; nothing of a patient."""
    content = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
    (folder / VERDICT_FILE).write_text(content, encoding="utf-8")
    return artifact(VERDICT, folder, VERDICT_FILE)


def _is_document(each: Artifact) -> bool:
    """Tell whether an artifact is issued anew: key objects point at the report."""
    return each.sop_instance_uid is not None and each.kind in (REPORT, keyobject.KIND)


def _role(role: str, moved: Mapping[str, str]) -> str:
    """Return the role of a report: the first is the analysis's, others have numbers."""
    return f"{role}/{len(moved)}" if moved else role


def _moved(before: Dataset, after: Dataset) -> dict[str, str]:
    """Return the UIDs of a document and of its series, then and now."""
    return {
        str(before.SOPInstanceUID): str(after.SOPInstanceUID),
        str(before.SeriesInstanceUID): str(after.SeriesInstanceUID),
    }


def _written(document: Dataset, each: Artifact, folder: Path) -> Artifact:
    """Write a document in the place of the one before."""
    (folder / each.relative_path).parent.mkdir(parents=True, exist_ok=True)
    return write_object(document, each.kind, folder, each.relative_path)
