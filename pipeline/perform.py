"""The analyses that a run can choose from, each from a loaded series to its files.

A new analysis is a class that keeps the contracts of ``Kind`` and ``Analysis``. A site's own lies
in a package of its own and is found by its entry point in the group ``vesalius.analyses``::

    [project.entry-points."vesalius.analyses"]
    flow = "ourhospital.flow:Flow"
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache, cached_property
from importlib.metadata import entry_points
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING
from uuid import UUID

from pipeline.analyses.perfusion import fitting as perfusion_fitting
from pipeline.analyses.perfusion.flow.result import flow_outcome
from pipeline.analyses.reconstruction import fitting as reconstruction_fitting
from pipeline.analysis import Analysis, Kind, Performed
from pipeline.bundled.kinds import bundled_kinds, registered_kinds
from pipeline.config import Configuration
from pipeline.encode.context import encoding_context, encoding_notes
from pipeline.encode.places import why_no_dicom
from pipeline.errors import BundleRejected, NotApplicable, UnusableCall
from pipeline.imports import in_one_go
from pipeline.infer.bundle import Bundle, find_bundle
from pipeline.infer.terms import Compute
from pipeline.ingest.candidate import Candidate
from pipeline.phases import Phases
from pipeline.study import InputSeries, RawSeries, Series
from pipeline.trust import load_trusted

if TYPE_CHECKING:
    from pipeline.analyses.perfusion.networks import Pool
    from pipeline.analyses.perfusion.result import PerfusionResult
    from pipeline.analyses.reconstruction.networks import UnrolledNetworks
    from pipeline.analyses.reconstruction.result import ReconstructionResult


class Perfusion:
    """The perfusion analysis. It is loaded and its networks opened when the first series comes."""

    name = "perfusion"
    bundle_key = "grid_size"
    """Setting that tells its bundles from others."""

    def __init__(self, bundle: Bundle, configuration: Configuration, compute: Compute) -> None:
        self.bundle = bundle
        self._compute = compute
        self._settings = configuration.perfusion
        self._output = configuration.output

    @property
    def configuration(self) -> Mapping[str, object]:
        """All settings that the result depends on, as JSON values."""
        return {
            "perfusion": self._settings.as_dict(),
            "output": {"segmentation_types": list(self._output.segmentation_types)},
        }

    @cached_property
    def pool(self) -> "Pool":
        """The networks."""
        from pipeline.analyses.perfusion.networks import open_pool, with_site_trust

        return with_site_trust(open_pool(self.bundle, self._compute), self._settings)

    def why_not(self, candidate: Candidate) -> str | None:
        """Return why a series is not one for this analysis, or None if it is."""
        return perfusion_fitting.why_not(candidate.modality, candidate.n_beats)

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
        # Only now: a run whose results are there already needs neither SciPy nor ONNX Runtime.
        with in_one_go():
            from pipeline.analyses.perfusion.analysis import analyse

        opening = perf_counter()
        pool = self.pool
        analysing = perf_counter()
        result = analyse(series, pool, self._settings, progress)
        encoding = perf_counter()
        # Only now: the libraries that write take longer to load than networks do.
        with in_one_go():
            from pipeline.encode.evidence import write_perfusion_evidence
            from pipeline.encode.perfusion import encode_perfusion

        context = encoding_context(
            series,
            job_id,
            self.bundle,
            segmentation_types=self._output.segmentation_types,
        )
        artifacts = encode_perfusion(result, series, context, folder)
        if self._output.evidence:
            artifacts += write_perfusion_evidence(result, series, folder)
        timings = {
            "open_networks": analysing - opening,
            **result.stage_seconds,
            "encode": perf_counter() - encoding,
        }
        return Performed(artifacts=artifacts, outcome=_outcome(series, result), timings=timings)


class Reconstruction:
    """The reconstruction analysis. It is loaded and its networks opened when raw data come."""

    name = "reconstruction"
    bundle_key = "operator"
    """Setting that tells its bundles from others."""

    def __init__(self, bundle: Bundle, configuration: Configuration, compute: Compute) -> None:
        self.bundle = bundle
        self._compute = compute
        self._settings = configuration.reconstruction
        self._output = configuration.output

    @property
    def configuration(self) -> Mapping[str, object]:
        """All settings that the result depends on, as JSON values."""
        return {
            "reconstruction": self._settings.as_dict(),
            "output": {
                "mr_image_types": list(self._output.mr_image_types),
                "complex_nifti": self._output.complex_nifti,
            },
        }

    @cached_property
    def networks(self) -> "UnrolledNetworks | None":
        """The networks of the method that is set; None for zero-filled images."""
        if self._settings.method == "zero-filled":
            return None
        from pipeline.analyses.reconstruction.networks import open_networks

        return open_networks(self.bundle, self._settings.method, self._compute)

    def why_not(self, candidate: Candidate) -> str | None:
        """Return why a series is not one for this analysis, or None if it is."""
        return reconstruction_fitting.why_not(candidate.modality)

    def perform(
        self, series: Series, job_id: UUID, folder: Path, progress: Callable[[float], None]
    ) -> Performed:
        """Reconstruct raw data and write the files into a folder.

        Raises
        ------
        NotApplicable
            If the series is no raw data, or lacks what a reconstruction needs.
        """
        if not isinstance(series, RawSeries):
            raise NotApplicable(f"{series.label}: images, reconstruction needs raw data")
        # Only now, as for perfusion.
        with in_one_go():
            from pipeline.analyses.reconstruction import analysis as reconstruction

        opening = perf_counter()
        networks = self.networks
        analysing = perf_counter()
        asked = reconstruction.Evidence(classical=self._output.classical)
        result = reconstruction.reconstruct(
            series.kspace,
            networks,
            self._settings,
            progress,
            evidence=asked if self._output.evidence else None,
        )
        encoding = perf_counter()
        # Only now: the libraries that write take longer to load than networks do.
        with in_one_go():
            from pipeline.encode.evidence import write_reconstruction_evidence
            from pipeline.encode.reconstruction import encode_reconstruction

        context = encoding_context(
            series,
            job_id,
            self.bundle,
            mr_image_types=self._output.mr_image_types,
            complex_nifti=self._output.complex_nifti,
        )
        artifacts = encode_reconstruction(result, series, context, folder)
        artifacts += write_reconstruction_evidence(result, series, folder)
        timings = {
            "open_networks": analysing - opening,
            **result.stage_seconds,
            "encode": perf_counter() - encoding,
        }
        outcome = _reconstruction_outcome(series, result)
        return Performed(artifacts=artifacts, outcome=outcome, timings=timings)


ENTRY_POINTS = "vesalius.analyses"
"""Group of entry points that a site's own analyses are found by."""

