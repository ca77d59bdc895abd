"""Results that readers accepted or corrected, as a set to train and to test on.

Images and labels as NIfTI on one grid, phases as JSON, and ``dataset.json`` that says where each
comes from. No attribute of a patient is written: a patient decides which part a case belongs to, by
a hash that is not told, so that no patient is in two. Names of cases derive from the job.

What is not handled: reconstructions, on which a reader draws nothing; they are counted as left out.
The video of phases is not copied: it may show people.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np

from pipeline import __version__
from pipeline.errors import ReviewRefused, UnusableCall
from pipeline.identity import digest_bytes, digest_file
from pipeline.imaging.nifti import write_time_series
from pipeline.imaging.volume import TimeSeries
from pipeline.ledger.audit import Audited, record
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.pastjobs import PastJob, past_job
from pipeline.ledger.reviews import Reading, ended
from pipeline.ledger.reviewstates import ReviewState
from pipeline.outputs import copy_artifacts
from pipeline.review.source import source_of
from pipeline.review.verdicts import Reader
from pipeline.review.verify import whole_folder
from pipeline.study import InputSeries, Series

SCHEMA_VERSION = 1
"""Version of the layout of ``dataset.json``."""

DATASET = "dataset.json"
"""The file that lists the cases."""

PARTS = (("train", 70), ("validation", 85), ("test", 100))
"""Parts, each with the percentile of patients below which they belong to it."""

LABELS = {"0": "background", "1": "LV myocardium", "2": "LV blood pool"}
"""What the values of label maps mean."""

LABEL_FILES = {"perfusion": "segmentation.nii.gz", "phases": "phases.json"}
"""The file of a result that is its label, by analysis."""

DIGITS = 12
"""Hexadecimal digits of a case's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportAsked:
    """What is to be exported."""

    analysis: str | None = None
    """Only results of this analysis."""

    deidentified: bool = False
    """Whether what links a case to the ledger or to an archive is left out: ids and digests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What was exported."""

    cases: int
    """Cases in the set."""

    left_out: Mapping[str, int]
    """Results that are not in it, by the reason."""

    sha256: str
    """Of ``dataset.json``."""


def export(ledger: Ledger, asked: ExportAsked, folder: Path, reader: Reader) -> Exported:
    """Write a training set into a new folder; it appears whole, after it is audited.

    Parameters
    ----------
    ledger
        The ledger.
    asked
        What is to be exported.
    folder
        The folder; it must not exist.
    reader
        Who exports.

    Raises
    ------
    UnusableCall
        If the folder exists, or cannot be made.
    LedgerUnavailable
        If the ledger cannot be read, or the export cannot be audited: nothing appears then.
    """
    if folder.exists():
        raise UnusableCall(f"{folder}: exists already")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as scratch:
            made = Path(scratch) / "set"
            made.mkdir(mode=0o700)
            found = _written(ledger, asked, made)
            record(ledger, _audited(found, asked, reader))
            made.rename(folder)
    except OSError as problem:
        raise UnusableCall(f"{folder}: cannot be written ({problem.strerror})") from problem
    return found


def _written(ledger: Ledger, asked: ExportAsked, folder: Path) -> Exported:
    """Write the cases and their list."""
    with ledger.reading() as session:
        readings = ended(session)
    left_out: Counter[str] = Counter()
    cases = []
    for case in _cases(ledger, readings, asked):
        try:
            cases.append(_case(ledger, case, asked, folder))
        except ReviewRefused as reason:
            # Without the job that it begins with, so that like reasons are counted together.
            left_out[str(reason).removeprefix(f"job {case[0].job_id}").lstrip(": ")] += 1
    told = dict(sorted(left_out.items()))
    document = {
        "schema_version": SCHEMA_VERSION,
        "software": f"Vesalius {__version__}",
        "deidentified": asked.deidentified,
        "labels": LABELS,
        "cases": sorted(cases, key=lambda each: str(each["name"])),
        "left_out": told,
    }
    content = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (folder / DATASET).write_text(content, encoding="utf-8")
    return Exported(cases=len(cases), left_out=told, sha256=digest_bytes(content.encode()))


