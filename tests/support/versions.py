"""Versions of the bundles of tests: the same networks under another number, or damaged ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from pipeline.infer.bundle import Bundle, load_bundle, write_file_list


def version_of(bundle: Path, folder: Path, version: str, *, noise: float = 0.0) -> Bundle:
    """Write a copy of a bundle as another version.

    Parameters
    ----------
    bundle
        The bundle.
    folder
        Where the copy goes.
    version
        Its version.
    noise
        Standard deviation of what is added to the read-out of each member, relative to the
        read-out's own.
    """
    shutil.copytree(bundle, folder)
    place = folder / "configs" / "metadata.json"
    metadata = json.loads(place.read_text())
    metadata["version"], metadata["changelog"] = version, {version: "made for tests"}
    place.write_text(json.dumps(metadata))
    for member in sorted((folder / "models").glob("member_*.onnx")) if noise else ():
        _damage(member, noise)
    write_file_list(folder)
    return load_bundle(folder)


def _damage(path: Path, noise: float) -> None:
    """Add noise to the last weights of a network."""
    model = onnx.load(path)
    weights = [each for each in model.graph.initializer if len(each.dims) == 4][-1]
    values = numpy_helper.to_array(weights)
    added = np.random.default_rng(5).normal(0.0, noise * values.std(), values.shape)
    weights.CopyFrom(numpy_helper.from_array((values + added).astype(np.float32), weights.name))
    onnx.save(model, path)
