"""Inputs and the bundle of the analysis ``tally`` (``tests/support/site``)."""

import json
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline.infer.bundle import write_file_list
from tests.support.bundles import METADATA

SITE = Path(__file__).parent / "site"
"""The folder that makes the analysis known when it is on the path."""

SHAPE = (4, 4, 2)


def write_tally_bundle(models: Path) -> Path:
    """Write the bundle as ``tally/bundle`` under a folder of models, and return the folder."""
    folder = models / "tally" / "bundle"
    for name in ("configs", "docs", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "models" / "tally.onnx").write_bytes(_network())
    metadata = {**METADATA, "name": "Tally", "vesalius": {"tally": True}}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "docs" / "README.md").write_text("# Tally\n\nFor tests only.\n")
    (folder / "LICENSE").write_text("Apache-2.0\n")
    write_file_list(folder)
    return models


def write_volumes(
    folder: Path, count: int, *, first: int = 0, behaviour: int = 0, steps: int = 0
) -> list[Path]:
    """Write volumes, each of which makes another job; return their paths.

    Parameters
    ----------
    folder
        Where to.
    count
        How many.
    first
        Seed of the first.
    behaviour
        What the jobs do.
    steps
        For how many steps the network runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = _header()
    paths = []
    for seed in range(first, first + count):
        values = np.zeros(np.prod(SHAPE), np.float32)
        values[:3] = seed, behaviour, steps
        path = folder / f"{seed:06d}.nii"
        path.write_bytes(header + values.tobytes())
        paths.append(path)
    return paths


@cache
def _header() -> bytes:
    """Return the header of a volume whose values lie on disk as they are read."""
    image = nibabel.Nifti1Image(
        np.zeros(SHAPE, np.float32, order="F"), np.diag([-1.0, -1.0, 1.0, 1.0])
    )
    whole: bytes = image.to_bytes()
    return whole[: len(whole) - 4 * int(np.prod(SHAPE))]


def _network() -> bytes:
    """Return a network that sums its input after taking as many steps as its third value says."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["state", "turn"], ["next"]),
        ],
        "step",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [8, 8]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [8, 8]),
        ],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["values", "third"], ["steps_f"]),
            helper.make_node("Cast", ["steps_f"], ["steps"], to=TensorProto.INT64),
            helper.make_node("Loop", ["steps", "", "turn"], ["end"], body=body),
            helper.make_node("ReduceSum", ["end"], ["spent"], keepdims=0),
            helper.make_node("Mul", ["spent", "zero"], ["nothing"]),
            helper.make_node("ReduceSum", ["values", "axis"], ["sum"], keepdims=1),
            helper.make_node("Add", ["sum", "nothing"], ["total"]),
        ],
        "tally",
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("total", TensorProto.FLOAT, [1])],
        [
            numpy_helper.from_array(np.array(2), "third"),
            numpy_helper.from_array(np.array([0]), "axis"),
            numpy_helper.from_array(np.eye(8, dtype=np.float32), "turn"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