DEFAULT_COMPUTE = Compute()
"""All cores, on the CPU."""


@cache
def known_kinds() -> tuple[Kind, ...]:
    """Return the kinds of analyses that ship, and those of the site's own packages.

    Raises
    ------
    UnusableCall
        If two have the same name.
    """
    found: tuple[Kind, ...] = (
        Perfusion,
        Reconstruction,
        Phases,
        *(point.load() for point in sorted(entry_points(group=ENTRY_POINTS), key=str)),
    )
    names = [kind.name for kind in found]
    if len(set(names)) < len(names):
        raise UnusableCall(f"two analyses have the same name: {', '.join(sorted(names))}")
    return found


def kind_of(bundle: Bundle) -> Kind:
    """Return the kind of analysis that a bundle is for.

    Raises
    ------
    BundleRejected
        If it is for none that is known.
    """
    for kind in (*known_kinds(), *bundled_kinds(bundle.folder)):
        if kind.bundle_key in bundle.settings:
            return kind
    known = ", ".join(kind.name for kind in known_kinds())
    raise BundleRejected(f"{bundle.folder}: a bundle for none of {known}")


def kinds_in(configuration: Configuration) -> tuple[Kind, ...]:
    """Return the kinds that are known, and those that bundles of the site make.

    These lie in the folder of models or in the registry; whether a version in the registry may do
    anything, its role says.

    Raises
    ------
    UnusableCall
        If two have the same name.
    BundleRejected
        If one of these bundles cannot be read.
    """
    known = known_kinds()
    bundled = {kind.name: kind for kind in bundled_kinds(configuration.models.path)}
    for kind in registered_kinds(configuration.models.registry):
        bundled.setdefault(kind.name, kind)
    for name in {kind.name for kind in known} & set(bundled):
        raise UnusableCall(f"two analyses have the same name: {name}")
    return (*known, *bundled.values())


def open_analyses(
    names: Sequence[str], configuration: Configuration, compute: Compute = DEFAULT_COMPUTE
) -> tuple[Analysis, ...]:
    """Return analyses by their names, each with its bundle checked.

    Parameters
    ----------
    names
        Names of the analyses; all that have a bundle if empty. Those that ship come first, then the
        site's own, then those of bundles that a manifest was imported with.
    configuration
        What the site sets.
    compute
        What their networks run on.

    Raises
    ------
    UnusableCall
        If there is no analysis of a name.
    BundleRejected
        If a bundle is missing, altered, not signed as the site demands, or that of another
        analysis.
    """
    kinds = kinds_in(configuration)
    known = [kind.name for kind in kinds]
    for name in names:
        if name not in known:
            raise UnusableCall(f"no analysis {name!r}; known are {', '.join(known)}")
    search = [configuration.models.path] if configuration.models.path else []
    opened: list[Analysis] = []
    missing: list[BundleRejected] = []
    for kind in kinds:
        if names and kind.name not in names:
            continue
        try:
            place = find_bundle(kind.name, search)
        except BundleRejected as reason:
            missing.append(reason)
            continue
        bundle = load_trusted(place, configuration.models)
        if kind.bundle_key in bundle.settings:
            opened.append(kind(bundle, configuration, compute))
        else:
            missing.append(BundleRejected(f"{place}: no bundle for {kind.name}"))
    if missing and (names or not opened):
        raise missing[0]
    return tuple(opened)


def _outcome(series: InputSeries, result: "PerfusionResult") -> dict[str, object]:
    """Return a perfusion result as JSON values, without its images."""
    return {
        "measurements": [asdict(m) for m in result.measurements],
        "uncertainty": [asdict(s) for s in result.slices],
        "notes": list(dict.fromkeys([*series.notes, *result.notes, *encoding_notes(series)])),
        "aha_segments": [asdict(m) for m in result.aha.measurements],
        "aha_slices": [asdict(s) for s in result.aha.slices],
        "heart_state": result.state,
        "trust": None if result.trust is None else asdict(result.trust),
        "flow": flow_outcome(result.flow),
    }


def _reconstruction_outcome(series: RawSeries, result: "ReconstructionResult") -> dict[str, object]:
    """Return a reconstruction as JSON values, without its images."""
    without_dicom = why_no_dicom(series)
    told = [without_dicom] if without_dicom else []
    return {
        "measurements": [asdict(m) for m in result.measurements],
        "uncertainty": [asdict(s) for s in result.slices],
        "notes": list(dict.fromkeys([*series.notes, *result.notes, *told])),
    }
