"""Many small studies through the intake into a ledger: ``python -m benchmarks.studies COUNT...``.

Studies are submitted one after another, as they are where they are received or dropped into a
folder. Prints, as JSON, for each count how long the first so many took [s], and the peak of the
process's resident set by then [MiB].
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import UUID

import numpy as np
import pydicom

from benchmarks.memory import peak_mib
from pipeline.analysis import Performed
from pipeline.demo import write_study
from pipeline.imaging.volume import TimeSeries
from pipeline.infer.bundle import find_bundle, load_bundle
from pipeline.ingest.candidate import Candidate
from pipeline.ledger.ledger import Ledger
from pipeline.study import Series
from pipeline.submit import Terms, submit

SIDE = 16
"""Rows and columns of an instance."""


class Everything:
    """An analysis that every series fits, of one instance, too; it is never performed."""

    name = "perfusion"

    def __init__(self) -> None:
        self.bundle = load_bundle(find_bundle(self.name))
        self.configuration: Mapping[str, object] = {}

    def why_not(self, candidate: Candidate) -> str | None:  # noqa: ARG002 - every one fits
        """Return that a series fits."""
        return None

    def perform(
        self, series: Series, job_id: UUID, folder: Path, progress: Callable[[float], None]
    ) -> Performed:
        """Do nothing: jobs wait.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError


def write_studies(folder: Path, count: int) -> None:
    """Write studies of one instance of classic MR, each in a folder of its own.

    Parameters
    ----------
    folder
        Where to; made if it is missing.
    count
        How many.
    """
    one = TimeSeries(
        array=np.ones((1, 1, SIDE, SIDE), np.float32),
        affine=np.eye(4),
        times_s=np.zeros((1, 1)),
        times_are_estimated=False,
        frame_of_reference_uid=None,
    )
    (path,) = write_study(one, folder, name="many studies")
    instance = pydicom.dcmread(path)
    path.unlink()
    for number in range(count):
        instance.StudyInstanceUID = f"2.25.{number + 1}"
        instance.SeriesInstanceUID = f"2.25.{number + 1}.1"
        instance.SOPInstanceUID = f"2.25.{number + 1}.1.1"
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        file = BytesIO()
        instance.save_as(file, enforce_file_format=True)
        place = folder / f"{number:05d}"
        place.mkdir()
        (place / "1.dcm").write_bytes(file.getvalue())


def submitted(folder: Path, ledger: Ledger, counts: Sequence[int]) -> list[dict[str, float]]:
    """Submit studies, one after another; return what the first so many took.

    Parameters
    ----------
    folder
        Holds a folder for each study. The first is not counted: it loads what all need.
    ledger
        Where their jobs wait.
    counts
        Numbers of studies, growing.

    Raises
    ------
    ValueError
        If a study makes no job.
    """
    analyses, terms = (Everything(),), Terms(output=folder / "results")
    first, *rest = sorted(folder.iterdir())
    submit([first], analyses, terms, ledger)
    told, began = [], perf_counter()
    for number, place in enumerate(rest[: counts[-1]], start=1):
        if len(submit([place], analyses, terms, ledger).jobs) != 1:
            raise ValueError(f"study {number} makes no job")
        if number in counts:
            told.append({"seconds": perf_counter() - began, "peak": peak_mib(os.getpid())})
    return told


def main() -> None:
    """Write studies, submit them, and print."""
    counts = [int(count) for count in sys.argv[1:]]
    with TemporaryDirectory() as place:
        folder = Path(place) / "studies"
        write_studies(folder, counts[-1] + 1)
        with Ledger.open(str(Path(place) / "ledger.db")) as ledger:
            print(json.dumps(submitted(folder, ledger, counts)))


if __name__ == "__main__":
    main()
