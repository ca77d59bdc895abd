"""What every analysis keeps to, and what it gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from pipeline.config import Configuration
from pipeline.infer.bundle import Bundle
from pipeline.infer.terms import Compute
from pipeline.ingest.candidate import Candidate
from pipeline.study import Artifact, Series


@dataclass(frozen=True, kw_only=True, slots=True)
class Performed:
    """What an analysis made of a series."""

    artifacts: tuple[Artifact, ...]
    """The files that it wrote; paths under the folder that it was given."""

    outcome: Mapping[str, object]
    """JSON values for the manifest: ``measurements``, ``uncertainty`` and ``notes``."""

    timings: Mapping[str, float]
    """Wall time of each stage [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Priors:
    """Earlier studies of the same patient that an analysis asks for.

    A kind of analysis that wants them has one of these as its attribute ``priors``; one without the
    attribute asks for none. They are fetched into the inbox before the study's jobs are submitted,
    as far as the archive has them: an analysis must do without.
    """

    number: int = 1
    """How many, the latest ones."""

    within_days: int | None = None
    """How much older at most [d]; None takes any."""

    modality: str | None = None
    """Modality in the study (0008,0061); None takes any."""


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


class Kind(Protocol):
    """A kind of analysis: the class that ``open_analyses`` makes an analysis of.

    It may have an attribute ``priors``, see ``Priors``; ``priors_of`` reads it.
    """

    name: str
    """Its name: letters and digits."""

    bundle_key: str
    """Setting that tells its bundles from others."""

    def __call__(
        self, bundle: Bundle, configuration: Configuration, compute: Compute, /
    ) -> Analysis:
        """Return the analysis with a bundle, under a configuration."""
        ...


def priors_of(kind: Kind) -> Priors | None:
    """Return the earlier studies that a kind of analysis asks for; None if it asks for none."""
    wanted = getattr(kind, "priors", None)
    return wanted if isinstance(wanted, Priors) else None