_Case = tuple[PastJob, Reading]
"""A job that was read, and the reading that ended its review."""


def _cases(ledger: Ledger, readings: Mapping[UUID, Reading], asked: ExportAsked) -> Iterator[_Case]:
    """Yield the results that were accepted or corrected."""
    for job_id, reading in readings.items():
        past = past_job(ledger, job_id)
        if reading.state is not ReviewState.REJECTED and asked.analysis in (None, past.analysis):
            yield past, reading


def _case(ledger: Ledger, case: _Case, asked: ExportAsked, folder: Path) -> dict[str, object]:
    """Write a case, and return what the list says of it."""
    past, reading = case
    if past.analysis not in LABEL_FILES or reading.successor_job_id is None:
        raise ReviewRefused(f"job {past.job_id}: {past.analysis} has no labels")
    name = f"case_{digest_bytes(f'training set {past.job_id}'.encode())[:DIGITS]}"
    verified = past_job(ledger, reading.successor_job_id)
    series = source_of(past)
    label = _label(verified, name, folder)
    image = _image(series, name, folder)
    bundle, _, version = past.bundle.rpartition(" ")
    links = {
        "job_id": str(past.job_id),
        "verified_job_id": str(verified.job_id),
        "study_instance_uid": past.study_instance_uid,
        "input_digest": past.input_digest,
    }
    return {
        "name": name,
        "analysis": past.analysis,
        "part": part_of(_patient(series)),
        "review": reading.state.value,
        "bundle": {"name": bundle, "version": version, "digest": past.bundle_digest},
        "image": image,
        "label": label,
        **({} if asked.deidentified else links),
    }


def part_of(identity: str) -> str:
    """Return the part of the set that all cases of a patient belong to, in every export."""
    percentile = int(digest_bytes(f"part\n{identity}".encode()), 16) % 100
    return next(name for name, below in PARTS if percentile < below)


def _patient(series: Series) -> str:
    """Return what tells the patient of a series from others; the series itself without one."""
    header = series.header
    if header is None:
        return series.input_digest
    names = [str(header.get(key) or "") for key in ("IssuerOfPatientID", "PatientID")]
    return "\n".join(names) if names[1] else series.study_instance_uid or series.input_digest


def _image(series: Series, name: str, folder: Path) -> dict[str, object] | None:
    """Write the image of a series; None for a video, which is not copied."""
    if not isinstance(series, InputSeries):
        return None
    path = folder / "images" / f"{name}.nii.gz"
    path.parent.mkdir(exist_ok=True)
    write_time_series(series.image, path, _step_s(series.image))
    return _file(path, folder)


def _step_s(image: TimeSeries) -> float | None:
    """Return the time from beat to beat [s]; None where it is not known."""
    steps = np.diff(image.times_s[:, 0])
    return None if image.times_are_estimated or not steps.size else float(steps.mean())


def _label(verified: PastJob, name: str, folder: Path) -> dict[str, object]:
    """Copy the label of a verified result."""
    wanted = LABEL_FILES[verified.analysis]
    kept = [a for a in verified.record.artifacts if a.relative_path == wanted]
    if not kept:
        raise ReviewRefused(f"job {verified.job_id}: {wanted} is missing")
    with tempfile.TemporaryDirectory(prefix=".label-", dir=folder.parent) as scratch:
        copy_artifacts(whole_folder(verified), kept, Path(scratch))
        path = folder / "labels" / f"{name}{wanted[wanted.index('.') :]}"
        path.parent.mkdir(exist_ok=True)
        (Path(scratch) / wanted).rename(path)
    return _file(path, folder)


def _file(path: Path, folder: Path) -> dict[str, object]:
    """Return what the list says of a file."""
    return {"path": path.relative_to(folder).as_posix(), "sha256": digest_file(path)}


def _audited(found: Exported, asked: ExportAsked, reader: Reader) -> Audited:
    """Return the event of an export."""
    return Audited(
        action="export",
        actor=reader.name,
        subject="training set",
        detail={
            "cases": found.cases,
            "analysis": asked.analysis,
            "deidentified": asked.deidentified,
            "sha256": found.sha256,
        },
        role=reader.role,
        address=reader.address,
    )
