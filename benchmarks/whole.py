"""Each analysis as a whole, files in and files out, in this process: what serving and shares time.

Inputs are generated: a DICOM series over time, raw data of several slices beside a DICOM series
that says whose they are and where they lie, and a DICOM object of an operation on video. Networks
stay open from one run to the next, as a worker's do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from time import perf_counter
from typing import Self, cast

import numpy as np

from pipeline.analysis import Analysis
from pipeline.config import Configuration
from pipeline.demo import write_study
from pipeline.demoraw import write_raw
from pipeline.demovideo import COURSE, OBJECT_NAME, write_object
from pipeline.infer.terms import Compute
from pipeline.ingest.reference import read_reference
from pipeline.ledger.ledger import Ledger
from pipeline.manifest import JobEntry
from pipeline.perform import open_analyses
from pipeline.phantom import PhantomSettings, perfusion_phantom
from pipeline.plan import Plan, PlannedJob
from pipeline.run import RunRequest, run


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What an analysis takes in."""

    analysis: str
    """Name of the analysis."""

    what: str
    """The input, for people."""

    path: Path
    """File or folder."""

    reference: Path | None = None
    """A DICOM series of the same examination."""


def perfusion_input(place: Path, *, n_slices: int, n_beats: int) -> Given:
    """Write a perfusion series."""
    image = perfusion_phantom(1, PhantomSettings(n_slices=n_slices, n_beats=n_beats)).image
    folder = place / "study"
    write_study(image, folder, name="benchmark")
    return Given(
        analysis="perfusion",
        what=f"DICOM series of {n_slices} slices x {n_beats} beats",
        path=folder,
    )


def reconstruction_input(place: Path, *, n_slices: int) -> Given:
    """Write raw data, and a series of one beat on the grid of their images."""
    slices = [np.load(write_raw(place / "one", seed + 1)) for seed in range(n_slices)]
    folder = place / "raw"
    folder.mkdir()
    np.save(folder / "kspace.npy", np.stack(slices))
    n_coils, rows, columns = slices[0].shape
    image = perfusion_phantom(1, PhantomSettings(n_slices=n_slices, n_beats=12)).image
    first = replace(image, array=image.array[:1], times_s=image.times_s[:1])
    write_study(first, place / "reference", name="reference")
    return Given(
        analysis="reconstruction",
        what=f"raw data of {n_slices} slices, {n_coils} coils, {rows} x {columns}",
        path=folder,
        reference=place / "reference",
    )


def phases_input(place: Path, *, n_scenes: int) -> Given:
    """Write an operation on video as a DICOM object, as many of its scenes as are wanted."""
    path = place / "video" / OBJECT_NAME
    path.parent.mkdir()
    course = COURSE[:n_scenes]
    write_object(path, 1, course)
    seconds = sum(scene.seconds for scene in course)
    return Given(analysis="phases", what=f"DICOM video of {seconds} s", path=path.parent)


class Whole:
    """An analysis that is run again and again on the same input.

    Parameters
    ----------
    given
        The input.
    place
        An empty folder for results and the ledger.
    configuration
        What the site sets.
    compute
        What the networks run on.
    """

    def __init__(
        self, given: Given, place: Path, configuration: Configuration, compute: Compute
    ) -> None:
        self._given, self._output = given, place / "results"
        self._analyses: Sequence[Analysis] = open_analyses([given.analysis], configuration, compute)
        self._ledger = Ledger.open(str(place / "ledger.db"))

    def once(self) -> tuple[float, dict[str, float]]:
        """Return what one run takes, and its stages [s]; its results are removed, not timed.

        Raises
        ------
        RuntimeError
            If the job fails, or gives no DICOM object.
        """
        given = self._given
        began = perf_counter()
        request = RunRequest(
            inputs=(given.path,),
            output=self._output,
            analyses=tuple(self._analyses),
            again=True,
            reference=read_reference(given.reference),
        )
        manifest = run(request, self._ledger, _Silent())
        seconds = perf_counter() - began
        (entry,) = manifest.jobs
        if not any(artifact.relative_path.endswith(".dcm") for artifact in entry.artifacts):
            raise RuntimeError(f"{given.analysis}: no DICOM object; {entry.failure}")
        timings = cast("Mapping[str, float]", (entry.outcome or {})["timings"])
        rmtree(self._output)
        return seconds, _apart(timings, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the ledger."""
        self._ledger.close()


def _apart(timings: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Return stages none of which lies in another, and as ``other`` what lies in none [s]."""
    stages = dict(timings)
    if {"analyse", "decode"} <= stages.keys():
        # Pictures are decoded while they are analysed.
        stages["analyse"] -= stages["decode"]
    return {**stages, "other": max(0.0, seconds - sum(stages.values()))}


class _Silent:
    """Hears how a run goes on, and says nothing."""

    def reading(self, done: int, total: int) -> None:
        """Hear how many files were read."""

    def planned(self, plan: Plan) -> None:
        """Hear what will be done."""

    def began(self, job: PlannedJob) -> None:
        """Hear that a job begins."""

    def progressed(self, share: float) -> None:
        """Hear how much of it is done."""

    def ended(self, entry: JobEntry) -> None:
        """Hear how it came out."""
