"""An analysis that a bundle declares: from a volume to its files."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, cast
from uuid import UUID

import numpy as np

from pipeline.analyses.bundled.declaration import read_declaration
from pipeline.analysis import Performed
from pipeline.bundled.key import BUNDLE_KEY
from pipeline.bundled.manifest import SiteManifest, parse_manifest
from pipeline.config import Configuration
from pipeline.encode.context import encoding_context
from pipeline.encode.labels import volumes_of
from pipeline.errors import BundleRejected, NotApplicable, UnreadableFile, UnusableCall
from pipeline.imaging.volume import Volume
from pipeline.imports import in_one_go
from pipeline.infer.bundle import METADATA, Bundle
from pipeline.infer.terms import Compute, Contract
from pipeline.ingest.candidate import Candidate
from pipeline.routing.attributes import attributes_of, source_of
from pipeline.study import InputSeries, Series

if TYPE_CHECKING:
    from pipeline.analyses.bundled.sliding import Network

NETWORK = "network"
"""Name of the network's file in a bundle."""


def manifest_of(settings: Mapping[str, object], place: Path) -> SiteManifest:
    """Return the manifest in a bundle."""
    document = settings.get(BUNDLE_KEY)
    if not isinstance(document, dict):
        raise BundleRejected(f"{place / METADATA}: {BUNDLE_KEY} is no object")
    try:
        return parse_manifest(document)
    except UnusableCall as problem:
        raise BundleRejected(f"{place / METADATA}: {BUNDLE_KEY}: {problem}") from problem


class BundledAnalysis:
    """An analysis of a volume. It is loaded and its network opened when the first series comes."""

    def __init__(
        self, name: str, bundle: Bundle, configuration: Configuration, compute: Compute
    ) -> None:
        self.name = name
        self.bundle = bundle
        at = str(bundle.folder / METADATA)
        self._manifest = manifest_of(bundle.settings, bundle.folder)
        if self._manifest.analysis != name:
            raise BundleRejected(f"{at}: the bundle of {self._manifest.analysis}, not of {name}")
        self._declaration = read_declaration(bundle.settings.get("declaration"), at)
        self._contract = _contract(bundle.settings.get(NETWORK), at)
        self._compute = compute
        self._segmentation_types = configuration.output.segmentation_types

    @property
    def configuration(self) -> Mapping[str, object]:
        """All settings that the result depends on, as JSON values."""
        return {"output": {"segmentation_types": list(self._segmentation_types)}}

    @cached_property
    def network(self) -> "Network":
        """The network."""
        from pipeline.infer.session import open_network

        return open_network(
            self.bundle.network(NETWORK),
            self._contract,
            threads=self._compute.threads or os.cpu_count() or 1,
            providers=self._compute.providers,
        )

    def why_not(self, candidate: Candidate) -> str | None:
        """Return why a series is not one for this analysis, or None if it is."""
        if source_of(candidate) != "image" or candidate.n_slices == 0:
            return f"no image volume, {self.name} needs one"
        if candidate.n_beats != 1:
            return f"{candidate.n_beats} time steps, {self.name} needs a single volume"
        try:
            return self._manifest.why_not(attributes_of(candidate))
        except UnreadableFile as problem:
            return str(problem)

    def perform(
        self, series: Series, job_id: UUID, folder: Path, progress: Callable[[float], None]
    ) -> Performed:
        """Analyse a volume and write the files into a folder.

        Raises
        ------
        NotApplicable
            If the series is no single volume.
        AnalysisFailed
            If a declared step cannot be done with it.
        """
        if not isinstance(series, InputSeries) or series.image.n_beats != 1:
            raise NotApplicable(f"{series.label}: {self.name} needs a single volume")
        # Only now: a run whose results are there already needs neither SciPy nor ONNX Runtime.
        with in_one_go():
            from pipeline.analyses.bundled.analysis import analyse

        opening = perf_counter()
        network = self.network
        opened = perf_counter() - opening
        image = series.image
        volume = Volume(
            array=image.array[0],
            affine=image.affine,
            frame_of_reference_uid=image.frame_of_reference_uid,
        )
        result = analyse(volume, network, self._declaration, progress)
        encoding = perf_counter()
        # Only now: the libraries that write take longer to load than networks do.
        with in_one_go():
            from pipeline.encode.volumeresult import encode_volume_result

        context = encoding_context(
            series, job_id, self.bundle, segmentation_types=self._segmentation_types
        )
        manifest = self._manifest
        measured = volumes_of(result.labels, manifest.labels)
        artifacts = encode_volume_result(
            (result.labels, manifest.labels, measured), series, context, manifest.outputs, folder
        )
        return Performed(
            artifacts=artifacts,
            outcome={
                "measurements": [asdict(m) for m in measured],
                "uncertainty": [],
                "notes": [*series.notes, *_unnamed(result.labels, manifest)],
            },
            timings={
                "open_networks": opened,
                **result.stage_seconds,
                "encode": perf_counter() - encoding,
            },
        )


def _unnamed(labels: Volume, manifest: SiteManifest) -> list[str]:
    """Return a note on labels that the manifest does not name: they are not written."""
    named = {label.value for label in manifest.labels}
    others = sorted({int(v) for v in np.unique(labels.array)} - named - {0})
    told = ", ".join(str(v) for v in others)
    return [f"labels that the manifest does not name are left out: {told}"] if others else []


def _contract(value: object, at: str) -> Contract:
    """Return what goes into the network and comes out of it."""
    if not isinstance(value, dict):
        raise BundleRejected(f"{at}: {NETWORK} is no object")
    table = cast("dict[str, object]", value)
    sides = {}
    for side in ("input", "output"):
        name, shape = table.get(f"{side}_name"), table.get(f"{side}_shape")
        if not isinstance(name, str) or not isinstance(shape, list) or len(shape) != 5:
            raise BundleRejected(f"{at}: {NETWORK}.{side} needs a name and five lengths")
        if not all(n is None or (type(n) is int and n > 0) for n in shape):
            raise BundleRejected(f"{at}: {NETWORK}.{side}_shape is {shape!r}")
        sides[side] = (name, tuple(shape))
    return Contract(
        input_name=sides["input"][0],
        input_shape=sides["input"][1],
        output_name=sides["output"][0],
        output_shape=sides["output"][1],
    )
