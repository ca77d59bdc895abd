"""Versions of the bundles of tests: the same networks under another number, or damaged ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from pipeline.infer.bundle import Bundle, load_bundle, write_file_list


def version_of(
    bundle: Path,
    folder: Path,
    version: str,
    *,
    noise: float = 0.0,
    layer: int = -1,
    without: str | None = None,
) -> Bundle:
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
        Standard deviation of what is added to one layer of each member, relative to the layer's
        own; 0 leaves the networks as they are.
    layer
        Which of the convolutions: 0 is the first, -1 the last.
    without
        A member to leave out.
    """
    shutil.copytree(bundle, folder)
    place = folder / "configs" / "metadata.json"
    metadata = json.loads(place.read_text())
    metadata["version"], metadata["changelog"] = version, {version: "made to be compared"}
    place.write_text(json.dumps(metadata))
    if without is not None:
        (folder / "models" / f"{without}.onnx").unlink()
    for member in sorted((folder / "models").glob("member_*.onnx")) if noise else ():
        _damage(member, noise, layer)
    write_file_list(folder)
    return load_bundle(folder)


def _damage(path: Path, noise: float, layer: int) -> None:
    """Add noise to one layer of a network, whose weights may be whole numbers of eight bits."""
    model = onnx.load(path)
    weights = [each for each in model.graph.initializer if len(each.dims) == 4][layer]
    values = numpy_helper.to_array(weights)
    added = np.random.default_rng(5).normal(0.0, noise * float(values.std()), values.shape)
    changed = values + added
    if values.dtype == np.int8:
        changed = np.rint(changed).clip(-128, 127)
    weights.CopyFrom(numpy_helper.from_array(changed.astype(values.dtype), weights.name))
    onnx.save(model, path)
