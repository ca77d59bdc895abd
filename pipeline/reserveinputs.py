"""What a reserve reads of two results: their files, and only where they are as recorded."""

import csv
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.analyses.perfusion.reserve import Side
from pipeline.analyses.perfusion.segmentnames import Layer
from pipeline.encode.places import TABLE
from pipeline.encode.reservestates import StateSummary, flow_of, notes_of, slices_of
from pipeline.errors import StudyRejected
from pipeline.identity import digest_set
from pipeline.ledger.pastjobs import PastJob
from pipeline.outputs import what_is_wrong
from pipeline.quiet import quietly

REPORT, SEGMENTATION = "report.dcm", "segmentation.nii.gz"
"""Files of a perfusion result that a reserve is made of, beside the table of its numbers."""


def side_of(past: PastJob, measure: str) -> Side:
    """Return a measure of a result's parts, from its files."""
    folder = whole_folder(past)
    segments: dict[tuple[int, str], list[float]] = {}
    slices: dict[int, float] = {}
    with (folder / TABLE).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["name"] != measure:
                continue
            if row["segment"]:
                place = int(row["segment"]), row["layer"]
                segments.setdefault(place, []).append(float(row["value"]))
            else:
                slices[int(row["slice"])] = float(row["value"])
    return Side(
        segments={place: float(np.mean(values)) for place, values in segments.items()},
        slices=slices,
        middles_mm=_middles_mm(folder / SEGMENTATION),
    )


def summary_of(past: PastJob, side: Side) -> StateSummary:
    """Return what a result says, by its outcome in the ledger and the numbers of its files.

    Parameters
    ----------
    past
        The job.
    side
        Its relative upslopes.
    """
    outcome = past.record.outcome or {}
    return StateSummary(
        job_id=str(past.job_id),
        bundle=past.bundle,
        bundle_digest=past.bundle_digest,
        upslopes={s: value for (s, layer), value in side.segments.items() if layer == Layer.WALL},
        slices=slices_of(outcome),
        flow=flow_of(outcome),
        notes=notes_of(outcome),
    )


def _middles_mm(path: Path) -> NDArray[np.float64]:
    """Return the middle of each slice of a segmentation [mm], LPS+. Shape ``(slices, 3)``."""
    # Only now: every run asks whether there are two states, and few have them.
    from pipeline.imaging.nifti import read_header

    header = read_header(path)
    _, n_slices, rows, columns = header.shape
    indices = [(i, 0.5 * (rows - 1), 0.5 * (columns - 1), 1.0) for i in range(n_slices)]
    middles: NDArray[np.float64] = (np.array(indices) @ header.affine.T)[:, :3]
    return middles


def reports_of(results: tuple[PastJob, PastJob]) -> list[Dataset]:
    """Return the reports of both results; none if one has none."""
    paths = [whole_folder(past) / REPORT for past in results]
    if not all(path.is_file() for path in paths):
        return []
    with quietly():
        return [pydicom.dcmread(path) for path in paths]


def whole_folder(past: PastJob) -> Path:
    """Return the folder of a result whose files are whole, and are those that a reserve needs.

    Raises
    ------
    StudyRejected
        If one is missing or altered: its numbers may be others than those that were recorded.
    """
    folder, artifacts = past.record.folder, past.record.artifacts
    wrong = "it has no files" if folder is None else what_is_wrong(folder, artifacts)
    needed = {TABLE, SEGMENTATION} - {a.relative_path for a in artifacts}
    if folder is not None and wrong is None and not needed:
        return folder
    raise StudyRejected(
        f"job {past.job_id}: {wrong or f'it was made without {min(needed)}: run it again'}"
    )


def digest_of(past: PastJob) -> str:
    """Return the digest of all files of a result, hexadecimal."""
    return digest_set(a.sha256 for a in past.record.artifacts)
