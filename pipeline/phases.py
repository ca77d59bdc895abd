"""The analysis of surgical phases, from a video to its files."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING
from uuid import UUID

from pipeline.analysis import Performed
from pipeline.config import Configuration
from pipeline.encode.context import encoding_context, encoding_notes
from pipeline.errors import NotApplicable
from pipeline.imports import in_one_go
from pipeline.infer.bundle import Bundle
from pipeline.infer.terms import Compute
from pipeline.ingest.candidate import Candidate
from pipeline.ingest.video.candidates import is_video
from pipeline.study import Measurement, Series, VideoSeries

if TYPE_CHECKING:
    from pipeline.analyses.phases.networks import PhaseNetworks
    from pipeline.analyses.phases.result import PhasesResult


class Phases:
    """The analysis of surgical phases. It is loaded and its networks opened when a video comes."""

    name = "phases"
    bundle_key = "procedures"
    """Setting that tells its bundles from others."""

    def __init__(self, bundle: Bundle, configuration: Configuration, compute: Compute) -> None:
        self.bundle = bundle
        self._compute = compute
        self._settings = configuration.phases
        self._evidence = configuration.output.evidence

    @property
    def configuration(self) -> Mapping[str, object]:
        """All settings that the result depends on, as JSON values."""
        return {"phases": self._settings.as_dict()}

    @cached_property
    def networks(self) -> "PhaseNetworks":
        """The networks."""
        from pipeline.analyses.phases.networks import open_phases

        return open_phases(self.bundle, self._settings.procedure, providers=self._compute.providers)

    def why_not(self, candidate: Candidate) -> str | None:
        """Return why a series is not one for this analysis, or None if it is."""
        return None if is_video(candidate) else "no video, phases need one"

    def perform(
        self, series: Series, job_id: UUID, folder: Path, progress: Callable[[float], None]
    ) -> Performed:
        """Analyse a video and write the files into a folder.

        Raises
        ------
        NotApplicable
            If the series is no video.
        UnreadableFile
            If not one picture can be decoded.
        """
        if not isinstance(series, VideoSeries):
            raise NotApplicable(f"{series.label}: no video, phases need one")
        # Only now: a run whose results are there already needs no ONNX Runtime.
        with in_one_go():
            from pipeline.analyses.phases.analysis import analyse

        opening = perf_counter()
        networks = self.networks
        analysing = perf_counter()
        rate = networks.model.rate_hz
        pictures = series.pictures(rate, self._compute.threads or os.cpu_count() or 1)
        n_all = max(1.0, rate * (series.duration_seconds or 0.0))
        result = analyse(
            pictures,
            networks,
            self._settings,
            input_digest=series.input_digest,
            progress=lambda done: progress(min(1.0, done / n_all)),
        )
        result = replace(result, notes=(*series.notes, *pictures.notes, *result.notes))
        encoding = perf_counter()
        # Only now: the libraries that write take longer to load than networks do.
        with in_one_go():
            from pipeline.encode.evidence import write_phases_evidence
            from pipeline.encode.phases import encode_phases

        context = encoding_context(
            series,
            job_id,
            self.bundle,
        )
        artifacts = encode_phases(
            result, series, context, self._settings.review_uncertainty, folder
        )
        if self._evidence:
            artifacts += write_phases_evidence(result, folder)
        timings = {
            "open_networks": analysing - opening,
            **result.stage_seconds,
            "encode": perf_counter() - encoding,
        }
        return Performed(
            artifacts=artifacts, outcome=_phases_outcome(series, result), timings=timings
        )


def _phases_outcome(series: VideoSeries, result: "PhasesResult") -> dict[str, object]:
    """Return a phase analysis as JSON values, without what is kept of each second."""
    durations: dict[str, float] = {}
    for segment in result.segments:
        length = segment.end_seconds - segment.start_seconds - segment.unusable_seconds
        durations[segment.phase] = durations.get(segment.phase, 0.0) + length
    return {
        "measurements": [
            asdict(Measurement(name="duration_s", value=value, unit="s", structure=phase))
            for phase, value in durations.items()
        ],
        "uncertainty": [asdict(segment) for segment in result.segments],
        "notes": list(dict.fromkeys([*result.notes, *encoding_notes(series)])),
    }
