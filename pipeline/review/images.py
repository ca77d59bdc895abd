"""The input of a job as one NIfTI file over time, on the grid of its result."""

import gzip
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.errors import NotApplicable, StudyRejected
from pipeline.imaging.nifti import write_time_series
from pipeline.imaging.volume import TimeSeries
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.inventory import take_inventory
from pipeline.ledger.reviewlist import ResultJob
from pipeline.review.cache import Cache
from pipeline.study import InputSeries

NAME = "source.nii.gz"
"""Name of the file."""

TIMES = "times.json"
"""Name of the file that says when its beats were."""

FAST = 1
"""Level of compression: a reader waits for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The images of an input."""

    path: Path
    """NIfTI, RAS+, one volume a beat, on the grid of the result."""

    t_seconds: tuple[float, ...] | None
    """Time of each beat [s]; None where it is not known."""


def input_of(job: ResultJob) -> Candidate:
    """Return the input of a job, found again.

    Raises
    ------
    StudyRejected
        If its files are gone, or are not those that it was.
    """
    if not job.inputs:
        raise StudyRejected("the ledger does not have the input's files")
    missing = [path for path in job.inputs if not path.is_file()]
    if missing:
        raise StudyRejected(f"{missing[0].name}: gone ({len(missing)} of {len(job.inputs)} are)")
    for candidate in take_inventory(job.inputs).candidates:
        if candidate.input_digest == job.input_digest:
            return candidate
    raise StudyRejected("the input's files have changed since")


def source_of(job: ResultJob, cache: Cache) -> Source:
    """Return the images of a job's input; they are made once.

    Raises
    ------
    StudyRejected
        If the input is gone, has changed, or cannot be read.
    NotApplicable
        If it has no images.
    """
    folder = cache.folder(job.job_id, "source", lambda folder: _make(job, folder))
    times = json.loads((folder / TIMES).read_text())
    return Source(path=folder / NAME, t_seconds=None if times is None else tuple(times))


def _make(job: ResultJob, folder: Path) -> None:
    """Write the images of a job's input into a folder."""
    series = input_of(job).load()
    if not isinstance(series, InputSeries):
        raise NotApplicable("the input has no images over time")
    image = series.image
    times = None if image.times_are_estimated else image.times_s[:, 0].round(4).tolist()
    plain = folder / "source.nii"
    steps = np.diff(image.times_s[:, 0])
    step_s = float(np.median(steps)) if times is not None and steps.size else None
    write_time_series(_small(image), plain, step_s)
    with (
        plain.open("rb") as file,
        (folder / NAME).open("wb") as packed,
        gzip.GzipFile("", "wb", FAST, packed, mtime=0) as target,
    ):
        shutil.copyfileobj(file, target, 1 << 20)
    plain.unlink()
    (folder / TIMES).write_text(json.dumps(times))


def _small(image: TimeSeries) -> TimeSeries:
    """Return images with whole numbers of two bytes, where they are that."""
    values = image.array
    limits = np.iinfo(np.int16)
    if values.min() < limits.min or values.max() > limits.max:
        return image
    whole = values.astype(np.int16)
    # The type says float32, which holds each of them as well.
    return replace(image, array=whole) if np.array_equal(whole, values) else image  # type: ignore[arg-type]
