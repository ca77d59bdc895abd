"""Import a MONAI bundle: ``python -m models.importer FOLDER --manifest FILE --sample FILE ...``.

Prints one JSON object. Exit status: 0 imported, 2 refused, with the reason on standard error.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from models.importer.compare import compare, monai_inference
from models.importer.declare import declare
from models.importer.network import open_network, run_graph
from models.importer.resolve import Resolver
from models.importer.source import read_source
from models.importer.write import write_bundle
from pipeline.analyses.bundled.analysis import analyse, prepare
from pipeline.analyses.bundled.declaration import Declaration, read_declaration
from pipeline.bundled.manifest import read_manifest
from pipeline.errors import PipelineError, UnusableCall
from pipeline.imaging.volume import Volume
from pipeline.ingest.inventory import take_inventory
from pipeline.study import InputSeries

REFUSED = 2
"""Exit status of an import that is refused."""


def import_bundle(
    folder: Path, manifest_path: Path, sample: Path, output: Path, allowed: Sequence[str]
) -> dict[str, object]:
    """Import a bundle, and return what was made.

    Parameters
    ----------
    folder
        The bundle, in the Model Zoo's layout.
    manifest_path
        The site's manifest.
    sample
        A NIfTI file, or a DICOM series of one volume.
    output
        Folder of models: the bundle goes to ``<name>/bundle`` in it.
    allowed
        Digests of bundles whose custom Python is trusted.

    Raises
    ------
    PipelineError
        If the bundle, the manifest or the sample cannot be used, or the results differ.
    """
    manifest = read_manifest(manifest_path)
    name = str(manifest["name"])
    place = output / name / "bundle"
    if place.exists():
        raise UnusableCall(f"{place}: exists already; a bundle is never overwritten")
    source = read_source(folder, allowed)
    at = f"{folder}: inference"
    resolver = Resolver(source.config, at)
    declared = declare(resolver, at)
    declaration = read_declaration(declared.declaration, at)
    volume = _sample(sample)
    network = open_network(source, resolver, _window(volume, declaration))
    ours = analyse(volume, run_graph(network.graph), declaration, lambda _: None)
    theirs = monai_inference(volume, declared, network.original)
    comparison = compare(ours, theirs)
    comparison.check()
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = write_bundle(place, source, manifest, (declared.declaration, network, comparison))
    return {
        "analysis": name,
        "bundle": str(place),
        "digest": digest,
        "form": network.form,
        "compared": comparison.to_json(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Import what the command line names."""
    parser = argparse.ArgumentParser(prog="models.importer", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--sample", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--allow", action="append", default=[])
    call = parser.parse_args(arguments)
    torch.manual_seed(0)
    try:
        made = import_bundle(call.folder, call.manifest, call.sample, call.output, call.allow)
    except PipelineError as problem:
        print(problem, file=sys.stderr)
        return REFUSED
    print(json.dumps(made))
    return 0


def _sample(path: Path) -> Volume:
    """Return the one volume that a path holds."""
    found = [c for c in take_inventory([path]).candidates if c.n_slices and c.n_beats == 1]
    if len(found) != 1:
        raise UnusableCall(f"{path}: {len(found)} image volumes; a sample is one")
    series = found[0].load()
    if not isinstance(series, InputSeries):
        raise UnusableCall(f"{path}: no image volume")
    return Volume(array=series.image.array[0], affine=series.image.affine)


def _window(volume: Volume, declaration: Declaration) -> tuple[int, int, int]:
    """Return the size of a window on the sample."""
    prepared, _ = prepare(volume, declaration)
    sizes = zip(declaration.windows.roi_size, prepared.grid.shape, strict=True)
    n_i, n_j, n_k = (roi if roi > 0 else n for roi, n in sizes)
    return n_i, n_j, n_k


if __name__ == "__main__":
    sys.exit(main())
