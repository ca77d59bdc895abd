"""The analyses that a run can choose from, each from a loaded series to its files.

A new analysis is a class that keeps the contract of ``Analysis`` and a line in ``open_analyses``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Protocol
from uuid import UUID

from pipeline import __version__
from pipeline.analyses.perfusion.analysis import analyse, why_not
from pipeline.analyses.perfusion.networks import Pool, open_pool
from pipeline.analyses.perfusion.result import PerfusionResult
from pipeline.config import Configuration
from pipeline.encode.context import EncodingContext
from pipeline.encode.perfusion import encode_perfusion
from pipeline.errors import NotApplicable, UnusableCall
from pipeline.infer.bundle import Bundle, find_bundle, load_bundle
from pipeline.ingest.candidate import Candidate
from pipeline.study import Artifact, InputSeries, Series


@dataclass(frozen=True, kw_only=True, slots=True)
class Performed:
    """What an analysis made of a series."""

    artifacts: tuple[Artifact, ...]
    """The files that it wrote; paths under the folder that it was given."""

    outcome: Mapping[str, object]
    """JSON values for the manifest: ``measurements``, ``uncertainty`` and ``notes``."""

    timings: Mapping[str, float]
    """Wall time of each stage [s]."""


class Analysis(Protocol):
    """An analysis with its bundle and its settings.

    Contract: the same series, bundle and settings give the same files. Nothing outside the folder
    is written. What the pipeline raises is a ``PipelineError`` whose message is safe to log.
    """

    @property
    def name(self) -> str:
        """Name of the analysis."""
        ...

    @property
    def bundle(self) -> Bundle:
        """Its bundle."""
        ...

    @property
    def configuration(self) -> Mapping[str, object]:
        """All settings that the result depends on, as JSON values."""
        ...

    def why_not(self, candidate: Candidate) -> str | None:
        """Return why a series is not one for this analysis, or None if it is."""
        ...

    def perform(
        self, series: Series, job_id: UUID, folder: Path, progress: Callable[[float], None]
    ) -> Performed:
        """Analyse a series and write the files into a folder.

        Raises
        ------
        AnalysisFailed
            If there is no result that can be trusted.
        """
        ...


class Perfusion:
    """The perfusion analysis. Its networks are opened when the first series needs them."""

    name = "perfusion"

    def __init__(self, bundle: Bundle, configuration: Configuration) -> None:
        self.bundle = bundle
        self._settings = configuration.perfusion
        self._segmentation_types = configuration.output.segmentation_types

    @property
    def configuration(self) -> Mapping[str, object]:
        """All settings that the result depends on, as JSON values."""
        return {
            "perfusion": self._settings.as_dict(),
            "output": {"segmentation_types": list(self._segmentation_types)},
        }

    @cached_property
    def pool(self) -> Pool:
        """The networks."""
        return open_pool(self.bundle)

    def why_not(self, candidate: Candidate) -> str | None:
        """Return why a series is not one for this analysis, or None if it is."""
        return why_not(candidate.modality, candidate.n_beats)

    def perform(
        self, series: Series, job_id: UUID, folder: Path, progress: Callable[[float], None]
    ) -> Performed:
        """Analyse a series and write the files into a folder.

        Raises
        ------
        AnalysisFailed
            If no slice has a plausible myocardium.
        NotApplicable
            If the series is no image.
        """
        if not isinstance(series, InputSeries):
            raise NotApplicable(f"{series.label}: raw data, perfusion needs images")
        opening = perf_counter()
        pool = self.pool
        analysing = perf_counter()
        result = analyse(series, pool, self._settings, progress)
        encoding = perf_counter()
        context = EncodingContext(
            job_id=job_id,
            software_version=__version__,
            bundle_name=self.bundle.name,
            bundle_version=self.bundle.version,
            bundle_digest=self.bundle.digest,
            segmentation_types=self._segmentation_types,
        )
        artifacts = encode_perfusion(result, series, context, folder)
        timings = {
            "open_networks": analysing - opening,
            **result.stage_seconds,
            "encode": perf_counter() - encoding,
        }
        return Performed(artifacts=artifacts, outcome=_outcome(series, result), timings=timings)


ANALYSES = (Perfusion.name,)
"""Names of the analyses."""


def open_analyses(names: Sequence[str], configuration: Configuration) -> tuple[Analysis, ...]:
    """Return analyses by their names, each with its bundle checked.

    Parameters
    ----------
    names
        Names of the analyses; all of them if empty.
    configuration
        What the site sets.

    Raises
    ------
    UnusableCall
        If there is no analysis of a name.
    BundleRejected
        If a bundle is missing or altered.
    """
    for name in names:
        if name not in ANALYSES:
            raise UnusableCall(f"no analysis {name!r}; known are {', '.join(ANALYSES)}")
    search = [configuration.models.path] if configuration.models.path else []
    return (Perfusion(load_bundle(find_bundle(Perfusion.name, search)), configuration),)


def _outcome(series: InputSeries, result: PerfusionResult) -> dict[str, object]:
    """Return a perfusion result as JSON values, without its images."""
    return {
        "measurements": [asdict(m) for m in result.measurements],
        "uncertainty": [asdict(s) for s in result.slices],
        "notes": list(dict.fromkeys([*series.notes, *result.notes])),
    }
